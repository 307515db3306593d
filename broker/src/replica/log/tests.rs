use super::*;
use crate::batch::build::BatchBuilder;
use crate::log::store::MemoryStore;

/// A log with a batch of one record in each of these epochs.
fn log(store: &mut MemoryStore, epochs: &[i32]) -> ReplicatedLog {
    let mut log = ReplicatedLog::open_behind(store, LogName::Metadata, None, false).expect("memory");
    epochs.iter().for_each(|epoch| append(&mut log, store, *epoch));
    log.raise_high_watermark(store, log.end());
    log
}

fn append(log: &mut ReplicatedLog, store: &mut MemoryStore, epoch: i32) {
    let batch = BatchBuilder::new(0).keyless(b"record").finish();
    let header = BatchHeader::read(&batch).expect("a whole header");
    log.append_as_leader(store, batch, &header, LeaderEpoch(epoch), None).expect("memory");
    log.sync(store).expect("memory");
}

fn id(end: i64, epoch: i32) -> SnapshotId {
    SnapshotId { end: Offset(end), epoch: LeaderEpoch(epoch) }
}

fn reopened(store: &mut MemoryStore, snapshot: SnapshotId) -> ReplicatedLog {
    ReplicatedLog::open_behind(store, LogName::Metadata, Some(snapshot), false).expect("memory")
}

/// Where the log begins and ends, and its latest epoch.
fn seen(log: &ReplicatedLog) -> (i64, i64, Option<i32>) {
    (log.start().0, log.end().0, log.epochs().latest().map(|epoch| epoch.0))
}

#[test]
fn a_log_without_batches_behind_its_snapshot_knows_the_last_epoch() {
    let mut store = MemoryStore::default();
    let mut log = log(&mut store, &[1, 1, 4]);
    log.begin_behind(&mut store, id(3, 4));
    assert_eq!(seen(&log), (3, 3, Some(4)));
    assert_eq!((store.size(log.id()), log.divergence(Offset(3), Some(LeaderEpoch(4)))), (0, None));
    store.lose_power();
    let mut log = reopened(&mut store, id(3, 4));
    assert_eq!((seen(&log), log.high_watermark()), ((3, 3, Some(4)), Offset(3)));
    append(&mut log, &mut store, 6);
    log.follow_divergence(&mut store, (LeaderEpoch(4), Offset(3))).expect("memory");
    assert_eq!(seen(&log), (3, 3, Some(4)), "what came behind the snapshot was cut, and nothing more");
}

#[test]
fn an_epoch_that_begins_behind_the_snapshot_leaves_the_one_before_it() {
    let mut store = MemoryStore::default();
    let mut log = log(&mut store, &[1, 4, 6, 6]);
    log.begin_behind(&mut store, id(2, 4));
    let ends = |log: &ReplicatedLog, epoch| log.epochs().end_of(LeaderEpoch(epoch), log.end());
    for log in [log, reopened(&mut store, id(2, 4))] {
        assert_eq!(seen(&log), (2, 4, Some(6)));
        assert_eq!((ends(&log, 4), ends(&log, 1)), (Some((LeaderEpoch(4), Offset(2))), None));
    }
}

#[test]
fn a_snapshot_that_was_kept_replaces_the_log_even_if_that_was_not_cut() {
    // The node stopped between the two: its log goes on behind the snapshot's end with what nobody committed.
    let mut store = MemoryStore::default();
    log(&mut store, &[1, 1, 2, 2]);
    let mut log = reopened(&mut store, id(3, 5));
    assert_eq!((seen(&log), log.high_watermark()), ((3, 3, Some(5)), Offset(3)));
    append(&mut log, &mut store, 5);
    assert_eq!(seen(&reopened(&mut store, id(3, 5))), (3, 4, Some(5)));
    log.restart_behind(&mut store, id(10, 7)).expect("memory");
    assert_eq!((seen(&log), log.high_watermark(), store.size(log.id())), ((10, 10, Some(7)), Offset(10), 0));
}

/// The only record of a batch, as a leader of this epoch has it at an offset.
fn fetched(epoch: i32, base: i64) -> Bytes {
    let mut batch = BatchBuilder::new(0).record(b"key", b"value").finish();
    header::patch(&mut batch, Offset(base), LeaderEpoch(epoch));
    batch.freeze()
}

const ALL: Offset = Offset(i64::MAX);

fn replica(store: &mut MemoryStore) -> ReplicatedLog {
    let id = crate::types::PartitionId { topic: uuid::Uuid::nil(), index: 0 };
    ReplicatedLog::open(store, LogName::Partition(id), false, Segments::default()).expect("memory")
}

