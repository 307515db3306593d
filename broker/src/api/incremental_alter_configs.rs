//! `IncrementalAlterConfigs` 0–1 (KIP-339), on the controller: a topic's settings are set, deleted, and, where they are
//! lists, appended to and subtracted from.

use super::create_topics::is_valid_name;
use super::describe_configs::TOPIC;
use crate::config::topic::{self, ConfigType};
use crate::controller::Controller;
use crate::metadata::record::{ConfigResource, MetadataRecord};
use crate::types::Now;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const OPERATIONS: [i8; 4] = [SET, DELETE, APPEND, SUBTRACT];

pub(super) type Refused = (ResponseError, String);

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let repeated = repeated(request.resources.iter().map(|one| (one.resource_type, &one.resource_name)));
    let responses = request.resources.into_iter().map(|resource| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_message(None);
        let twice = repeated.contains(&(resource.resource_type, resource.resource_name.clone()));
        match if twice { Err(not_unique()) } else { changes(controller, &resource) } {
            Ok(records) => {
                if !request.validate_only {
                    records.into_iter().for_each(|record| controller.append(record));
                }
                response
            }
            Err((error, message)) => {
                response.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn changes(controller: &Controller, resource: &AlterConfigsResource) -> Result<Vec<MetadataRecord>, Refused> {
    let asked = &resource.resource_name;
    check_unique(resource.configs.iter().map(|config| &config.name))?;
    let set = resource.configs.iter().filter(|config| config.config_operation != DELETE);
    check_values(set.map(|config| (&config.name, config.value.as_ref())))?;
    check_kind(resource.resource_type)?;
    if let Some(config) = resource.configs.iter().find(|config| !OPERATIONS.contains(&config.config_operation)) {
        // Kafka's controller stumbles over it, which is all that clients are told.
        let message = format!("unknown config operation {}", config.config_operation);
        return Err((ResponseError::UnknownServerError, message));
    }
    check_name(asked)?;
    let own = controller.image.topic_settings(asked);
    let change = |config: &AlterableConfig| {
        let before = own.and_then(|own| own.get(&*config.name));
        Ok((config.name.to_string(), changed(config, before)?))
    };
    let changes = resource.configs.iter().map(change).collect::<Result<Vec<_>, Refused>>()?;
    let resource = ConfigResource::Topic(existing(controller, asked)?);
    let record = |(name, value)| MetadataRecord::Config { resource: resource.clone(), name, value };
    Ok(changes.into_iter().map(record).collect())
}

/// Only topics have settings that can be altered.
pub(super) fn check_kind(kind: i8) -> Result<(), Refused> {
    if kind == TOPIC {
        return Ok(());
    }
    let message = format!("only topics (2) can be altered here, not resource type {kind}");
    Err((ResponseError::InvalidRequest, message))
}

/// Whether this could name a topic, be it there or not.
pub(super) fn check_name(name: &StrBytes) -> Result<(), Refused> {
    if name.is_empty() {
        let message = String::from("Default topic resources are not allowed.");
        return Err((ResponseError::InvalidRequest, message));
    }
    if !is_valid_name(name) {
        return Err((ResponseError::InvalidTopicException, format!("Topic name is invalid: {:?}", &**name)));
    }
    Ok(())
}

/// The topic's own name, which is looked for once everything else is in order.
pub(super) fn existing(controller: &Controller, name: &StrBytes) -> Result<StrBytes, Refused> {
    let known = controller.image.topics.get_key_value(name).map(|(name, _)| name.clone());
    known.ok_or_else(|| {
        let message = format!("The topic '{}' does not exist.", &**name);
        (ResponseError::UnknownTopicOrPartition, message)
    })
}

/// No setting may be named twice.
pub(super) fn check_unique<'a>(names: impl Iterator<Item = &'a StrBytes>) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    let mut names = names;
    if names.all(|name| seen.insert(name)) {
        return Ok(());
    }
    Err((ResponseError::InvalidRequest, String::from("Error due to duplicate config keys")))
}

/// Every setting has a value: Kafka looks before it looks at anything that the request is about.
pub(super) fn check_values<'a>(
    mut configs: impl Iterator<Item = (&'a StrBytes, Option<&'a StrBytes>)>,
) -> Result<(), Refused> {
    match configs.find(|(_, value)| value.is_none()) {
        Some((name, _)) => Err((ResponseError::InvalidRequest, format!("Null value not supported for : {}", &**name))),
        None => Ok(()),
    }
}

/// Resources that are named more than once, all of which are refused.
pub(super) fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a StrBytes)>) -> BTreeSet<(i8, StrBytes)> {
    let mut seen = BTreeSet::new();
    resources
        .filter(|(kind, name)| !seen.insert((*kind, (*name).clone())))
        .map(|(kind, name)| (kind, name.clone()))
        .collect()
}

/// The refusal of a resource that is named more than once.
pub(super) fn not_unique() -> Refused {
    (ResponseError::InvalidRequest, String::from("Each resource must appear at most once."))
}

/// The value after the change, `None` for the default.
fn changed(config: &AlterableConfig, before: Option<&String>) -> Result<Option<String>, Refused> {
    if config.config_operation == DELETE {
        return Ok(None);
    }
    let value = config.value.as_deref().unwrap_or_default();
    let invalid = |message: String| (ResponseError::InvalidConfig, message);
    let Some(setting) = topic::SETTINGS.iter().find(|setting| setting.name == &*config.name) else {
        return Err(topic::validate(&config.name, "")
            .map_or_else(|error| invalid(error.to_string()), |()| unreachable!("the setting is unknown")));
    };
    let value = match config.config_operation {
        SET => value.to_owned(),
        _ if setting.kind != ConfigType::List => return Err(invalid(format!("{} is not a list", setting.name))),
        operation => {
            let current = before.map_or(setting.default, String::as_str);
            let mut list: Vec<&str> = current.split(',').filter(|word| !word.is_empty()).collect();
            for word in value.split(',') {
                list.retain(|other| *other != word);
                if operation == APPEND {
                    list.push(word);
                }
            }
            list.join(",")
        }
    };
    topic::validate(setting.name, &value).map_err(|error| invalid(error.to_string()))?;
    Ok(Some(value))
}
