//! The bytes of a stream file, all little endian:
//!
//! ```text
//! head     magic 8 | version u16 | entry size u16 | CRC-32C of the 12 bytes before
//! block    length u32 (a multiple of the entry size, never 0) | CRC-32C of the entries | entries
//! close    0 u32 | CRC-32C of the count | count of entries u64
//! ```

/// The version of this layout and of the entries.
pub(super) const VERSION: u16 = 1;
/// Magic, version, entry size, CRC.
pub(super) const HEAD_SIZE: usize = 16;
/// Length and CRC.
pub(super) const BLOCK_HEAD_SIZE: usize = 8;
/// An empty block's head and the count.
pub(super) const CLOSE_SIZE: usize = BLOCK_HEAD_SIZE + 8;
/// Entries in a full block: large enough to write without cost, small enough to lose.
pub(super) const BLOCK_ENTRIES: usize = 1024;

/// The head of a stream file.
pub(super) fn head(magic: [u8; 8], entry_size: usize) -> [u8; HEAD_SIZE] {
    let entry_size = u16::try_from(entry_size).expect("an entry is smaller than 64 KiB");
    let mut head = [0; HEAD_SIZE];
    head[..8].copy_from_slice(&magic);
    head[8..10].copy_from_slice(&VERSION.to_le_bytes());
    head[10..12].copy_from_slice(&entry_size.to_le_bytes());
    let crc = crc32c::crc32c(&head[..12]);
    head[12..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// The head of a block with these entries.
pub(super) fn block_head(entries: &[u8]) -> [u8; BLOCK_HEAD_SIZE] {
    let length = u32::try_from(entries.len()).expect("a block is smaller than 4 GiB");
    let mut head = [0; BLOCK_HEAD_SIZE];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32c::crc32c(entries).to_le_bytes());
    head
}

/// The closing mark after `count` entries.
pub(super) fn close(count: u64) -> [u8; CLOSE_SIZE] {
    let mut close = [0; CLOSE_SIZE];
    close[4..8].copy_from_slice(&crc32c::crc32c(&count.to_le_bytes()).to_le_bytes());
    close[8..].copy_from_slice(&count.to_le_bytes());
    close
}
