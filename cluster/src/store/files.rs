//! Batches in files, which a cluster with the same folder finds again.
//!
//! One folder a node: segments of batches ([`segments`]) in a folder for each log ([`names`]), one file with what is noted
//! of every log ([`ledger`]), and beside the metadata log the two small files that are replaced as a whole ([`state`]).
//! Where a batch lies is in memory, 40 bytes for each; it is learnt by walking through the files when a log is opened
//! ([`scan`]), which recovery reads anyway. Files are open only while they are used ([`handles`]).
//!
//! What the crash model of [`LogStore`] means here:
//! - A batch is written when `append` returns, and so is a checkpoint: `kill -9` takes neither, a loss of power may.
//! - `sync` is `fdatasync` of the segments that have grown, of their names where these are new, and of the ledger. All nodes
//!   of a cluster wait for it, since they share a thread: it is the metadata that is synced, and small.
//! - `save`, `truncate` and `replace` are synced, and so are a high watermark that goes back and what `remove_before` notes.
//! - A failure of what cannot fail ([`LogStore::checkpoint`], [`LogStore::remove`], [`LogStore::remove_before`]) is
//!   reported by the next call that can.

mod handles;
mod io;
mod ledger;
mod names;
mod scan;
mod segments;
mod state;
mod swap;

use self::handles::Handles;
use self::io::Io;
use self::ledger::{Ledger, Row, RowId};
use self::segments::{Drive, Replacing, Segments};
use bytes::Bytes;
use shakedown_broker::log::store::logs::{Body, Entry, Logs};
use shakedown_broker::log::store::{Checkpoint, LogId, LogName, LogStore, ReadLimits, Slot, StorageError, StoredBatch};
use shakedown_broker::types::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a segment before the next one begins: small enough that what retention forgets is soon given back.
pub const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;

/// The ledger's file.
const LEDGER: &str = "logs.ledger";

const SLOTS: [Slot; 2] = [Slot::Quorum, Slot::MetadataSnapshot];

const EVERYTHING: ReadLimits =
    ReadLimits { from: Offset(0), below: Offset(i64::MAX), max_bytes: usize::MAX, at_least_one: true };

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    log: u32,
    segment: u32,
    at: u32,
    size: u32,
}

impl Place {
    fn is_followed_by(self, next: Self) -> bool {
        self.segment == next.segment && self.at + self.size == next.at
    }
}

impl Body for Place {
    fn size(&self) -> usize {
        self.size as usize
    }
}

/// A file or a folder that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// What is known of a log besides its batches.
#[derive(Debug)]
struct Kept {
    segments: Segments,
    row: RowId,
    /// See [`Row::kept_from`].
    kept_from: Offset,
    /// Whether its files have been looked at.
    loaded: bool,
}

/// The logs of one node, in a folder.
#[derive(Debug)]
pub struct FileStore {
    drive: Drive,
    ledger: Ledger,
    logs: Logs<Place>,
    /// By [`LogId`]; `None` once it is removed.
    kept: Vec<Option<Kept>>,
    /// What went wrong where nothing could be said.
    failed: Option<std::io::Error>,
}

