//! Who leads a partition, and who has it: the requests that an administrator's tools send for it.

use super::line::{ANSWER_MAX, Line, check};
use super::{Intervened, InterventionError};
use crate::rolling::View;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::group::partition_of;
use shakedown_broker::metadata::CONSUMER_OFFSETS;
use std::time::{Duration, Instant};

/// `ElectionType.PREFERRED` and `ElectionType.UNCLEAN` of KIP-460.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;
/// How long the new leader may take to show up in the metadata of the broker that is asked.
const SHOWN_MAX: Duration = Duration::from_secs(2);
/// Between two looks at that metadata.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A topic and a partition's index.
type Place<'a> = (&'a str, i32);

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// `Metadata` of one topic, or of all.
fn metadata(line: &mut Line<'_>, topic: Option<&str>) -> Result<MetadataResponse, InterventionError> {
    let topics = topic.map(|topic| vec![MetadataRequestTopic::default().with_name(Some(topic_name(topic)))]);
    let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
    line.ask("Metadata", 9, &request, ANSWER_MAX)
}

/// The partition as the broker knows it that is asked.
fn look(line: &mut Line<'_>, (topic, partition): Place<'_>) -> Result<MetadataResponsePartition, InterventionError> {
    let answer = metadata(line, Some(topic))?;
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let mut found = partitions.filter(|known| known.partition_index == partition);
    found.next().ok_or_else(|| InterventionError::NotYet { why: format!("there is no partition {topic}/{partition}") })
}

/// What the cluster looks like to the broker that is asked.
pub(super) fn view(line: &mut Line<'_>) -> Result<View, InterventionError> {
    let answer = metadata(line, None)?;
    let mut view = View { alive: answer.brokers.iter().map(|broker| broker.node_id.0).collect(), behind: Vec::new() };
    for topic in answer.topics {
        let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
        let behind = topic.partitions.iter().filter(|known| known.isr_nodes.len() < known.replica_nodes.len());
        view.behind.extend(behind.map(|known| (name.clone(), known.partition_index)));
    }
    Ok(view)
}

/// Asks for a leader; asked again after an answer was lost, it asks for the same one.
pub(super) fn move_leader(
    line: &mut Line<'_>,
    place: Place<'_>,
    to: Option<i32>,
    chosen: &mut Option<i32>,
) -> Result<Intervened, InterventionError> {
    let (topic, partition) = place;
    let known = look(line, place)?;
    let next = || known.replica_nodes.iter().find(|id| known.isr_nodes.contains(id) && **id != known.leader_id);
    let Some(to) = chosen.or(to).or_else(|| next().map(|id| id.0)) else {
        return Err(InterventionError::NotYet { why: format!("no follower of {topic}/{partition} is in sync") });
    };
    if known.leader_id.0 == to {
        return Ok(Intervened::now(chosen.is_some(), format!("broker {to} leads {topic}/{partition}")));
    }
    if !known.replica_nodes.contains(&BrokerId(to)) {
        let replicas = known.replica_nodes.iter().map(|id| id.0).collect();
        return Err(InterventionError::NoReplica { broker: to, topic: topic.to_owned(), partition, replicas });
    }
    *chosen = Some(to);
    if known.replica_nodes.first() != Some(&BrokerId(to)) {
        let others = known.replica_nodes.iter().map(|id| id.0).filter(|id| *id != to);
        let order: Vec<i32> = std::iter::once(to).chain(others).collect();
        ask_for_replicas(line, place, &order)?;
    }
    elect(line, place, PREFERRED)?;
    wait_for(line, place, |leader| leader == to)?;
    let from = known.leader_id.0;
    Ok(Intervened::now(true, format!("broker {to} leads {topic}/{partition}, as broker {from} did")))
}

pub(super) fn reassign(
    line: &mut Line<'_>,
    place: Place<'_>,
    replicas: &[i32],
) -> Result<Intervened, InterventionError> {
    ask_for_replicas(line, place, replicas)?;
    let what = format!("{}/{} moves to brokers {}", place.0, place.1, crate::faults::Listed(replicas));
    Ok(Intervened::now(true, what))
}

pub(super) fn elect_unclean(line: &mut Line<'_>, place: Place<'_>) -> Result<Intervened, InterventionError> {
    elect(line, place, UNCLEAN)?;
    let leader = wait_for(line, place, |leader| leader >= 0)?;
    Ok(Intervened::now(true, format!("broker {leader} leads {}/{}, whatever it lacks", place.0, place.1)))
}

pub(super) fn move_coordinator(
    line: &mut Line<'_>,
    group: &str,
    to: Option<i32>,
    chosen: &mut Option<i32>,
) -> Result<Intervened, InterventionError> {
    let answer = metadata(line, Some(CONSUMER_OFFSETS))?;
    let partitions = answer.topics.first().map_or(0, |topic| topic.partitions.len());
    let Some(partitions) = i32::try_from(partitions).ok().filter(|partitions| *partitions > 0) else {
        return Err(InterventionError::NotYet { why: "no group has a coordinator".to_owned() });
    };
    move_leader(line, (CONSUMER_OFFSETS, partition_of(group, partitions)), to, chosen)
}

/// AlterPartitionReassignments (KIP-455).
fn ask_for_replicas(
    line: &mut Line<'_>,
    (topic, partition): Place<'_>,
    replicas: &[i32],
) -> Result<(), InterventionError> {
    const ASKED: &str = "AlterPartitionReassignments";
    let replicas = replicas.iter().map(|id| BrokerId(*id)).collect();
    let partition = ReassignablePartition::default().with_partition_index(partition).with_replicas(Some(replicas));
    let topic = ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let answer =
        line.ask(ASKED, 0, &AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]), ANSWER_MAX)?;
    check(ASKED, answer.error_code, answer.error_message.as_ref())?;
    let mut results = answer.responses.iter().flat_map(|topic| &topic.partitions);
    results.try_for_each(|result| check(ASKED, result.error_code, result.error_message.as_ref()))
}

/// ElectLeaders (KIP-460).
fn elect(line: &mut Line<'_>, (topic, partition): Place<'_>, kind: i8) -> Result<(), InterventionError> {
    const ASKED: &str = "ElectLeaders";
    let topic = TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    let request = ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(Some(vec![topic]));
    let answer = line.ask(ASKED, 2, &request, ANSWER_MAX)?;
    check(ASKED, answer.error_code, None)?;
    let mut results = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    results.try_for_each(|result| check(ASKED, result.error_code, result.error_message.as_ref()))
}

/// Until the broker that is asked knows of such a leader, or none for -1.
fn wait_for(line: &mut Line<'_>, place: Place<'_>, leads: impl Fn(i32) -> bool) -> Result<i32, InterventionError> {
    let deadline = Instant::now() + SHOWN_MAX;
    loop {
        let leader = look(line, place)?.leader_id.0;
        if leads(leader) {
            return Ok(leader);
        }
        if Instant::now() >= deadline {
            let why = format!("{}/{} has another leader, {leader}, than was elected", place.0, place.1);
            return Err(InterventionError::NotYet { why });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
