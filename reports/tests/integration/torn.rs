//! Whatever `kill -9` leaves of a stream, and what a disk may do to it.

use crate::sample;
use proptest::prelude::*;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::{RunDirectory, RunRecord};
use std::fs;
use std::path::{Path, PathBuf};

const HEAD_SIZE: usize = 16;
const BLOCK_HEAD_SIZE: usize = 8;
const ENTRY_SIZE: usize = 64;

/// A run of three blocks of ten operations each; the path and the bytes of its operations.
fn three_blocks(root: &Path) -> (RunDirectory, PathBuf, Vec<u8>) {
    let run = RunDirectory::create(root, &sample::info()).expect("the run starts");
    let mut writer = run.operation_writer().expect("operations are wanted");
    for n in 0..30 {
        writer.push(&sample::operation(n));
        if n % 10 == 9 {
            writer.flush();
        }
    }
    writer.finish().expect("operations are written");
    let path = run.path().join("operations.bin");
    let bytes = fs::read(&path).expect("the stream is there");
    (run, path, bytes)
}

fn block_size() -> usize {
    BLOCK_HEAD_SIZE + 10 * ENTRY_SIZE
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_beginning_is_readable_up_to_its_last_whole_block(share in 0.0..1.0_f64) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (run, path, bytes) = three_blocks(root.path());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                 reason = "a place in a small file, drawn as a share of it")]
        let length = (bytes.len() as f64 * share) as usize;
        fs::write(&path, &bytes[..length]).expect("the stream is torn");

        let record = RunRecord::open(run.path()).expect("a torn stream is no error");
        let whole_blocks = length.saturating_sub(HEAD_SIZE) / block_size();
        let operations = sample::operations(&record).expect("the beginning is readable");
        let expected: Vec<_> = (0..30).map(sample::operation).take(10 * whole_blocks.min(3)).collect();
        prop_assert_eq!(operations, expected);
        prop_assert!(record.defects()[0].starts_with("load: operations.bin was not finished"));
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_data(position in 0..HEAD_SIZE + 3 * 648 + 16, bit in 0..8) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (run, path, mut bytes) = three_blocks(root.path());
        prop_assert_eq!(bytes.len(), HEAD_SIZE + 3 * block_size() + 16);
        bytes[position] ^= 1_u8 << bit;
        fs::write(&path, &bytes).expect("the stream is damaged");

        match RunRecord::open(run.path()) {
            Err(RecordError::Malformed { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
            Ok(record) => match sample::operations(&record) {
                Err(RecordError::Malformed { .. }) => {}
                Err(error) => prop_assert!(false, "{error}"),
                // A damaged length may look like a torn tail; then the record says that it is incomplete.
                Ok(operations) => {
                    let expected: Vec<_> = (0..30).map(sample::operation).take(operations.len()).collect();
                    prop_assert_eq!(operations, expected);
                    prop_assert!(record.defects()[0].starts_with("load: operations.bin was not finished"));
                }
            },
        }
    }
}

#[test]
fn a_last_block_with_its_length_but_not_its_bytes_is_cut_off() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    let third = HEAD_SIZE + 2 * block_size();
    bytes.truncate(third + block_size());
    bytes[third + 100..].fill(0);
    fs::write(&path, &bytes).expect("the stream is torn");
    let record = RunRecord::open(run.path()).expect("a torn stream is no error");
    assert_eq!(
        record.defects()[0],
        "load: operations.bin was not finished: 20 entries are readable, 648 torn bytes were cut off"
    );
    assert_eq!(sample::operations(&record).expect("the beginning is readable").len(), 20);
}

#[test]
fn damage_before_the_end_is_an_error_and_not_a_shorter_run() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    bytes[HEAD_SIZE + BLOCK_HEAD_SIZE + 5] ^= 1;
    fs::write(&path, &bytes).expect("the stream is damaged");
    let record = RunRecord::open(run.path()).expect("the damage is met when it is read");
    let error = sample::operations(&record).expect_err("the first block is damaged");
    assert_eq!(
        error.to_string(),
        "operations.bin is not a readable part of a run: block at byte 16: its CRC does not match its bytes"
    );
}

#[test]
fn a_stream_of_another_kind_or_version_is_refused() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    bytes[8] = 9;
    fs::write(&path, &bytes).expect("the stream is replaced");
    let error = RunRecord::open(run.path()).expect_err("version 9 is unknown");
    let expected =
        "operations.bin is not a readable part of a run: its format is version 9, and this program reads version 1";
    assert_eq!(error.to_string(), expected);
    fs::write(&path, b"something else entirely").expect("the stream is replaced");
    assert!(matches!(RunRecord::open(run.path()), Err(RecordError::Malformed { .. })));
}

#[test]
fn a_block_that_vanished_is_missed_by_the_closing_mark() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    bytes.drain(HEAD_SIZE..HEAD_SIZE + block_size());
    fs::write(&path, &bytes).expect("the stream is damaged");
    let error = RunRecord::open(run.path()).expect_err("ten operations are missing");
    let expected = "operations.bin is not a readable part of a run: block at byte 1312: it does not close 20 entries";
    assert_eq!(error.to_string(), expected);
}
