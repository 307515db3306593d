//! One small file that says which logs there are and what is noted of each: the place of Kafka's
//! `log-start-offset-checkpoint` and `replication-offset-checkpoint`.
//!
//! A row has a fixed size and is written where it stands, so that a moving high watermark costs one small write however
//! many partitions there are, and a partition without records costs a row and nothing else. It has two halves that are
//! written in turn, each with a number and a checksum: where the last write was torn, the one before it counts. A log
//! without a row is found by its folder.

use super::io::Io;
use shakedown_broker::log::store::{Checkpoint, LogName};
use shakedown_broker::types::{Offset, PartitionId};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use uuid::Uuid;

const HALF: usize = 64;
const ROW: usize = 2 * HALF;
const KIND_METADATA: u8 = 1;
const KIND_PARTITION: u8 = 2;

/// What is noted of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: LogName,
    pub(super) checkpoint: Checkpoint,
    /// Batches that end below this offset are forgotten, though a segment may still have them.
    pub(super) kept_from: Offset,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowId(u32);

/// The file.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    /// By row, used or free: the number of its last write. Odd ones are in the second half.
    writes: Vec<u32>,
    free: Vec<RowId>,
    /// Whether something was written since the last sync.
    dirty: bool,
}

impl Ledger {
    /// Opens the file, or makes an empty one, and reads every row.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<(RowId, Row)>)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        // A row that was cut off is written anew when somebody needs it.
        let rows = u32::try_from(bytes.len().div_ceil(ROW)).map_err(io::Error::other)?;
        bytes.resize(rows as usize * ROW, 0);
        let mut used = Vec::new();
        let mut free = Vec::new();
        let mut writes = Vec::new();
        for (id, row) in (0..rows).map(RowId).zip(bytes.chunks(ROW)) {
            let newest = row.chunks(HALF).filter_map(decode).max_by_key(|(number, _)| *number);
            writes.push(newest.map_or(0, |(number, _)| number));
            match newest {
                Some((_, row)) => used.push((id, row)),
                None => free.push(id),
            }
        }
        free.reverse();
        Ok((Self { file, writes, free, dirty: true }, used))
    }

    /// A row that nobody has; it says nothing before it is written.
    pub(super) fn allocate(&mut self) -> RowId {
        self.free.pop().unwrap_or_else(|| {
            self.writes.push(0);
            RowId(u32::try_from(self.writes.len() - 1).expect("a node has far fewer logs"))
        })
    }

    /// Writes a row.
    pub(super) fn write(&mut self, io: &Io, id: RowId, row: &Row) -> io::Result<()> {
        let number = &mut self.writes[id.0 as usize];
        *number = number.wrapping_add(1);
        let half = encode(row, *number);
        let nth = u64::from(*number & 1);
        self.put(io, id, nth, &half)
    }

    /// Forgets a row.
    pub(super) fn release(&mut self, io: &Io, id: RowId) -> io::Result<()> {
        self.put(io, id, 0, &[0; ROW])?;
        self.free.push(id);
        Ok(())
    }

    fn put(&mut self, io: &Io, id: RowId, half: u64, bytes: &[u8]) -> io::Result<()> {
        self.dirty = true;
        io.write(&self.file, bytes, u64::from(id.0) * ROW as u64 + half * HALF as u64)
    }

    /// Makes everything that was written survive a loss of power.
    pub(super) fn sync(&mut self, io: &Io) -> io::Result<()> {
        if self.dirty {
            io.sync(&self.file)?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn encode(row: &Row, number: u32) -> [u8; HALF] {
    let mut bytes = [0; HALF];
    match row.name {
        LogName::Metadata => bytes[4] = KIND_METADATA,
        LogName::Partition(PartitionId { topic, index }) => {
            bytes[4] = KIND_PARTITION;
            bytes[8..24].copy_from_slice(topic.as_bytes());
            bytes[24..28].copy_from_slice(&index.to_be_bytes());
        }
    }
    bytes[32..40].copy_from_slice(&row.checkpoint.log_start.0.to_be_bytes());
    bytes[40..48].copy_from_slice(&row.checkpoint.high_watermark.0.to_be_bytes());
    bytes[48..56].copy_from_slice(&row.kept_from.0.to_be_bytes());
    bytes[56..60].copy_from_slice(&number.to_be_bytes());
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The number of the write, and what it said.
fn decode(bytes: &[u8]) -> Option<(u32, Row)> {
    let checksum = u32::from_be_bytes(bytes[..4].try_into().ok()?);
    let offset = |at: usize| bytes[at..at + 8].try_into().map(|bytes| Offset(i64::from_be_bytes(bytes))).ok();
    let name = match bytes[4] {
        _ if checksum != crc32c::crc32c(&bytes[4..]) => return None,
        KIND_METADATA => LogName::Metadata,
        KIND_PARTITION => {
            let topic = Uuid::from_bytes(bytes[8..24].try_into().ok()?);
            LogName::Partition(PartitionId { topic, index: i32::from_be_bytes(bytes[24..28].try_into().ok()?) })
        }
        _ => return None,
    };
    let checkpoint = Checkpoint { log_start: offset(32)?, high_watermark: offset(40)? };
    let number = u32::from_be_bytes(bytes[56..60].try_into().ok()?);
    Some((number, Row { name, checkpoint, kept_from: offset(48)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: i32) -> Row {
        let name = LogName::Partition(PartitionId { topic: Uuid::from_u128(7), index });
        let checkpoint = Checkpoint { log_start: Offset(3), high_watermark: Offset(i64::from(index)) };
        Row { name, checkpoint, kept_from: Offset(2) }
    }

    #[test]
    fn rows_are_found_again_and_of_a_torn_one_what_it_said_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("logs");
        let io = Io::default();
        let (mut ledger, none) = Ledger::open(&path).expect("an empty file");
        assert!(none.is_empty());
        let ids: Vec<RowId> = (0..4).map(|_| ledger.allocate()).collect();
        for (id, index) in ids.iter().zip(0..) {
            ledger.write(&io, *id, &row(index)).expect("room");
        }
        let metadata = Row { name: LogName::Metadata, ..row(9) };
        ledger.write(&io, ids[0], &metadata).expect("room");
        ledger.release(&io, ids[1]).expect("room");
        for (high_watermark, changes) in [(5, 1), (6, 0)] {
            let checkpoint = Checkpoint { high_watermark: Offset(high_watermark), ..row(2).checkpoint };
            let io = Io::default();
            io.fuse.set(changes);
            assert_eq!(ledger.write(&io, ids[2], &Row { checkpoint, ..row(2) }).is_ok(), changes > 0);
        }
        let before = Checkpoint { high_watermark: Offset(5), ..row(2).checkpoint };
        let file = OpenOptions::new().write(true).open(&path).expect("it is there");
        file.set_len(3 * ROW as u64 + HALF as u64 + 50).expect("a file");
        let (mut ledger, found) = Ledger::open(&path).expect("it is there");
        assert_eq!(found, [(ids[0], metadata), (ids[2], Row { checkpoint: before, ..row(2) })]);
        assert_eq!([(); 3].map(|()| ledger.allocate()), [ids[1], ids[3], RowId(4)]);
        let after = Row { checkpoint: Checkpoint { high_watermark: Offset(7), ..before }, ..row(2) };
        ledger.write(&io, ids[2], &after).expect("room");
        let (_, found) = Ledger::open(&path).expect("it is there");
        assert_eq!(found[1], (ids[2], after));
    }
}
