//! What a store in files answers, before and after it is opened again.

use super::*;
use bytes::BytesMut;
use shakedown_broker::batch::build::BatchBuilder;
use shakedown_broker::batch::header;
use shakedown_broker::types::{LeaderEpoch, PartitionId};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use uuid::Uuid;

/// Small enough that a few batches fill a segment.
const SMALL_SEGMENT: u32 = 400;

fn partition(index: i32) -> LogName {
    LogName::Partition(PartitionId { topic: Uuid::from_u128(7), index })
}

pub(super) fn open(root: &Path) -> FileStore {
    FileStore::open(root, SMALL_SEGMENT, 3).expect("a folder of its own")
}

/// A batch of so many records, whose timestamps are their offsets.
pub(super) fn batch(base: i64, records: i64) -> StoredBatch {
    let builder = (0..records).fold(BatchBuilder::new(base), |builder, n| builder.record(b"key", &n.to_be_bytes()));
    let mut bytes: BytesMut = builder.finish();
    header::patch(&mut bytes, Offset(base), LeaderEpoch(3));
    StoredBatch { base: Offset(base), last: Offset(base + records - 1), max_timestamp: base, bytes: bytes.freeze() }
}

/// A log of batches with two records each, from 0 on.
fn with_log(root: &Path, batches: i64) -> (FileStore, LogId) {
    let mut store = open(root);
    let log = store.open(partition(0));
    for n in 0..batches {
        store.append(log, batch(2 * n, 2)).expect("room");
    }
    (store, log)
}

/// The first offsets of all batches, which have to be whole.
fn bases(store: &mut FileStore, log: LogId) -> Vec<i64> {
    let batches = store.read(log, EVERYTHING).expect("it can be read");
    let base = |bytes: &Bytes| {
        let header = header::BatchHeader::read(bytes).expect("a whole header");
        assert!(header.size() == Some(bytes.len()) && header::checksum_holds(&header, bytes));
        header.base_offset.0
    };
    batches.iter().map(base).collect()
}

/// The segments of the log of [`with_log`].
fn segments(root: &Path) -> Vec<i64> {
    let folder = root.join(names::folder_of(partition(0)));
    let files = folder.read_dir().expect("it is there").map(|entry| entry.expect("it is there").file_name());
    let mut bases: Vec<i64> = files.filter_map(|name| names::segment_base(name.to_str()?)).collect();
    bases.sort_unstable();
    bases
}

fn evens(range: Range<i64>) -> Vec<i64> {
    range.step_by(2).collect()
}

#[test]
fn what_was_written_is_found_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, log) = with_log(folder.path(), 20);
    let checkpoint = Checkpoint { log_start: Offset(0), high_watermark: Offset(30) };
    store.checkpoint(log, checkpoint);
    store.open(partition(5));
    store.save(Slot::Quorum, Bytes::from_static(b"voted for 2")).expect("room");
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.names(), [LogName::Metadata, partition(0), partition(5)]);
    assert_eq!(LogStore::load(&store, Slot::Quorum).as_deref(), Some(b"voted for 2".as_slice()));
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(0..40));
    assert_eq!((store.checkpointed(log), store.max_timestamp(log)), (checkpoint, Some((38, Offset(38)))));
    let found = store.find_timestamp(log, Offset(0), 17).expect("it can be read").expect("it is there");
    assert_eq!(header::BatchHeader::read(&found).expect("a header").base_offset, Offset(18));
    assert!(segments(folder.path()).len() > 4, "{:?}", segments(folder.path()));
    store.append(log, batch(40, 2)).expect("room");
    store.lose_power();
    assert_eq!(bases(&mut store, log), evens(0..40), "what was found counts as synced, what came later does not");
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    with_log(folder.path(), 20);
    let last = *segments(folder.path()).last().expect("there are some");
    let path = folder.path().join(names::folder_of(partition(0))).join(names::segment_file(last));
    let file = OpenOptions::new().write(true).open(path).expect("it is there");
    let length = file.metadata().expect("a file").len();
    for garbage in [&batch(40, 2).bytes[..90], &[0; 200], &[0xff; 61], &batch(2, 2).bytes] {
        file.write_all_at(garbage, length).expect("room");
        let mut store = open(folder.path());
        let log = store.open(partition(0));
        assert_eq!(bases(&mut store, log), evens(0..40));
        assert_eq!(file.metadata().expect("a file").len(), length, "nothing is left of it");
    }
    file.set_len(length - 1).expect("a file");
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(0..38));
    store.append(log, batch(38, 2)).expect("room");
    drop(store);
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(0..40));
}

