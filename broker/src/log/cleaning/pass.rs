//! One cleaning of one log: of each key in front of its end the last record stays, and nothing else.
//!
//! First the dirty part is read, to learn the last offset of each key; then everything in front of the end is read and
//! written again without what those supersede. Both go slice by slice, so that a node has time for its clients in
//! between; where batches lie in files, what is left of one is written once all of it was read. Whatever is written
//! leaves a log that is right as it is, since records go in the order of their offsets: whatever a tombstone deletes is
//! gone before the tombstone may go.
//!
//! A tombstone stays for `delete.retention.ms` from the first time on that it is the last of its key. Batches that lost
//! their last record stay as empty ones where their header says what nothing else does: the last sequence of a
//! producer, the end of what was cleaned, the beginning of a leader's epoch.

use super::dirty::{self, Dirty};
use super::keys::Keys;
use super::policy::Policy;
use crate::batch::filter::{Filtered, filter};
use crate::batch::header::BatchHeader;
use crate::batch::records::{self, Records};
use crate::log::partition::Partition;
use crate::log::producer_state::ProducerStates;
use crate::log::segments::Segment;
use crate::log::store::{LogStore, StorageError, StoredBatch};
use crate::types::{LeaderEpoch, Now, Offset};
use bytes::Bytes;

/// A cleaning that has begun.
#[derive(Debug)]
pub struct Pass {
    policy: Policy,
    /// Where the dirty part begins.
    from: Offset,
    /// Where it ends, as far as the keys fit.
    end: Offset,
    /// Where the last segment ends that it touches.
    boundary: Offset,
    /// How often the log had been cut when the pass began.
    cuts: u64,
    begun_ms: i64,
    keys: Keys,
    key_bytes_max: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Reads keys, from this offset on.
    Reading(Offset),
    /// Writes batches again.
    Writing(Writing),
}

/// How far writing has come.
#[derive(Debug, Default)]
struct Writing {
    next: Offset,
    /// What was read and is not written again yet.
    judged: Vec<Judged>,
    /// Whether any of it is another than it was.
    is_changed: bool,
    /// The segments of what was written.
    segments: Vec<Segment>,
    /// The segment that is being read, and how large those together were that became the last written one.
    source: Option<Offset>,
    grouped: u64,
    begins_group: bool,
    epoch: Option<LeaderEpoch>,
}

/// A batch and what becomes of it.
#[derive(Debug)]
struct Judged {
    header: BatchHeader,
    is_same: bool,
    /// What is left of it, how large and how young that is. In front of the first one that changes nobody needs the bytes.
    left: Option<StoredBatch>,
    size: u64,
}

/// What a slice left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    More,
    /// The log is clean.
    Done,
    /// The log was cut meanwhile, and nothing of what was read needs to be true any more.
    Abandoned,
}

impl Pass {
    fn new(policy: Policy, dirty: Dirty, cuts: u64, now: Now, key_bytes_max: usize) -> Self {
        Self {
            policy,
            from: dirty.from,
            end: dirty.end,
            boundary: dirty.end,
            cuts,
            begun_ms: now.wall_ms,
            keys: Keys::default(),
            key_bytes_max,
            stage: Stage::Reading(dirty.from),
        }
    }

    /// Learns the keys of some batches. Where there is no room for more of them the pass ends earlier, but not in front
    /// of the first batch.
    fn learn(&mut self, batches: &[Bytes]) {
        for batch in batches {
            let Some(header) = BatchHeader::read(batch) else { continue };
            if self.keys.is_full(self.key_bytes_max) && header.base_offset > self.from {
                self.end = header.base_offset;
                break;
            }
            self.stage = Stage::Reading(header.last_offset().plus(1));
            if !is_cleanable(&header) {
                continue;
            }
            let Some(body) = records::decompressed(&header, batch) else { continue };
            for record in Records::new(&body).map_while(Result::ok) {
                let offset = header.base_offset.plus(record.offset_delta);
                if let Some(key) = record.key.filter(|_| offset >= self.from) {
                    self.keys.put(key, offset);
                }
            }
        }
    }

