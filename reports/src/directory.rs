//! The run directory as it is written: `<root>/<scenario>/<time>/`, complete up to the last second at every moment.
//!
//! Reading is [`crate::run_record`]'s part.

use crate::ending::{self, Ending};
use crate::event::Event;
use crate::info::RunInfo;
use crate::interner::Interner;
use crate::intervals::IntervalLog;
use crate::record::{Figure, StreamId, StreamKind};
use crate::stream::{CommitWriter, DeliveryWriter, EntryWriter, OperationWriter, ReadingWriter};
use crate::summary::Summary;
use crate::utc;
use crate::verdict::Verdict;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const INFO_FILE: &str = "run.json";
pub(crate) const EVENTS_FILE: &str = "events.jsonl";
pub(crate) const FIGURES_FILE: &str = "figures.json";
pub(crate) const SUMMARY_FILE: &str = "summary.json";
pub(crate) const VERDICT_FILE: &str = "verdict.json";
pub(crate) const OPERATIONS_FILE: &str = "operations.bin";
pub(crate) const COMMITS_FILE: &str = "commits.bin";
pub(crate) const READINGS_FILE: &str = "readings.bin";
pub(crate) const IDENTITIES_FILE: &str = "identities.txt";
pub(crate) const KEYS_FILE: &str = "keys.txt";

/// The file of a sink's deliveries.
pub(crate) fn deliveries_file(stream: StreamId) -> String {
    format!("deliveries-{stream}.bin")
}

/// Why a run directory could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The directory itself could not be made.
    #[error("cannot create the run directory {}: {source}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file of the run could not be written.
    #[error("cannot write {file} of the run: {source}")]
    Write {
        /// The file, relative to the run directory.
        file: String,
        /// What the system answered.
        source: io::Error,
    },
    /// Deliveries were to be written for something that receives none.
    #[error("stream {stream} receives no deliveries; the sinks of this run are: {sinks}")]
    NotASink {
        /// The stream that was asked for.
        stream: StreamId,
        /// Number and name of every sink.
        sinks: String,
    },
    /// The name of a text file leads out of the directory.
    #[error("{name:?} is no file name; it has to be one plain component, as in service-order.log")]
    FileName {
        /// The name that was given.
        name: String,
    },
}

impl DirectoryError {
    pub(crate) fn write(file: &str, source: io::Error) -> Self {
        Self::Write { file: file.to_owned(), source }
    }
}

/// A run directory under construction. Clones share it.
#[derive(Debug, Clone)]
pub struct RunDirectory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    sinks: Vec<(StreamId, String)>,
    interner: Arc<Interner>,
    intervals: IntervalLog,
    events: Mutex<File>,
}

impl RunDirectory {
    /// Makes `<root>/<scenario-slug>/<YYYYMMDDTHHMMSS[-n]>/`, unique even when several runs start in one second, and
    /// writes `run.json` into it.
    ///
    /// # Errors
    /// When the directory or its first files cannot be written.
    pub fn create(root: &Path, info: &RunInfo) -> Result<Self, DirectoryError> {
        let path = create_unique(&root.join(slug(&info.scenario)), &utc::compact(info.started_unix_ms))?;
        write_json(&path, INFO_FILE, info)?;
        let open = |name: &str| File::create_new(path.join(name)).map_err(|source| DirectoryError::write(name, source));
        let sinks = (0..).zip(&info.streams).filter(|(_, stream)| stream.kind != StreamKind::Load);
        let interner = Interner::new(&info.key_prefix, Box::new(open(IDENTITIES_FILE)?), Box::new(open(KEYS_FILE)?));
        let events = open(EVENTS_FILE)?;
        // The system lets go of the lock when this process ends, however it ends: that tells a run that goes on from
        // one that was killed. Where a file system has no locks, both look killed.
        let _ = events.try_lock();
        Ok(Self(Arc::new(Inner {
            sinks: sinks.map(|(id, stream)| (id, stream.label())).collect(),
            interner: Arc::new(interner),
            intervals: IntervalLog::create(&path, info.started_unix_ms)?,
            events: Mutex::new(events),
            path,
        })))
    }