impl FileStore {
    /// Opens a node's folder, or makes one. Segments roll at `segment_bytes`; at most `handles_max` files are open at a
    /// time. The folder must be nobody else's: that is its owner's care.
    ///
    /// # Errors
    /// For files and folders that cannot be used, and for a vote or a metadata snapshot that does not match its checksum.
    pub fn open(root: &Path, segment_bytes: u32, handles_max: usize) -> Result<Self, FileError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| FileError { path, source }
        };
        let io = Io::default();
        io.create_folder(root).map_err(at(root))?;
        let mut folders = Self::folders(&io, root).map_err(at(root))?;
        let path = root.join(LEDGER);
        let (ledger, rows) = Ledger::open(&path).map_err(at(&path))?;
        let drive = Drive { root: root.to_owned(), io, handles: Handles::new(handles_max), segment_bytes };
        let mut store = Self { drive, ledger, logs: Logs::default(), kept: Vec::new(), failed: None };
        for (id, row) in rows {
            let has_folder = folders.remove(&row.name);
            if store.logs.open(row.name).0 == store.kept.len() {
                store.enter(row.name, id, row.kept_from, has_folder);
                let log = LogId(store.kept.len() - 1);
                store.logs.checkpoint(log, row.checkpoint);
                store.logs.sync(log);
            } else {
                store.ledger.release(&store.drive.io, id).map_err(at(&path))?;
            }
        }
        for name in folders {
            let log = store.logs.open(name);
            let id = store.ledger.allocate();
            store.enter(name, id, Offset(0), true);
            store.write_row(log);
        }
        for slot in SLOTS {
            let path = root.join(names::folder_of(LogName::Metadata)).join(names::slot_file(slot));
            if let Some(state) = state::read(&path).map_err(at(&path))? {
                store.logs.save(slot, state);
            }
        }
        store.failed.take().map_or(Ok(()), Err).map_err(at(&path))?;
        store.ledger.sync(&store.drive.io).map_err(at(&path))?;
        store.drive.io.sync_folder(root).map_err(at(root))?;
        Ok(store)
    }

    /// The logs that have folders. What was being deleted is deleted.
    fn folders(io: &Io, root: &Path) -> std::io::Result<BTreeSet<LogName>> {
        let mut found = BTreeSet::new();
        for entry in root.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(names::DELETED) {
                io.delete_folder(&entry.path())?;
            } else {
                found.extend(names::log_of(name));
            }
        }
        Ok(found)
    }

    fn enter(&mut self, name: LogName, row: RowId, kept_from: Offset, has_folder: bool) {
        let log = u32::try_from(self.kept.len()).expect("a node has far fewer logs");
        let segments = Segments::new(log, name, has_folder);
        self.kept.push(Some(Kept { segments, row, kept_from, loaded: false }));
    }

    /// Finds a log's batches, and what its checkpoint has to be with those.
    fn find_batches(&mut self, log: LogId) -> std::io::Result<()> {
        let Some(kept) = &mut self.kept[log.0] else { return Ok(()) };
        for entry in kept.segments.load(&mut self.drive)? {
            self.logs.append(log, entry);
        }
        self.logs.remove_before(log, kept.kept_from);
        // A crash between two changes, or the loss of a first segment, must not leave a log that begins before its bytes.
        let begins = kept.kept_from.max(Offset(kept.segments.begins().unwrap_or(0)));
        let Checkpoint { log_start, high_watermark } = self.logs.checkpointed(log);
        let checkpoint = Checkpoint { log_start: log_start.max(begins), high_watermark: high_watermark.max(begins) };
        self.logs.checkpoint(log, checkpoint);
        self.logs.sync(log);
        kept.loaded = true;
        self.forget_segments(log, begins)
    }

    /// Gives back the segments of which nothing is left.
    fn forget_segments(&mut self, log: LogId, offset: Offset) -> std::io::Result<()> {
        let first = self.first_behind(log, Offset(i64::MIN)).map(|place| place.segment);
        let Some(kept) = &mut self.kept[log.0] else { return Ok(()) };
        kept.segments.forget_before(&mut self.drive, first, offset.0)
    }

    /// Where the first batch lies that reaches to an offset or behind it.
    fn first_behind(&self, log: LogId, offset: Offset) -> Option<Place> {
        let limits = ReadLimits { from: offset, max_bytes: 0, ..EVERYTHING };
        self.logs.select(log, limits).first().map(|entry| entry.body)
    }

    /// How far a change came that failed only the files tell: whoever opens the log next looks.
    fn unload(&mut self, log: LogId) {
        if let Some(kept) = &mut self.kept[log.0] {
            kept.loaded = false;
        }
        self.logs.truncate(log, Offset(i64::MIN));
    }

    /// Reports what has gone unsaid. A log whose files could not be read is not written either: what it has is not known.
    fn check(&mut self, log: LogId) -> Result<(), StorageError> {
        let is_unknown = self.kept[log.0].as_ref().is_some_and(|kept| !kept.loaded);
        match self.failed.take() {
            Some(error) => Err(failed(log, &error)),
            None if is_unknown => Err(StorageError { log, reason: String::from("its files could not be read") }),
            None => Ok(()),
        }
    }

    fn note(&mut self, done: std::io::Result<()>) {
        if let Err(error) = done {
            self.failed.get_or_insert(error);
        }
    }

    fn write_row(&mut self, log: LogId) {
        let Some(kept) = &self.kept[log.0] else { return };
        let row =
            Row { name: kept.segments.name(), checkpoint: self.logs.checkpointed(log), kept_from: kept.kept_from };
        let written = self.ledger.write(&self.drive.io, kept.row, &row);
        self.note(written);
    }

    fn take_away(&mut self, kept: Kept) -> std::io::Result<()> {
        let Kept { mut segments, row, .. } = kept;
        let hidden = segments.hide(&mut self.drive)?;
        self.ledger.release(&self.drive.io, row)?;
        hidden.map_or(Ok(()), |path| self.drive.io.delete_folder(&path))
    }
}

