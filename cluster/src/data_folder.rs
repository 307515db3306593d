//! The folder in which a cluster keeps everything, and finds it again: who may use it, and whose it is.
//!
//! `meta.properties` says in which format it is and for how many nodes; `.lock` is locked for as long as a cluster runs on
//! it, as Kafka locks each of its log directories. What the nodes keep is in [`crate::store::files`].

use crate::store::files::{FileError, FileStore, SEGMENT_BYTES};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The format of everything in the folder. It counts up with every change that an older Shakedown would not understand.
const VERSION: u64 = 1;

const META: &str = "meta.properties";
const LOCK: &str = ".lock";

/// What a folder may hold that was just mounted.
const LOST_AND_FOUND: &str = "lost+found";

/// Most files of logs that all nodes together keep open: far from the 1,024 that a process may have open by default, since
/// clients need descriptors, too.
const HANDLES_MAX: usize = 384;

/// Why a folder is not one for this cluster.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another cluster runs on it.
    #[error("another cluster uses the data folder {}: its file {LOCK} is locked", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// It was made by another cluster.
    #[error(
        "the data folder {} is one of {found} ({found_controllers} dedicated controllers), not of {asked} \
         ({asked_controllers} dedicated controllers)", path.display(),
        found = Brokers(*brokers), found_controllers = controllers, asked = Brokers(*asked_brokers)
    )]
    Nodes {
        /// The folder.
        path: PathBuf,
        /// How many brokers it is for.
        brokers: u32,
        /// How many dedicated controllers it is for.
        controllers: u32,
        /// How many brokers were asked for.
        asked_brokers: u32,
        /// How many dedicated controllers were asked for.
        asked_controllers: u32,
    },
    /// It was written by a newer or older Shakedown.
    #[error("the data folder {} has format version {found}, this Shakedown reads and writes version {VERSION}", path.display())]
    Version {
        /// The folder.
        path: PathBuf,
        /// The format's version.
        found: u64,
    },
    /// There is something in it, and it is not a cluster.
    #[error("{} is not empty and has no {META}: it is not the data folder of a cluster", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Its description cannot be understood.
    #[error("{}: line {line:?} is not one of version, brokers, controllers and starts with a number behind =", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What it says; empty where something is missing.
        line: String,
    },
    /// Something in it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

struct Brokers(u32);

impl std::fmt::Display for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} broker{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// A folder that is this cluster's for as long as it is kept.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    meta: Meta,
    _lock: File,
}

/// What `meta.properties` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meta {
    brokers: u32,
    controllers: u32,
    /// How often a cluster was started on it, this time among them.
    starts: u64,
}

impl DataFolder {
    /// Takes the folder for a cluster with so many nodes, and makes it if it is not there.
    pub(crate) fn open(path: &Path, brokers: u32, controllers: u32) -> Result<Self, DataFolderError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| DataFolderError::File(FileError { path, source })
        };
        std::fs::create_dir_all(path).map_err(at(path))?;
        let lock = lock(path)?;
        let file = path.join(META);
        let known = match std::fs::read_to_string(&file) {
            Ok(text) => Some(parse(path, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&file)(error)),
        };
        if known.is_none() && !is_new(path).map_err(at(path))? {
            return Err(DataFolderError::Foreign { path: path.to_owned() });
        }
        let known = known.unwrap_or(Meta { brokers, controllers, starts: 0 });
        if (known.brokers, known.controllers) != (brokers, controllers) {
            return Err(DataFolderError::Nodes {
                path: path.to_owned(),
                brokers: known.brokers,
                controllers: known.controllers,
                asked_brokers: brokers,
                asked_controllers: controllers,
            });
        }
        let meta = Meta { starts: known.starts + 1, ..known };
        write(path, &file, meta).map_err(at(&file))?;
        Ok(Self { path: path.to_owned(), meta, _lock: lock })
    }

    /// How often a cluster was started on it, from 1.
    pub(crate) fn starts(&self) -> u64 {
        self.meta.starts
    }

    /// What a node keeps.
    pub(crate) fn node(&self, id: i32) -> Result<FileStore, FileError> {
        let nodes = usize::try_from(self.meta.brokers + self.meta.controllers).unwrap_or(usize::MAX);
        FileStore::open(&self.path.join(format!("node-{id}")), SEGMENT_BYTES, HANDLES_MAX / nodes.max(1))
    }
}

