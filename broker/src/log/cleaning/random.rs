//! A seeded random test of a leader and a follower that are appended to, cut, emptied and cleaned in any order, against
//! a plain list of what was written.
//!
//! Whatever happens, on either replica: a record that is there is the one that was written at its offset; the last
//! committed record of each key is there, or it is a tombstone that stayed long enough; and nothing before the log's
//! beginning is.

use super::keys::KEY_BYTES_MAX;
use super::pass::{Pass, Progress};
use super::policy::Policy;
use crate::batch::build::BatchBuilder;
use crate::batch::filter::recoded;
use crate::batch::header::{self, BatchHeader, Compression};
use crate::batch::records::{self, Records};
use crate::batch::validate::Limits;
use crate::log::partition::{Partition, TimestampOffset};
use crate::log::store::{LogStore, MemoryStore};
use crate::metadata::record::PartitionState;
use crate::types::{BrokerId, LeaderEpoch, Now, Offset, PartitionId};
use bytes::BytesMut;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Small segments, nothing is deleted, everything is cleaned at once.
pub(crate) const POLICY: Policy = Policy {
    deletes: false,
    compacts: false,
    retention_ms: -1,
    retention_bytes: -1,
    delete_retention_ms: 300,
    compaction_lag_min_ms: 0,
    compaction_lag_max_ms: i64::MAX,
    dirty_ratio_min: 0.0,
    segment_bytes: 1000,
    segment_ms: 100_000,
    index_interval_bytes: 200,
};
pub(crate) const LIMITS: Limits = Limits {
    max_message_bytes: 1 << 20,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    log_append_time: false,
    compacted: true,
};
const SEEDS: u64 = 10;
const STEPS: usize = 400;
pub(crate) const ID: PartitionId = PartitionId { topic: uuid::Uuid::nil(), index: 0 };
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A record as it was written; `None` for a tombstone's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    pub(super) key: u8,
    pub(super) value: Option<u64>,
    timestamp: i64,
}

struct Replica {
    partition: Partition,
    store: MemoryStore,
    pass: Option<Pass>,
}

struct World {
    chance: ChaCha8Rng,
    now: Now,
    policy: Policy,
    replicas: [Replica; 2],
    leader: usize,
    epoch: i32,
    /// What was ever written, by the epoch of the leader that wrote it.
    ever: Vec<(i32, Record)>,
    /// What of that the leader has been given, in this epoch and before.
    written: Vec<Record>,
    /// Up to where each replica held its log to be committed.
    committed: [Offset; 2],
    /// What may be missing though nothing supersedes it: what did so was committed, and lost with the last replica that
    /// had it.
    excused: Vec<Record>,
    /// By producer: its next sequence.
    sequences: [i32; 2],
    next_value: u64,
}

pub(crate) fn broker(at: usize) -> BrokerId {
    BrokerId(i32::try_from(at).expect("one of two") + 1)
}

impl World {
    fn new(seed: u64, policy: Policy) -> Self {
        let replica = |at| {
            let mut store = MemoryStore::default();
            let now = Now { monotonic_ns: 0, wall_ms: 1000 };
            let partition = Partition::open(&mut store, broker(at), ID, (LIMITS, policy), false, now).expect("memory");
            Replica { partition, store, pass: None }
        };
        let mut world = Self {
            chance: ChaCha8Rng::seed_from_u64(seed),
            now: Now { monotonic_ns: 0, wall_ms: 1000 },
            policy,
            replicas: [replica(0), replica(1)],
            leader: 0,
            epoch: 0,
            ever: Vec::new(),
            written: Vec::new(),
            committed: [Offset(0); 2],
            excused: Vec::new(),
            sequences: [0; 2],
            next_value: 0,
        };
        world.elect(0);
        world
    }

    fn below(&mut self, end: u64) -> u64 {
        self.chance.next_u64() % end
    }

    /// One of the replicas leads in a new epoch; the other one follows it, and is cut where they differ.
    fn elect(&mut self, leader: usize) {
        self.epoch += 1;
        self.leader = leader;
        let state = PartitionState {
            replicas: vec![broker(0), broker(1)],
            isr: vec![broker(0), broker(1)],
            leader: Some(broker(leader)),
            leader_epoch: LeaderEpoch(self.epoch),
            partition_epoch: self.epoch,
            ..PartitionState::default()
        };
        for replica in &mut self.replicas {
            replica.partition.assume(&mut replica.store, &state, self.now);
        }
        // What only the other one has is lost, and its producers go on behind what is left.
        let log = &self.replicas[leader].partition.log;
        let is_its = |(epoch, record): &&(i32, Record)| {
            record.offset < log.end().0 && log.epochs().at(Offset(record.offset)) == Some(LeaderEpoch(*epoch))
        };
        self.written = self.ever.iter().filter(is_its).map(|(_, record)| record.clone()).collect();
        for id in [0, 1] {
            let producers = self.replicas[leader].partition.producers();
            let last =
                producers.active().find(|(producer, _, _)| producer.0 == id).map(|(_, _, seen)| seen.last_sequence);
            self.sequences[usize::try_from(id).expect("one of two")] = last.map_or(0, |last| last + 1);
        }
    }

