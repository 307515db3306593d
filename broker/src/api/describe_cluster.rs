//! `DescribeCluster` 0–2 (KIP-700): nodes and controller.

use super::authorized_operations as operations;
use super::{Call, Effect};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(node: &mut Node, call: &Call, request: DescribeClusterRequest) -> Effect {
    let allowed = operations::if_asked(request.include_cluster_authorized_operations, operations::CLUSTER);
    let response = DescribeClusterResponse::default().with_cluster_authorized_operations(allowed);
    if call.version >= 1 && request.endpoint_type != BROKERS {
        let error = if request.endpoint_type == CONTROLLERS {
            ResponseError::MismatchedEndpointType
        } else {
            ResponseError::UnsupportedEndpointType
        };
        return response
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str("only broker endpoints (1) can be described here")))
            .into();
    }
    let brokers = node.image.alive().map(|broker| {
        DescribeClusterBroker::default()
            .with_broker_id(broker.id.0.into())
            .with_host(broker.host.clone())
            .with_port(broker.port.into())
            .with_rack(broker.rack.clone())
    });
    response
        .with_endpoint_type(BROKERS)
        .with_cluster_id(StrBytes::from_string(node.config.cluster_id.clone()))
        .with_controller_id(node.config.id.0.into())
        .with_brokers(brokers.collect())
        .into()
}
