//! `ListGroups` 0–5: the groups that this node coordinates. Version 4 filters by state (KIP-518), 5 by type (KIP-848).
//! A list without the groups of a partition that is still loading would look complete, so there is none.

use super::{Call, Effect};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

const TYPE: &str = "classic";

pub(super) fn handle(node: &mut Node, _call: &Call, request: ListGroupsRequest) -> Effect {
    if node.groups.shards.values().any(|shard| !shard.is_loaded()) {
        return ListGroupsResponse::default().with_error_code(ResponseError::CoordinatorLoadInProgress.code()).into();
    }
    let matches = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|one| one.eq_ignore_ascii_case(value))
    };
    let groups = node
        .groups
        .groups
        .iter()
        .filter(|(_, group)| {
            !group.is_uncommitted
                && matches(&request.states_filter, group.state.name())
                && matches(&request.types_filter, TYPE)
        })
        .map(|(name, group)| {
            ListedGroup::default()
                .with_group_id(name.clone().into())
                .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
                .with_group_state(StrBytes::from_static_str(group.state.name()))
                .with_group_type(StrBytes::from_static_str(TYPE))
        });
    ListGroupsResponse::default().with_groups(groups.collect()).into()
}
