//! The records of `__cluster_metadata`, by the names of Kafka's `common/metadata/*.json`.

use crate::types::{BrokerId, LeaderEpoch, ProducerId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// A broker that the controller knows, and where it listens (`RegisterBrokerRecord`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// The node.
    pub id: BrokerId,
    /// Rises with every registration: the offset of this record.
    pub epoch: i64,
    /// Drawn by the broker's process when it starts: tells a restart from a request that is sent again.
    pub incarnation: Uuid,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: u16,
    /// Where it stands (`broker.rack`).
    pub rack: Option<StrBytes>,
    /// Whether it may lead nothing and be in no ISR, since it has not caught up or its heartbeats stopped.
    pub fenced: bool,
    /// Whether it is about to stop, and gives up what it leads.
    pub in_controlled_shutdown: bool,
}

/// A partition's replicas and leader (`PartitionRecord`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionState {
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away once its new ones are in sync.
    pub removing: Vec<BrokerId>,
    /// Replicas that a reassignment has added and that are not in sync yet.
    pub adding: Vec<BrokerId>,
    /// Replicas out of sync that still have everything that was committed (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Replicas that were in `elr` until they stopped uncleanly.
    pub last_known_elr: Vec<BrokerId>,
    /// The leader, `None` while there is none.
    pub leader: Option<BrokerId>,
    /// Rises with every election, also if it has no or the same winner.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change.
    pub partition_epoch: i32,
    /// Whether the leader was elected uncleanly and still makes up for it.
    pub recovering: bool,
}

/// What changes of a partition, `None` for what stays (`PartitionChangeRecord`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionChange {
    /// The replicas in sync.
    pub isr: Option<Vec<BrokerId>>,
    /// All replicas.
    pub replicas: Option<Vec<BrokerId>>,
    /// The replicas that a reassignment will take away.
    pub removing: Option<Vec<BrokerId>>,
    /// The replicas that a reassignment has added.
    pub adding: Option<Vec<BrokerId>>,
    /// The eligible leader replicas.
    pub elr: Option<Vec<BrokerId>>,
    /// The replicas that were eligible until they stopped uncleanly.
    pub last_known_elr: Option<Vec<BrokerId>>,
    /// The new leader; `Some(None)` for none from here on.
    pub leader: Option<Option<BrokerId>>,
    /// Whether the leader makes up for an unclean election.
    pub recovering: Option<bool>,
}

impl PartitionState {
    /// Makes a change. Every change is a new partition epoch, and one that names a leader a new leader epoch even if the
    /// leader stays: so does Kafka's `PartitionRegistration.merge`.
    pub fn merge(&mut self, change: &PartitionChange) {
        let lists = [
            (&mut self.replicas, &change.replicas),
            (&mut self.isr, &change.isr),
            (&mut self.removing, &change.removing),
            (&mut self.adding, &change.adding),
            (&mut self.elr, &change.elr),
            (&mut self.last_known_elr, &change.last_known_elr),
        ];
        for (list, new) in lists {
            if let Some(new) = new {
                list.clone_from(new);
            }
        }
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch.0 += 1;
        }
        if let Some(recovering) = change.recovering {
            self.recovering = recovering;
        }
        self.partition_epoch += 1;
    }
}

/// What a configuration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(StrBytes),
}

/// One change of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// A broker joined, or came back.
    RegisterBroker(BrokerRegistration),
    /// A broker was fenced or unfenced, or is about to stop.
    BrokerRegistrationChange {
        /// The broker.
        id: BrokerId,
        /// The epoch of the registration that changes.
        epoch: i64,
        /// Whether it is fenced from here on; `None` if that stays.
        fenced: Option<bool>,
        /// Whether it is about to stop from here on; only a new registration takes that back.
        in_controlled_shutdown: bool,
    },
    /// A topic was created; its partitions follow.
    Topic {
        /// Its name.
        name: StrBytes,
        /// Its id.
        id: Uuid,
    },
    /// A partition was created.
    Partition {
        /// The topic's id.
        topic: Uuid,
        /// The partition's index.
        index: i32,
        /// Its first state.
        state: PartitionState,
    },
    /// A partition changed: its ISR, its leader, its replicas.
    PartitionChange {
        /// The topic's id.
        topic: Uuid,
        /// The partition's index.
        index: i32,
        /// What changed.
        change: PartitionChange,
    },
    /// A topic was deleted, with its partitions and settings.
    RemoveTopic {
        /// Its id.
        id: Uuid,
    },
    /// A setting changed; `None` goes back to the default.
    Config {
        /// Whose.
        resource: ConfigResource,
        /// Kafka's name of the setting.
        name: String,
        /// Its new value.
        value: Option<String>,
    },
    /// A block of producer ids was handed out.
    ProducerIds {
        /// The broker that got it.
        broker: BrokerId,
        /// That broker's epoch.
        broker_epoch: i64,
        /// The first id of the next block.
        next: ProducerId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let mut state = PartitionState {
            replicas: ids(&[1, 2, 3]),
            isr: ids(&[1, 2, 3]),
            leader: Some(BrokerId(1)),
            leader_epoch: LeaderEpoch(4),
            partition_epoch: 9,
            ..PartitionState::default()
        };
        let before = state.clone();
        state.merge(&PartitionChange { isr: Some(ids(&[1, 2])), elr: Some(ids(&[3])), ..PartitionChange::default() });
        assert_eq!(state, PartitionState { isr: ids(&[1, 2]), elr: ids(&[3]), partition_epoch: 10, ..before.clone() });
        let change = PartitionChange { elr: Some(Vec::new()), recovering: Some(true), ..PartitionChange::default() };
        state.merge(&change);
        assert_eq!(state, PartitionState { isr: ids(&[1, 2]), recovering: true, partition_epoch: 11, ..before });
    }

    #[test]
    fn every_election_is_an_epoch() {
        let mut state = PartitionState { leader: Some(BrokerId(1)), ..PartitionState::default() };
        for (leader, epoch) in [(Some(BrokerId(1)), 1), (None, 2), (Some(BrokerId(2)), 3)] {
            state.merge(&PartitionChange { leader: Some(leader), ..PartitionChange::default() });
            assert_eq!((state.leader, state.leader_epoch), (leader, LeaderEpoch(epoch)));
        }
        state.merge(&PartitionChange::default());
        assert_eq!((state.leader, state.leader_epoch, state.partition_epoch), (Some(BrokerId(2)), LeaderEpoch(3), 4));
    }
}
