//! What must hold, checked as the lifetime goes, each by a function that is named for what it checks.
//!
//! - [`quorum`]: Raft's rules for `__cluster_metadata`.
//! - [`logs`]: the replicas of partitions: leaders, high watermarks, agreement, what is committed stays.
//! - [`images`]: what nodes believe of the cluster never goes back.
//! - [`excuses`]: what a power loss may cost.
//! - [`history`]: what clients were told: acknowledgements, records, committed offsets.
//! - [`groups`]: a coordinator's state is what its partition says.
//! - [`liveness`]: after healing, everything makes progress.
//!
//! All of it is incremental: a step costs what changed in it.

pub(crate) mod excuses;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod liveness;
pub(crate) mod logs;
pub(crate) mod quorum;

use crate::client::wire;
use crate::disk::{self, Wrote};
use crate::host::Host;
use excuses::Excuse;
use history::Acknowledgement;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::types::PartitionId;
use std::fmt;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What should hold.
    pub(crate) invariant: &'static str,
    /// What was seen instead.
    pub(crate) detail: String,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violated: {}: {}", self.invariant, self.detail)
    }
}

/// Whether what was checked holds.
pub(crate) type Checked = Result<(), Violation>;

/// Fails unless a condition holds.
pub(crate) fn require(holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(invariant, detail())) }
}

/// Everything that is known of a lifetime in order to check it.
pub(crate) struct Invariants {
    pub(crate) quorum: quorum::Quorum,
    pub(crate) logs: logs::Logs,
    pub(crate) images: images::Images,
    pub(crate) history: history::History,
    groups: groups::Coordinators,
    /// What was excused since the world last asked, for the trace.
    pub(crate) excused: Vec<Excuse>,
}

impl Invariants {
    pub(crate) fn new(hosts: &[Host]) -> Self {
        Self {
            quorum: quorum::Quorum::new(hosts),
            logs: logs::Logs::new(hosts.len()),
            images: images::Images::new(hosts.len()),
            history: history::History::default(),
            groups: groups::Coordinators::new(hosts.len()),
            excused: Vec::new(),
        }
    }

    /// A node begins a new life: what it only knew in memory may start over.
    pub(crate) fn booted(&mut self, at: usize) {
        self.quorum.booted(at);
        self.logs.booted(at);
        self.images.booted(at);
    }

    /// After each step of a node.
    pub(crate) fn after_step(&mut self, now_ns: u64, at: usize, hosts: &mut [Host]) -> Checked {
        for written in hosts[at].disk.take_written() {
            match written {
                Wrote::Batch(written) => self.logs.log_matching(at, written)?,
                Wrote::Metadata(batch) => self.quorum.written(at, batch),
                Wrote::Removed(log) => self.logs.removed(at, log),
            }
        }
        for batch in self.quorum.after_step(at, hosts)? {
            for comeback in self.images.replay(&batch)? {
                self.came_back(now_ns, comeback, hosts);
            }
        }
        let host = &mut hosts[at];
        let Some(node) = host.node.as_mut() else { return Ok(()) };
        self.images.after_step(at, node)?;
        self.logs.after_step(at, node, &self.images)?;
        self.groups.after_step(now_ns, at, node)
    }

    /// A producer was told that its records are safe.
    pub(crate) fn acknowledged(&mut self, id: PartitionId, told: Acknowledgement, sent_ns: u64) -> Checked {
        if self.logs.excuses.may_be_lost_since(id, told.base, sent_ns) {
            return Ok(());
        }
        self.logs.what_is_acknowledged_is_committed(id, &told)?;
        self.history.acknowledged(id, told)
    }

    /// A consumer was shown a batch.
    pub(crate) fn shown(&mut self, id: PartitionId, header: &BatchHeader, batch: &[u8]) -> Checked {
        if self.logs.excuses.covers(id, header.base_offset.0, header.leader_epoch.0) {
            return Ok(());
        }
        let (checksum, print) = (wire::checksum(batch), disk::print(batch));
        self.logs.what_is_shown_is_committed(id, header, print)?;
        self.history.shown(id, header, checksum)
    }

    /// When everything has come to rest.
    pub(crate) fn at_the_end(&mut self, hosts: &mut [Host]) -> Checked {
        for (at, host) in hosts.iter_mut().enumerate() {
            let Some(node) = host.node.as_mut() else { continue };
            self.logs.all_that_is_committed_is_there(at, node)?;
            self.history.topics_that_were_created_exist(node.image())?;
        }
        self.logs.idempotent_producers_write_once_and_in_order()?;
        self.history.what_was_acknowledged_is_committed(&self.logs)?;
        self.history.consumers_saw_what_was_acknowledged()
    }
}
