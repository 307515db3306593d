//! What power losses may cost.
//!
//! Kafka's promise with eligible leader replicas (KIP-966): what is committed survives while one replica of those in sync,
//! or eligible, does not restart uncleanly. Once all of them have, the last leader comes back with whatever its disk
//! kept: from there on the loss of what leaders up to that epoch have written is excused. Everything else is a bug.

use super::Invariants;
use super::images::Comeback;
use crate::host::Host;
use shakedown_broker::types::PartitionId;

/// What may be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excuse {
    pub(crate) partition: PartitionId,
    /// The first offset.
    pub(crate) from: i64,
    /// Written by leaders up to this epoch.
    pub(crate) epoch: i32,
    pub(crate) at_ns: u64,
}

/// All that may be lost.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Vec<Excuse>);

impl Excuses {
    pub(crate) fn add(&mut self, excuse: Excuse) {
        self.0.push(excuse);
    }

    /// Whether a batch may be lost.
    pub(crate) fn covers(&self, partition: PartitionId, base: i64, epoch: i32) -> bool {
        self.of(partition).any(|excuse| base >= excuse.from && epoch <= excuse.epoch)
    }

    /// Whether something at this offset may have been lost after this time.
    pub(crate) fn may_be_lost_since(&self, partition: PartitionId, base: i64, since_ns: u64) -> bool {
        self.of(partition).any(|excuse| base >= excuse.from && excuse.at_ns >= since_ns)
    }

    /// Of a partition's excuses, from the n-th on, the first that begins below an offset: which one it is.
    pub(crate) fn next_below(&self, partition: PartitionId, n: usize, offset: i64) -> Option<usize> {
        let later = self.of(partition).enumerate().skip(n);
        later.filter(|(_, excuse)| excuse.from < offset).map(|(n, _)| n).next()
    }

    fn of(&self, partition: PartitionId) -> impl Iterator<Item = &Excuse> {
        self.0.iter().filter(move |excuse| excuse.partition == partition)
    }
}

impl Invariants {
    /// Nobody was left who is promised to have everything: the disk of the last leader decides.
    pub(super) fn came_back(&mut self, now_ns: u64, comeback: Comeback, hosts: &[Host]) {
        let Comeback { partition, leader, epoch } = comeback;
        let Some(host) = hosts.iter().find(|host| host.id == leader) else { return };
        let from = self.logs.intact_end(partition, &host.disk);
        if from < self.logs.committed_end(partition) {
            let excuse = Excuse { partition, from, epoch, at_ns: now_ns };
            self.history.excuse(&excuse, self.images.is_offsets_topic(partition));
            self.logs.excuse(excuse);
            self.excused.push(excuse);
        }
    }
}
