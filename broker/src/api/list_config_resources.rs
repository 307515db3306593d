//! `ListConfigResources` 0–1 (KIP-1142): what has a configuration that can be described. Version 0 asks for client
//! metrics only, of which there are none here.

use super::describe_configs::{BROKER, TOPIC};
use super::{Call, Effect};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use kafka_protocol::protocol::StrBytes;

const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
/// In the order in which Kafka answers.
const ALL: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(super) fn handle(node: &mut Node, call: &Call, request: ListConfigResourcesRequest) -> Effect {
    let asked = match request.resource_types {
        _ if call.version == 0 => vec![CLIENT_METRICS],
        types if types.is_empty() => ALL.to_vec(),
        types => types,
    };
    if asked.iter().any(|kind| !ALL.contains(kind)) {
        let code = ResponseError::UnsupportedVersion.code();
        return ListConfigResourcesResponse::default().with_error_code(code).into();
    }
    let mut resources = Vec::new();
    for kind in ALL.into_iter().filter(|kind| asked.contains(kind)) {
        let named = |name: StrBytes| ConfigResource::default().with_resource_name(name).with_resource_type(kind);
        match kind {
            TOPIC => resources.extend(node.image.topics.keys().cloned().map(named)),
            BROKER | BROKER_LOGGER => {
                let ids = node.image.brokers.keys().map(|id| StrBytes::from_string(id.to_string()));
                resources.extend(ids.map(named));
            }
            // No groups or client metrics have settings of their own here.
            _ => {}
        }
    }
    ListConfigResourcesResponse::default().with_config_resources(resources).into()
}
