//! Topics: their names, and how to read their messages.

use super::scope::Scope;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::{RawMessage, RawTopic, RawValue};
use crate::language::setting::{Named, Scalar};
use crate::scenario::merge::Merged;
use crate::scenario::model::{MessageRule, Topic, ValueRule};
use shakedown_cluster::ConfigError;
use shakedown_cluster::settings::check_topic;
use std::collections::BTreeMap;

/// Kafka's own limit (`org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH`).
const NAME_LENGTH_MAX: usize = 249;

pub(super) fn validate(merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Vec<Topic> {
    let mut topics = Vec::new();
    for (name, topic) in &merged.topics.0 {
        if !is_topic_name(&name.value) {
            let help = "allowed: letters, digits, `.`, `_` and `-`, at most 249 of them, and neither `.` nor `..`";
            problems.add(name.place, format!("`{}` cannot be a topic's name", name.value), "not a name", help);
        }
        let topic = &topic.value;
        if let Some(config) = &topic.config {
            settings(&config.value, check_topic, problems);
        }
        topics.push(Topic {
            name: name.value.clone(),
            partitions: topic.partitions.as_ref().map_or(1, |n| i32::try_from(n.value.0).unwrap_or(i32::MAX)),
            replication_factor: replication_factor(&name.value, topic, scope, problems),
            config: topic.config.as_ref().map(|config| scalars(&config.value)).unwrap_or_default(),
            message: topic.message.as_ref().map(|message| message_rule(&message.value, problems)),
        });
    }
    topics
}

fn replication_factor(name: &str, topic: &RawTopic, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<i32> {
    let factor = topic.replication_factor.as_ref()?;
    let brokers = u64::from(scope.brokers());
    if factor.value.0 > brokers {
        let replicas = factor.value.0;
        let (there_are, allowed) = match brokers {
            1 => ("there is one broker".to_owned(), "1".to_owned()),
            _ => (format!("there are {brokers} brokers"), format!("1 to {brokers}")),
        };
        let message = format!("topic `{name}` cannot have {replicas} replicas: {there_are}");
        let help = format!("allowed: {allowed}, one on each broker; or write `brokers = {replicas}` in [cluster]");
        problems.add(factor.place, message, "more than there are brokers", help);
    }
    i32::try_from(factor.value.0).ok()
}

fn is_topic_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.chars().all(legal) && name != "." && name != ".."
}

/// Asks the cluster, before it is there, whether it knows each setting and can take its value.
pub(super) fn settings(
    config: &Named<Scalar>,
    check: fn(&str, &str) -> Result<(), ConfigError>,
    problems: &mut Problems<'_>,
) {
    for (name, value) in &config.0 {
        match check(&name.value, &value.value.0) {
            Ok(()) => {}
            Err(ConfigError::Unknown { known, .. }) => {
                let help = names::advice(&name.value, known.split(", "));
                problems.add(name.place, format!("there is no setting `{}` here", name.value), "unknown setting", help);
            }
            Err(ConfigError::Invalid { allowed, .. }) => {
                let message = format!("`{}` cannot be \"{}\"", name.value, value.value.0);
                problems.add(value.place, message, "wrong value", format!("allowed: {allowed}"));
            }
        }
    }
}

pub(super) fn scalars(map: &Named<Scalar>) -> BTreeMap<String, String> {
    map.0.iter().map(|(name, value)| (name.value.clone(), value.value.0.clone())).collect()
}

fn message_rule(message: &RawMessage, problems: &mut Problems<'_>) -> MessageRule {
    let value = match message.value.as_ref().map(|value| (&value.value, value.place)) {
        None => ValueRule::None,
        Some((RawValue::Field(pointer), _)) => ValueRule::Field(pointer.0.clone()),
        Some((RawValue::Sum(sum), place)) => {
            if sum.product.value.is_empty() {
                problems.add(
                    place,
                    "`product` names no field",
                    "nothing to multiply",
                    "name at least one field of an element",
                );
            }
            let product = sum.product.value.iter().map(|factor| factor.value.0.clone()).collect();
            ValueRule::Sum { array: sum.array.value.0.clone(), product }
        }
    };
    MessageRule {
        identity: message.identity.value.0.clone(),
        value,
        intended_us: message.intended_us.as_ref().map(|pointer| pointer.value.0.clone()),
    }
}