    fn append(&mut self) {
        let timestamp = self.now.wall_ms - i64::try_from(self.below(50)).expect("small");
        let count = 1 + self.below(4);
        let base = self.replicas[self.leader].partition.log_end().0;
        let mut builder = BatchBuilder::new(timestamp);
        let mut records = Vec::new();
        for offset in (base..).take(usize::try_from(count).expect("a few")) {
            let key = u8::try_from(self.below(6)).expect("small");
            let value = (self.below(4) > 0).then_some(self.next_value);
            self.next_value += 1;
            builder = match value {
                Some(value) => builder.record(&[key; 3], &[&value.to_be_bytes()[..], &[0; 60]].concat()),
                None => builder.tombstone(&[key; 3]),
            };
            records.push(Record { offset, key, value, timestamp });
        }
        let mut batch = builder.finish();
        let producer = usize::try_from(self.below(3)).expect("small");
        if let Some(sequence) = self.sequences.get_mut(producer) {
            sign(&mut batch, i64::try_from(producer).expect("small"), *sequence);
            *sequence += i32::try_from(count).expect("a few");
        }
        let codec = CODECS[usize::try_from(self.below(5)).expect("small")];
        let replica = &mut self.replicas[self.leader];
        let appended = replica.partition.append(&mut replica.store, &recoded(&batch, codec), self.now);
        assert_eq!(appended.map(|appended| (appended.base.0, appended.is_new)), Ok((base, true)));
        self.ever.extend(records.iter().map(|record| (self.epoch, record.clone())));
        self.written.extend(records);
    }

    /// The follower fetches once, as `link.rs` and `serving.rs` do it between them.
    fn replicate(&mut self) {
        let now = self.now;
        let [first, second] = &mut self.replicas;
        let (leader, follower) = if self.leader == 0 { (first, second) } else { (second, first) };
        let at = follower.partition.position();
        leader.partition.note_follower(follower.partition.own, 1, at, now);
        leader.partition.advance(&mut leader.store);
        match leader.partition.find_for_follower(&mut leader.store, at, 600) {
            Ok(found) => drop(follower.partition.append_fetched(&mut follower.store, at.offset, &found)),
            Err(crate::peer::FetchRefused::OutOfRange(start, end)) => {
                follower.partition.back_into_range(&mut follower.store, start, end);
            }
            Err(error) => panic!("memory reads everything: {error:?}"),
        }
    }

    fn clean(&mut self, at: usize) {
        let full = if self.below(4) == 0 { 200 } else { KEY_BYTES_MAX };
        let slice = 1 + usize::try_from(self.below(2000)).expect("small");
        let replica = &mut self.replicas[at];
        let pass = replica.pass.take().or_else(|| replica.partition.begin_cleaning(self.now, full));
        let Some(mut pass) = pass else { return };
        let progress = replica.partition.clean(&mut replica.store, &mut pass, slice).expect("memory");
        if progress == Progress::More {
            replica.pass = Some(pass);
        }
    }

    /// The process ends and begins anew, on what is kept.
    fn restart(&mut self, at: usize) {
        let settings = (LIMITS, self.policy);
        let Replica { partition: before, store, .. } = &mut self.replicas[at];
        let opened = Partition::open(store, broker(at), ID, settings, false, self.now).expect("memory");
        let bounds = |it: &Partition| (it.log_start(), it.log_end(), it.high_watermark());
        assert_eq!(bounds(before), bounds(&opened), "a restart changes nothing");
        // What a leader has just begun, and appended nothing in, is in no batch; nor is an epoch whose batches are gone
        // from the log's beginning.
        let epochs = opened.log.epochs();
        let (first, latest) = (epochs.first().map_or(0, |(first, _)| first.0), epochs.latest().map_or(-1, |it| it.0));
        for epoch in first..=latest {
            assert_eq!(before.end_of_epoch(epoch), opened.end_of_epoch(epoch), "where epoch {epoch} ends");
        }
        self.put_back(at, opened);
    }