fn failed(log: LogId, error: &std::io::Error) -> StorageError {
    StorageError { log, reason: error.to_string() }
}

impl LogStore for FileStore {
    fn open(&mut self, name: LogName) -> LogId {
        let log = self.logs.open(name);
        if log.0 == self.kept.len() {
            let row = self.ledger.allocate();
            self.enter(name, row, Offset(0), false);
            self.write_row(log);
        }
        if self.kept[log.0].as_ref().is_some_and(|kept| !kept.loaded) {
            let found = self.find_batches(log);
            self.note(found);
        }
        log
    }

    fn names(&self) -> Vec<LogName> {
        self.logs.names()
    }

    fn remove(&mut self, log: LogId) {
        self.logs.remove(log);
        if let Some(kept) = self.kept[log.0].take() {
            let removed = self.take_away(kept);
            self.note(removed);
        }
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        self.check(log)?;
        let StoredBatch { base, last, max_timestamp, bytes } = batch;
        let gone = || failed(log, &std::io::ErrorKind::NotFound.into());
        let kept = self.kept[log.0].as_mut().ok_or_else(gone)?;
        // What was forgotten may still lie in the files, and this batch need not follow it.
        let room = match self.logs.size(log) {
            0 if kept.segments.hold_bytes() => kept.segments.clear(&mut self.drive),
            _ => Ok(()),
        };
        let body = room.and_then(|()| kept.segments.append(&mut self.drive, base.0, &bytes));
        let body = body.map_err(|error| failed(log, &error))?;
        self.logs.append(log, Entry { base, last, max_timestamp, body });
        if last < kept.kept_from {
            kept.kept_from = base;
            self.write_row(log);
        }
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        self.check(log)?;
        let Some(kept) = &self.kept[log.0] else { return Ok(Vec::new()) };
        let selected = self.logs.select(log, limits);
        kept.segments.read(&mut self.drive, selected).map_err(|error| failed(log, &error))
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        self.check(log)?;
        let found = self.logs.find_timestamp(log, from, timestamp_ms);
        let (Some(found), Some(kept)) = (found, &self.kept[log.0]) else { return Ok(None) };
        let read = kept.segments.read(&mut self.drive, std::slice::from_ref(found));
        read.map(|mut batches| batches.pop()).map_err(|error| failed(log, &error))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        self.logs.max_timestamp(log)
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        self.remove_all_before(&[(log, offset)]);
    }

    fn remove_all_before(&mut self, logs: &[(LogId, Offset)]) {
        let (mut is_noted, mut shorter) = (false, Vec::new());
        for (log, offset) in logs.iter().copied() {
            let removed = self.logs.remove_before(log, offset);
            let Some(kept) = &mut self.kept[log.0] else { continue };
            if offset > kept.kept_from {
                kept.kept_from = offset;
                self.write_row(log);
                is_noted = true;
            }
            if !removed.is_empty() {
                shorter.push((log, offset));
            }
        }
        if is_noted {
            let synced = self.ledger.sync(&self.drive.io);
            self.note(synced);
        }
        for (log, offset) in shorter {
            let forgotten = self.forget_segments(log, offset);
            self.note(forgotten);
        }
    }

    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError> {
        self.check(log)?;
        let (first, cut) = (self.first_behind(log, Offset(i64::MIN)), self.first_behind(log, end));
        let Some(kept) = &mut self.kept[log.0] else { return Ok(()) };
        let done = match cut {
            // Batches that were forgotten before go with those that are cut.
            _ if cut == first && kept.segments.hold_bytes() => kept.segments.clear(&mut self.drive),
            Some(place) => kept.segments.cut(&mut self.drive, place),
            None => Ok(()),
        };
        if let Err(error) = done {
            self.unload(log);
            return Err(failed(log, &error));
        }
        self.logs.truncate(log, end);
        if end < kept.kept_from {
            kept.kept_from = end;
            self.write_row(log);
        }
        Ok(())
    }

