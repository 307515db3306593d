//! Whatever `kill -9` leaves of a stream, and what a disk may do to it.

use crate::sample;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::{RunDirectory, RunRecord};
use std::fs;
use std::path::{Path, PathBuf};

const HEAD_SIZE: usize = 16;
const BLOCK_HEAD_SIZE: usize = 16;
const CLOSE_SIZE: usize = 16;

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

/// Where the three blocks begin, and where the last of them ends.
fn bounds(bytes: &[u8]) -> [usize; 4] {
    let mut bounds = [HEAD_SIZE; 4];
    for block in 0..3 {
        let begins = bounds[block];
        let length = u32::from_le_bytes(bytes[begins..begins + 4].try_into().expect("four bytes"));
        bounds[block + 1] = begins + BLOCK_HEAD_SIZE + length as usize;
    }
    assert_eq!(bounds[3] + CLOSE_SIZE, bytes.len());
    bounds
}

#[test]
fn every_beginning_is_readable_up_to_its_last_whole_block() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, bytes) = three_blocks(root.path());
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("the stream is torn");
        let record = RunRecord::open(run.path()).expect("a torn stream is no error");
        let whole_blocks = bounds(&bytes)[1..].iter().filter(|ends| **ends <= length).count();
        let operations = sample::operations(&record).expect("the beginning is readable");
        let expected: Vec<_> = (0..30).map(sample::operation).take(10 * whole_blocks).collect();
        assert_eq!(operations, expected, "{length} bytes of {}", bytes.len());
        assert!(record.defects()[0].starts_with("load: operations.bin was not finished"), "{length} bytes");
    }
}

#[test]
fn a_flipped_bit_is_damage_wherever_it_is_and_no_shorter_run() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, bytes) = three_blocks(root.path());
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).expect("the stream is damaged");
        let read = RunRecord::open(run.path()).and_then(|record| sample::operations(&record));
        assert!(matches!(read, Err(RecordError::Malformed { .. })), "bit {bit} of {}", 8 * bytes.len());
    }
}

#[test]
fn a_block_before_a_torn_one_is_no_torn_one() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    let [_, second, third, end] = bounds(&bytes);
    bytes.truncate(end - 5);
    bytes[second + 100] ^= 1;
    fs::write(&path, &bytes).expect("the stream is torn and damaged");
    let record = RunRecord::open(run.path()).expect("the damage is met when it is read");
    assert!(third > second + 100 && matches!(sample::operations(&record), Err(RecordError::Malformed { .. })));
}

#[test]
fn a_last_block_with_its_length_but_not_its_bytes_is_cut_off() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    let [.., third, end] = bounds(&bytes);
    bytes.truncate(end);
    bytes[third + 100..].fill(0);
    fs::write(&path, &bytes).expect("the stream is torn");
    let record = RunRecord::open(run.path()).expect("a torn stream is no error");
    let torn = end - third;
    assert_eq!(
        record.defects()[0],
        format!("load: operations.bin was not finished: 20 entries are readable, {torn} torn bytes were cut off")
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
        "operations.bin is not a readable part of a run: its format is version 9, and this program reads version 2";
    assert_eq!(error.to_string(), expected);
    fs::write(&path, b"something else entirely").expect("the stream is replaced");
    assert!(matches!(RunRecord::open(run.path()), Err(RecordError::Malformed { .. })));
}

#[test]
fn a_block_that_vanished_is_missed_by_the_closing_mark() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (run, path, mut bytes) = three_blocks(root.path());
    let [first, second, _, end] = bounds(&bytes);
    bytes.drain(first..second);
    let closes = end - (second - first);
    fs::write(&path, &bytes).expect("the stream is damaged");
    let error = RunRecord::open(run.path()).expect_err("ten operations are missing");
    let expected =
        format!("operations.bin is not a readable part of a run: block at byte {closes}: it does not close 20 entries");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn neighbours_take_a_third_of_what_they_are_in_memory() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let mut writer = run.operation_writer().expect("operations are wanted");
    (0..10_000).for_each(|n| writer.push(&sample::operation(n)));
    writer.finish().expect("operations are written");
    let bytes = fs::metadata(run.path().join("operations.bin")).expect("the stream is there").len();
    assert!(bytes < 10_000 * 64 / 3, "{bytes} bytes");
}
