//! Dead letters: events that nobody can handle, as they were, in `<topic>.dlq`, with the reason in headers of their own.

use crate::clock::unix_us;
use crate::kafka::{Event, OrderedProducer, Publication};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use tracing::error;

/// An event, and why nobody can handle it.
pub(super) struct DeadLetter<'a> {
    pub(super) event: &'a Event,
    /// Where it was first, if it comes from a retry topic.
    pub(super) topic: &'a str,
    pub(super) reason: String,
}

/// The topic of the dead letters of `topic`.
pub(super) fn topic_of(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Publishes dead letters and waits until Kafka has them. A crash behind it publishes them again: the headers say which event
/// each is.
pub(super) async fn publish(
    letters: &[DeadLetter<'_>],
    service: &str,
    producer: &mut OrderedProducer,
) -> Result<(), KafkaError> {
    let topics: Vec<String> = letters.iter().map(|letter| topic_of(letter.topic)).collect();
    let publications: Vec<Publication<'_>> = letters
        .iter()
        .zip(&topics)
        .map(|(letter, topic)| Publication {
            topic,
            key: letter.event.key.as_deref(),
            payload: letter.event.payload.as_deref(),
            headers: headers(letter, service),
        })
        .collect();
    producer.publish(&publications).await?;
    for DeadLetter { event, topic, reason } in letters {
        let trace_id = event.trace.map(|trace| tracing::field::display(trace.trace_id()));
        error!(
            topic,
            partition = event.partition,
            offset = event.offset,
            trace_id,
            reason,
            "event became a dead letter"
        );
    }
    Ok(())
}

fn headers(letter: &DeadLetter<'_>, service: &str) -> OwnedHeaders {
    let event = letter.event;
    let place = [event.partition.to_string(), event.offset.to_string(), unix_us().to_string()];
    let [partition, offset, at_us] = &place;
    let own = [
        ("dlq-reason", letter.reason.as_str()),
        ("dlq-service", service),
        ("dlq-topic", &*event.topic),
        ("dlq-partition", partition),
        ("dlq-offset", offset),
        ("dlq-at-us", at_us),
    ];
    let original = event.headers.clone().unwrap_or_else(|| OwnedHeaders::new_with_capacity(own.len()));
    own.iter().fold(original, |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;
    use rdkafka::message::Headers;

    #[test]
    fn a_dead_letter_keeps_its_headers_and_says_why_it_is_one() {
        let mut event = event("orders", 3, 41, "user-1", "nonsense");
        event.headers = Some(OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("x") }));
        let letter = DeadLetter { event: &event, topic: "orders", reason: "its payload is not JSON".to_owned() };
        let headers = headers(&letter, "payment");
        let named: Vec<(&str, &str)> =
            headers.iter().map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap())).collect();
        assert_eq!(
            named[..6],
            [
                ("traceparent", "x"),
                ("dlq-reason", "its payload is not JSON"),
                ("dlq-service", "payment"),
                ("dlq-topic", "orders"),
                ("dlq-partition", "3"),
                ("dlq-offset", "41"),
            ]
        );
        assert_eq!(topic_of("orders"), "orders.dlq");
    }
}