    fn file_end(&self, log: LogId, offset: Offset) -> Option<Offset> {
        let first = self.first_behind(log, offset)?;
        let behind = self.kept[log.0].as_ref()?.segments.base_behind(first.segment);
        Some(Offset(behind.unwrap_or(i64::MAX)))
    }

    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError> {
        self.check(log)?;
        let all = self.logs.select(log, ReadLimits { from: Offset(i64::MIN), ..EVERYTHING });
        let from = all.partition_point(|entry| entry.base < range.start);
        let to = all.partition_point(|entry| entry.last < range.end).max(from);
        let (Some(last), Some(kept)) = (all.len().checked_sub(1), &mut self.kept[log.0]) else {
            batches.into_iter().try_for_each(|batch| self.append(log, batch))?;
            return self.sync(log);
        };
        // Whole segments are replaced, so that what stays of the first and the last of them is written once more.
        let first_segment = all[from.min(last)].body.segment;
        let last_segment = all[to.max(from + 1).min(all.len()) - 1].body.segment;
        let begin = all.partition_point(|entry| entry.body.segment < first_segment);
        let end = all.partition_point(|entry| entry.body.segment <= last_segment);
        let mut read = |entries| kept.segments.read(&mut self.drive, entries).map_err(|error| failed(log, &error));
        let (head, tail) = (read(&all[begin..from])?, read(&all[to..end])?);
        let place = |entry: &Entry<Place>| (entry.base, entry.last, entry.max_timestamp);
        let mut places: Vec<_> = all[begin..from].iter().map(place).collect();
        places.extend(batches.iter().map(|batch| (batch.base, batch.last, batch.max_timestamp)));
        places.extend(all[to..end].iter().map(place));
        let bytes: Vec<Bytes> =
            head.into_iter().chain(batches.into_iter().map(|batch| batch.bytes)).chain(tail).collect();
        let replaced = all[begin].base..all[end - 1].last.plus(1);

        kept.segments.sync(&mut self.drive).map_err(|error| failed(log, &error))?;
        let bodies = match kept.segments.replace(&mut self.drive, (first_segment, last_segment), &bytes) {
            Ok(bodies) => bodies,
            Err(Replacing::NotBegun(error)) => return Err(failed(log, &error)),
            Err(Replacing::Begun(error)) => {
                self.unload(log);
                return Err(failed(log, &error));
            }
        };
        let entry = |((base, last, max_timestamp), body)| Entry { base, last, max_timestamp, body };
        self.logs.replace(log, replaced, places.into_iter().zip(bodies).map(entry).collect());
        Ok(())
    }

    fn size(&self, log: LogId) -> u64 {
        self.logs.size(log)
    }

    fn sync(&mut self, log: LogId) -> Result<(), StorageError> {
        self.check(log)?;
        let Some(kept) = &mut self.kept[log.0] else { return Ok(()) };
        let synced = kept.segments.sync(&mut self.drive).and_then(|()| self.ledger.sync(&self.drive.io));
        synced.map_err(|error| failed(log, &error))?;
        self.logs.sync(log);
        Ok(())
    }

    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError> {
        let log = LogStore::open(self, LogName::Metadata);
        self.check(log)?;
        let folder = self.drive.root.join(names::folder_of(LogName::Metadata));
        let io = &self.drive.io;
        let room = if folder.is_dir() {
            Ok(())
        } else {
            io.create_folder(&folder).and_then(|()| io.sync_folder(&self.drive.root))
        };
        let replaced = room.and_then(|()| state::replace(io, &folder, names::slot_file(slot), &state));
        replaced.map_err(|error| failed(log, &error))?;
        self.logs.save(slot, state);
        Ok(())
    }

    fn load(&self, slot: Slot) -> Option<Bytes> {
        self.logs.load(slot)
    }

    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        let before = self.logs.checkpointed(log);
        self.logs.checkpoint(log, checkpoint);
        if checkpoint == before {
            return;
        }
        self.write_row(log);
        if checkpoint.high_watermark < before.high_watermark {
            let synced = self.ledger.sync(&self.drive.io);
            self.note(synced);
        }
    }

    fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.logs.checkpointed(log)
    }

    fn lose_power(&mut self) {
        let mut cuts = BTreeMap::new();
        for place in self.logs.lose_power() {
            cuts.entry(place.log).or_insert(place);
        }
        for (log, place) in cuts {
            if let Some(kept) = &mut self.kept[log as usize] {
                let cut = kept.segments.cut(&mut self.drive, place);
                self.note(cut);
            }
        }
        for log in 0..self.kept.len() {
            self.write_row(LogId(log));
        }
        let synced = self.ledger.sync(&self.drive.io);
        self.note(synced);
    }
}

#[cfg(test)]
mod cleaning;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
