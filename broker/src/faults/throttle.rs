//! Writes into a reply how long its client shall wait, where its version can say so.

use crate::wire::response::Response;
use kafka_protocol::messages::ResponseKind;

macro_rules! throttled {
    ($response:expr, $ms:expr; $($kind:ident)*) => {
        match $response {
            $(ResponseKind::$kind(body) => body.throttle_time_ms = $ms,)*
            // The others never throttle in Kafka either.
            _ => {}
        }
    };
}

/// Sets `throttle_time_ms`. The codec leaves it out of versions that do not have it.
pub(super) fn set(response: &mut Response, ms: i32) {
    match response {
        Response::Fetch(fetch) => fetch.throttle_time_ms = ms,
        Response::Plain(plain) => throttled!(plain, ms;
            Produce ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup
            DescribeGroups ListGroups ApiVersions CreateTopics DeleteTopics DeleteRecords InitProducerId
            OffsetForLeaderEpoch DescribeConfigs AlterConfigs DescribeLogDirs CreatePartitions DeleteGroups ElectLeaders
            IncrementalAlterConfigs AlterPartitionReassignments ListPartitionReassignments OffsetDelete DescribeCluster
            DescribeProducers ListConfigResources DescribeTopicPartitions),
    }
}
