//! Record batches from nobody knows whom: validated, read, decompressed, filtered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown_broker::Now;
use shakedown_broker::batch::filter::{self, Filtered};
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE, checksum_holds};
use shakedown_broker::batch::records::{self, MAX_DECOMPRESSED, Records};
use shakedown_broker::batch::validate::{self, Limits};
use shakedown_broker::types::Offset;
use shakedown_fuzz::allowance::{self, Allowance};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: Allowance = Allowance;

/// A batch may unfold to [`MAX_DECOMPRESSED`], in a buffer that doubles, and be copied once.
const MAX: usize = 4 * MAX_DECOMPRESSED as usize;

fuzz_target!(|input: &[u8]| {
    let Some((flags, batch)) = input.split_first() else { return };
    let mut batch = batch.to_vec();
    // Few inputs would ever have a length and a checksum that hold; most are given both.
    if flags & 1 == 0 && batch.len() >= HEADER_SIZE {
        let length = i32::try_from(batch.len() - 12).expect("a small input");
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    allowance::within(2 * MAX, 2 * MAX, || examine(&batch, flags & 2 != 0, flags & 4 != 0));
});

fn examine(batch: &[u8], compacted: bool, log_append_time: bool) {
    let limits = Limits {
        max_message_bytes: 1 << 20,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        log_append_time,
        compacted,
    };
    let now = Now { monotonic_ns: 0, wall_ms: 1_700_000_000_000 };
    let accepted = validate::batch(batch, limits, now);
    let Some(header) = BatchHeader::read(batch) else { return assert!(accepted.is_err()) };
    if accepted.is_ok() {
        let size = header.size().expect("an accepted batch has a size");
        assert!(checksum_holds(&header, &batch[..size]), "what is accepted has its checksum");
    }
    Records::new(&batch[HEADER_SIZE..]).take(1 << 16).for_each(drop);
    for timestamp in [i64::MIN, 0, header.base_timestamp, header.max_timestamp, i64::MAX] {
        black_box(records::first_at_or_after(&header, batch, timestamp, Offset(header.base_offset.0)));
    }
    // What compaction leaves of a sound batch, and logs have no others, is again a sound one, and claims no more than before.
    let was_sound = validate::is_sound(batch, &header);
    let mut every_other = false;
    let keeps = |_: records::RecordView<'_>| {
        every_other = !every_other;
        every_other
    };
    if let Filtered::Changed(left) = filter::filter(batch, &header, 1_700_000_000_000, true, keeps) {
        let after = BatchHeader::read(&left).expect("a whole header");
        assert!(!was_sound || validate::is_sound(&left, &after), "what compaction leaves is sound");
        assert!(after.count <= header.count, "{after:?} has more than {header:?}");
    }
}
