//! Topics that no file names, because their systems imply them: storefront and fanout have a dead letter topic beside every
//! topic that a service consumes, and a retry topic for every service that consumes.

use super::merge::Merged;
use crate::language::document::Spanned;
use crate::language::raw::{RawService, RawTopic};
use crate::language::setting::Whole;

/// The systems whose services retry and give up events.
const SYSTEMS: [&str; 2] = ["storefront", "fanout"];

/// The variable by which a service calls its retry topic something else.
const RETRY_TOPIC: &str = "RETRY_TOPIC";

/// Adds what is implied, as far as no file declares it. Each has as many partitions and replicas as the topic behind it, a
/// retry topic as many as the largest: events keep their keys, and with them their order.
pub(super) fn add_topics(merged: &mut Merged) {
    if !merged.system.as_deref().is_some_and(|system| SYSTEMS.contains(&system)) {
        return;
    }
    let mut implied: Vec<(Spanned<String>, Spanned<RawTopic>)> = Vec::new();
    for (name, service) in &merged.services.0 {
        let consumes = service.value.consumes.iter().flat_map(|topics| &topics.value);
        // What is not declared is told of where it is validated.
        let declared = consumes.filter_map(|topic| {
            let (_, found) = merged.topics.0.iter().find(|(known, _)| known.value == topic.value)?;
            Some((topic, &found.value))
        });
        let declared: Vec<_> = declared.collect();
        let largest = declared.iter().rev().max_by_key(|(_, topic)| partitions(topic));
        for (topic, behind) in &declared {
            implied.push(beside(format!("{}.dlq", topic.value), topic, behind));
        }
        if let Some((topic, behind)) = largest {
            implied.push(beside(retry_topic(&name.value, &service.value), topic, behind));
        }
    }
    for (name, topic) in implied {
        if merged.topics.0.iter().all(|(known, _)| known.value != name.value) {
            merged.topics.0.push((name, topic));
        }
    }
}

/// A topic like another, called so.
fn beside(name: String, consumed: &Spanned<String>, behind: &RawTopic) -> (Spanned<String>, Spanned<RawTopic>) {
    let place = consumed.place;
    let topic = RawTopic {
        partitions: behind.partitions.clone(),
        replication_factor: behind.replication_factor.clone(),
        config: None,
        message: behind.message.clone(),
        book: None,
    };
    (Spanned { value: name, place }, Spanned { value: topic, place })
}

fn partitions(topic: &RawTopic) -> u64 {
    topic.partitions.as_ref().map_or(1, |Spanned { value: Whole(partitions), .. }| *partitions)
}

fn retry_topic(name: &str, service: &RawService) -> String {
    let env = service.env.iter().flat_map(|env| &env.value.0);
    let mut said = env.filter(|(variable, value)| variable.value == RETRY_TOPIC && !value.value.0.is_empty());
    said.next().map_or_else(|| format!("{name}.retry"), |(_, value)| value.value.0.clone())
}

#[cfg(test)]
mod tests {
    use crate::scenario::files::{SystemFile, assemble};
    use std::path::Path;

    const SYSTEM: &str = r#"
[topics.paid]
partitions = 3

[topics.shipped]
partitions = 6
replication_factor = 2
config = { "retention.ms" = 1000 }

[topics."payment.retry"]
partitions = 12

[services.payment]
group = "payment"
consumes = ["shipped"]

[services.telling]
group = "telling"
consumes = ["paid", "shipped"]

[services.order]
produces = ["paid"]
"#;

    /// The topics of a scenario over this system, with their partitions and replicas.
    fn topics(system: &str, scenario: &str) -> Vec<(String, u64, Option<u64>)> {
        let text = format!("system = \"{system}\"\n{scenario}");
        let found = |_: &str| Ok(SystemFile::Found { path: format!("systems/{system}.toml"), text: SYSTEM.to_owned() });
        let files =
            assemble(Path::new("some.toml"), text, &found).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let topics = files.merged.topics.0.iter().map(|(name, topic)| {
            let replicas = topic.value.replication_factor.as_ref().map(|factor| factor.value.0);
            (name.value.clone(), super::partitions(&topic.value), replicas)
        });
        topics.collect()
    }

    #[test]
    fn a_storefront_has_dead_letter_and_retry_topics_that_nobody_declares() {
        let topics = topics("storefront", "");
        let expected = [
            ("paid", 3, None),
            ("shipped", 6, Some(2)),
            ("payment.retry", 12, None),
            ("shipped.dlq", 6, Some(2)),
            ("paid.dlq", 3, None),
            ("telling.retry", 6, Some(2)),
        ];
        assert_eq!(topics, expected.map(|(name, partitions, replicas)| (name.to_owned(), partitions, replicas)));
    }

    #[test]
    fn a_retry_topic_is_called_as_its_service_calls_it() {
        let topics = topics("fanout", "[services.telling]\nenv = { RETRY_TOPIC = \"again\" }\n");
        let names: Vec<&str> = topics.iter().map(|(name, ..)| name.as_str()).collect();
        assert!(names.contains(&"again") && !names.contains(&"telling.retry"), "{names:?}");
    }

    #[test]
    fn other_systems_have_what_they_declare() {
        assert_eq!(topics("billing", "").len(), 3);
    }
}
