//! `InitProducerId` 0–5: an id for an idempotent producer, from blocks that the controller hands out. A transactional id
//! is refused until there is a transaction coordinator.

use super::{Call, Effect};
use crate::controller::requests::Purpose;
use crate::node::Node;
use crate::peer::ControllerRequest;
use crate::types::{Now, ProducerId};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ResponseKind};

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
    // A producer that has an id has an epoch, too; what it had is of no use to one without transactions.
    if (request.producer_id.0 == -1) != (request.producer_epoch == -1) {
        return failed(ResponseError::InvalidRequest).into();
    }
    if let Some(response) = assign(node, call.now) {
        return response.into();
    }
    node.producer_ids.waiting.push(call.clone());
    Effect::Wait
}

/// The next id, or `None` while a block of ids is on its way.
fn assign(node: &mut Node, now: Now) -> Option<InitProducerIdResponse> {
    if node.producer_ids.next == node.producer_ids.end {
        if !std::mem::replace(&mut node.producer_ids.asked, true) {
            let broker_epoch = node.broker_epoch();
            node.ask_controller(now, ControllerRequest::AllocateProducerIds { broker_epoch }, Purpose::ProducerIds);
        }
        return None;
    }
    let id = node.producer_ids.next;
    node.producer_ids.next += 1;
    Some(InitProducerIdResponse::default().with_producer_id(id.into()).with_producer_epoch(0))
}

/// A block of ids is there for those who wait.
pub(crate) fn receive(node: &mut Node, now: Now, first: ProducerId, count: i64) {
    node.producer_ids.next = first.0;
    node.producer_ids.end = first.0 + count;
    answer_waiting(node, now);
}

/// The controller does not know this broker: those who wait ask again.
pub(crate) fn refused(node: &mut Node) {
    node.producer_ids.asked = false;
    for call in std::mem::take(&mut node.producer_ids.waiting) {
        let response = InitProducerIdResponse::default()
            .with_error_code(ResponseError::CoordinatorLoadInProgress.code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        node.reply(call.token, ResponseKind::from(response));
    }
}

fn answer_waiting(node: &mut Node, now: Now) {
    node.producer_ids.asked = false;
    for call in std::mem::take(&mut node.producer_ids.waiting) {
        match assign(node, now) {
            Some(response) => node.reply(call.token, ResponseKind::from(response)),
            None => node.producer_ids.waiting.push(call),
        }
    }
}
