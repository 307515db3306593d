//! `DeleteTopics` 1–6, on the controller. Version 6 names topics by name or by id.

use crate::controller::Controller;
use crate::metadata::is_internal;
use crate::metadata::record::MetadataRecord;
use crate::types::Now;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked = if version >= 6 {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState::default().with_name(Some(name));
        request.topic_names.into_iter().map(by_name).collect()
    };
    let mut seen = BTreeSet::new();
    let names = asked.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    let twice: BTreeSet<_> = names.filter(|topic| !seen.insert(topic.clone())).collect();
    // A topic that is named twice gets one answer.
    let asked = asked.into_iter().filter(|topic| seen.remove(&(topic.name.clone(), topic.topic_id)));
    let results = asked.map(|topic| {
        let (name, id) = (topic.name.clone(), topic.topic_id);
        let deleted = if twice.contains(&(name.clone(), id)) {
            Err((ResponseError::InvalidRequest, "Duplicate topic name."))
        } else {
            delete(controller, topic)
        };
        deleted.unwrap_or_else(|(error, message)| {
            DeletableTopicResult::default()
                .with_name(name)
                .with_topic_id(id)
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_static_str(message)))
        })
    });
    DeleteTopicsResponse::default().with_responses(results.collect())
}

fn delete(
    controller: &mut Controller,
    asked: DeleteTopicState,
) -> Result<DeletableTopicResult, (ResponseError, &'static str)> {
    if !controller.config.delete_topics {
        return Err((ResponseError::TopicDeletionDisabled, "delete.topic.enable is false"));
    }
    let name = match asked.name {
        Some(_) if !asked.topic_id.is_nil() => {
            return Err((ResponseError::InvalidRequest, "You may not specify both topic name and topic id."));
        }
        Some(name) => name.0,
        None if asked.topic_id.is_nil() => {
            return Err((ResponseError::InvalidRequest, "Neither topic name nor id were specified."));
        }
        None => {
            let known = controller.image.names.get(&asked.topic_id).cloned();
            known.ok_or((ResponseError::UnknownTopicId, "This server does not host this topic ID."))?
        }
    };
    let unknown = (ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition.");
    let id = controller.image.topics.get(&name).map(|topic| topic.id).ok_or(unknown)?;
    if is_internal(&name) {
        return Err((ResponseError::InvalidRequest, "internal topics cannot be deleted here"));
    }
    controller.append(MetadataRecord::RemoveTopic { id });
    Ok(DeletableTopicResult::default().with_name(Some(name.into())).with_topic_id(id))
}