#[test]
fn an_epoch_in_which_an_empty_log_was_led_gives_way_to_the_older_one_of_its_first_batch() {
    let mut store = MemoryStore::default();
    let mut log = replica(&mut store);
    log.begin_epoch(LeaderEpoch(5));
    log.append_as_follower(&mut store, &fetched(1, 0), ALL).expect("memory");
    assert_eq!((seen(&log), log.epochs().at(Offset(0))), ((0, 1, Some(1)), Some(LeaderEpoch(1))));
}

#[test]
fn a_batch_that_had_time_to_become_another_is_refused() {
    let mut store = MemoryStore::default();
    let mut log = replica(&mut store);
    let sound = fetched(1, 0);
    let mut flipped = BytesMut::from(&sound[..]);
    flipped[header::HEADER_SIZE + 3] ^= 1;
    let flipped = flipped.freeze();
    let refused = |refused: Result<(), FollowError>| matches!(refused, Err(FollowError::Corrupt { base: Offset(0) }));
    assert!(refused(log.append_as_follower(&mut store, &flipped, Offset(1))));
    assert!(refused(log.append_as_follower(&mut store, &sound.slice(..sound.len() - 1), ALL)), "a part of it");
    assert_eq!((seen(&log), store.size(log.id())), ((0, 0, None), 0));
    log.append_as_follower(&mut store, &sound, ALL).expect("it is what was written");
    let behind = fetched(1, 1);
    log.append_as_follower(&mut store, &behind, Offset(1)).expect("memory");
    let kept = log.read(&mut store, Offset(1), ALL, 1).expect("memory");
    assert_eq!(kept[0].as_ptr(), behind.as_ptr(), "it is handed on by reference");
}

#[test]
fn a_replica_with_gaps_knows_its_bounds_and_epochs_again() {
    let mut store = MemoryStore::default();
    let mut log = replica(&mut store);
    log.restart_at(&mut store, Offset(5)).expect("memory");
    for (epoch, base) in [(2, 8), (2, 11), (3, 20), (3, 30)] {
        log.append_as_follower(&mut store, &fetched(epoch, base), ALL).expect("gaps are the leader's");
    }
    let ends = |log: &ReplicatedLog| (log.epochs().first(), log.epochs().end_of(LeaderEpoch(2), log.end()), seen(log));
    let expected = (Some((LeaderEpoch(2), Offset(5))), Some((LeaderEpoch(2), Offset(20))), (5, 31, Some(3)));
    assert_eq!(ends(&log), expected);
    assert_eq!(ends(&replica(&mut store)), expected);
    store.lose_power();
    assert_eq!(seen(&replica(&mut store)), (5, 5, None), "the log does not begin at 0 again");
}

#[test]
fn a_log_that_is_cut_in_front_of_its_beginning_begins_anew() {
    let mut store = MemoryStore::default();
    let mut log = replica(&mut store);
    (0..10).for_each(|base| log.append_as_follower(&mut store, &fetched(5, base), Offset(0)).expect("in order"));
    log.begin_at(&mut store, Offset(10));
    assert_eq!((seen(&log), log.last_epoch()), ((10, 10, Some(5)), Some(LeaderEpoch(5))), "emptied, and it knows");
    log.sync(&mut store).expect("memory");
    // Somebody leads who never had more than six of them, by an unclean election.
    log.follow_divergence(&mut store, (LeaderEpoch(4), Offset(6))).expect("memory");
    assert_eq!((seen(&log), log.last_epoch()), ((6, 6, Some(4)), Some(LeaderEpoch(4))));
    log.truncate_to(&mut store, Offset(3)).expect("memory");
    assert_eq!(seen(&log), (3, 3, None));
    store.lose_power();
    let log = replica(&mut store);
    assert_eq!((seen(&log), log.high_watermark()), ((3, 3, None), Offset(3)), "it does not begin at 10 again");
    assert_eq!(log.last_epoch(), Some(LeaderEpoch(-1)), "it cannot vouch for what was there");
}

#[test]
fn a_follower_needs_a_snapshot_where_the_log_cannot_judge_its_own() {
    let needs = |offset, epoch| id(100, 5).is_needed(Offset(offset), LeaderEpoch(epoch));
    assert!(needs(0, -1) && needs(99, 5), "it ends before the log begins");
    assert!(needs(100, 4) && needs(100, 6), "its last record is another than the snapshot's");
    assert!(needs(120, 4), "its epoch lies before the log");
    assert!(!needs(100, 5) && !needs(120, 5) && !needs(120, 8), "the epochs of the log can tell");
}