    /// Makes `<root>/<slug>/<time>/` as [`RunDirectory::create`] does, for something that is no run: the files in it are
    /// whoever's who asked for it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn reserve(root: &Path, name: &str) -> Result<PathBuf, DirectoryError> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        create_unique(&root.join(slug(name)), &utc::compact(unix_ms))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The writer of the load's operations; a run has one.
    ///
    /// # Errors
    /// When the file cannot be made, or was already.
    pub fn operation_writer(&self) -> Result<OperationWriter, DirectoryError> {
        EntryWriter::create(self.path(), OPERATIONS_FILE.to_owned(), self.interner())
    }

    /// The writer of one sink's deliveries; a sink has one.
    ///
    /// # Errors
    /// When the stream is no sink of the run, or the file cannot be made, or was already.
    pub fn delivery_writer(&self, stream: StreamId) -> Result<DeliveryWriter, DirectoryError> {
        if self.0.sinks.iter().any(|(sink, _)| *sink == stream) {
            return EntryWriter::create(self.path(), deliveries_file(stream), self.interner());
        }
        let sinks: Vec<_> = self.0.sinks.iter().map(|(id, label)| format!("{id} ({label})")).collect();
        Err(DirectoryError::NotASink { stream, sinks: sinks.join(", ") })
    }

    /// The writer of what watched groups commit; a run has one.
    ///
    /// # Errors
    /// When the file cannot be made, or was already.
    pub fn commit_writer(&self) -> Result<CommitWriter, DirectoryError> {
        EntryWriter::create(self.path(), COMMITS_FILE.to_owned(), self.interner())
    }

    /// The writer of what the cluster answers about watched topics and groups; a run has one.
    ///
    /// # Errors
    /// When the file cannot be made, or was already.
    pub fn reading_writer(&self) -> Result<ReadingWriter, DirectoryError> {
        EntryWriter::create(self.path(), READINGS_FILE.to_owned(), self.interner())
    }

    /// Appends to the timeline, at once.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn event(&self, event: &Event) -> Result<(), DirectoryError> {
        let mut line = to_json(EVENTS_FILE, event, serde_json::to_vec)?;
        line.push(b'\n');
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.write_all(&line).map_err(|source| DirectoryError::write(EVENTS_FILE, source))
    }

    /// The run's names for business identities and keys.
    #[must_use]
    pub fn interner(&self) -> Arc<Interner> {
        Arc::clone(&self.0.interner)
    }

    /// The run's latency log.
    #[must_use]
    pub fn interval_log(&self) -> IntervalLog {
        self.0.intervals.clone()
    }

    /// Writes `run.json` again, for what is known only after the start (versions, the plan's digest).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_info(&self, info: &RunInfo) -> Result<(), DirectoryError> {
        write_json(self.path(), INFO_FILE, info)
    }

    /// Writes what services stated about themselves.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_figures(&self, figures: &[Figure]) -> Result<(), DirectoryError> {
        write_json(self.path(), FIGURES_FILE, figures)
    }

    /// Writes what the run says of itself beside its verdict.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_summary(&self, summary: &Summary) -> Result<(), DirectoryError> {
        write_json(self.path(), SUMMARY_FILE, summary)
    }

    /// Writes how the run ended. Without it, whoever reads the directory takes the run for a killed one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_ending(&self, ending: &Ending) -> Result<(), DirectoryError> {
        write_json(self.path(), ending::FILE, ending)
    }

    /// Writes the judgement.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_verdict(&self, verdict: &Verdict) -> Result<(), DirectoryError> {
        write_json(self.path(), VERDICT_FILE, verdict)
    }

    /// Writes a text file of this name: `report.txt`, `junit.xml`.
    ///
    /// # Errors
    /// When the name is not a plain file name, or the file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), DirectoryError> {
        let plain = Path::new(name).file_name().is_some_and(|file_name| file_name == name);
        if !plain {
            return Err(DirectoryError::FileName { name: name.to_owned() });
        }
        replace(self.path(), name, text.as_bytes())
    }
}

/// The longest name of a scenario's directory, in bytes: file systems end at 255, and whole paths sooner.
const SLUG_LENGTH_MAX: usize = 100;

/// Lower case, digits and single hyphens: a scenario's name as the name of a directory, cut where it is too long.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        if slug.len() + character.len_utf8() > SLUG_LENGTH_MAX {
            break;
        }
        if character.is_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "scenario".to_owned() } else { slug.to_owned() }
}

