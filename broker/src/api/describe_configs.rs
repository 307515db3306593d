//! `DescribeConfigs` 1–4: the settings of topics and of this node. Version 3 adds types and documentation, which this
//! node leaves empty.

use super::{Call, Effect};
use crate::config::topic::{self, ConfigType};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
const DYNAMIC_TOPIC: i8 = 1;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

pub(super) fn handle(node: &mut Node, _call: &Call, request: DescribeConfigsRequest) -> Effect {
    let synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(node, &resource, synonyms) {
            Ok(configs) => result.with_configs(configs),
            Err((error, message)) => {
                result.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect()).into()
}

fn describe(
    node: &Node,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, (ResponseError, String)> {
    let wanted = |name: &str| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.iter().any(|key| &**key == name))
    };
    let name = &resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            if !node.image.topics.contains_key(name) {
                let message = format!("there is no topic {:?}", &**name);
                return Err((ResponseError::UnknownTopicOrPartition, message));
            }
            let own = node.image.topic_settings(name);
            let settings = topic::SETTINGS.iter().filter(|setting| wanted(setting.name));
            Ok(settings
                .map(|setting| topic_setting(setting, own.and_then(|own| own.get(setting.name)), synonyms))
                .collect())
        }
        BROKER if name.is_empty() || **name == node.config.id.to_string() => {
            // Without a name the defaults of all brokers are asked for, and no dynamic ones are kept.
            let settings = node.config.settings().filter(|(setting, _)| !name.is_empty() && wanted(setting));
            Ok(settings.map(|(setting, value)| broker_setting(setting, value)).collect())
        }
        BROKER => {
            let message =
                format!("Unexpected broker id, expected {} or empty string, but received {}", node.config.id, &**name);
            Err((ResponseError::InvalidRequest, message))
        }
        other => {
            Err((ResponseError::InvalidRequest, format!("resource type {other} is neither topic (2) nor broker (4)")))
        }
    }
}

fn topic_setting(setting: &topic::Setting, own: Option<&String>, synonyms: bool) -> DescribeConfigsResourceResult {
    let name = StrBytes::from_static_str(setting.name);
    let default = StrBytes::from_static_str(setting.default);
    let own = own.map(|value| StrBytes::from_string(value.clone()));
    let synonym = |value: StrBytes, source: i8| {
        DescribeConfigsSynonym::default().with_name(name.clone()).with_value(Some(value)).with_source(source)
    };
    let mut chain = Vec::new();
    if synonyms {
        chain.extend(own.clone().map(|value| synonym(value, DYNAMIC_TOPIC)));
        chain.push(synonym(default.clone(), DEFAULT));
    }
    DescribeConfigsResourceResult::default()
        .with_name(name.clone())
        .with_config_source(if own.is_some() { DYNAMIC_TOPIC } else { DEFAULT })
        .with_value(Some(own.unwrap_or(default)))
        .with_synonyms(chain)
        .with_config_type(setting.kind as i8)
}

fn broker_setting(name: &'static str, value: String) -> DescribeConfigsResourceResult {
    let kind = if value.parse::<i64>().is_ok() { ConfigType::Long } else { ConfigType::Boolean };
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value)))
        .with_read_only(true)
        .with_config_source(STATIC_BROKER)
        .with_config_type(kind as i8)
}