fn lock(path: &Path) -> Result<File, DataFolderError> {
    let file = path.join(LOCK);
    let failed = |source| DataFolderError::File(FileError { path: file.clone(), source });
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DataFolderError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Whether nobody has kept anything here.
fn is_new(path: &Path) -> io::Result<bool> {
    for entry in path.read_dir()? {
        let name = entry?.file_name();
        // A cluster that was killed while it made the folder leaves what it was about to write.
        if name != LOCK && name != LOST_AND_FOUND && name != format!("{META}.tmp").as_str() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn parse(folder: &Path, text: &str) -> Result<Meta, DataFolderError> {
    let wrong = |line: &str| DataFolderError::Meta { path: folder.join(META), line: line.to_owned() };
    let (mut version, mut brokers, mut controllers, mut starts): (Option<u64>, _, _, _) = (None, None, None, None);
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').ok_or_else(|| wrong(line))?;
        let place = match name.trim() {
            "version" => &mut version,
            "brokers" => &mut brokers,
            "controllers" => &mut controllers,
            "starts" => &mut starts,
            _ => return Err(wrong(line)),
        };
        let number = value.trim().parse().map_err(|_| wrong(line))?;
        *place = Some(number);
        // What another version says behind its number is not for us to understand.
        if let Some(found) = version.filter(|found| *found != VERSION) {
            return Err(DataFolderError::Version { path: folder.to_owned(), found });
        }
    }
    version.ok_or_else(|| wrong(""))?;
    let count = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| wrong(""));
    Ok(Meta { brokers: count(brokers)?, controllers: count(controllers)?, starts: starts.ok_or_else(|| wrong(""))? })
}

/// Replaces the file, wholly or not at all.
fn write(folder: &Path, file: &Path, meta: Meta) -> io::Result<()> {
    let Meta { brokers, controllers, starts } = meta;
    let written = folder.join(format!("{META}.tmp"));
    let mut text = File::create(&written)?;
    write!(text, "# A Shakedown cluster's data folder.\nversion={VERSION}\n")?;
    write!(text, "brokers={brokers}\ncontrollers={controllers}\nstarts={starts}\n")?;
    text.sync_all()?;
    std::fs::rename(&written, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path, brokers: u32, controllers: u32) -> String {
        let error = DataFolder::open(path, brokers, controllers).expect_err("it is not for this cluster");
        error.to_string().replace(&path.display().to_string(), "PATH")
    }

    #[test]
    fn a_folder_counts_its_starts_and_is_one_clusters_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("made/for/it");
        let first = DataFolder::open(&path, 3, 1).expect("a new folder");
        assert_eq!(first.starts(), 1);
        assert_eq!(message(&path, 3, 1), "another cluster uses the data folder PATH: its file .lock is locked");
        drop(first);
        assert_eq!(DataFolder::open(&path, 3, 1).expect("it is free").starts(), 2);
    }

    #[test]
    fn a_folder_that_is_not_for_this_cluster_says_why() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        drop(DataFolder::open(path, 3, 0).expect("a new folder"));
        assert_eq!(
            message(path, 1, 2),
            "the data folder PATH is one of 3 brokers (0 dedicated controllers), not of 1 broker (2 dedicated \
             controllers)"
        );
        let meta = path.join(META);
        std::fs::write(&meta, "version=1\nbrokers=many\n").expect("room");
        assert_eq!(
            message(path, 3, 0),
            "PATH/meta.properties: line \"brokers=many\" is not one of version, brokers, controllers and starts with a \
             number behind ="
        );
        std::fs::write(&meta, "version=7\ncolour=blue\n").expect("room");
        assert_eq!(
            message(path, 3, 0),
            "the data folder PATH has format version 7, this Shakedown reads and writes version 1"
        );
        std::fs::remove_file(&meta).expect("it is there");
        std::fs::write(path.join("thesis.tex"), "").expect("room");
        assert_eq!(
            message(path, 3, 0),
            "PATH is not empty and has no meta.properties: it is not the data folder of a cluster"
        );
    }
}