fn create_unique(parent: &Path, name: &str) -> Result<PathBuf, DirectoryError> {
    fs::create_dir_all(parent).map_err(|source| DirectoryError::Create { path: parent.to_owned(), source })?;
    let mut path = parent.join(name);
    for number in 2_u64.. {
        // Making a directory is atomic, so whoever makes it owns it.
        match fs::create_dir(&path) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{number}"));
            }
            Err(source) => return Err(DirectoryError::Create { path, source }),
        }
    }
    Ok(path)
}

fn write_json<T: Serialize + ?Sized>(directory: &Path, name: &str, value: &T) -> Result<(), DirectoryError> {
    let mut json = to_json(name, value, serde_json::to_vec_pretty)?;
    json.push(b'\n');
    replace(directory, name, &json)
}

fn to_json<T: ?Sized>(
    name: &str,
    value: &T,
    encode: impl Fn(&T) -> serde_json::Result<Vec<u8>>,
) -> Result<Vec<u8>, DirectoryError> {
    encode(value).map_err(|error| DirectoryError::write(name, error.into()))
}

/// Readers see the old file or the new one, never half of one.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
    let unfinished = directory.join(format!(".{name}.unfinished"));
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, directory.join(name)))
        .map_err(|source| DirectoryError::write(name, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StreamInfo;

    #[test]
    fn names_of_scenarios_become_names_of_directories() {
        assert_eq!(slug("A leader dies, while orders flow!"), "a-leader-dies-while-orders-flow");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("?"), "scenario");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(slug(&"a".repeat(100)), "a".repeat(100));
        assert_eq!(slug(&"a".repeat(101)), "a".repeat(100));
        assert_eq!(slug(&format!("{} b", "a".repeat(99))), "a".repeat(99), "no hyphen at the end");
        // Three bytes each: the 34th would end at 102.
        assert_eq!(slug(&"\u{6ce8}".repeat(200)), "\u{6ce8}".repeat(33));
        let root = tempfile::tempdir().expect("a temporary directory");
        RunDirectory::create(root.path(), &RunInfo::new(&"an order ".repeat(500), 1)).expect("a directory");
    }

    #[test]
    fn runs_that_start_in_the_same_second_do_not_share_a_directory() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut info = RunInfo::new("twins", 1);
        info.started_unix_ms = 1_795_262_594_500;
        let names: Vec<_> = (0..3)
            .map(|_| RunDirectory::create(root.path(), &info).expect("a directory for each run"))
            .map(|run| run.path().strip_prefix(root.path()).expect("it is below the root").to_owned())
            .collect();
        let expected = ["20261121T120314", "20261121T120314-2", "20261121T120314-3"];
        assert_eq!(names, expected.map(|name| Path::new("twins").join(name)));
    }

    #[test]
    fn only_sinks_receive_deliveries() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut info = RunInfo::new("sinks", 1);
        info.streams = vec![
            StreamInfo { name: "load".to_owned(), kind: StreamKind::Load },
            StreamInfo { name: "orders".to_owned(), kind: StreamKind::Topic },
        ];
        let run = RunDirectory::create(root.path(), &info).expect("a directory");
        assert!(run.delivery_writer(1).is_ok());
        for stream in [0, 2] {
            let error = run.delivery_writer(stream).expect_err("no sink");
            let expected =
                format!("stream {stream} receives no deliveries; the sinks of this run are: 1 (topic orders)");
            assert_eq!(error.to_string(), expected);
        }
        assert!(matches!(run.delivery_writer(1), Err(DirectoryError::Write { .. })), "a sink has one writer");
    }

    #[test]
    fn a_text_file_stays_in_the_directory() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let run = RunDirectory::create(root.path(), &RunInfo::new("texts", 1)).expect("a directory");
        run.write_text("report.txt", "PASS\n").expect("a plain name is fine");
        assert_eq!(fs::read_to_string(run.path().join("report.txt")).expect("it is there"), "PASS\n");
        for name in ["../report.txt", "a/b", "", ".."] {
            assert!(matches!(run.write_text(name, ""), Err(DirectoryError::FileName { .. })), "{name:?}");
        }
    }
}
