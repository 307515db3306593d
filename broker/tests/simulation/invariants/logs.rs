//! The replicas of partitions: one leader an epoch, high watermarks that never go back, logs that agree below them, and
//! leaders that have all that is committed.
//!
//! The reference is what any replica has shown to be committed, batch by batch; every replica is compared with it as its
//! high watermark moves.

use super::excuses::{Excuse, Excuses};
use super::history::Acknowledgement;
use super::images::Images;
use super::{Checked, Violation, require};
use crate::client::wire;
use crate::disk::{self, Disk, Written};
use bytes::Bytes;
use shakedown_broker::Node;
use shakedown_broker::batch::header::{BatchHeader, add_sequence};
use shakedown_broker::inspect::ReplicaView;
use shakedown_broker::log::store::LogName;
use shakedown_broker::types::{Offset, PartitionId};
use std::collections::BTreeMap;

/// A batch that is committed.
struct Committed {
    header: BatchHeader,
    print: u32,
    /// The node that showed it first.
    by: usize,
}

/// What is committed in a partition.
#[derive(Default)]
struct Reference {
    batches: BTreeMap<i64, Committed>,
    end: i64,
}

/// What was seen of a replica in this life of its node.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    high_watermark: i64,
    end: i64,
    epoch: i32,
    leads: bool,
    /// Up to where it was compared with the reference.
    compared: i64,
    /// How many of the partition's excuses its high watermark has used up, and gone by, when it went back.
    excused: usize,
}

/// What is known of all partitions.
pub(crate) struct Logs {
    references: BTreeMap<PartitionId, Reference>,
    leaders: BTreeMap<(PartitionId, i32), usize>,
    written: BTreeMap<(LogName, i64, i32), u32>,
    seen: Vec<BTreeMap<PartitionId, Seen>>,
    pub(crate) excuses: Excuses,
}

