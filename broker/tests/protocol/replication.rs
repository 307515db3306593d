//! Replicas: what survives whose death, and who leads then.

use crate::client::{Cluster, Reply, batch, expect_kind};
use crate::produce_fetch::{produce, produce_request};
use crate::topics::{create_with, leader, name};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, ApiKey, DescribeQuorumRequest, ListPartitionReassignmentsRequest, RequestKind,
    describe_quorum_request,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::BrokerId;
use shakedown_broker::types::{Offset, PartitionId};

/// Long enough for a dead broker to be fenced, whoever the controller was.
const FAILOVER_MS: u64 = 1500;

/// Three nodes and one partition on all of them, of which two must be in sync.
fn cluster() -> Cluster {
    let mut cluster = Cluster::with(3, |config| config.min_insync_replicas = 2);
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(1).with_replication_factor(3);
    assert_eq!(create_with(&mut cluster, 0, topic), 0);
    cluster
}

fn partition(cluster: &Cluster, node: usize) -> PartitionId {
    let mut ids = cluster.node(node).replicas().into_iter();
    ids.next().expect("a replica")
}

/// The ends of a partition's logs, on the nodes that are alive.
fn log_ends(cluster: &Cluster) -> Vec<i64> {
    let end = |node: usize| cluster.node(node).replica(partition(cluster, node)).expect("a replica").log_end.0;
    (0..3).filter(|node| cluster.is_alive(*node)).map(end).collect()
}

fn isr(cluster: &Cluster, node: usize) -> Vec<BrokerId> {
    let mut isr = cluster.node(node).replica(partition(cluster, node)).expect("a replica").isr;
    isr.sort_unstable();
    isr
}

#[test]
fn what_is_acknowledged_is_on_every_replica() {
    let mut cluster = cluster();
    let node = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, node, batch(3, -1, -1, -1)).error_code, 0);
    assert_eq!(log_ends(&cluster), [3, 3, 3]);
}

#[test]
fn another_replica_leads_when_the_leader_dies_and_has_what_was_acknowledged() {
    let mut cluster = cluster();
    let first = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, first, batch(3, -1, -1, -1)).error_code, 0);
    cluster.kill(first);
    cluster.advance_ms(FAILOVER_MS);
    let second = leader(&mut cluster, "orders", 0);
    assert_ne!(first, second);
    assert_eq!(produce(&mut cluster, second, batch(2, -1, -1, -1)).base_offset, 3);
    assert_eq!(log_ends(&cluster), [5, 5]);
    cluster.restart(first);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(log_ends(&cluster), [5, 5, 5]);
    assert_eq!(isr(&cluster, second), [1, 2, 3].map(BrokerId));
}

#[test]
fn with_too_few_in_sync_nothing_is_acknowledged() {
    let mut cluster = cluster();
    let node = leader(&mut cluster, "orders", 0);
    let dead: Vec<usize> = (0..3).filter(|other| *other != node).collect();
    cluster.kill(dead[0]);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(produce(&mut cluster, node, batch(1, -1, -1, -1)).error_code, 0, "two are enough");
    cluster.kill(dead[1]);
    // The quorum has lost its majority: nobody is fenced any more, and the ISR stays as it is.
    cluster.advance_ms(FAILOVER_MS);
    let token = cluster.send(node, ApiKey::Produce, 11, &produce_request(batch(1, -1, -1, -1), -1));
    assert!(cluster.reply(token).is_none(), "it waits for a follower that is dead");
    cluster.restart(dead[0]);
    cluster.restart(dead[1]);
    cluster.advance_ms(FAILOVER_MS);
    let Some(Reply::Response(response)) = cluster.reply(token) else { panic!("it was replicated") };
    let response = expect_kind!(Produce, response);
    let code = response.responses[0].partition_responses[0].error_code;
    assert!(
        [0, ResponseError::NotEnoughReplicasAfterAppend.code(), ResponseError::RequestTimedOut.code()].contains(&code),
        "{code}"
    );
    assert_eq!(log_ends(&cluster).len(), 3);
}

#[test]
fn a_reassigned_partition_takes_its_data_along() {
    let mut cluster = Cluster::new(4);
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(1).with_replication_factor(2);
    assert_eq!(create_with(&mut cluster, 0, topic), 0);
    let first = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, first, batch(3, -1, -1, -1)).error_code, 0);
    let holds = |cluster: &Cluster, node: usize| !cluster.node(node).replicas().is_empty();
    let (old, new): (Vec<usize>, Vec<usize>) = (0..4).partition(|node| holds(&cluster, *node));
    let target = new.iter().map(|node| i32::try_from(node + 1).expect("few nodes").into()).collect();
    let partition = ReassignablePartition::default().with_replicas(Some(target));
    let topic = ReassignableTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    let request = RequestKind::AlterPartitionReassignments(request);
    let response = cluster.ask(0, ApiKey::AlterPartitionReassignments, 1, &request);
    let response = expect_kind!(AlterPartitionReassignments, response);
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
    cluster.advance_ms(1000);
    let list = RequestKind::ListPartitionReassignments(ListPartitionReassignmentsRequest::default().with_topics(None));
    let ongoing =
        expect_kind!(ListPartitionReassignments, cluster.ask(0, ApiKey::ListPartitionReassignments, 0, &list));
    assert_eq!(ongoing.topics, []);
    assert!(old.iter().all(|node| !holds(&cluster, *node)), "the old replicas are gone");
    let second = leader(&mut cluster, "orders", 0);
    assert!(new.contains(&second));
    assert_eq!(produce(&mut cluster, second, batch(1, -1, -1, -1)).base_offset, 3);
}