    /// As a restart, after a loss of power: the log may end earlier, but it does not begin earlier.
    fn lose_power(&mut self, at: usize) {
        let settings = (LIMITS, self.policy);
        let Replica { partition: before, store, .. } = &mut self.replicas[at];
        store.lose_power();
        let opened = Partition::open(store, broker(at), ID, settings, false, self.now).expect("memory");
        assert!(
            opened.log_start() >= before.log_start() && opened.log_end() <= before.log_end().max(opened.log_start())
        );
        self.put_back(at, opened);
    }

    /// A replica follows or leads again, in a new epoch.
    fn put_back(&mut self, at: usize, partition: Partition) {
        self.replicas[at].partition = partition;
        self.replicas[at].pass = None;
        self.elect(self.leader);
    }

    fn step(&mut self) {
        let at = usize::try_from(self.below(2)).expect("one of two");
        match self.below(100) {
            0..35 => self.append(),
            35..65 => self.replicate(),
            65..85 => self.clean(at),
            // Whoever it is: with records that nobody else had they are lost, committed or not.
            85..88 => self.elect(at),
            88..90 => self.restart(at),
            90 => self.lose_power(at),
            91 => {
                let replica = &mut self.replicas[at];
                replica.partition.log.sync(&mut replica.store).expect("memory");
            }
            92..96 => {
                let now = self.now;
                let replica = &mut self.replicas[at];
                if let Some(start) = replica.partition.begins_unexpired(now) {
                    replica.partition.begin_at(&mut replica.store, start);
                }
            }
            _ => self.now.wall_ms += 40,
        }
        [0, 1].into_iter().for_each(|at| self.excuse(at));
    }

    fn excuse(&mut self, at: usize) {
        let Replica { partition, store, .. } = &mut self.replicas[at];
        let (end, committed) = (partition.log_end(), partition.high_watermark());
        // After a loss of power it may know less of what is committed; it was all the same.
        let before = std::mem::replace(&mut self.committed[at], committed);
        if end >= before {
            self.committed[at] = committed.max(before);
        } else {
            let batches = partition.read_all(store, Offset(0)).expect("memory");
            let left = batches.iter().flat_map(|batch| read(&BatchHeader::read(batch).expect("a header"), batch));
            let left: Vec<Record> = left.collect();
            let ever = self.ever.iter().map(|(_, record)| record).filter(|record| record.offset < end.0);
            self.excused.extend(ever.filter(|record| !left.contains(record)).cloned());
        }
    }

    fn check(&mut self) {
        for at in [0, 1] {
            let present = self.present(at);
            self.nothing_is_invented(at, &present);
            self.the_last_of_each_key_is_there(at, &present);
        }
        self.timestamps_are_found();
    }

    /// The committed records that a replica holds.
    fn present(&mut self, at: usize) -> Vec<Record> {
        let replica = &mut self.replicas[at];
        let (start, committed) = (replica.partition.log_start(), replica.partition.high_watermark());
        let batches = replica.partition.read(&mut replica.store, start, usize::MAX, true).expect("memory");
        let mut present = Vec::new();
        let mut end = Offset(0);
        for batch in &batches {
            let header = BatchHeader::read(batch).expect("a whole header");
            assert!(header.base_offset >= end && header.last_offset() < committed, "batches are in order");
            end = header.last_offset().plus(1);
            present.extend(read(&header, batch).into_iter().filter(|record| record.offset >= start.0));
        }
        assert!(present.is_sorted_by_key(|record| record.offset));
        present
    }

    fn nothing_is_invented(&self, at: usize, present: &[Record]) {
        for record in present {
            let known = self.written.iter().find(|written| written.offset == record.offset);
            // A follower that has not heard of a new leader yet may have what that one never got.
            assert!(known.is_none_or(|known| known == record) || at != self.leader, "{record:?} instead of {known:?}");
            assert!(known.is_some() || at != self.leader, "{record:?} was never written");
        }
    }

