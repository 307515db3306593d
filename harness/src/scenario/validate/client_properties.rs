//! Properties of the load generator's client: what librdkafka would refuse when the load begins is refused here, at its line.

use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::RawLoad;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// `acks`, by its other name, too.
const ACKS: [&str; 2] = ["acks", "request.required.acks"];

/// What brokers take (`INVALID_REQUIRED_ACKS` otherwise). librdkafka takes up to 1000 of them.
const ACKS_ALLOWED: [&str; 4] = ["all", "-1", "0", "1"];

/// Whether [`validate`] tells of this property.
pub(super) fn is_refused(load: &RawLoad, property: &str) -> bool {
    let mut properties = load.client.iter().flat_map(|client| &client.value.0);
    let Some((_, value)) = properties.find(|(name, _)| name.value == *property) else { return false };
    let text = value.value.0.as_str();
    // It contradicts `acks`, or is no property that librdkafka has, or has a value that nobody takes.
    property == "enable.idempotence"
        || (ACKS.contains(&property) && !ACKS_ALLOWED.contains(&text))
        || ClientConfig::new().set(property, text).create_native_config().is_err()
}

/// Tells of each property that does not exist, cannot have its value, or contradicts another.
pub(super) fn validate(load: &RawLoad, problems: &mut Problems<'_>) {
    let properties = load.client.iter().flat_map(|client| &client.value.0);
    let (mut acks, mut idempotent) = (None, None);
    for (name, value) in properties {
        let (property, text) = (name.value.as_str(), value.value.0.as_str());
        let refused = ClientConfig::new().set(property, text).create_native_config().err();
        match refused {
            Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
                let message = format!("librdkafka has no property `{property}`");
                let help = match names::nearest(property, KNOWN) {
                    Some(nearest) => format!("did you mean `{nearest}`? librdkafka's CONFIGURATION.md has all of them"),
                    None => "librdkafka's CONFIGURATION.md has all of them".to_owned(),
                };
                problems.add(name.place, message, "no such property", help);
            }
            Some(KafkaError::ClientConfig(_, description, ..)) => {
                let message = format!("`{property}` cannot be {text:?}: {description}");
                problems.add(value.place, message, "not allowed", "librdkafka's CONFIGURATION.md says what is");
            }
            _ if ACKS.contains(&property) && !ACKS_ALLOWED.contains(&text) => {
                let message = format!("`{property}` cannot be {text:?}: no broker takes that");
                let help = format!("allowed: {}", names::list(&ACKS_ALLOWED));
                problems.add(value.place, message, "not allowed", help);
            }
            _ if ACKS.contains(&property) => acks = Some(text),
            _ if property == "enable.idempotence" => idempotent = Some((text, value.place)),
            _ => {}
        }
    }
    if let (Some(acks @ ("0" | "1")), Some(("true", place))) = (acks, idempotent) {
        let message = format!("an idempotent client needs acks from all replicas in sync, and `acks` is {acks}");
        problems.add(
            place,
            message,
            "contradicts `acks`",
            "write `acks = \"all\"`, or `\"enable.idempotence\" = false`",
        );
    }
}

/// Those that scenarios are about, for whoever misspells one.
const KNOWN: [&str; 18] = [
    "acks",
    "batch.num.messages",
    "batch.size",
    "client.id",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.messages",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "socket.timeout.ms",
    "topic.metadata.refresh.interval.ms",
];

#[cfg(test)]
mod tests {
    use super::super::messages::{GOOD, read};

    fn refused(client: &str) -> Option<String> {
        let text = GOOD.replace("\n[[fault]]", &format!("client = {{ {client} }}\n\n[[fault]]"));
        read(&text).err().map(|error| error.render(false))
    }

    #[test]
    fn what_the_client_would_refuse_is_refused_at_its_line() {
        for (client, told) in [
            ("ackss = 1", "did you mean `acks`?"),
            ("\"no.such.thing\" = 1", "librdkafka has no property `no.such.thing`"),
            ("\"linger.ms\" = -5", "`linger.ms` cannot be \"-5\""),
            ("\"compression.type\" = \"zip\"", "`compression.type` cannot be \"zip\""),
            ("acks = 7", "no broker takes that"),
            ("acks = 1, \"enable.idempotence\" = true", "an idempotent client needs acks from all"),
        ] {
            let text = refused(client).unwrap_or_else(|| panic!("{client} is taken"));
            assert!(text.contains(told), "{client}: {text}");
        }
        for client in
            ["acks = 1", "acks = \"all\", \"enable.idempotence\" = true", "\"linger.ms\" = 0", "debug = \"msg\""]
        {
            assert_eq!(refused(client), None, "{client}");
        }
    }
}