#[test]
fn nothing_behind_a_damaged_length_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    with_log(folder.path(), 20);
    let second = segments(folder.path())[1];
    let path = folder.path().join(names::folder_of(partition(0))).join(names::segment_file(second));
    OpenOptions::new().write(true).open(path).expect("it is there").write_all_at(&[0x7f], 8).expect("room");
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(0..second));
    assert_eq!(segments(folder.path()).len(), 2, "later segments are gone, the damaged one is empty");
}

#[test]
fn what_is_forgotten_gives_its_segments_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, log) = with_log(folder.path(), 20);
    let before = segments(folder.path());
    store.remove_before(log, Offset(21));
    assert_eq!(bases(&mut store, log), evens(20..40));
    let after = segments(folder.path());
    assert!(after.len() < before.len() && before.ends_with(&after), "{before:?} {after:?}");
    drop(store);
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(20..40), "the segment has older ones, and they do not count");
    store.remove_before(log, Offset(40));
    assert_eq!((segments(folder.path()), store.size(log)), (vec![40], 0));
    drop(store);
    std::fs::remove_file(folder.path().join(LEDGER)).expect("it is there");
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    let begins = Checkpoint { log_start: Offset(40), high_watermark: Offset(40) };
    assert_eq!(store.checkpointed(log), begins, "the files alone tell where the log begins");
    store.append(log, batch(40, 2)).expect("room");
    assert_eq!((bases(&mut store, log), segments(folder.path())), (vec![40], vec![40]));
}

#[test]
fn segments_are_replaced_wholly_or_not_at_all() {
    let replace = |store: &mut FileStore, log| {
        let kept = (6..60).step_by(4).map(|base| batch(base, 2)).collect();
        store.replace(log, Offset(5)..Offset(62), kept)
    };
    let (before, after): (Vec<i64>, _) = (evens(0..80), [0, 2, 4].into_iter().chain((6..60).step_by(4)));
    let after: Vec<i64> = after.chain(evens(62..80)).collect();
    let mut changes = 0;
    loop {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut store, log) = with_log(folder.path(), 40);
        store.sync(log).expect("a disk");
        store.drive.io.fuse.set(changes);
        let replaced = replace(&mut store, log);
        let survived = !store.drive.io.fuse.has_blown();
        if survived {
            replaced.expect("nothing fails");
            assert_eq!(bases(&mut store, log), after, "without being opened again");
        }
        drop(store);
        let mut store = open(folder.path());
        let log = store.open(partition(0));
        let found = bases(&mut store, log);
        assert!(found == after || (found == before && !survived), "after {changes} changes: {found:?}");
        let files = folder.path().join(names::folder_of(partition(0))).read_dir().expect("it is there").count();
        assert_eq!(files, segments(folder.path()).len(), "nothing else is left");
        if survived {
            return assert!(changes > 10 && files < 6, "{changes} changes, {files} files");
        }
        changes += 1;
    }
}

/// The disk fails at any change of a swap, is mended, and the same process goes on with what it then has.
#[test]
fn what_is_appended_behind_a_swap_that_failed_survives_the_next_start() {
    let mut changes = 0;
    loop {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut store, log) = with_log(folder.path(), 40);
        store.sync(log).expect("a disk");
        store.drive.io.fuse.set(changes);
        // To the log's end, so that whatever comes next would have to go as well.
        let kept = (60..80).step_by(4).map(|base| batch(base, 2)).collect();
        let replaced = store.replace(log, Offset(60)..Offset(80), kept);
        store.drive.io.fuse.set(10_000);
        let log = store.open(partition(0));
        for base in [80, 82, 84, 86, 88] {
            store.append(log, batch(base, 2)).expect("it was mended");
        }
        let before = bases(&mut store, log);
        assert!(before.ends_with(&[80, 82, 84, 86, 88]), "after {changes} changes: {before:?}");
        drop(store);
        let mut store = open(folder.path());
        let log = store.open(partition(0));
        assert_eq!(bases(&mut store, log), before, "after {changes} changes");
        if replaced.is_ok() {
            return assert!(changes > 6, "{changes} changes");
        }
        changes += 1;
    }
}

#[test]
fn logs_that_begin_later_together_are_noted_with_one_sync() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = open(folder.path());
    let logs: Vec<LogId> = (0..10).map(|index| store.open(partition(index))).collect();
    for log in &logs {
        (0..10).for_each(|n| store.append(*log, batch(2 * n, 2)).expect("room"));
        store.sync(*log).expect("a disk");
    }
    let alone = calls(&mut store, |store| store.remove_before(logs[0], Offset(20)));
    let starts: Vec<(LogId, Offset)> = logs[1..].iter().map(|log| (*log, Offset(20))).collect();
    let together = calls(&mut store, |store| store.remove_all_before(&starts));
    assert_eq!(together, 9 * alone - 8, "one log takes {alone} calls");
    assert!(logs.iter().all(|log| store.size(*log) == 0));
    assert_eq!(calls(&mut store, |store| store.remove_all_before(&starts)), 0, "nothing is new");
}

