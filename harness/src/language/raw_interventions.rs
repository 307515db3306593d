//! The keys of faults that a client of the cluster does, and of damage to disks, exactly as they may be written.

use super::document::Spanned;
use super::quantity::Span;
use super::reference::RoleReference;
use super::setting::{Whole, settings};

/// A broker's id.
pub type BrokerNumber = Whole<1, 2_147_483_647>;

/// A partition's index.
pub type PartitionNumber = Whole<0, 2_147_483_647>;

settings! {
    /// Which partition gets another leader.
    pub struct RawMoveLeader {
        /// The partition's topic.
        "topic" => topic: Spanned<String>,
        /// Its index.
        "partition" => partition: Spanned<PartitionNumber>,
        /// The broker that leads then. Default: the next replica in sync.
        "to" => to: Option<Spanned<BrokerNumber>>,
    }
}

settings! {
    /// Which partition moves, and to which brokers.
    pub struct RawReassign {
        /// The partition's topic.
        "topic" => topic: Spanned<String>,
        /// Its index.
        "partition" => partition: Spanned<PartitionNumber>,
        /// The brokers, the preferred leader first.
        "to" => to: Spanned<Vec<Spanned<BrokerNumber>>>,
    }
}

settings! {
    /// A partition.
    pub struct RawPartition {
        /// The partition's topic.
        "topic" => topic: Spanned<String>,
        /// Its index.
        "partition" => partition: Spanned<PartitionNumber>,
    }
}

settings! {
    /// Which group gets another coordinator.
    pub struct RawMoveCoordinator {
        /// The group.
        "group" => group: Spanned<String>,
        /// The broker that coordinates it then. Default: the next one that has its offsets.
        "to" => to: Option<Spanned<BrokerNumber>>,
    }
}

settings! {
    /// Who is taken out of a group.
    pub struct RawExpel {
        /// The group.
        "group" => group: Spanned<String>,
        /// The members with this `client.id`; a `*` at its end stands for any end. Default: all.
        "client" => client: Option<Spanned<String>>,
    }
}

settings! {
    /// Which static member meets a second one of its name.
    pub struct RawClash {
        /// The group.
        "group" => group: Spanned<String>,
        /// Its `group.instance.id`.
        "instance" => instance: Spanned<String>,
        /// How long the second one stays: longer than the first one's `heartbeat.interval.ms`. Default: 5 s.
        "for" => lasts: Option<Spanned<Span>>,
    }
}

settings! {
    /// Which group has no peace.
    pub struct RawStorm {
        /// The group.
        "group" => group: Spanned<String>,
        /// How often a stand-in joins it, gets a share and leaves.
        "joins" => joins: Spanned<Whole<1, 1_000_000>>,
    }
}

settings! {
    /// What is damaged: exactly one of `flipped-bit`, `torn-tail`, `lost-segment` and `lost-log`. All but the first kill the
    /// broker, which starts again on what is left when the fault heals.
    pub struct RawDamage {
        /// Whose disk, and which partition on it: `leader`, `follower` or `followers(TOPIC/PARTITION)`.
        "of" => of: Spanned<RoleReference>,
        /// One bit of the batch with this offset.
        "flipped-bit" => flipped_bit: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// The last batch lacks so many bytes.
        "torn-tail" => torn_tail: Option<Spanned<Whole<1, 1_073_741_824>>>,
        /// Some batches are gone, as if the file of their segment were.
        "lost-segment" => lost_segment: Option<Spanned<RawOffsets>>,
        /// Everything is gone that the disk has of the partition.
        "lost-log" => lost_log: Option<Spanned<bool>>,
    }
}

settings! {
    /// A range of offsets.
    pub struct RawOffsets {
        /// The first.
        "from" => from: Spanned<Whole<0, 9_223_372_036_854_775_807>>,
        /// One past the last.
        "below" => below: Spanned<Whole<1, 9_223_372_036_854_775_807>>,
    }
}

settings! {
    /// A group has committed so many messages of a topic: its offsets, over all partitions.
    pub struct RawConsumed {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// The group.
        "group" => group: Spanned<String>,
        /// How many.
        "nth" => nth: Spanned<Whole<1, 9_223_372_036_854_775_807>>,
        /// Only messages with this key, such as `user-17`. Default: all.
        "key" => key: Option<Spanned<String>>,
    }
}

settings! {
    /// What the cluster has come to: either `topic`, `partition` and `in-sync`, or `rebalancing`.
    pub struct RawState {
        /// The topic of a partition.
        "topic" => topic: Option<Spanned<String>>,
        /// The partition's index.
        "partition" => partition: Option<Spanned<PartitionNumber>>,
        /// No more of its replicas are in sync than so many, the leader among them.
        "in-sync" => in_sync: Option<Spanned<Whole<0, 2_147_483_647>>>,
        /// This group is between two generations.
        "rebalancing" => rebalancing: Option<Spanned<String>>,
    }
}