    /// Decides about batches that were read.
    fn judge(&mut self, batches: Vec<Bytes>, producers: &ProducerStates) {
        let Stage::Writing(writing) = &mut self.stage else { return };
        let mut writing = std::mem::take(writing);
        for batch in batches {
            let Some(header) = BatchHeader::read(&batch) else { continue };
            let begins_epoch = writing.epoch.replace(header.leader_epoch) != Some(header.leader_epoch);
            let (is_same, left) = match self.filtered(&batch, &header, begins_epoch || producers.is_last(&header)) {
                Filtered::Unchanged => (true, Some(batch)),
                Filtered::Changed(changed) => (false, Some(changed)),
                Filtered::Gone => (false, None),
            };
            writing.is_changed |= !is_same;
            writing.next = header.last_offset().plus(1);
            let size = left.as_ref().map_or(0, |left| left.len() as u64);
            let mut left = left.map(|bytes| stored(&header, bytes));
            if let Some(left) = left.as_mut().filter(|_| !writing.is_changed) {
                left.bytes = Bytes::new();
            }
            writing.judged.push(Judged { header, is_same, left, size });
        }
        self.stage = Stage::Writing(writing);
    }

    /// What stays of a batch. `needed`: its header even without records.
    fn filtered(&self, batch: &Bytes, header: &BatchHeader, needed: bool) -> Filtered {
        if !is_cleanable(header) || header.last_offset() >= self.end {
            return Filtered::Unchanged;
        }
        let horizon_ms = self.begun_ms.saturating_add(self.policy.delete_retention_ms);
        let tombstones_stay = header.delete_horizon_ms().is_none_or(|horizon_ms| self.begun_ms < horizon_ms);
        let needed = needed || header.last_offset().plus(1) == self.end;
        filter(batch, header, horizon_ms, needed, |record| {
            let offset = header.base_offset.plus(record.offset_delta);
            let is_last = record.key.is_some_and(|key| !self.keys.is_superseded(key, offset));
            is_last && (record.value.is_some() || tombstones_stay)
        })
    }
}

/// Transactions and their markers are left alone: which of them were aborted nobody knows here.
fn is_cleanable(header: &BatchHeader) -> bool {
    !header.is_control() && !header.is_transactional()
}

fn stored(header: &BatchHeader, bytes: Bytes) -> StoredBatch {
    let max_timestamp = BatchHeader::read(&bytes).map_or(header.max_timestamp, |header| header.max_timestamp);
    StoredBatch { base: header.base_offset, last: header.last_offset(), max_timestamp, bytes }
}

impl Writing {
    /// A batch that stays, in front of which it came in another segment perhaps. Small segments become one, as long as
    /// what they were made of fits.
    fn keep(&mut self, source: &Segment, batch: &StoredBatch, size: u64, policy: &Policy) {
        let limits = policy.segment_limits();
        if self.source != Some(source.base) {
            self.source = Some(source.base);
            self.grouped = self.grouped.saturating_add(source.size);
            if self.grouped > limits.bytes || self.segments.is_empty() {
                self.grouped = source.size;
                self.begins_group = true;
            }
        }
        if std::mem::take(&mut self.begins_group) {
            self.segments.push(Segment::in_place_of(source, batch.base));
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.inherit(source);
            segment.add(batch.base, size, batch.max_timestamp, limits.index_interval_bytes);
        }
    }
}

impl Partition {
    /// How much of its log is dirty.
    #[must_use]
    pub fn dirty(&self, now: Now) -> Dirty {
        // A log that was cut has perhaps grown again since, over what is not clean.
        let (cleaned, cuts) = self.cleaned;
        let cleaned = if cuts == self.log.cuts() { cleaned } else { Offset(0) };
        dirty::of(self.log.segments(), &self.policy, (self.log_start(), cleaned, self.high_watermark()), now)
    }

    /// Begins to clean its log, if that is worth it.
    #[must_use]
    pub fn begin_cleaning(&self, now: Now, key_bytes_max: usize) -> Option<Pass> {
        let dirty = Some(self.dirty(now)).filter(|dirty| self.policy.compacts && dirty.is_worth_it(&self.policy));
        dirty.map(|dirty| Pass::new(self.policy, dirty, self.log.cuts(), now, key_bytes_max))
    }

