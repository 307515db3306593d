//! What compaction makes of a log in files: each file is written again by itself, and once.

use super::tests::open;
use super::*;
use shakedown_broker::batch::build::BatchBuilder;
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::batch::records::Records;
use shakedown_broker::batch::validate::Limits;
use shakedown_broker::log::cleaning::keys::KEY_BYTES_MAX;
use shakedown_broker::log::cleaning::pass::{Pass, Progress};
use shakedown_broker::log::cleaning::policy::Policy;
use shakedown_broker::log::partition::Partition;
use shakedown_broker::metadata::record::PartitionState;
use shakedown_broker::types::PartitionId;
use shakedown_broker::{BrokerId, Now};

const NOW: Now = Now { monotonic_ns: 0, wall_ms: 1_000_000 };
const LIMITS: Limits = Limits {
    max_message_bytes: 1 << 20,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    log_append_time: false,
    compacted: true,
};
const POLICY: Policy = Policy {
    deletes: false,
    compacts: true,
    retention_ms: -1,
    retention_bytes: -1,
    delete_retention_ms: 0,
    compaction_lag_min_ms: 0,
    compaction_lag_max_ms: i64::MAX,
    dirty_ratio_min: 0.0,
    segment_bytes: 1000,
    segment_ms: i64::MAX,
    index_interval_bytes: 4096,
};
const ID: PartitionId = PartitionId { topic: uuid::Uuid::nil(), index: 0 };
/// Less than two batches.
const SLICE: usize = 150;
/// What it takes to write a file again: create, write, sync; rename, sync the folder; rename, sync the folder.
const CALLS_PER_FILE: u64 = 7;

fn partition(store: &mut FileStore) -> Partition {
    let own = BrokerId(1);
    let mut partition = Partition::open(store, own, ID, (LIMITS, POLICY), false, NOW).expect("a disk");
    let state = PartitionState { replicas: vec![own], isr: vec![own], leader: Some(own), ..PartitionState::default() };
    partition.assume(store, &state, NOW);
    partition
}

/// Every fourth record has a key of its own, others share seven.
fn key(offset: u8) -> u8 {
    if offset % 4 == 1 { 100 + offset / 4 } else { offset % 7 }
}

/// A log of batches of one record, whose key most often is superseded, in files of four.
fn dirty(root: &Path, records: u8) -> (FileStore, Partition) {
    let mut store = open(root);
    let mut partition = partition(&mut store);
    for n in 0..records {
        let batch = BatchBuilder::new(NOW.wall_ms).record(&[key(n)], &[n; 20]).finish().freeze();
        partition.append(&mut store, &batch, NOW).expect("room");
    }
    assert_eq!(files(root), usize::from(records / 4));
    (store, partition)
}

/// The keys of the records from an offset on.
fn keys(offsets: Range<u8>) -> BTreeSet<u8> {
    offsets.map(key).collect()
}

fn begin(partition: &Partition) -> Pass {
    partition.begin_cleaning(NOW, KEY_BYTES_MAX).expect("it is dirty")
}

fn files(root: &Path) -> usize {
    root.join(names::folder_of(LogName::Partition(ID))).read_dir().expect("it is there").count()
}

/// Offsets of the batches, and key and value of each record. The value is the offset.
fn left(store: &mut FileStore, partition: &Partition) -> (Vec<i64>, BTreeMap<u8, u8>) {
    let batches = partition.read_all(store, Offset(0)).expect("a disk");
    let base = |batch: &Bytes| BatchHeader::read(batch).expect("a header").base_offset.0;
    let records = batches.iter().flat_map(|batch| Records::new(&batch[HEADER_SIZE..]));
    let records = records.map(|record| record.expect("a record"));
    let records = records.map(|record| (record.key.expect("a key")[0], record.value.expect("a value")[0])).collect();
    (batches.iter().map(base).collect(), records)
}

#[test]
fn every_file_is_written_again_once_and_none_grows() {
    const RECORDS: u8 = 200;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, mut partition) = dirty(folder.path(), RECORDS);
    let before = files(folder.path());
    let (budget, mut pass) = (1_000_000, begin(&partition));
    store.drive.io.fuse.set(budget);
    while partition.clean(&mut store, &mut pass, SLICE).expect("a disk") == Progress::More {}
    let spent = budget - store.drive.io.fuse.left().expect("it was set");
    assert_eq!(files(folder.path()), before, "none was merged with another");
    // Each is synced before anything is written again, and so are their names, the folder's name and the ledger.
    let most = (CALLS_PER_FILE + 1) * before as u64 + 3;
    assert!((most / 2..=most).contains(&spent), "{spent} calls for {before} files");
    let (offsets, records) = left(&mut store, &partition);
    assert_eq!(records.keys().copied().collect::<BTreeSet<u8>>(), keys(0..RECORDS));
    let last = |key: u8| (0..RECORDS).rfind(|offset| self::key(*offset) == key).expect("there is one");
    assert!(records.iter().all(|(key, offset)| *offset == last(*key)), "{records:?}");
    assert!(offsets.len() < records.len() + 13, "the active segment and the first batch stay: {offsets:?}");
    drop((store, partition));
    let mut store = open(folder.path());
    let partition = self::partition(&mut store);
    assert_eq!(left(&mut store, &partition), (offsets, records), "and a start finds the same");
}

#[test]
fn what_is_deleted_while_a_file_is_read_does_not_come_back() {
    for steps in 0.. {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut store, mut partition) = dirty(folder.path(), 40);
        let mut pass = begin(&partition);
        let mut step = |partition: &mut Partition, store: &mut FileStore| {
            partition.clean(store, &mut pass, SLICE).expect("a disk") == Progress::Done
        };
        let is_done = (0..steps).any(|_| step(&mut partition, &mut store));
        // In the middle of a file, of which a record stays that nothing supersedes.
        partition.begin_at(&mut store, Offset(23));
        while !is_done && !step(&mut partition, &mut store) {}
        let (offsets, records) = left(&mut store, &partition);
        assert!(offsets.iter().all(|offset| *offset >= 23), "after {steps} steps: {offsets:?}");
        assert_eq!(records.keys().copied().collect::<BTreeSet<u8>>(), keys(23..40), "after {steps} steps");
        if is_done {
            return assert!(steps > 50, "{steps} steps");
        }
    }
}
