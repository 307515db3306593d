//! Files that are open: the ones that were used last, and never more than a bound, however many partitions there are.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

/// A segment of a log: the log's place in the store, and the segment's number within the log.
pub(super) type SegmentKey = (usize, u32);

/// Open files by segment.
#[derive(Debug)]
pub(super) struct Handles {
    open: HashMap<SegmentKey, Handle>,
    most: usize,
    /// Counts the uses.
    clock: u64,
}

#[derive(Debug)]
struct Handle {
    file: File,
    used: u64,
}

impl Handles {
    /// At most so many open files, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { open: HashMap::new(), most: most.max(1), clock: 0 }
    }

    /// The segment's file, opened if it is not.
    pub(super) fn get(&mut self, key: SegmentKey, path: impl FnOnce() -> PathBuf) -> io::Result<&File> {
        if !self.open.contains_key(&key) {
            let file = OpenOptions::new().read(true).write(true).open(path())?;
            self.put(key, file);
        }
        self.clock += 1;
        let handle = self.open.get_mut(&key).ok_or(io::ErrorKind::NotFound)?;
        handle.used = self.clock;
        Ok(&handle.file)
    }

    /// Takes a file that was just opened. The one that has not been used for longest makes room.
    pub(super) fn put(&mut self, key: SegmentKey, file: File) {
        while self.open.len() >= self.most {
            let oldest = self.open.iter().min_by_key(|(_, handle)| handle.used).map(|(key, _)| *key);
            oldest.map(|key| self.open.remove(&key));
        }
        self.clock += 1;
        self.open.insert(key, Handle { file, used: self.clock });
    }

    /// Closes a segment's file.
    pub(super) fn close(&mut self, key: SegmentKey) {
        self.open.remove(&key);
    }

    /// Closes all files of a log.
    pub(super) fn close_log(&mut self, log: usize) {
        self.open.retain(|(of, _), _| *of != log);
    }

    /// How many are open.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }
}
