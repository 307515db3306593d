//! The requests, one file each, and the one table that says which versions are served and by whom; `ApiVersions`
//! answers from it.
//!
//! A handler's phases, in this order: authorise and validate, apply, build the response, reply or wait. Handlers return
//! an [`Effect`]; they never see a socket.

#![expect(clippy::needless_pass_by_value, reason = "one shape for all handlers: each owns its request")]

pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod api_versions;
mod authorized_operations;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod elect_leaders;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sync_group;

use crate::controller::Controller;
use crate::io::RequestToken;
use crate::node::Node;
use crate::types::Now;
use crate::wire::response::Response;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;

/// What a handler knows of a request besides its body.
#[derive(Debug, Clone)]
pub struct Call {
    /// The API.
    pub api: ApiKey,
    /// When it came in.
    pub now: Now,
    /// Where the reply goes.
    pub token: RequestToken,
    /// The version of request and reply.
    pub version: i16,
    /// The client's name for itself.
    pub client_id: Option<StrBytes>,
    /// The client's address.
    pub client_host: StrBytes,
}

/// What a handler wants done with its request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once for each request and never kept")]
pub enum Effect {
    /// Answer now.
    Reply(Response),
    /// It is done, and nobody expects an answer.
    NoReply,
    /// The reply comes later, from whoever keeps the [`Call`].
    Wait,
    /// Close the connection, for this reason.
    HangUp(String),
}

impl<T: Into<ResponseKind>> From<T> for Effect {
    fn from(response: T) -> Self {
        Self::Reply(Response::Plain(response.into()))
    }
}

/// Who serves a request.
#[derive(Clone, Copy)]
pub enum Handler {
    /// The node that was asked.
    Local(fn(&mut Node, &Call, RequestKind) -> Effect),
    /// The active controller, to which every node hands it.
    Controller(fn(&mut Controller, Now, i16, RequestKind) -> ResponseKind),
    /// The quorum's leader, which is the same node, about the quorum itself.
    QuorumLeader(fn(&mut Node, Now, i16, RequestKind) -> ResponseKind),
}

/// One API: which versions are served, and by whom.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The API.
    pub key: ApiKey,
    /// The lowest version that is served.
    pub min: i16,
    /// The highest version that is served.
    pub max: i16,
    /// The lowest version that is advertised; below `min` only for Produce (KIP-896).
    pub advertised_min: i16,
    pub(crate) handler: Handler,
}

impl Entry {
    /// Whether a request of this version can be answered.
    #[must_use]
    pub fn serves(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

macro_rules! local {
    ($kind:ident $min:literal..=$max:literal $module:ident) => {
        Entry {
            key: ApiKey::$kind,
            min: $min,
            max: $max,
            advertised_min: $min,
            handler: Handler::Local(|node, call, request| match request {
                RequestKind::$kind(request) => $module::handle(node, call, request),
                other => Effect::HangUp(format!("the table sends {other:?} to the wrong handler")),
            }),
        }
    };
}

macro_rules! controller {
    ($kind:ident $min:literal..=$max:literal $module:ident) => {
        controller!($kind $min..=$max $module by Controller)
    };
    ($kind:ident $min:literal..=$max:literal $module:ident by $handler:ident) => {
        Entry {
            key: ApiKey::$kind,
            min: $min,
            max: $max,
            advertised_min: $min,
            handler: Handler::$handler(|controller, now, version, request| match request {
                RequestKind::$kind(request) => $module::apply(controller, now, version, request).into(),
                other => unreachable!("the table sends {other:?} to the wrong handler"),
            }),
        }
    };
}

/// Everything that is served.
pub const TABLE: &[Entry] = &[
    // librdkafka before 2.11.1 silently stops compressing where version 0 is not advertised; 0 to 2 are refused all the
    // same, as Kafka does.
    Entry { advertised_min: 0, ..local!(Produce 3..=13 produce) },
    local!(Fetch 4..=18 fetch),
    local!(ListOffsets 1..=10 list_offsets),
    local!(Metadata 0..=13 metadata),
    local!(OffsetCommit 2..=9 offset_commit),
    local!(OffsetFetch 1..=9 offset_fetch),
    local!(FindCoordinator 0..=6 find_coordinator),
    local!(JoinGroup 0..=9 join_group),
    local!(Heartbeat 0..=4 heartbeat),
    local!(LeaveGroup 0..=5 leave_group),
    local!(SyncGroup 0..=5 sync_group),
    local!(DescribeGroups 0..=6 describe_groups),
    local!(ListGroups 0..=5 list_groups),
    local!(ApiVersions 0..=4 api_versions),
    controller!(CreateTopics 2..=7 create_topics),
    controller!(DeleteTopics 1..=6 delete_topics),
    local!(DeleteRecords 0..=2 delete_records),
    local!(InitProducerId 0..=5 init_producer_id),
    // librdkafka speaks only version 2.
    local!(OffsetForLeaderEpoch 2..=4 offset_for_leader_epoch),
    local!(DescribeConfigs 1..=4 describe_configs),
    controller!(AlterConfigs 0..=2 alter_configs),
    local!(DescribeLogDirs 1..=4 describe_log_dirs),
    controller!(CreatePartitions 0..=3 create_partitions),
    local!(DeleteGroups 0..=2 delete_groups),
    controller!(ElectLeaders 0..=2 elect_leaders),
    controller!(IncrementalAlterConfigs 0..=1 incremental_alter_configs),
    controller!(DescribeQuorum 0..=2 describe_quorum by QuorumLeader),
    controller!(AlterPartitionReassignments 0..=1 alter_partition_reassignments),
    controller!(ListPartitionReassignments 0..=0 list_partition_reassignments),
    local!(OffsetDelete 0..=0 offset_delete),
    local!(DescribeCluster 0..=2 describe_cluster),
    local!(DescribeProducers 0..=0 describe_producers),
    local!(ListConfigResources 0..=1 list_config_resources),
    local!(DescribeTopicPartitions 0..=0 describe_topic_partitions),
];

/// The table's entry for an API key.
#[must_use]
pub fn lookup(key: i16) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.key as i16 == key)
}
