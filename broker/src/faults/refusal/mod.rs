//! A reply that says no, built from the request alone: the error wherever the request named something, as the
//! `getErrorResponse` of each of Kafka's requests does.

mod admin;
mod data;
mod groups;

use crate::node::Node;
use crate::wire::response::Response;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{RequestKind, ResponseKind};

/// No broker, no offset, no epoch, no time.
const NONE: i32 = -1;

/// The refusal of a request that a node was asked; `None` where the client expects no reply.
pub(super) fn of(node: &Node, request: &RequestKind, version: i16, code: i16) -> Option<Response> {
    match request {
        RequestKind::Produce(produce) if produce.acks == 0 => None,
        RequestKind::Fetch(fetch) => Some(Response::Fetch(data::of_fetch(node, fetch, code))),
        other => data::of(other, code)
            .or_else(|| groups::of(other, version, code))
            .or_else(|| admin::of_topics(other, code))
            .or_else(|| admin::of_cluster(other, version, code))
            .map(Response::Plain),
    }
}

/// What metadata says of a topic, and never of the whole request: a client that finds it there believes none of the rest.
const OF_A_TOPIC: [ResponseError; 5] = [
    ResponseError::UnknownTopicOrPartition,
    ResponseError::UnknownTopicId,
    ResponseError::LeaderNotAvailable,
    ResponseError::InvalidTopicException,
    ResponseError::TopicAuthorizationFailed,
];

/// Writes the error into a reply that was on its way, where what else it says must stay true: metadata without brokers
/// would leave the client without anybody to ask again.
pub(super) fn spoil(response: &mut Response, code: i16) -> bool {
    let Response::Plain(ResponseKind::Metadata(metadata)) = response else { return false };
    for topic in &mut metadata.topics {
        topic.error_code = code;
        topic.partitions.clear();
    }
    if !OF_A_TOPIC.iter().any(|error| error.code() == code) {
        metadata.error_code = code;
    }
    true
}
