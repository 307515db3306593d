//! Raft's rules for `__cluster_metadata`, as in Kafka's `RaftEventSimulationTest` and the paper's figure 3: one leader an
//! epoch, a leader only appends, logs match, a leader is complete, and what was committed once is what everybody commits.

use super::{Checked, Violation, require};
use crate::disk;
use crate::host::{Host, Role};
use bytes::Bytes;
use shakedown_broker::Node;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::inspect::QuorumView;
use shakedown_broker::log::store::{LogName, StoredBatch};
use shakedown_broker::types::{BrokerId, Offset};
use std::collections::BTreeMap;

/// What was seen of one node in this life.
#[derive(Debug, Clone, Default)]
struct Seen {
    high_watermark: i64,
    /// Up to where its log was compared with what is committed.
    compared: i64,
    /// The epoch that it leads and its log end in it.
    leading: Option<(i32, i64)>,
}

/// A batch that is committed.
struct Committed {
    last: i64,
    print: u32,
    /// The epoch whose leader committed it: leaders of later epochs must have it.
    epoch: i32,
}

/// What is known of the quorum.
pub(crate) struct Quorum {
    voters: Vec<usize>,
    leaders: BTreeMap<i32, BrokerId>,
    votes: BTreeMap<(usize, i32), BrokerId>,
    /// The epoch of each node, which it keeps through any crash.
    epochs: Vec<i32>,
    seen: Vec<Seen>,
    committed: BTreeMap<i64, Committed>,
    committed_end: i64,
    /// What each node has written of the metadata log, whatever became of it.
    written: Vec<BTreeMap<i64, Bytes>>,
}