#[test]
fn the_quorum_describes_itself_through_any_node() {
    let mut cluster = Cluster::new(3);
    let partition = describe_quorum_request::PartitionData::default();
    let topic = describe_quorum_request::TopicData::default().with_topic_name(name("__cluster_metadata"));
    let request = DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]);
    for node in 0..3 {
        let request = RequestKind::DescribeQuorum(request.clone());
        let response = expect_kind!(DescribeQuorum, cluster.ask(node, ApiKey::DescribeQuorum, 2, &request));
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_epoch, partition.current_voters.len()), (0, 1, 3));
        assert!(partition.high_watermark > 0);
        let level = |voter: &kafka_protocol::messages::describe_quorum_response::ReplicaState| {
            voter.log_end_offset == partition.high_watermark
        };
        assert!(partition.current_voters.iter().all(level), "{:?}", partition.current_voters);
        assert_eq!(response.nodes.len(), 3);
    }
}

/// Three replicas of one partition on five nodes, so that the quorum outlives two of them.
fn unclean() -> Cluster {
    let mut cluster = Cluster::new(5);
    let assigned = CreatableReplicaAssignment::default().with_broker_ids(vec![1.into(), 2.into(), 3.into()]);
    let setting = |name, value| {
        let (name, value) = (StrBytes::from_static_str(name), StrBytes::from_static_str(value));
        CreatableTopicConfig::default().with_name(name).with_value(Some(value))
    };
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(-1).with_replication_factor(-1);
    let topic = topic.with_assignments(vec![assigned]);
    let topic = topic.with_configs(vec![setting("unclean.leader.election.enable", "true")]);
    assert_eq!(create_with(&mut cluster, 4, topic), 0);
    cluster
}

fn delete_records(cluster: &mut Cluster, leader: usize) -> i64 {
    let request = crate::delete_records::request(-1, i32::MAX);
    let response = expect_kind!(DeleteRecords, cluster.ask(leader, ApiKey::DeleteRecords, 2, &request));
    response.topics[0].partitions[0].low_watermark
}

/// Its records were deleted and its leader ends in front of them: it takes what the leader has, from there on, and does not
/// ask for ever.
fn follows_who_ends_before_it_begins(written_meanwhile: usize) {
    let mut cluster = unclean();
    let first = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, first, batch(5, -1, -1, -1)).error_code, 0);
    let late = (0..3).find(|node| *node != first).expect("a follower");
    let other = (0..3).find(|node| ![first, late].contains(node)).expect("another");
    cluster.kill(late);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(produce(&mut cluster, first, batch(5, -1, -1, -1)).base_offset, 5);
    assert_eq!(delete_records(&mut cluster, first), 10);
    cluster.advance_ms(FAILOVER_MS);
    cluster.kill(other);
    cluster.kill(first);
    cluster.restart(late);
    cluster.advance_ms(2 * FAILOVER_MS);
    if written_meanwhile > 0 {
        assert_eq!(produce(&mut cluster, late, batch(written_meanwhile, -1, -1, -1)).base_offset, 5);
    }
    cluster.restart(first);
    cluster.restart(other);
    cluster.advance_ms(2 * FAILOVER_MS);
    let expected = i64::try_from(5 + written_meanwhile).expect("few");
    assert_eq!(log_ends(&cluster), [expected; 3]);
    assert_eq!(isr(&cluster, late), [1, 2, 3].map(BrokerId));
    let id = partition(&cluster, late);
    for node in [first, other] {
        let start = cluster.node(node).replica(id).expect("a replica").log_start;
        assert!(start <= Offset(5), "what was written meanwhile is missing on node {node}: it begins at {start:?}");
        let own: usize = cluster.read_replica(node, id, Offset(5)).iter().map(Bytes::len).sum();
        let leaders: usize = cluster.read_replica(late, id, Offset(5)).iter().map(Bytes::len).sum();
        assert_eq!(own, leaders);
    }
}

#[test]
fn a_replica_without_records_follows_a_leader_that_ends_before_it_begins() {
    follows_who_ends_before_it_begins(0);
}

#[test]
fn a_replica_without_records_takes_what_its_leader_wrote_in_their_place() {
    follows_who_ends_before_it_begins(20);
}
