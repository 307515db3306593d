//! The bytes of a stream file, all little endian:
//!
//! ```text
//! head     magic 8 | version u16 | 0 u16 | CRC-32C of the 12 bytes before
//! block    length of the entries u32, never 0 | how many u32 | CRC-32C of the entries | CRC-32C of the 12 bytes before | entries
//! close    0 u32 | CRC-32C of the count | count of entries u64
//! ```
//!
//! A head is believed before its entries are read, so it has a CRC of its own: a length that is wrong would make the rest of a
//! file look like what `kill -9` has torn off.
//!
//! Entries are rows of numbers, each written as its distances from the one before it in its block ([`super::deltas`]).

use super::deltas::{NUMBER_SIZE_MAX, Row};
use super::entry::sealed::Entry;

/// The version of this layout and of the entries.
pub(super) const VERSION: u16 = 2;
/// Magic, version, nothing, CRC.
pub(super) const HEAD_SIZE: usize = 16;
/// Length, number and two CRCs.
pub(super) const BLOCK_HEAD_SIZE: usize = 16;
/// No length, the CRC, and the count. As long as the head of a block, in whose place it stands.
pub(super) const CLOSE_SIZE: usize = BLOCK_HEAD_SIZE;
/// Entries in a full block: large enough to write without cost, small enough to lose.
pub(super) const BLOCK_ENTRIES: u32 = 4096;

/// The head of a stream file.
pub(super) fn head(magic: [u8; 8]) -> [u8; HEAD_SIZE] {
    let mut head = [0; HEAD_SIZE];
    head[..8].copy_from_slice(&magic);
    head[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&head[..12]);
    head[12..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// What stands in front of a block's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// Bytes of the entries.
    pub(super) length: u32,
    /// How many there are.
    pub(super) count: u32,
    /// Of the entries.
    crc: u32,
}

impl BlockHead {
    /// That of these entries.
    pub(super) fn of(count: u32, entries: &[u8]) -> Self {
        let length = u32::try_from(entries.len()).expect("a block is smaller than 4 GiB");
        Self { length, count, crc: crc32c::crc32c(entries) }
    }

    /// `None` if nobody wrote these bytes as the head of a block.
    pub(super) fn read(bytes: [u8; BLOCK_HEAD_SIZE]) -> Option<Self> {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (field(12) == crc32c::crc32c(&bytes[..12])).then(|| Self { length: field(0), count: field(4), crc: field(8) })
    }

    pub(super) fn write(self) -> [u8; BLOCK_HEAD_SIZE] {
        let mut bytes = [0; BLOCK_HEAD_SIZE];
        for (place, field) in bytes.chunks_exact_mut(4).zip([self.length, self.count, self.crc]) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Whether so many entries can have so many bytes.
    pub(super) fn is_possible<E: Entry>(self) -> bool {
        let numbers = u64::from(self.count) * E::Row::LENGTH as u64;
        let lengths = numbers..=numbers * NUMBER_SIZE_MAX as u64;
        (1..=BLOCK_ENTRIES).contains(&self.count) && lengths.contains(&self.length.into())
    }
}

/// Whether these bytes are a closing mark, or were one, and not the head of a block: that has a length.
pub(super) fn closes(bytes: [u8; CLOSE_SIZE]) -> bool {
    bytes[..4] == [0; 4]
}

/// The closing mark after `count` entries.
pub(super) fn close(count: u64) -> [u8; CLOSE_SIZE] {
    let mut close = [0; CLOSE_SIZE];
    close[4..8].copy_from_slice(&crc32c::crc32c(&count.to_le_bytes()).to_le_bytes());
    close[8..].copy_from_slice(&count.to_le_bytes());
    close
}