    /// Cleans about so many bytes more.
    ///
    /// # Errors
    /// When batches could not be read, or others not be kept in their place; the slice may be tried again.
    pub fn clean(
        &mut self,
        store: &mut dyn LogStore,
        pass: &mut Pass,
        slice_bytes: usize,
    ) -> Result<Progress, StorageError> {
        if self.log.cuts() != pass.cuts {
            return Ok(Progress::Abandoned);
        }
        match &pass.stage {
            Stage::Reading(next) => {
                let batches = self.log.read(store, *next, pass.end, slice_bytes)?;
                let before = pass.end;
                pass.learn(&batches);
                if batches.is_empty() || pass.end < before {
                    // What supersedes others must not be lost when they are gone already. Kafka flushes whatever
                    // segment it leaves; here nobody did.
                    self.log.sync(store)?;
                    pass.stage = Stage::Writing(Writing::default());
                }
                Ok(Progress::More)
            }
            Stage::Writing(writing) => {
                // Of a file that is written again every slice would cost all of it, and files would grow into one.
                let at = writing.judged.first().map_or(writing.next, |first| first.header.base_offset);
                let file_end = store.file_end(self.log.id(), at);
                let below = file_end.map_or(pass.boundary, |end| end.min(pass.boundary));
                let batches = self.log.read(store, writing.next, below, slice_bytes)?;
                let is_read = batches.is_empty();
                if is_read && writing.judged.is_empty() {
                    self.finish(store, pass);
                    return Ok(Progress::Done);
                }
                pass.judge(batches, self.producers());
                if is_read || file_end.is_none() {
                    self.write_again(store, pass)?;
                }
                Ok(Progress::More)
            }
        }
    }

    /// Puts what is left of batches in their place.
    fn write_again(&self, store: &mut dyn LogStore, pass: &mut Pass) -> Result<(), StorageError> {
        let Stage::Writing(writing) = &mut pass.stage else { return Ok(()) };
        // What was deleted since it was read must not come back.
        writing.judged.retain(|judged| judged.header.last_offset() >= self.log_start());
        let judged = &writing.judged;
        // What stays as it is at both ends need not be touched, and is shared with other replicas as before.
        let first = judged.iter().position(|judged| !judged.is_same);
        let last = judged.iter().rposition(|judged| !judged.is_same);
        if let (Some(first), Some(last)) = (first, last) {
            let range = judged[first].header.base_offset..judged[last].header.last_offset().plus(1);
            let left = judged[first..=last].iter().filter_map(|judged| judged.left.clone());
            self.log.replace(store, range, left.collect())?;
        }
        writing.is_changed = false;
        let sources = self.log.segments().as_slice();
        for Judged { header, left, size, .. } in std::mem::take(&mut writing.judged) {
            let at = sources.partition_point(|source| source.base <= header.base_offset).saturating_sub(1);
            if let (Some(source), Some(left)) = (sources.get(at), left) {
                writing.keep(source, &left, size, &pass.policy);
            }
        }
        Ok(())
    }

