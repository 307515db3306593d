//! Where the batches of a segment lie, found by walking from header to header.
//!
//! This is what makes an index file unnecessary: places are in memory, and recovery has to read the log anyway, to check
//! every batch against its checksum and to learn what idempotent producers sent. That check is not made here: what walks
//! here ends where no further batch can begin, which is where a torn tail is cut.

use super::Place;
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE, MAGIC};
use shakedown_broker::log::store::logs::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at once; several small batches share a read, of a large one only the beginning is looked at.
const WINDOW: u64 = 16 * 1024;

/// What a segment has.
pub(super) struct Found {
    pub(super) entries: Vec<Entry<Place>>,
    /// Where the last whole batch ends.
    pub(super) sound: u32,
    /// Where the file ends.
    pub(super) length: u64,
}

/// Walks through a segment whose batches lie behind the offset `after`.
pub(super) fn scan(file: &File, log: u32, segment: u32, mut after: i64) -> io::Result<Found> {
    let length = file.metadata()?.len();
    let mut window = Window { file, length, at: 0, bytes: Vec::new() };
    let mut entries = Vec::new();
    let mut sound = 0_u32;
    while let Some(header) = window.header(sound.into())? {
        let size = header.size().filter(|size| *size >= HEADER_SIZE).and_then(|size| u32::try_from(size).ok());
        let Some(end) = size.and_then(|size| sound.checked_add(size)) else { break };
        let follows = header.base_offset.0 > after && header.last_offset() >= header.base_offset;
        if header.magic != MAGIC || !follows || u64::from(end) > length {
            break;
        }
        entries.push(Entry {
            base: header.base_offset,
            last: header.last_offset(),
            max_timestamp: header.max_timestamp,
            body: Place { log, segment, at: sound, size: end - sound },
        });
        (sound, after) = (end, header.last_offset().0);
    }
    Ok(Found { entries, sound, length })
}

/// A part of the file.
struct Window<'a> {
    file: &'a File,
    length: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The header that begins here; `None` where the file is too short for one.
    fn header(&mut self, at: u64) -> io::Result<Option<BatchHeader>> {
        let end = at + HEADER_SIZE as u64;
        if end > self.length {
            return Ok(None);
        }
        if end > self.at + self.bytes.len() as u64 {
            let size = usize::try_from(WINDOW.min(self.length - at)).unwrap_or(HEADER_SIZE);
            self.bytes.resize(size, 0);
            self.file.read_exact_at(&mut self.bytes, at)?;
            self.at = at;
        }
        let from = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..).and_then(BatchHeader::read))
    }
}
