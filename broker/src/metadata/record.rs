//! The records of `__cluster_metadata`, by the names of Kafka's `common/metadata/*.json`.

use crate::types::{BrokerId, LeaderEpoch, ProducerId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// Where a node listens (`RegisterBrokerRecord`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// The node.
    pub id: BrokerId,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: u16,
}

/// A partition's replicas and leader (`PartitionRecord`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// The leader, `None` while there is none.
    pub leader: Option<BrokerId>,
    /// Rises with every leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change.
    pub partition_epoch: i32,
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
    /// A node joined, or came back.
    RegisterBroker(BrokerRegistration),
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
        /// The first id of the next block.
        next: ProducerId,
    },
}
