//! The few things that are done to files and folders, each by one system call.
//!
//! They go through one place so that a test can end a process at any of them: see [`Fuse`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Changes files and folders.
#[derive(Debug, Default)]
pub(super) struct Io {
    #[cfg(test)]
    pub(super) fuse: Fuse,
}

impl Io {
    #[cfg(not(test))]
    fn spend(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn spend(&self) -> io::Result<()> {
        self.fuse.spend()
    }

    /// Writes at a place; what was there is written over.
    pub(super) fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.fuse.is_about_to_blow() {
            // A process that is killed in the middle of a write leaves a part of it.
            file.write_all_at(&bytes[..bytes.len() / 2], at)?;
        }
        self.spend().and_then(|()| file.write_all_at(bytes, at))
    }

    /// Cuts a file.
    pub(super) fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.spend().and_then(|()| file.set_len(length))
    }

    /// A new file in the place of any that is there.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.spend()?;
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    /// A new folder; one that is there stays.
    pub(super) fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.spend().and_then(|()| fs::create_dir_all(path))
    }

    /// Gives a file or a folder another name, in the place of whatever has it.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spend().and_then(|()| fs::rename(from, to))
    }

    /// Deletes a file.
    pub(super) fn delete(&self, path: &Path) -> io::Result<()> {
        self.spend().and_then(|()| fs::remove_file(path))
    }

    /// Deletes a folder with everything in it.
    pub(super) fn delete_folder(&self, path: &Path) -> io::Result<()> {
        self.spend().and_then(|()| fs::remove_dir_all(path))
    }

    /// Makes the contents of a file survive a loss of power.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.spend().and_then(|()| file.sync_data())
    }

    /// Makes the names in a folder survive a loss of power.
    pub(super) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.spend().and_then(|()| File::open(path)?.sync_all())
    }
}

/// Ends a process after so many changes: none that comes later happens.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Fuse {
    left: std::cell::Cell<Option<u64>>,
    blown: std::cell::Cell<bool>,
}

#[cfg(test)]
impl Fuse {
    pub(super) fn set(&self, changes: u64) {
        self.left.set(Some(changes));
    }

    /// How many more changes happen; none without a limit.
    pub(super) fn left(&self) -> Option<u64> {
        self.left.get()
    }

    pub(super) fn has_blown(&self) -> bool {
        self.blown.get()
    }

    fn is_about_to_blow(&self) -> bool {
        self.left.get() == Some(0) && !self.blown.get()
    }

    fn spend(&self) -> io::Result<()> {
        match self.left.get() {
            None => Ok(()),
            Some(0) => {
                self.blown.set(true);
                Err(io::Error::other("the process has ended"))
            }
            Some(left) => {
                self.left.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
