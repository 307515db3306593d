//! `FindCoordinator` 0–6: which node coordinates a group: the leader of the group's partition of `__consumer_offsets`.
//!
//! Version steps: 3 flexible; 4 several keys at once (KIP-699). The first request creates `__consumer_offsets` and waits
//! for it, where Kafka answers COORDINATOR_NOT_AVAILABLE and lets the client ask again: the client sees the same, sooner. It
//! waits only so long: the topic cannot come into being while there are too few brokers, or no controller.

use super::{Call, Effect, create_topics};
use crate::metadata::CONSUMER_OFFSETS;
use crate::node::Node;
use crate::timers::Timer;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// How long requests wait for `__consumer_offsets`.
const TOPIC_TIMEOUT_MS: i64 = 1000;

pub(super) fn handle(node: &mut Node, call: &Call, request: FindCoordinatorRequest) -> Effect {
    if request.key_type == GROUP && !node.groups.coordinators_are_known(&node.image, &node.config) {
        if !node.offsets_topic_asked {
            node.offsets_topic_asked = true;
            node.timers.set(Timer::OffsetsTopic, call.now.after_ms(TOPIC_TIMEOUT_MS));
            let name = StrBytes::from_static_str(CONSUMER_OFFSETS);
            let config = &node.config;
            // As `GroupCoordinator.groupMetadataTopicConfigs` has them.
            let settings = [
                ("cleanup.policy", String::from("compact")),
                ("compression.type", String::from("producer")),
                ("segment.bytes", config.offsets_segment_bytes.to_string()),
            ];
            let (partitions, replicas) = (config.offsets_partitions, config.offsets_replication_factor);
            let creation = create_topics::request(name, partitions, replicas, &settings);
            create_topics::ask(node, call.now, creation);
        }
        // On the controller the topic is there at once; elsewhere it comes with the next metadata records.
        if !node.groups.coordinators_are_known(&node.image, &node.config) {
            let request = RequestKind::FindCoordinator(request);
            node.waiting_for_offsets_topic.push((call.clone(), request));
            return Effect::Wait;
        }
    }
    let key_type = request.key_type;
    answer(call.version, &request, |key| find(node, key_type, key)).into()
}

/// The metadata changed: whoever waits for `__consumer_offsets` is answered if it is there by now.
pub(crate) fn answer_waiting(node: &mut Node) {
    if node.waiting_for_offsets_topic.is_empty() || !node.groups.coordinators_are_known(&node.image, &node.config) {
        return;
    }
    node.offsets_topic_asked = false;
    node.timers.cancel(&Timer::OffsetsTopic);
    for (call, request) in std::mem::take(&mut node.waiting_for_offsets_topic) {
        node.dispatch(call, request);
    }
}

/// `__consumer_offsets` has not come into being in time: whoever waits for it may ask again, and so may this node.
pub(crate) fn on_timer(node: &mut Node) {
    node.offsets_topic_asked = false;
    for (call, request) in std::mem::take(&mut node.waiting_for_offsets_topic) {
        let RequestKind::FindCoordinator(request) = request else { continue };
        let missing =
            |key: &StrBytes| failed(key, ResponseError::CoordinatorNotAvailable, "there is no topic for offsets");
        node.reply(call.token, ResponseKind::from(answer(call.version, &request, missing)));
    }
}

fn answer(
    version: i16,
    request: &FindCoordinatorRequest,
    mut find: impl FnMut(&StrBytes) -> Coordinator,
) -> FindCoordinatorResponse {
    if version >= 4 {
        let coordinators = request.coordinator_keys.iter().map(find);
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    let found = find(&request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message.filter(|message| !message.is_empty()))
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

fn find(node: &mut Node, key_type: i8, key: &StrBytes) -> Coordinator {
    if key_type == TRANSACTION {
        // The one error that makes every client give up at once instead of asking again.
        node.unsupported("a coordinator for transactions");
        return failed(key, ResponseError::TransactionalIdAuthorizationFailed, "transactions are not supported");
    }
    if key_type != GROUP {
        node.unsupported("a coordinator for share groups");
        return failed(key, ResponseError::InvalidRequest, "only group coordinators (key type 0) can be found here");
    }
    let broker = node.groups.coordinator(&node.image, &node.config, key).and_then(|id| node.image.brokers.get(&id));
    match broker {
        Some(broker) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(broker.id.0.into())
            .with_host(broker.host.clone())
            .with_port(broker.port.into())
            .with_error_message(Some(StrBytes::from_static_str(""))),
        None => failed(key, ResponseError::CoordinatorNotAvailable, "the group's partition has no leader"),
    }
}

fn failed(key: &StrBytes, error: ResponseError, message: &'static str) -> Coordinator {
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id((-1).into())
        .with_port(-1)
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}
