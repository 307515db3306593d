//! What clients were told, and whether the cluster stands by it.

use super::excuses::Excuse;
use super::logs::Logs;
use super::{Checked, require};
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::metadata::image::Image;
use shakedown_broker::types::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// A batch that was acknowledged at acks=all.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledgement {
    pub(crate) base: i64,
    pub(crate) last: i64,
    /// The CRC in the batch's header.
    pub(crate) checksum: u32,
    pub(crate) by: String,
}

/// What clients were told.
#[derive(Default)]
pub(crate) struct History {
    acknowledged: BTreeMap<PartitionId, Vec<Acknowledgement>>,
    /// By partition and base offset: the last offset and the CRC.
    shown: BTreeMap<PartitionId, BTreeMap<i64, (i64, u32)>>,
    /// Acknowledged commits of the one group, by partition: when, and the highest until then.
    committed: BTreeMap<i32, Vec<(u64, i64)>>,
    /// When what was committed for a partition last lost its meaning; commits under way then have none either.
    restarted_ns: BTreeMap<i32, u64>,
    /// Partitions of which consumers may have missed something.
    missed: BTreeSet<i32>,
    topics: Vec<String>,
    excused: Vec<Excuse>,
    /// How many batches were acknowledged at acks=all.
    pub(crate) acknowledgements: u64,
}

impl History {
    /// Forgets what may be lost.
    pub(crate) fn excuse(&mut self, excuse: &Excuse, is_offsets_topic: bool) {
        if is_offsets_topic {
            let indexes: Vec<i32> = self.committed.keys().copied().collect();
            indexes.into_iter().for_each(|index| self.position_reset(excuse.at_ns, index));
        } else {
            let id = excuse.partition;
            self.missed.insert(id.index);
            self.position_reset(excuse.at_ns, id.index);
            self.acknowledged.entry(id).or_default().retain(|told| told.last < excuse.from);
            self.shown.entry(id).or_default().retain(|_, (last, _)| *last < excuse.from);
        }
        self.excused.push(*excuse);
    }

    fn is_excused(&self, id: PartitionId, since_ns: u64) -> bool {
        self.excused.iter().any(|excuse| excuse.partition == id && excuse.at_ns >= since_ns)
    }

    pub(crate) fn acknowledged(&mut self, id: PartitionId, told: Acknowledgement) -> Checked {
        self.acknowledgements += 1;
        self.acknowledged.entry(id).or_default().push(told);
        Ok(())
    }

    /// A leader did not accept a sequence number though everything before it was acknowledged.
    pub(crate) fn sequence_refused(&self, id: PartitionId, since_ns: u64, producer: &str) -> Checked {
        // What was lost before the batch was first sent can show only now, too.
        let excused = self.is_excused(id, since_ns) || self.missed.contains(&id.index);
        require(excused, "a producer's sequence continues where it was acknowledged", || {
            format!("{producer} was told of a gap in {id:?}")
        })
    }

    /// All consumers see one history.
    pub(crate) fn shown(&mut self, id: PartitionId, header: &BatchHeader, checksum: u32) -> Checked {
        let (base, last) = (header.base_offset.0, header.last_offset().0);
        let first = *self.shown.entry(id).or_default().entry(base).or_insert((last, checksum));
        require(first == (last, checksum), "consumers see one history", || {
            format!("{id:?} at {base}: up to {} before, {last} now, or other records", first.0)
        })
    }

    pub(crate) fn out_of_range(&self, id: PartitionId, position: i64) -> Checked {
        require(self.missed.contains(&id.index), "a consumer's position stays within the log", || {
            format!("{position} of {id:?} is out of range")
        })
    }

    /// A consumer starts a partition over.
    pub(crate) fn position_reset(&mut self, now_ns: u64, index: i32) {
        self.restarted_ns.insert(index, now_ns);
        self.committed.remove(&index);
    }

    /// The group's offsets were committed.
    pub(crate) fn committed(&mut self, now_ns: u64, sent_ns: u64, positions: &BTreeMap<i32, i64>) {
        for (index, offset) in positions {
            if self.restarted_ns.get(index).is_some_and(|restarted_ns| *restarted_ns >= sent_ns) {
                continue;
            }
            let commits = self.committed.entry(*index).or_default();
            let highest = commits.last().map_or(-1, |(_, highest)| *highest);
            commits.push((now_ns, highest.max(*offset)));
        }
    }

    /// The group was told where it was.
    pub(crate) fn offset_fetched(&self, index: i32, offset: i64, sent_ns: u64) -> Checked {
        let Some(commits) = self.committed.get(&index) else { return Ok(()) };
        let before = commits.partition_point(|(at_ns, _)| *at_ns <= sent_ns);
        let promised = before.checked_sub(1).map_or(-1, |at| commits[at].1);
        require(offset >= promised, "committed offsets never go back", || {
            format!("partition {index}: {promised} was acknowledged, the coordinator answers {offset}")
        })
    }

    pub(crate) fn topic_created(&mut self, name: &str) {
        self.topics.push(name.to_owned());
    }

    pub(crate) fn topics_that_were_created_exist(&self, image: &Image) -> Checked {
        let missing = self.topics.iter().find(|name| !image.topics.contains_key(name.as_bytes()));
        require(missing.is_none(), "topics that were created exist", || format!("{missing:?} does not"))
    }

    pub(crate) fn what_was_acknowledged_is_committed(&self, logs: &Logs) -> Checked {
        for (id, told) in &self.acknowledged {
            told.iter().try_for_each(|told| logs.what_is_acknowledged_is_committed(*id, told))?;
        }
        Ok(())
    }

    pub(crate) fn consumers_saw_what_was_acknowledged(&self) -> Checked {
        for (id, told) in &self.acknowledged {
            if self.missed.contains(&id.index) {
                continue;
            }
            let shown = self.shown.get(id);
            let saw = |told: &&Acknowledgement| {
                let found = shown.and_then(|shown| shown.get(&told.base));
                found.is_some_and(|(_, checksum)| *checksum == told.checksum)
            };
            let unseen = told.iter().find(|told| !saw(told));
            require(unseen.is_none(), "consumers see what was acknowledged", || format!("{id:?}: {unseen:?} was not"))?;
        }
        Ok(())
    }
}