impl Logs {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            references: BTreeMap::new(),
            leaders: BTreeMap::new(),
            written: BTreeMap::new(),
            seen: vec![BTreeMap::new(); hosts],
            excuses: Excuses::default(),
        }
    }

    pub(crate) fn booted(&mut self, at: usize) {
        self.seen[at].clear();
    }

    /// A replica is gone; if it comes back it starts over.
    pub(crate) fn removed(&mut self, at: usize, log: LogName) {
        if let LogName::Partition(id) = log {
            self.seen[at].remove(&id);
        }
    }

    /// The end of what is committed.
    pub(crate) fn committed_end(&self, id: PartitionId) -> i64 {
        self.references.get(&id).map_or(0, |reference| reference.end)
    }

    /// Up to where a disk has, undamaged, what is committed.
    pub(crate) fn intact_end(&self, id: PartitionId, disk: &Disk) -> i64 {
        let Some(reference) = self.references.get(&id) else { return 0 };
        let name = LogName::Partition(id);
        let lacks = |(base, batch): &(&i64, &Committed)| !disk.holds(name, **base, batch.print, false);
        reference.batches.iter().find(lacks).map_or(reference.end, |(base, _)| *base)
    }

    /// What may be lost is committed no more.
    pub(crate) fn excuse(&mut self, excuse: Excuse) {
        if let Some(reference) = self.references.get_mut(&excuse.partition) {
            reference.batches.split_off(&excuse.from);
            reference.end = reference.batches.last_key_value().map_or(0, |(_, batch)| batch.header.last_offset().0 + 1);
        }
        for seen in self.seen.iter_mut().filter_map(|seen| seen.get_mut(&excuse.partition)) {
            seen.compared = seen.compared.min(excuse.from);
        }
        self.excuses.add(excuse);
    }

    /// Two logs that hold a batch of the same epoch at the same offset hold the same batch.
    pub(crate) fn log_matching(&mut self, at: usize, written: Written) -> Checked {
        let first = *self.written.entry((written.log, written.base, written.epoch)).or_insert(written.print);
        require(first == written.print, "one epoch writes one batch at an offset", || {
            let Written { log, base, epoch, .. } = written;
            format!("node {} wrote another batch of epoch {epoch} at {base} of {log:?}", at + 1)
        })
    }

    pub(crate) fn after_step(&mut self, at: usize, node: &mut Node, images: &Images) -> Checked {
        for (id, state) in images.newest.partitions() {
            let Some(view) = node.replica(id) else { continue };
            let seen = self.seen[at].get(&id).copied().unwrap_or_default();
            let (end, epoch) = (view.log_end.0, view.leader_epoch.0);
            if (seen.high_watermark, seen.end, seen.epoch, seen.leads)
                == (view.high_watermark.0, end, epoch, view.leads)
            {
                continue;
            }
            let mut next = Seen { end, epoch, leads: view.leads, ..seen };
            watermarks_are_in_order(at, id, &view)?;
            self.high_watermark_never_goes_back(at, id, &view, &mut next)?;
            if view.leads && !(seen.leads && seen.epoch == epoch) {
                self.one_leader_an_epoch(at, id, epoch)?;
                if state.leader_epoch.0 <= epoch {
                    self.leader_has_all_that_is_committed(at, id, node)?;
                }
            }
            if view.high_watermark.0 > next.compared {
                next.compared = self.replicas_agree(at, id, node, next.compared, view.high_watermark.0)?;
            }
            self.seen[at].insert(id, next);
        }
        Ok(())
    }

    fn high_watermark_never_goes_back(
        &self,
        at: usize,
        id: PartitionId,
        view: &ReplicaView,
        seen: &mut Seen,
    ) -> Checked {
        let (was, is) = (seen.high_watermark, view.high_watermark.0);
        seen.high_watermark = is;
        // A replica that still had what the last leader lost gives it up once.
        if is < was
            && let Some(excuse) = self.excuses.next_below(id, seen.excused, was)
        {
            seen.excused = excuse + 1;
            seen.compared = seen.compared.min(is);
            return Ok(());
        }
        require(is >= was, "a high watermark never goes back", || format!("node {}, {id:?}: {was} to {is}", at + 1))
    }

    fn one_leader_an_epoch(&mut self, at: usize, id: PartitionId, epoch: i32) -> Checked {
        let first = *self.leaders.entry((id, epoch)).or_insert(at);
        require(first == at, "one leader an epoch", || {
            format!("{id:?} is led by nodes {} and {} in epoch {epoch}", first + 1, at + 1)
        })
    }

    fn leader_has_all_that_is_committed(&self, at: usize, id: PartitionId, node: &mut Node) -> Checked {
        let Some(reference) = self.references.get(&id) else { return Ok(()) };
        let batches = node.read_replica(id, Offset(0));
        lacks_nothing(reference, &batches).map_err(|lacking| {
            let detail = format!("node {} leads {id:?} without the batch at {lacking}", at + 1);
            Violation::new("a leader has all that is committed", detail)
        })
    }

    /// Compares what a replica holds to be committed with the reference, which grows by it.
    fn replicas_agree(
        &mut self,
        at: usize,
        id: PartitionId,
        node: &mut Node,
        from: i64,
        high_watermark: i64,
    ) -> Result<i64, Violation> {
        let invariant = "logs agree below the high watermark";
        let mut compared = from;
        for bytes in node.read_replica(id, Offset(from)) {
            let Some(header) = BatchHeader::read(&bytes) else {
                return Err(Violation::new(invariant, format!("node {} keeps half a batch of {id:?}", at + 1)));
            };
            let (base, end) = (header.base_offset.0, header.last_offset().0 + 1);
            if end > high_watermark {
                break;
            }
            compared = end;
            if self.excuses.covers(id, base, header.leader_epoch.0) {
                continue;
            }
            let reference = self.references.entry(id).or_default();
            let print = disk::print(&bytes);
            if base == reference.end {
                reference.batches.insert(base, Committed { header, print, by: at });
                reference.end = end;
            }
            let known = reference.batches.get(&base);
            require(known.is_some_and(|known| known.print == print), invariant, || {
                let (epoch, sequence) = (header.leader_epoch, header.base_sequence);
                let known = known.map(|known| (known.by + 1, known.header.leader_epoch, known.header.base_sequence));
                let own = (at + 1, epoch, sequence);
                format!("{id:?} at {base}: {own:?} instead of {known:?} (node, epoch, sequence), end {}", reference.end)
            })?;
        }
        Ok(compared)
    }

    pub(crate) fn what_is_acknowledged_is_committed(&self, id: PartitionId, told: &Acknowledgement) -> Checked {
        let found = self.references.get(&id).and_then(|reference| reference.batches.get(&told.base));
        let same = found.is_some_and(|found| found.header.crc == told.checksum);
        require(same, "what is acknowledged is committed", || {
            let end = self.committed_end(id);
            format!("{}: offset {} of {id:?} was acknowledged, {end} is committed", told.by, told.base)
        })
    }

    pub(crate) fn what_is_shown_is_committed(&self, id: PartitionId, header: &BatchHeader, print: u32) -> Checked {
        let base = header.base_offset.0;
        let found = self.references.get(&id).and_then(|reference| reference.batches.get(&base));
        require(found.is_some_and(|found| found.print == print), "what is shown to consumers is committed", || {
            let end = self.committed_end(id);
            format!("offset {base} of {id:?} was shown from epoch {}, {end} is committed", header.leader_epoch)
        })
    }

    pub(crate) fn all_that_is_committed_is_there(&self, at: usize, node: &mut Node) -> Checked {
        for (id, reference) in &self.references {
            if node.replica(*id).is_some() {
                let batches = node.read_replica(*id, Offset(0));
                lacks_nothing(reference, &batches).map_err(|lacking| {
                    let detail = format!("node {} ends without the batch at {lacking} of {id:?}", at + 1);
                    Violation::new("what is committed survives", detail)
                })?;
            }
        }
        Ok(())
    }

    pub(crate) fn idempotent_producers_write_once_and_in_order(&self) -> Checked {
        for (id, reference) in &self.references {
            let mut next: BTreeMap<(i64, i16), i32> = BTreeMap::new();
            for header in reference.batches.values().map(|batch| &batch.header).filter(|header| header.has_producer()) {
                let producer = (header.producer_id.0, header.producer_epoch);
                let following = add_sequence(header.last_sequence(), 1);
                let expected = next.insert(producer, following).unwrap_or(header.base_sequence);
                require(header.base_sequence == expected, "idempotent producers write once and in order", || {
                    let (sequence, at) = (header.base_sequence, header.base_offset);
                    format!("{id:?}: producer {producer:?} has sequence {sequence} at {at}, {expected} was due")
                })?;
            }
        }
        Ok(())
    }
}

fn watermarks_are_in_order(at: usize, id: PartitionId, view: &ReplicaView) -> Checked {
    let (start, high_watermark, end) = (view.log_start.0, view.high_watermark.0, view.log_end.0);
    require(start <= high_watermark && high_watermark <= end, "watermarks are in order", || {
        format!("node {}, {id:?}: start {start}, high watermark {high_watermark}, end {end}", at + 1)
    })
}

/// The first committed batch that is not among these.
fn lacks_nothing(reference: &Reference, batches: &[Bytes]) -> Result<(), i64> {
    let mut there = batches.iter();
    for (base, committed) in &reference.batches {
        let same =
            |batch: &Bytes| wire::checksum(batch) == committed.header.crc && disk::print(batch) == committed.print;
        if !there.any(same) {
            return Err(*base);
        }
    }
    Ok(())
}
