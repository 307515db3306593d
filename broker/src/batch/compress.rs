//! Compression of a batch's records, for batches that compaction writes anew. Producers' own batches are never
//! compressed again.

use super::header::Compression;
use std::io::Write;

/// Bytes of a block of the framing that Java's snappy library reads, its default.
const SNAPPY_BLOCK: usize = 32 * 1024;
/// Magic, version and lowest compatible version of that framing.
pub(super) const SNAPPY_HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Records as a batch of this codec holds them, at the level that is the codec's default; `None` where the codec fails.
pub(super) fn compressed(codec: Compression, records: &[u8]) -> Option<Vec<u8>> {
    match codec {
        Compression::None => Some(records.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(records).ok()?;
            encoder.finish().ok()
        }
        Compression::Lz4 => {
            // Kafka's own reader knows no blocks that depend on each other.
            let frame = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
            encoder.write_all(records).ok()?;
            encoder.finish().ok()
        }
        Compression::Zstd => {
            Some(ruzstd::encoding::compress_to_vec(records, ruzstd::encoding::CompressionLevel::Fastest))
        }
        Compression::Snappy => snappy(records),
    }
}

fn snappy(records: &[u8]) -> Option<Vec<u8>> {
    let mut out = SNAPPY_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(SNAPPY_BLOCK) {
        let block = encoder.compress_vec(block).ok()?;
        out.extend_from_slice(&u32::try_from(block.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Some(out)
}
