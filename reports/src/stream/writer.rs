//! Appending to a stream file without ever making the caller wait for an answer.

use super::deltas;
use super::entry::{Entry, sealed};
use super::layout::{self, BlockHead};
use crate::directory::DirectoryError;
use crate::interner::Interner;
use crate::record::{Delivery, Operation};
use crate::watch::{Commit, Reading};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes `operations.bin`.
pub type OperationWriter = EntryWriter<Operation>;
/// Writes `deliveries-<n>.bin`.
pub type DeliveryWriter = EntryWriter<Delivery>;
/// Writes `commits.bin`.
pub type CommitWriter = EntryWriter<Commit>;
/// Writes `readings.bin`.
pub type ReadingWriter = EntryWriter<Reading>;

/// How much of a run a crash may cost, measured in the entries' own time: a writer reads no clock.
const FLUSH_AFTER_NS: u64 = 1_000_000_000;

/// Appends entries to one stream file.
///
/// Entries are written in blocks, and at the latest when a pushed entry is a second younger than the oldest one that
/// waits; an owner whose stream falls silent calls [`EntryWriter::flush`]. [`EntryWriter::push`] never fails, because it
/// is called where nobody could act on it (a delivery callback, a tap's loop): the first error is kept, later entries
/// are dropped, and [`EntryWriter::finish`] returns it. Dropping a writer writes what waits but no closing mark, so
/// that readers know that the stream was not finished.
#[derive(Debug)]
pub struct EntryWriter<E: Entry> {
    file: File,
    name: String,
    interner: Arc<Interner>,
    /// A block head to fill in, and the entries that wait.
    block: Vec<u8>,
    /// How many these are, and the last of them.
    waiting: u32,
    last: E::Row,
    oldest_ns: u64,
    count: u64,
    error: Option<io::Error>,
}

impl<E: Entry> EntryWriter<E> {
    pub(crate) fn create(directory: &Path, name: String, interner: Arc<Interner>) -> Result<Self, DirectoryError> {
        let create = || {
            let mut file = File::create_new(directory.join(&name))?;
            file.write_all(&layout::head(<E as sealed::Entry>::MAGIC))?;
            Ok(file)
        };
        let file = create().map_err(|source| DirectoryError::write(&name, source))?;
        let (block, last) = (vec![0; layout::BLOCK_HEAD_SIZE], E::Row::default());
        Ok(Self { file, name, interner, block, waiting: 0, last, oldest_ns: 0, count: 0, error: None })
    }

    /// Appends one entry. Never fails and seldom blocks; see the type.
    pub fn push(&mut self, entry: &E) {
        let known_at_ns = entry.known_at_ns();
        if self.waiting == 0 {
            self.oldest_ns = known_at_ns;
        }
        let row = entry.row();
        deltas::put(&row, &self.last, &mut self.block);
        self.last = row;
        self.waiting += 1;
        self.count += 1;
        if self.waiting >= layout::BLOCK_ENTRIES || known_at_ns.saturating_sub(self.oldest_ns) >= FLUSH_AFTER_NS {
            self.flush();
        }
    }

    /// Hands what waits to the operating system. An error is kept for [`EntryWriter::finish`].
    pub fn flush(&mut self) {
        if self.waiting > 0 && self.error.is_none() {
            self.error = self.write_block().err();
        }
        self.block.truncate(layout::BLOCK_HEAD_SIZE);
        (self.waiting, self.last) = (0, E::Row::default());
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many entries were pushed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Writes what waits and the closing mark, and returns the number of entries.
    ///
    /// # Errors
    /// When any write failed since the writer was created.
    pub fn finish(mut self) -> Result<u64, DirectoryError> {
        self.flush();
        let result = match self.error.take() {
            Some(error) => Err(error),
            None => self.file.write_all(&layout::close(self.count)),
        };
        result.map_err(|source| DirectoryError::write(&self.name, source))?;
        Ok(self.count)
    }

    fn write_block(&mut self) -> io::Result<()> {
        // Names first: whatever kill -9 leaves, no entry on disk has a name that is not.
        self.interner.flush()?;
        let (head, entries) = self.block.split_at_mut(layout::BLOCK_HEAD_SIZE);
        head.copy_from_slice(&BlockHead::of(self.waiting, entries).write());
        self.file.write_all(&self.block)
    }
}

impl<E: Entry> Drop for EntryWriter<E> {
    fn drop(&mut self) {
        self.flush();
    }
}