    fn finish(&mut self, store: &dyn LogStore, pass: &mut Pass) {
        let Stage::Writing(writing) = &mut pass.stage else { return };
        self.log.replace_segments(store, pass.boundary, std::mem::take(&mut writing.segments));
        self.cleaned = (pass.end, pass.cuts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::KEY_BYTES_MAX;
    use super::super::random::{ID, LIMITS, POLICY, broker, read, sign};
    use super::*;
    use crate::batch::build::BatchBuilder;
    use crate::batch::filter::recoded;
    use crate::batch::header::{self, Compression, HEADER_SIZE};
    use crate::log::store::MemoryStore;
    use crate::metadata::record::PartitionState;
    use crate::peer::Found;
    use crate::replica::link::Outcome;
    use bytes::BytesMut;

    /// One replica with what these batches of (key, value) leave, each in a segment of its own; one more segment is
    /// active.
    fn cleaned(batches: &[&[(u8, Option<u64>)]], policy: Policy, now: Now) -> (Partition, MemoryStore) {
        let policy = Policy { compacts: true, segment_bytes: 1, ..policy };
        let mut store = MemoryStore::default();
        let mut partition = Partition::open(&mut store, broker(0), ID, (LIMITS, policy), false, now).expect("memory");
        let state = PartitionState {
            replicas: vec![broker(0)],
            isr: vec![broker(0)],
            leader: Some(broker(0)),
            ..PartitionState::default()
        };
        partition.assume(&mut store, &state, now);
        for records in batches {
            append(&mut partition, &mut store, records, now);
        }
        (partition, store)
    }

    fn append(partition: &mut Partition, store: &mut MemoryStore, records: &[(u8, Option<u64>)], now: Now) {
        let batch = records.iter().fold(BatchBuilder::new(now.wall_ms), |batch, (key, value)| match value {
            Some(value) => batch.record(&[*key], &value.to_be_bytes()),
            None => batch.tombstone(&[*key]),
        });
        partition.append(store, &batch.finish().freeze(), now).expect("a sound batch");
    }

    fn clean(partition: &mut Partition, store: &mut MemoryStore, now: Now) {
        let Some(mut pass) = partition.begin_cleaning(now, KEY_BYTES_MAX) else { return };
        while partition.clean(store, &mut pass, 1).expect("memory") == Progress::More {}
    }

    /// Offset, key and value of each record, and how many batches there are.
    fn left(partition: &Partition, store: &mut MemoryStore) -> (Vec<(i64, u8, Option<u64>)>, usize) {
        let batches: Vec<Bytes> = partition.read_all(store, Offset(0)).expect("memory");
        let records = batches.iter().flat_map(|batch| read(&BatchHeader::read(batch).expect("a whole header"), batch));
        (records.map(|record| (record.offset, record.key, record.value)).collect(), batches.len())
    }

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 10_000 };

    #[test]
    fn the_last_value_of_each_key_stays_and_offsets_with_it() {
        let batches: [&[(u8, Option<u64>)]; 5] = [
            &[(1, Some(10)), (2, Some(20))],
            &[(1, Some(11))],
            &[(3, Some(30)), (1, Some(12))],
            &[(2, Some(21))],
            &[(3, Some(31))],
        ];
        let (mut partition, mut store) = cleaned(&batches, POLICY, NOW);
        clean(&mut partition, &mut store, NOW);
        // The active segment supersedes nothing yet. The first batch begins an epoch and stays without its records.
        let expected = vec![(3, 3, Some(30)), (4, 1, Some(12)), (5, 2, Some(21)), (6, 3, Some(31))];
        assert_eq!(left(&partition, &mut store), (expected, 4));
        assert_eq!((partition.log_start(), partition.log_end()), (Offset(0), Offset(7)));
        assert!(partition.begin_cleaning(NOW, KEY_BYTES_MAX).is_none(), "nothing is dirty any more");
    }

    #[test]
    fn a_tombstone_stays_until_its_horizon_and_goes_then() {
        let batches: [&[(u8, Option<u64>)]; 3] = [&[(1, Some(10))], &[(1, None)], &[(2, Some(20))]];
        let (mut partition, mut store) = cleaned(&batches, POLICY, NOW);
        clean(&mut partition, &mut store, NOW);
        assert_eq!(left(&partition, &mut store).0, [(1, 1, None), (2, 2, Some(20))]);
        for (passed_ms, is_left) in [(299, true), (300, false)] {
            let later = Now { wall_ms: NOW.wall_ms + passed_ms, ..NOW };
            append(&mut partition, &mut store, &[(3, Some(30))], later);
            clean(&mut partition, &mut store, later);
            let has_tombstone = left(&partition, &mut store).0.iter().any(|(_, key, _)| *key == 1);
            assert_eq!(has_tombstone, is_left, "after {passed_ms} ms");
        }
    }

    #[test]
    fn the_last_sequence_of_a_producer_survives_its_records() {
        let batches: [&[(u8, Option<u64>)]; 1] = [&[(1, Some(10))]];
        let (mut partition, mut store) = cleaned(&batches, POLICY, NOW);
        let mut signed =
            BatchBuilder::new(NOW.wall_ms).record(&[1], &11_u64.to_be_bytes()).record(&[1], b"eleventh").finish();
        sign(&mut signed, 7, 40);
        partition.append(&mut store, &signed.freeze(), NOW).expect("a sound batch");
        for value in [12, 13] {
            append(&mut partition, &mut store, &[(1, Some(value))], NOW);
        }
        clean(&mut partition, &mut store, NOW);
        assert_eq!(left(&partition, &mut store).0.len(), 2);
        let settings = (LIMITS, POLICY);
        let again = Partition::open(&mut store, broker(0), ID, settings, false, NOW).expect("memory");
        let last: Vec<_> = again.producers().active().map(|(id, _, seen)| (id.0, seen.last_sequence)).collect();
        assert_eq!(last, [(7, 41)]);
    }

    #[test]
    fn a_record_that_claims_an_offset_beyond_all_is_survived() {
        let batches: [&[(u8, Option<u64>)]; 1] = [&[(1, Some(10))]];
        let (mut partition, mut store) = cleaned(&batches, POLICY, NOW);
        // Only behind compression, and only before the topic was compacted, does nobody look.
        let honest = BatchBuilder::new(NOW.wall_ms).record(&[1], &11_u64.to_be_bytes()).finish();
        let mut lies = BytesMut::from(&honest[..HEADER_SIZE]);
        let record: Vec<u8> =
            [&[0, 0][..], &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 2, 1, 0, 0]].concat();
        lies.extend_from_slice(&[u8::try_from(2 * record.len()).expect("short")]);
        lies.extend_from_slice(&record);
        partition.limits.compacted = false;
        let lies = recoded(&lies, Compression::Gzip);
        partition.append(&mut store, &lies, NOW).expect("nobody looks");
        append(&mut partition, &mut store, &[(1, Some(12))], NOW);
        append(&mut partition, &mut store, &[(2, Some(20))], NOW);
        clean(&mut partition, &mut store, NOW);
        let kept = partition.read_all(&mut store, Offset(1)).expect("memory");
        assert_eq!(kept[0][header::CHECKED_FROM..], lies[header::CHECKED_FROM..], "it stays as it is");
    }

