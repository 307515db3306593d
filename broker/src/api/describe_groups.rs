//! `DescribeGroups` 0–6: a group's state and members. Version 6 says GROUP_ID_NOT_FOUND where earlier ones described a
//! dead group (KIP-1043).

use super::authorized_operations as operations;
use super::{Call, Effect};
use crate::group::own;
use crate::group::state::{Group, GroupState, Member};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;

pub(super) fn handle(node: &mut Node, call: &Call, request: DescribeGroupsRequest) -> Effect {
    let allowed = operations::if_asked(request.include_authorized_operations, operations::GROUP);
    let groups = request.groups.into_iter().map(|id| describe(node, call.version, allowed, id));
    DescribeGroupsResponse::default().with_groups(groups.collect()).into()
}

fn describe(node: &Node, version: i16, allowed: i32, id: GroupId) -> DescribedGroup {
    let described = DescribedGroup::default().with_group_id(id.clone()).with_error_message(None);
    let failed = described.clone().with_authorized_operations(operations::NOT_ASKED);
    let described = described.with_authorized_operations(allowed);
    if let Err(error) = own(node, &id) {
        return failed.with_error_code(error.code());
    }
    let Some(group) = node.groups.groups.get(&id.0).filter(|group| !group.is_uncommitted) else {
        const DEAD: &str = "Dead";
        if version < 6 {
            return described.with_group_state(StrBytes::from_static_str(DEAD));
        }
        let message = format!("Group {} not found.", &**id);
        return failed
            .with_group_state(StrBytes::from_static_str(DEAD))
            .with_error_code(ResponseError::GroupIdNotFound.code())
            .with_error_message(Some(StrBytes::from_string(message)));
    };
    let protocol = if group.state == GroupState::Stable { group.protocol.clone() } else { None };
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
        .with_protocol_data(protocol.clone().unwrap_or_default())
        .with_members(members(group, protocol.as_ref()))
}

fn members(group: &Group, protocol: Option<&StrBytes>) -> Vec<DescribedGroupMember> {
    let describe = |(id, member): (&StrBytes, &Member)| {
        let described = DescribedGroupMember::default()
            .with_member_id(id.clone())
            .with_group_instance_id(member.instance.clone())
            .with_client_id(member.client_id.clone())
            .with_client_host(member.client_host.clone())
            .with_member_assignment(member.assignment.clone());
        match protocol {
            Some(protocol) => described.with_member_metadata(member.metadata(protocol)),
            None => described,
        }
    };
    group.members.iter().map(describe).collect()
}