impl Quorum {
    pub(crate) fn new(hosts: &[Host]) -> Self {
        let voters = hosts.iter().enumerate().filter(|(_, host)| host.role != Role::Broker).map(|(at, _)| at);
        Self {
            voters: voters.collect(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            epochs: vec![0; hosts.len()],
            seen: vec![Seen::default(); hosts.len()],
            committed: BTreeMap::new(),
            committed_end: 0,
            written: vec![BTreeMap::new(); hosts.len()],
        }
    }

    pub(crate) fn booted(&mut self, at: usize) {
        self.seen[at] = Seen::default();
    }

    /// A node has written a batch in the place of whatever was there and behind it.
    pub(crate) fn written(&mut self, at: usize, batch: StoredBatch) {
        self.written[at].split_off(&batch.base.0);
        self.written[at].insert(batch.base.0, batch.bytes);
    }

    /// Returns what is committed since the last time.
    pub(crate) fn after_step(&mut self, at: usize, hosts: &mut [Host]) -> Result<Vec<Bytes>, Violation> {
        let Some(node) = hosts[at].node.as_mut() else { return Ok(Vec::new()) };
        let view = node.quorum();
        if self.voters.contains(&at) {
            self.epoch_never_goes_back(at, &view)?;
            self.one_vote_an_epoch(at, &view)?;
        }
        self.one_leader_an_epoch(at, node.id(), &view)?;
        self.high_watermark_never_goes_back(at, &view)?;
        let elected = self.leader_only_appends(at, &view)?;
        if elected {
            self.leader_is_complete(at, &view, node)?;
        }
        if view.high_watermark.0 <= self.seen[at].compared {
            return Ok(Vec::new());
        }
        let fresh = self.committed_metadata_never_changes(at, node, &view)?;
        for batch in &fresh {
            self.a_majority_keeps_what_is_committed(batch, hosts)?;
        }
        Ok(fresh)
    }

    fn epoch_never_goes_back(&mut self, at: usize, view: &QuorumView) -> Checked {
        let (was, is) = (self.epochs[at], view.epoch.0);
        self.epochs[at] = is;
        require(is >= was, "a voter's epoch never goes back", || format!("node {}: {was} to {is}", at + 1))
    }

    fn one_vote_an_epoch(&mut self, at: usize, view: &QuorumView) -> Checked {
        let Some(voted) = view.voted else { return Ok(()) };
        let first = *self.votes.entry((at, view.epoch.0)).or_insert(voted);
        require(first == voted, "a voter votes once an epoch", || {
            format!("node {} voted for {first} and for {voted} in epoch {}", at + 1, view.epoch)
        })
    }

    fn one_leader_an_epoch(&mut self, at: usize, id: BrokerId, view: &QuorumView) -> Checked {
        let claimed = if view.is_leader { Some(id) } else { view.leader };
        let Some(claimed) = claimed else { return Ok(()) };
        let leader = *self.leaders.entry(view.epoch.0).or_insert(claimed);
        require(leader == claimed, "one quorum leader an epoch", || {
            format!("epoch {} is led by {leader} and, says node {}, by {claimed}", view.epoch, at + 1)
        })
    }

    fn high_watermark_never_goes_back(&mut self, at: usize, view: &QuorumView) -> Checked {
        let (was, is) = (self.seen[at].high_watermark, view.high_watermark.0);
        self.seen[at].high_watermark = is;
        require(is >= was, "the metadata high watermark never goes back", || format!("node {}: {was} to {is}", at + 1))
    }

    /// Whether it has just become leader.
    fn leader_only_appends(&mut self, at: usize, view: &QuorumView) -> Result<bool, Violation> {
        let before = self.seen[at].leading;
        self.seen[at].leading = view.is_leader.then_some((view.epoch.0, view.log_end.0));
        match before {
            Some((epoch, end)) if view.is_leader && epoch == view.epoch.0 => {
                require(view.log_end.0 >= end, "a quorum leader only appends", || {
                    format!("node {} in epoch {epoch}: log end {end} to {}", at + 1, view.log_end)
                })?;
                Ok(false)
            }
            _ => Ok(view.is_leader),
        }
    }

    /// What lies before its log is in its snapshot, which is compared as an image.
    fn leader_is_complete(&self, at: usize, view: &QuorumView, node: &mut Node) -> Checked {
        let (epoch, start) = (view.epoch.0, view.log_start.0);
        let prints = prints(&node.read_metadata(view.log_start));
        let lacks = |(base, batch): &(&i64, &Committed)| batch.epoch < epoch && prints.get(base) != Some(&batch.print);
        let missing = self.committed.range(start..).find(lacks);
        require(missing.is_none(), "a quorum leader has all that is committed", || {
            format!(
                "node {} was elected in epoch {epoch} without the batch at {:?}",
                at + 1,
                missing.map(|(base, _)| base)
            )
        })
    }

    fn committed_metadata_never_changes(
        &mut self,
        at: usize,
        node: &mut Node,
        view: &QuorumView,
    ) -> Result<Vec<Bytes>, Violation> {
        let invariant = "committed metadata never changes";
        let mut fresh = Vec::new();
        let start = view.log_start.0;
        // What is committed and put into a snapshot in one step nobody sees in the log.
        let gone = self.written[at].range(self.committed_end.min(start)..start).map(|(_, bytes)| bytes.clone());
        let mut kept: Vec<Bytes> = gone.collect();
        kept.extend(node.read_metadata(Offset(self.seen[at].compared.max(start))));
        for bytes in kept {
            let Some(header) = BatchHeader::read(&bytes) else {
                return Err(Violation::new(invariant, format!("node {} keeps half a batch", at + 1)));
            };
            let (base, last) = (header.base_offset.0, header.last_offset().0);
            if last >= view.high_watermark.0 {
                break;
            }
            let print = disk::print(&bytes);
            if base >= self.committed_end {
                self.committed.insert(base, Committed { last, print, epoch: view.epoch.0 });
                self.committed_end = last + 1;
                fresh.push(bytes.clone());
            }
            let known = self.committed.get(&base).filter(|known| known.print == print && known.last == last);
            require(known.is_some(), invariant, || format!("node {} has another batch at {base}", at + 1))?;
            self.seen[at].compared = last + 1;
        }
        require(self.committed_end >= start, "what is in a snapshot is committed", || {
            format!("node {}: its log begins at {start}, {} is committed", at + 1, self.committed_end)
        })?;
        self.seen[at].compared = self.seen[at].compared.max(start);
        Ok(fresh)
    }

    /// On disk, synced: metadata that a majority could lose with the power was never committed.
    fn a_majority_keeps_what_is_committed(&self, batch: &Bytes, hosts: &[Host]) -> Checked {
        let (base, print) = (BatchHeader::read(batch).map_or(0, |header| header.base_offset.0), disk::print(batch));
        let keeps = |at: &&usize| {
            let disk = &hosts[**at].disk;
            disk.snapshot_end() > base || disk.holds(LogName::Metadata, base, print, true)
        };
        let keepers = self.voters.iter().filter(keeps).count();
        require(keepers * 2 > self.voters.len(), "a majority keeps what is committed", || {
            format!("{keepers} of {} voters have synced the batch at {base}", self.voters.len())
        })
    }
}

fn prints(batches: &[Bytes]) -> BTreeMap<i64, u32> {
    let print = |batch: &Bytes| Some((BatchHeader::read(batch)?.base_offset.0, disk::print(batch)));
    batches.iter().filter_map(print).collect()
}
