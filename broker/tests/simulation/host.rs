//! A machine: a node or the lack of one, its disk, its clocks.

use crate::chance::{Chance, MS, SECOND};
use crate::disk::Disk;
use shakedown_broker::config::Defect;
use shakedown_broker::wire::request::ReplyHeader;
use shakedown_broker::{BrokerId, Input, Node, NodeConfig, Now, RequestToken};
use std::collections::{BTreeMap, VecDeque};

/// The wall clock when a lifetime begins.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// What a node is for (`process.roles`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Combined,
    Broker,
    Controller,
}

/// Why a machine has no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// The process died; the machine answers connections with a reset.
    Killed,
    /// The machine is off; nobody answers.
    Dark,
}

/// A machine.
pub(crate) struct Host {
    pub(crate) id: BrokerId,
    /// How it is called in the trace.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) node: Option<Node>,
    pub(crate) down: Option<Down>,
    pub(crate) disk: Disk,
    /// Counts the lives of the node.
    pub(crate) incarnation: u32,
    /// How many faults pause it.
    pub(crate) pauses: u32,
    /// How many faults keep its disk from writing.
    pub(crate) disk_faults: u32,
    /// What came while it was paused.
    pub(crate) backlog: VecDeque<Input>,
    /// When the next wake-up is scheduled, if any is.
    pub(crate) wake_at: Option<u64>,
    /// How far its wall clock is off.
    pub(crate) skew_ms: i64,
    /// Where its monotonic clock started: each life has its own.
    monotonic_ns: u64,
    /// Requests that the node has not answered.
    pub(crate) asked: BTreeMap<RequestToken, ReplyHeader>,
    config: NodeConfig,
}

/// A cluster to be built.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) roles: Vec<Role>,
    /// Settings by Kafka's names.
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) defect: Option<Defect>,
}

impl Setup {
    /// Combined nodes that replicate three times and acknowledge with two.
    pub(crate) fn combined(nodes: usize) -> Self {
        let settings = [
            ("default.replication.factor", "3"),
            ("offsets.topic.replication.factor", "3"),
            ("offsets.topic.num.partitions", "1"),
            ("min.insync.replicas", "2"),
            ("auto.create.topics.enable", "false"),
            ("group.min.session.timeout.ms", "500"),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name, String::from(value))).collect();
        Self { roles: vec![Role::Combined; nodes], settings, defect: None }
    }

    /// Lets nodes make a snapshot of their metadata after so many bytes of records.
    pub(crate) fn snapshots_after(&mut self, bytes: u64) {
        self.settings.push(("metadata.log.max.record.bytes.between.snapshots", bytes.to_string()));
    }

    /// The machines, all of them down.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        let ids = || (1..).map(BrokerId).zip(&self.roles);
        let voters: Vec<BrokerId> = ids().filter(|(_, role)| **role != Role::Broker).map(|(id, _)| id).collect();
        ids().map(|(id, role)| self.host(id, *role, voters.clone())).collect()
    }

    fn host(&self, id: BrokerId, role: Role, voters: Vec<BrokerId>) -> Host {
        let port = 9092 + u16::try_from(id.0).expect("a small id");
        let mut config = NodeConfig::new(id, voters, "127.0.0.1", port);
        for (name, value) in &self.settings {
            config.set(name, value).expect("a setting that the core knows");
        }
        config.is_broker = role != Role::Controller;
        config.defect = self.defect;
        Host {
            id,
            name: format!("n{id}"),
            role,
            node: None,
            down: Some(Down::Killed),
            disk: Disk::default(),
            incarnation: 0,
            pauses: 0,
            disk_faults: 0,
            backlog: VecDeque::new(),
            wake_at: None,
            skew_ms: 0,
            monotonic_ns: 0,
            asked: BTreeMap::new(),
            config,
        }
    }
}

impl Host {
    /// Starts a process on what the disk holds.
    pub(crate) fn boot(&mut self, chance: &mut Chance) {
        self.incarnation += 1;
        self.monotonic_ns = chance.below(1_000 * SECOND);
        self.down = None;
        self.node = Some(Node::new(self.config.clone(), Box::new(self.disk.clone()), chance.seed()));
    }

    /// The process ends, with everything that it had not written.
    pub(crate) fn stop(&mut self, down: Down) {
        self.node = None;
        self.down = Some(down);
        // The next process is not the one that was stopped.
        self.pauses = 0;
        self.backlog.clear();
        self.asked.clear();
        self.wake_at = None;
    }

    /// Whether the node runs at this moment.
    pub(crate) fn runs(&self) -> bool {
        self.node.is_some() && self.pauses == 0
    }

    /// What the node's clocks say.
    pub(crate) fn now(&self, now_ns: u64) -> Now {
        let ms = i64::try_from(now_ns / MS).expect("a lifetime is short");
        Now { monotonic_ns: now_ns + self.monotonic_ns, wall_ms: EPOCH_MS + ms + self.skew_ms }
    }

    /// When the node wants to be woken, in simulated time.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let deadline = self.node.as_ref()?.next_deadline()?;
        Some(deadline.saturating_sub(self.monotonic_ns))
    }
}
