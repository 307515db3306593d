//! `DescribeLogDirs` 1–4 (KIP-113): how many bytes each partition of this node has.
//!
//! Version steps: 3 top-level error; 4 size of the volume (KIP-827), which nobody knows where logs lie in memory. A node
//! has one log directory; while logs lie in memory its name says so.

use super::{Call, Effect};
use crate::log::partition::PartitionId;
use crate::node::Node;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use kafka_protocol::protocol::StrBytes;

const DIRECTORY: &str = "memory";

pub(super) fn handle(node: &mut Node, _call: &Call, request: DescribeLogDirsRequest) -> Effect {
    let mut topics: Vec<DescribeLogDirsTopic> = Vec::new();
    match &request.topics {
        Some(asked) => {
            for topic in asked {
                let id = node.image.topics.get(&topic.topic.0).map(|known| known.id);
                let ids = topic.partitions.iter().filter_map(|index| Some(PartitionId { topic: id?, index: *index }));
                topics.extend(describe(node, topic.topic.0.clone(), ids));
            }
        }
        None => {
            for (name, topic) in &node.image.topics {
                let all = PartitionId { topic: topic.id, index: 0 }..=PartitionId { topic: topic.id, index: i32::MAX };
                topics.extend(describe(node, name.clone(), node.partitions.range(all).map(|(id, _)| *id)));
            }
        }
    }
    let directory = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_static_str(DIRECTORY))
        .with_topics(topics)
        .with_total_bytes(-1)
        .with_usable_bytes(-1);
    DescribeLogDirsResponse::default().with_results(vec![directory]).into()
}

/// The partitions of a topic that lie on this node, if any.
fn describe(node: &Node, name: StrBytes, ids: impl Iterator<Item = PartitionId>) -> Option<DescribeLogDirsTopic> {
    let partitions = ids.filter_map(|id| {
        let size = node.partitions.get(&id)?.size(&*node.store);
        let described = DescribeLogDirsPartition::default().with_partition_index(id.index);
        Some(described.with_partition_size(i64::try_from(size).unwrap_or(i64::MAX)))
    });
    let partitions: Vec<DescribeLogDirsPartition> = partitions.collect();
    (!partitions.is_empty()).then(|| DescribeLogDirsTopic::default().with_name(name.into()).with_partitions(partitions))
}
