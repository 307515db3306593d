//! `DeleteRecords`: answered when every replica that is alive has deleted.

use crate::client::{Cluster, Reply, batch, expect_kind};
use crate::produce_fetch::produce;
use crate::topics::{create_with, leader, name};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{ApiKey, DeleteRecordsRequest, DeleteTopicsRequest, RequestKind};
use shakedown_broker::types::PartitionId;

/// Long before a silent broker is fenced.
const PATIENCE_MS: i32 = 100;
/// Long after it was, and when one that returns has caught up.
const FAILOVER_MS: u64 = 1500;

/// A request that deletes records of `orders`, before an offset or, with -1, all that are committed.
pub(crate) fn request(before: i64, timeout_ms: i32) -> RequestKind {
    let partition = DeleteRecordsPartition::default().with_offset(before);
    let topic = DeleteRecordsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms).into()
}

/// Three replicas of five records each, and who leads.
fn cluster() -> (Cluster, usize) {
    let mut cluster = Cluster::with(3, |config| config.min_insync_replicas = 2);
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(1).with_replication_factor(3);
    assert_eq!(create_with(&mut cluster, 0, topic), 0);
    let leader = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, leader, batch(5, -1, -1, -1)).error_code, 0);
    (cluster, leader)
}

/// Where the logs of the nodes that are alive begin.
fn log_starts(cluster: &Cluster, id: PartitionId) -> Vec<i64> {
    let alive = (0..3).filter(|node| cluster.is_alive(*node));
    alive.map(|node| cluster.node(node).replica(id).expect("a replica").log_start.0).collect()
}

fn partition(cluster: &Cluster, node: usize) -> PartitionId {
    cluster.node(node).replicas().into_iter().next().expect("a replica")
}

/// The error code and the low watermark.
fn outcome(reply: Option<Reply>) -> Option<(i16, i64)> {
    let Reply::Response(response) = reply? else { panic!("it was answered") };
    let result = expect_kind!(DeleteRecords, response).topics.remove(0).partitions.remove(0);
    Some((result.error_code, result.low_watermark))
}

#[test]
fn an_answer_means_that_every_replica_has_deleted() {
    let (mut cluster, leader) = cluster();
    let id = partition(&cluster, leader);
    let token = cluster.send(leader, ApiKey::DeleteRecords, 2, &request(3, PATIENCE_MS));
    let reply = cluster.reply(token);
    assert_eq!(outcome(reply), Some((0, 3)), "no time has passed");
    assert_eq!(log_starts(&cluster, id), [3; 3]);
}

#[test]
fn a_deletion_waits_for_a_replica_that_counts_as_alive() {
    let (mut cluster, leader) = cluster();
    let silent = (0..3).find(|node| *node != leader).expect("a follower");
    cluster.kill(silent);
    let token = cluster.send(leader, ApiKey::DeleteRecords, 2, &request(3, PATIENCE_MS));
    let reply = cluster.reply(token);
    assert_eq!(outcome(reply), None);
    cluster.advance_ms(u64::try_from(PATIENCE_MS).expect("positive"));
    let reply = cluster.reply(token);
    assert_eq!(outcome(reply), Some((ResponseError::RequestTimedOut.code(), 0)));

    let token = cluster.send(leader, ApiKey::DeleteRecords, 2, &request(4, i32::MAX));
    cluster.advance_ms(FAILOVER_MS);
    let reply = cluster.reply(token);
    assert_eq!(outcome(reply), Some((0, 4)), "it is fenced, and waited for no more");
    cluster.restart(silent);
    cluster.advance_ms(FAILOVER_MS);
    let id = partition(&cluster, leader);
    assert_eq!(log_starts(&cluster, id), [4; 3]);
}

#[test]
fn who_waits_for_a_deletion_learns_that_the_topic_has_gone() {
    let (mut cluster, leader) = cluster();
    let controller = (0..3).find(|node| cluster.node(*node).quorum().is_active_controller);
    let silent = (0..3).find(|node| *node != leader && Some(*node) != controller).expect("two others");
    cluster.kill(silent);
    let token = cluster.send(leader, ApiKey::DeleteRecords, 2, &request(3, i32::MAX));
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name("orders")]);
    cluster.ask(leader, ApiKey::DeleteTopics, 4, &delete.into());
    let reply = cluster.reply(token);
    assert_eq!(outcome(reply), Some((ResponseError::UnknownTopicOrPartition.code(), -1)));
}
