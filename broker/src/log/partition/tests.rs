use super::super::cleaning::random::POLICY;
use super::super::store::MemoryStore;
use super::*;
use crate::batch::build::BatchBuilder;

const NOW: Now = Now { monotonic_ns: 0, wall_ms: 50_000 };
const LIMITS: Limits = Limits {
    max_message_bytes: 1 << 20,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    log_append_time: false,
    compacted: false,
};

/// The only replica of a partition.
fn leader(store: &mut MemoryStore, epoch: i32) -> Partition {
    let id = PartitionId { topic: uuid::Uuid::nil(), index: 0 };
    let mut partition = Partition::open(store, BrokerId(1), id, (LIMITS, POLICY), false, NOW).expect("memory");
    let only = vec![BrokerId(1)];
    let state = PartitionState {
        replicas: only.clone(),
        isr: only,
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(epoch),
        ..PartitionState::default()
    };
    assert_eq!(partition.assume(store, &state, NOW), RoleChange::Leads { before: None });
    partition
}

#[test]
fn an_epoch_that_left_nothing_ended_where_the_first_one_began() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 4);
    partition.append(&mut store, &two_records(10), NOW).expect("a sound batch");
    let end_of = |epoch| partition.end_of_epoch(epoch);
    assert_eq!((end_of(0), end_of(3)), ((0, Offset(0)), (3, Offset(0))));
    assert_eq!((end_of(4), end_of(5), end_of(-1)), ((4, Offset(2)), (-1, Offset(-1)), (-1, Offset(-1))));
}

#[test]
fn a_leader_that_leads_on_in_a_new_epoch_has_lost_nothing_and_one_that_followed_may_have() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 4);
    let mut assume = |leader, epoch, partition_epoch| {
        let all = vec![BrokerId(1), BrokerId(2)];
        let state = PartitionState {
            replicas: all.clone(),
            isr: all,
            leader: Some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch,
            ..PartitionState::default()
        };
        partition.assume(&mut store, &state, NOW);
        (partition.leads_since(LeaderEpoch(4)), partition.leads_since(LeaderEpoch(epoch)))
    };
    assert_eq!(assume(1, 5, 1), (true, true));
    assert_eq!(assume(2, 6, 2), (false, false));
    assert_eq!(assume(1, 7, 3), (false, true));
}

fn two_records(timestamp_ms: i64) -> Bytes {
    BatchBuilder::new(timestamp_ms).record(b"k", b"v").record(b"k", b"w").finish().freeze()
}

#[test]
fn offsets_count_up_and_the_epoch_is_written() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 4);
    for expected in [0, 2, 4] {
        let appended = partition.append(&mut store, &two_records(10), NOW).expect("a sound batch");
        assert_eq!(appended.base, Offset(expected));
    }
    let batches = partition.read(&mut store, Offset(3), 1 << 20, true).expect("memory");
    let headers: Vec<_> = batches.iter().filter_map(|batch| BatchHeader::read(batch)).collect();
    assert_eq!(headers.iter().map(|header| header.base_offset.0).collect::<Vec<_>>(), [2, 4]);
    assert!(headers.iter().all(|header| header.leader_epoch == LeaderEpoch(4)));
    assert_eq!((partition.log_end(), partition.high_watermark()), (Offset(6), Offset(6)));
}

#[test]
fn a_clients_limit_cuts_a_batch_but_never_the_first() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 4);
    for _ in 0..3 {
        partition.append(&mut store, &two_records(10), NOW).expect("a sound batch");
    }
    let all = partition.read(&mut store, Offset(0), 1 << 20, true).expect("memory").concat();
    let size = all.len() / 3;
    let mut read = |from: i64, max_bytes, at_least_one| {
        partition.read_for_client(&mut store, Offset(from), max_bytes, at_least_one).expect("memory").concat()
    };
    for limit in [size, size + 1, 2 * size - 1, 2 * size, 2 * size + 61, 3 * size, 3 * size + 1] {
        assert_eq!(read(0, limit, false), all[..limit.min(all.len())], "at most {limit} bytes");
        assert_eq!(read(3, limit, true), all[size..(size + limit).min(all.len())], "at most {limit} bytes");
    }
    for limit in [0, 1, size - 1] {
        assert_eq!(read(0, limit, true), all[..size], "at most {limit} bytes, but at least a batch");
        assert_eq!(read(0, limit, false), [], "at most {limit} bytes");
    }
    assert_eq!(read(6, size, true), [], "nothing is there");
}

#[test]
fn timestamps_lead_to_the_first_record_at_or_after_them() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 0);
    for timestamp in [100, 300, 200] {
        partition.append(&mut store, &two_records(timestamp), NOW).expect("a sound batch");
    }
    let mut at = |timestamp| partition.offset_for_timestamp(&mut store, timestamp).expect("memory").offset.0;
    assert_eq!([at(0), at(101), at(200), at(300), at(301)], [0, 2, 2, 2, -1]);
    let latest = partition.offset_of_max_timestamp(&mut store).expect("memory");
    assert_eq!(latest, TimestampOffset { timestamp_ms: 300, offset: Offset(2) });
}

#[test]
fn deleted_records_are_out_of_reach_even_within_a_batch() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 0);
    for timestamp in [100, 300, 200] {
        partition.append(&mut store, &two_records(timestamp), NOW).expect("a sound batch");
    }
    let before = partition.size(&store);
    assert_eq!(partition.delete_before(&mut store, Offset(7)), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(partition.delete_before(&mut store, Offset(3)), Ok(Offset(3)));
    assert_eq!(partition.delete_before(&mut store, Offset(1)), Ok(Offset(3)), "the log never begins earlier again");
    assert!(!partition.contains(Offset(2)) && partition.contains(Offset(3)));
    assert_eq!(partition.size(&store), before / 3 * 2);
    let mut at = |timestamp| partition.offset_for_timestamp(&mut store, timestamp).expect("memory").offset.0;
    assert_eq!([at(0), at(300), at(301)], [3, 3, -1]);
    assert_eq!(partition.delete_before(&mut store, Offset(6)), Ok(Offset(6)));
    assert_eq!(partition.offset_for_timestamp(&mut store, 0).expect("memory"), TimestampOffset::NONE);
    assert_eq!(partition.size(&store), 0);
}

#[test]
fn log_append_time_overrides_the_clients_clock() {
    let mut store = MemoryStore::default();
    let mut partition = leader(&mut store, 0);
    partition.limits.log_append_time = true;
    let appended = partition.append(&mut store, &two_records(i64::MAX), NOW).expect("its clock does not matter");
    assert_eq!(appended.log_append_time_ms, NOW.wall_ms);
    let found = partition.offset_for_timestamp(&mut store, 49_000).expect("memory");
    assert_eq!(found, TimestampOffset { timestamp_ms: NOW.wall_ms, offset: Offset(0) });
}