    fn the_last_of_each_key_is_there(&mut self, at: usize, present: &[Record]) {
        if at != self.leader {
            return;
        }
        let Replica { partition, store, .. } = &mut self.replicas[at];
        let (start, committed) = (partition.log_start(), partition.high_watermark());
        // A follower that lost more than its leader knows asks from the middle of a batch, and only whole ones are
        // shown.
        let batches = partition.read_all(store, Offset(committed.0 - 1)).expect("memory");
        let header = batches.first().and_then(|batch| BatchHeader::read(batch));
        let end =
            header.filter(|it| it.last_offset() >= committed).map_or(committed, |it| it.base_offset.min(committed));
        let range = start.0..end.0;
        let mut last: BTreeMap<u8, &Record> = BTreeMap::new();
        self.written.iter().filter(|record| range.contains(&record.offset)).for_each(|record| {
            last.insert(record.key, record);
        });
        for (key, expected) in last.into_iter().filter(|(_, expected)| !self.excused.contains(expected)) {
            let found = present.iter().rfind(|record| record.key == key);
            let is_gone = expected.value.is_none()
                && found.is_none()
                && self.now.wall_ms >= expected.timestamp + self.policy.delete_retention_ms;
            assert!(found == Some(expected) || is_gone, "{expected:?} should be the last of its key, not {found:?}");
        }
    }

    /// Looking a timestamp up through the index finds what reading everything does.
    fn timestamps_are_found(&mut self) {
        let present = self.present(self.leader);
        let timestamp = self.now.wall_ms - i64::try_from(self.below(2000)).expect("small");
        let replica = &mut self.replicas[self.leader];
        let found = replica.partition.offset_for_timestamp(&mut replica.store, timestamp).expect("memory");
        let expected = present.iter().find(|record| record.timestamp >= timestamp);
        let expected = expected.map_or(TimestampOffset::NONE, |record| TimestampOffset {
            timestamp_ms: record.timestamp,
            offset: Offset(record.offset),
        });
        assert_eq!(found, expected, "at {timestamp}");
        let sizes: u64 = replica.partition.log.segments().as_slice().iter().map(|segment| segment.size).sum();
        if replica.pass.is_none() {
            assert_eq!(sizes, replica.partition.size(&replica.store), "segments are as large as their batches");
        }
    }
}

pub(super) fn sign(batch: &mut BytesMut, producer: i64, sequence: i32) {
    batch[43..51].copy_from_slice(&producer.to_be_bytes());
    batch[51..53].copy_from_slice(&0_i16.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    header::stamp_create_time(batch);
}

pub(super) fn read(header: &BatchHeader, batch: &[u8]) -> Vec<Record> {
    let body = records::decompressed(header, batch).expect("records");
    let records = Records::new(&body).map(|record| {
        let record = record.expect("records");
        Record {
            offset: header.base_offset.0 + record.offset_delta,
            key: record.key.expect("a key")[0],
            value: record.value.map(|value| u64::from_be_bytes(value[..8].try_into().expect("eight bytes"))),
            timestamp: header.base_timestamp + record.timestamp_delta,
        }
    });
    records.collect()
}

fn live(seed: u64, policy: Policy) {
    let mut world = World::new(seed, policy);
    for step in 0..STEPS {
        world.step();
        if step % 7 == 0 {
            world.check();
        }
    }
    // Undisturbed, everything becomes clean: of each key one record is left in front of the active segment.
    world.now.wall_ms += 100_000;
    (0..200).for_each(|_| world.replicate());
    for at in [0, 1] {
        (0..500).for_each(|_| world.clean(at));
    }
    world.check();
    world.elect(1 - world.leader);
    (0..200).for_each(|_| world.replicate());
    world.check();
    for at in [0, 1] {
        let Partition { cleaned: (cleaned, cuts), log, .. } = &world.replicas[at].partition;
        let cleaned = if *cuts == log.cuts() { cleaned.0 } else { 0 };
        let present = world.present(at).into_iter().filter(|record| record.offset < cleaned);
        let keys: Vec<u8> = present.map(|record| record.key).collect();
        let distinct: std::collections::BTreeSet<u8> = keys.iter().copied().collect();
        assert_eq!(keys.len(), distinct.len(), "seed {seed}: {keys:?} are left below {cleaned}");
    }
    let ends = world.replicas.each_ref().map(|replica| replica.partition.log_end());
    assert_eq!(ends[0], ends[1], "seed {seed}: the follower has caught up");
}

#[test]
fn a_reader_sees_the_last_value_of_each_key_at_its_offset_whatever_happens() {
    for seed in 0..SEEDS {
        let compacts = Policy { compacts: true, ..POLICY };
        live(seed, compacts);
        live(seed, Policy { compaction_lag_min_ms: 90, dirty_ratio_min: 0.3, ..compacts });
        live(seed, Policy { deletes: true, retention_ms: 400, retention_bytes: 6000, ..compacts });
        live(seed, Policy { deletes: true, retention_ms: 400, retention_bytes: 4000, ..POLICY });
    }
}