#[test]
fn a_removed_log_leaves_nothing_and_its_name_is_free() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, log) = with_log(folder.path(), 5);
    store.remove(log);
    store.remove(log);
    let left = || folder.path().read_dir().expect("it is there").count();
    assert_eq!((store.names(), left()), (vec![], 1), "the ledger");
    let again = store.open(partition(0));
    assert_ne!(again, log);
    assert!(bases(&mut store, again).is_empty());
    store.append(again, batch(0, 1)).expect("room");
    // A process that is killed while it deletes.
    let deleted = format!("{}{}", names::folder_of(partition(1)), names::DELETED);
    std::fs::create_dir(folder.path().join(deleted)).expect("room");
    drop(store);
    let mut store = open(folder.path());
    assert_eq!((store.names(), left()), (vec![partition(0)], 2));
    let again = store.open(partition(0));
    assert_eq!(bases(&mut store, again), [0]);
}

#[test]
fn few_files_are_open_however_many_logs_there_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = open(folder.path());
    let logs: Vec<LogId> = (0..200).map(|index| store.open(partition(index))).collect();
    for base in 0..3 {
        for log in &logs {
            store.append(*log, batch(base, 1)).expect("room");
            assert!(store.drive.handles.count() <= 3);
        }
    }
    for log in &logs {
        assert_eq!(bases(&mut store, *log), [0, 1, 2]);
        store.sync(*log).expect("a disk");
    }
    assert!(store.drive.handles.count() <= 3);
}

#[test]
fn a_log_that_could_not_be_read_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    with_log(folder.path(), 20);
    let mut store = open(folder.path());
    store.drive.io.fuse.set(1);
    let log = store.open(partition(0));
    let reason = |done: Result<(), StorageError>| done.expect_err("nobody knows what it has").reason;
    assert_eq!(reason(store.append(log, batch(0, 2))), "the process has ended");
    assert_eq!(reason(store.append(log, batch(0, 2))), "its files could not be read");
    assert_eq!(reason(store.truncate(log, Offset(0))), "its files could not be read");
    drop(store);
    let mut store = open(folder.path());
    let log = store.open(partition(0));
    assert_eq!(bases(&mut store, log), evens(0..40));
}

#[test]
fn what_cannot_be_said_at_once_is_said_by_the_next_call() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, log) = with_log(folder.path(), 3);
    store.drive.io.fuse.set(0);
    store.checkpoint(log, Checkpoint { log_start: Offset(2), high_watermark: Offset(4) });
    let error = store.read(log, EVERYTHING).expect_err("the note was not written");
    assert_eq!(error.reason, "the process has ended");
    assert_eq!(bases(&mut store, log), evens(0..6), "it is said once");
}

pub(super) fn note(store: &mut dyn LogStore, log: LogId, log_start: i64, high_watermark: i64) {
    store.checkpoint(log, Checkpoint { log_start: Offset(log_start), high_watermark: Offset(high_watermark) });
}

/// The calls that a step takes.
fn calls(store: &mut FileStore, step: impl FnOnce(&mut FileStore)) -> u64 {
    store.drive.io.fuse.set(1000);
    step(store);
    1000 - store.drive.io.fuse.left().expect("it was set")
}

#[test]
fn a_sync_syncs_what_has_changed_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, log) = with_log(folder.path(), 3);
    let sync = |store: &mut FileStore| store.sync(log).expect("a disk");
    assert_eq!(calls(&mut store, sync), 4, "a segment, its name, its folder's name, the ledger");
    assert_eq!(calls(&mut store, sync), 0);
    store.append(log, batch(6, 2)).expect("room");
    assert_eq!(calls(&mut store, sync), 1, "the segment");
    let note = |to| move |store: &mut FileStore| note(store, log, 0, to);
    assert_eq!((calls(&mut store, note(6)), calls(&mut store, sync)), (1, 1), "the ledger");
    assert_eq!((calls(&mut store, note(6)), calls(&mut store, note(4))), (0, 2), "what goes back is synced");
    for base in [8, 10, 12] {
        store.append(log, batch(base, 2)).expect("room");
    }
    assert_eq!(calls(&mut store, sync), 2, "another segment, and its name");
}

#[test]
fn a_damaged_vote_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = open(folder.path());
    store.save(Slot::Quorum, Bytes::from_static(b"voted for 2")).expect("room");
    drop(store);
    let path = folder.path().join("__cluster_metadata-0/quorum-state");
    std::fs::write(&path, b"voted for 3").expect("room");
    let error = FileStore::open(folder.path(), SMALL_SEGMENT, 3).expect_err("nobody knows what it voted");
    assert_eq!(error.to_string(), format!("{}: it does not match its checksum", path.display()));
}
