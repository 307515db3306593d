//! What a voter must never forget, and what it is at the moment.
//!
//! Epoch and vote are on disk before anybody hears of them; roles are not kept: a node that starts again follows nobody
//! and leads nothing.

use crate::config::Defect;
use crate::config::NodeConfig;
use crate::log::store::{LogName, LogStore, Slot, StorageError};
use crate::metadata::snapshot::Snapshot;
use crate::replica::log::ReplicatedLog;
use crate::types::{BrokerId, LeaderEpoch, Offset};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};

/// A follower's or an observer's fetch that waits for news.
#[derive(Debug, Clone, Copy)]
pub struct HeldFetch {
    /// The follower's number for it.
    pub id: u64,
    /// What it lacks first.
    pub offset: Offset,
    /// The high watermark that it knows.
    pub high_watermark: Offset,
}

/// What the leader knows of a voter or an observer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// One past its last record; `None` until it has fetched in this epoch.
    pub end: Option<Offset>,
    /// When it fetched last.
    pub fetched_ns: u64,
    /// Where the log ended then.
    pub end_at_fetch: Offset,
    /// When it last had everything that there was; `None` for never in this epoch.
    pub caught_up_ns: Option<u64>,
    /// Its fetch that waits.
    pub held: Option<HeldFetch>,
}

/// What a node is to the quorum.
#[derive(Debug)]
pub enum Role {
    /// It knows no leader.
    Unattached,
    /// It follows; also every node that does not vote.
    Follower {
        /// Whom.
        leader: BrokerId,
        /// Whether a fetch was answered since it follows: until then it cannot vouch for the leader.
        heard: bool,
    },
    /// It asks whether it would be elected (KIP-996).
    Prospective {
        /// Who would elect it, itself among them.
        granted: BTreeSet<BrokerId>,
    },
    /// It stands for election.
    Candidate {
        /// Who has elected it, itself among them.
        granted: BTreeSet<BrokerId>,
    },
    /// It leads.
    Leader {
        /// Where its epoch began. What lies before is committed only together with a record of this epoch.
        epoch_start: Offset,
        /// Everybody who fetches.
        progress: BTreeMap<BrokerId, Progress>,
        /// Since when it leads.
        since_ns: u64,
    },
}

/// A node's part in the quorum.
#[derive(Debug)]
pub struct Quorum {
    pub(crate) own: BrokerId,
    pub(crate) voters: Vec<BrokerId>,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) voted: Option<BrokerId>,
    pub(crate) role: Role,
    pub(crate) log: ReplicatedLog,
    /// What the log held in front of its start, once that is not 0.
    pub(crate) snapshot: Option<Snapshot>,
    /// Bytes of the batches that were replayed since the snapshot.
    pub(crate) bytes_replayed: usize,
    /// The number of the latest fetch; answers to earlier ones are stale.
    pub(crate) fetch_id: u64,
    /// Whether the latest fetch is not answered.
    pub(crate) fetching: bool,
    /// Which voter to ask next where no leader is known.
    pub(crate) next_voter: usize,
}

impl Quorum {
    /// What a node finds on its disk when it starts.
    ///
    /// # Errors
    /// When the store cannot read it.
    pub fn open(store: &mut dyn LogStore, config: &NodeConfig) -> Result<Self, StorageError> {
        let snapshot = store.load(Slot::MetadataSnapshot).and_then(Snapshot::from_bytes);
        let before = snapshot.as_ref().map(|snapshot| snapshot.id);
        let log = ReplicatedLog::open_behind(store, LogName::Metadata, before, config.has(Defect::TrustUnsynced))?;
        let (epoch, voted) = store.load(Slot::Quorum).and_then(read_state).unwrap_or((LeaderEpoch(0), None));
        // A log can be ahead of the state only if its epoch was learnt from its batches.
        let epoch = epoch.max(log.epochs().latest().unwrap_or(LeaderEpoch(0)));
        Ok(Self {
            own: config.id,
            voters: config.voters.clone(),
            epoch,
            voted,
            role: Role::Unattached,
            log,
            snapshot,
            bytes_replayed: 0,
            fetch_id: 0,
            fetching: false,
            next_voter: 0,
        })
    }

    /// Whether this node votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.voters.contains(&self.own)
    }

    /// How many voters decide.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The leader of the epoch, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<BrokerId> {
        match self.role {
            Role::Leader { .. } => Some(self.own),
            Role::Follower { leader, .. } => Some(leader),
            Role::Unattached | Role::Prospective { .. } | Role::Candidate { .. } => None,
        }
    }

    /// Whether this node leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// The epoch of the log's last record.
    #[must_use]
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.log.epochs().latest().unwrap_or(LeaderEpoch(-1))
    }

    /// Writes epoch and vote down.
    ///
    /// # Errors
    /// When the store cannot: nobody may then hear of them.
    pub fn save(&self, store: &mut dyn LogStore) -> Result<(), StorageError> {
        let mut state = BytesMut::with_capacity(8);
        state.put_i32(self.epoch.0);
        state.put_i32(self.voted.map_or(-1, |voted| voted.0));
        store.save(Slot::Quorum, state.freeze())
    }

    /// The largest offset that a majority of the voters has.
    #[must_use]
    pub fn majority_end(&self) -> Option<Offset> {
        let Role::Leader { progress, .. } = &self.role else { return None };
        let end = |id: &BrokerId| {
            if *id == self.own { Some(self.log.end()) } else { progress.get(id).and_then(|progress| progress.end) }
        };
        let mut ends: Vec<Offset> = self.voters.iter().filter_map(end).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        ends.get(self.majority() - 1).copied()
    }
}

fn read_state(mut state: Bytes) -> Option<(LeaderEpoch, Option<BrokerId>)> {
    if state.len() != 8 {
        return None;
    }
    let epoch = LeaderEpoch(state.get_i32());
    let voted = state.get_i32();
    Some((epoch, (voted >= 0).then_some(BrokerId(voted))))
}
