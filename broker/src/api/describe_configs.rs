//! `DescribeConfigs` 1–4: the settings of topics and of this node. Version 3 adds types and documentation, which this
//! node leaves empty.

use super::{Call, Effect, create_topics};
use crate::config::broker::CurrentSetting;
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
        // No keys at all ask for every setting, as null does.
        let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        keys.is_none_or(|keys| keys.iter().any(|key| &**key == name))
    };
    let name = &resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            if !create_topics::is_valid_name(name) {
                let message = format!("Topic name is invalid: {:?}", &**name);
                return Err((ResponseError::InvalidTopicException, message));
            }
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
            let settings = node.config.settings().filter(|setting| !name.is_empty() && wanted(setting.name));
            Ok(settings.map(|setting| broker_setting(&setting, synonyms)).collect())
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

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn synonym(name: &'static str, value: &str, source: i8) -> DescribeConfigsSynonym {
    let name = StrBytes::from_static_str(name);
    DescribeConfigsSynonym::default().with_name(name).with_value(Some(text(value))).with_source(source)
}

fn described(name: &'static str, value: &str, source: i8, kind: ConfigType) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(text(value)))
        .with_config_source(source)
        .with_config_type(kind as i8)
        .with_documentation(None)
}

fn topic_setting(setting: &topic::Setting, own: Option<&String>, synonyms: bool) -> DescribeConfigsResourceResult {
    let source = if own.is_some() { DYNAMIC_TOPIC } else { DEFAULT };
    let value = own.map_or(setting.default, String::as_str);
    let mut chain = Vec::new();
    if synonyms {
        chain.extend(own.map(|value| synonym(setting.name, value, DYNAMIC_TOPIC)));
        // As in Kafka, where the default of a topic comes from its broker, under the broker's name for it.
        chain.extend(setting.broker_name.map(|name| synonym(name, setting.default, DEFAULT)));
    }
    described(setting.name, value, source, setting.kind).with_synonyms(chain)
}

fn broker_setting(setting: &CurrentSetting, synonyms: bool) -> DescribeConfigsResourceResult {
    let source = if setting.value == setting.default { DEFAULT } else { STATIC_BROKER };
    let mut chain = Vec::new();
    if synonyms {
        let own = (source == STATIC_BROKER).then(|| synonym(setting.name, &setting.value, STATIC_BROKER));
        chain.extend(own);
        chain.extend((!setting.default.is_empty()).then(|| synonym(setting.name, setting.default, DEFAULT)));
    }
    let described = described(setting.name, &setting.value, source, setting.kind);
    // What has no default and is not set is null.
    let value = described.value.clone().filter(|value| !value.is_empty());
    described.with_value(value).with_read_only(true).with_synonyms(chain)
}
