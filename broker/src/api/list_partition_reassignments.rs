//! `ListPartitionReassignments` 0 (KIP-455): with one replica and nobody who moves it, no reassignment is ever under way.

use crate::node::Node;
use crate::types::Now;
use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

pub(super) fn apply(
    _node: &mut Node,
    _now: Now,
    _version: i16,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