    #[test]
    fn small_segments_become_one_as_long_as_it_fits() {
        let batches: Vec<[(u8, Option<u64>); 1]> = (0..20).map(|n| [(n % 3, Some(n.into()))]).collect();
        let batches: Vec<&[(u8, Option<u64>)]> = batches.iter().map(|batch| &batch[..]).collect();
        let (mut partition, mut store) = cleaned(&batches, POLICY, NOW);
        assert_eq!(partition.log.segments().as_slice().len(), 20);
        partition.set_policy(Policy { compacts: true, ..POLICY });
        clean(&mut partition, &mut store, NOW);
        let sizes = partition.log.segments().as_slice().iter().map(|segment| segment.size);
        assert_eq!((partition.log.segments().as_slice().len(), sizes.sum::<u64>()), (2, partition.size(&store)));
    }

    #[test]
    fn a_follower_copies_a_log_with_gaps_but_never_makes_one() {
        let batches: Vec<[(u8, Option<u64>); 1]> = (0..10).map(|n| [(1, Some(n))]).collect();
        let batches: Vec<&[(u8, Option<u64>)]> = batches.iter().map(|batch| &batch[..]).collect();
        let (mut leader, mut leader_store) = cleaned(&batches, POLICY, NOW);
        clean(&mut leader, &mut leader_store, NOW);
        let mut store = MemoryStore::default();
        let mut follower = Partition::open(&mut store, broker(1), ID, (LIMITS, POLICY), false, NOW).expect("memory");
        let batches = leader.read_all(&mut leader_store, Offset(0)).expect("memory");
        let found = Found { high_watermark: Offset(10), log_start: Offset(0), diverging: None, batches };
        follower.append_fetched(&mut store, Offset(0), &found);
        assert_eq!(left(&follower, &mut store), left(&leader, &mut leader_store));
        assert_eq!((follower.log_end(), follower.high_watermark()), (Offset(10), Offset(10)));
        // It asked from 12 and was cut since: whether 10 and 11 are compacted nobody has said.
        let mut batch = BatchBuilder::new(0).record(&[1], b"v").finish();
        header::patch(&mut batch, Offset(12), LeaderEpoch(0));
        let late = Found { high_watermark: Offset(13), batches: vec![batch.freeze()], ..found };
        assert_eq!(follower.append_fetched(&mut store, Offset(12), &late), Outcome::Refused);
        assert_eq!(follower.log_end(), Offset(10));
    }
}
