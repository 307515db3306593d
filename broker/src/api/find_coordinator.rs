//! `FindCoordinator` 0–6: which node coordinates a group: the leader of the group's partition of `__consumer_offsets`.
//!
//! Version steps: 3 flexible; 4 several keys at once (KIP-699). The first request creates `__consumer_offsets` and waits
//! for it, where Kafka answers COORDINATOR_NOT_AVAILABLE and lets the client ask again: the client sees the same, sooner.

use super::{Call, Effect, create_topics};
use crate::metadata::CONSUMER_OFFSETS;
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, RequestKind};
use kafka_protocol::protocol::StrBytes;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) fn handle(node: &mut Node, call: &Call, request: FindCoordinatorRequest) -> Effect {
    if request.key_type == GROUP && !node.groups.coordinators_are_known(&node.image, &node.config) {
        if !node.offsets_topic_asked {
            node.offsets_topic_asked = true;
            let name = StrBytes::from_static_str(CONSUMER_OFFSETS);
            let creation = create_topics::request(name, node.config.offsets_partitions);
            create_topics::ask(node, call.now, creation);
        }
        // On the controller the topic is there at once; elsewhere it comes with the next metadata records.
        if !node.groups.coordinators_are_known(&node.image, &node.config) {
            let request = RequestKind::FindCoordinator(request);
            node.waiting_for_offsets_topic.push((call.clone(), request));
            return Effect::Wait;
        }
    }
    if call.version >= 4 {
        let coordinators = request.coordinator_keys.iter().map(|key| find(node, request.key_type, key));
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect()).into();
    }
    let found = find(node, request.key_type, &request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message.filter(|message| !message.is_empty()))
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
        .into()
}

fn find(node: &mut Node, key_type: i8, key: &StrBytes) -> Coordinator {
    let failed = |error: ResponseError, message: &'static str| {
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
    };
    if key_type == TRANSACTION {
        // The one error that makes every client give up at once instead of asking again.
        node.unsupported("a coordinator for transactions");
        return failed(ResponseError::TransactionalIdAuthorizationFailed, "transactions are not supported");
    }
    if key_type != GROUP {
        node.unsupported("a coordinator for share groups");
        return failed(ResponseError::InvalidRequest, "only group coordinators (key type 0) can be found here");
    }
    let broker = node.groups.coordinator(&node.image, &node.config, key).and_then(|id| node.image.brokers.get(&id));
    match broker {
        Some(broker) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(broker.id.0.into())
            .with_host(broker.host.clone())
            .with_port(broker.port.into())
            .with_error_message(Some(StrBytes::from_static_str(""))),
        None => failed(ResponseError::CoordinatorNotAvailable, "the group's partition has no leader"),
    }
}
