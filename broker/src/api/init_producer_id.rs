//! `InitProducerId` 0–5: an id for an idempotent producer, from blocks that the controller hands out. A transactional id
//! is refused until there is a transaction coordinator.

use super::{Call, Effect};
use crate::io::PeerMessage;
use crate::node::Node;
use crate::types::Now;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

pub(super) fn handle(node: &mut Node, call: &Call, request: InitProducerIdRequest) -> Effect {
    let failed = |error: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    if request.transactional_id.as_ref().is_some_and(|id| id.is_empty()) {
        return failed(ResponseError::InvalidRequest).into();
    }
    if request.transactional_id.is_some() {
        node.unsupported("a transactional producer");
        return failed(ResponseError::TransactionalIdAuthorizationFailed).into();
    }
    if let Some(response) = assign(node, call.now) {
        return response.into();
    }
    node.producer_ids.waiting.push(call.clone());
    Effect::Wait
}

/// The next id, or `None` while a block of ids is on its way.
pub(crate) fn assign(node: &mut Node, now: Now) -> Option<InitProducerIdResponse> {
    if node.producer_ids.next == node.producer_ids.end && !node.producer_ids.asked {
        node.producer_ids.asked = true;
        node.send_to_controller(now, PeerMessage::AllocateProducerIds);
    }
    // On the controller itself the block is there at once.
    if node.producer_ids.next == node.producer_ids.end {
        return None;
    }
    let id = node.producer_ids.next;
    node.producer_ids.next += 1;
    Some(InitProducerIdResponse::default().with_producer_id(id.into()).with_producer_epoch(0))
}
