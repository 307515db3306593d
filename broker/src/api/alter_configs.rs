//! `AlterConfigs` 0–2, on the controller: what a topic sets is replaced as a whole. Kafka keeps it for clients from before
//! `IncrementalAlterConfigs`.

use super::incremental_alter_configs::{
    Refused, check_kind, check_name, check_unique, check_values, existing, not_unique, repeated,
};
use crate::config::topic;
use crate::controller::Controller;
use crate::metadata::record::{ConfigResource, MetadataRecord};
use crate::types::Now;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
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
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn changes(controller: &Controller, resource: &AlterConfigsResource) -> Result<Vec<MetadataRecord>, Refused> {
    let asked = &resource.resource_name;
    check_unique(resource.configs.iter().map(|config| &config.name))?;
    check_values(resource.configs.iter().map(|config| (&config.name, config.value.as_ref())))?;
    check_kind(resource.resource_type)?;
    check_name(asked)?;
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    for before in controller.image.topic_settings(asked).into_iter().flat_map(BTreeMap::keys) {
        wanted.insert(before.clone(), None);
    }
    for config in &resource.configs {
        let value = config.value.as_deref().unwrap_or_default();
        topic::validate(&config.name, value).map_err(|error| (ResponseError::InvalidConfig, error.to_string()))?;
        wanted.insert(config.name.to_string(), Some(value.to_string()));
    }
    let resource = ConfigResource::Topic(existing(controller, asked)?);
    let record = |(name, value)| MetadataRecord::Config { resource: resource.clone(), name, value };
    Ok(wanted.into_iter().map(record).collect())
}
