//! One dead letter, and what its headers say about it.

use super::SUFFIX;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};

/// What the headers of a service that lays a letter aside begin with: they are about the letter, not the event's own.
const ABOUT: &str = "dlq-";

/// What a service adds to an event that it sends to its retry topic; see `services/README.md`. An event that is played again
/// is tried as long as a new one.
const OF_RETRIES: [&str; 3] = ["retry-topic", "retry-since-us", "retry-reason"];

/// A header: its name, and its value if it has one.
pub type Header = (String, Option<Vec<u8>>);

/// A dead letter as it lies in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The topic of dead letters in which it lies.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was laid there, in milliseconds since the Unix epoch, if the broker says so.
    pub laid_at_ms: Option<u64>,
    /// The event's key.
    pub key: Option<Vec<u8>>,
    /// The event's bytes.
    pub payload: Option<Vec<u8>>,
    /// The event's headers, and behind them those about the letter.
    pub headers: Vec<Header>,
}

/// Where an event lay when it was given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Its topic: the one that the letter's topic is named after, or a retry topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

impl Letter {
    /// Copies it out of the client's memory.
    #[must_use]
    pub fn copy(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        let laid_at = match message.timestamp() {
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => u64::try_from(ms).ok(),
            Timestamp::NotAvailable => None,
        };
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            laid_at_ms: laid_at,
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// Why nobody could handle it, in the service's words.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.about("reason")
    }

    /// Which service laid it aside.
    #[must_use]
    pub fn service(&self) -> Option<String> {
        self.about("service")
    }

    /// Where its event lay.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        Some(Origin {
            topic: self.about("topic")?,
            partition: self.about("partition")?.parse().ok()?,
            offset: self.about("offset")?.parse().ok()?,
        })
    }

    /// What of its event is cut off or left out, where it was too long for a letter.
    #[must_use]
    pub fn shortened(&self) -> Option<String> {
        self.about("shortened")
    }

    /// How long the event's payload was, and its SHA-256, where the letter has not all of it.
    #[must_use]
    pub fn whole_payload(&self) -> Option<(u64, String)> {
        Some((self.about("payload-bytes")?.parse().ok()?, self.about("payload-sha256")?))
    }

    /// The event's own headers, as whoever produced it gave them.
    #[must_use]
    pub fn original_headers(&self) -> Vec<Header> {
        let retried = self.came_by_retries();
        let is_own = |name: &str| !(name.starts_with(ABOUT) || retried && OF_RETRIES.contains(&name));
        self.headers.iter().filter(|(name, _)| is_own(name)).cloned().collect()
    }

    /// The partition of its first topic in which its event lay. `None` if it came by a retry topic, which has partitions of its
    /// own, or says nothing.
    #[must_use]
    pub fn first_partition(&self) -> Option<i32> {
        let origin = self.origin()?;
        (Some(origin.topic.as_str()) == first_topic(&self.topic)).then_some(origin.partition)
    }

    /// Bytes that it takes in memory, roughly.
    #[must_use]
    pub fn size(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(&self.key) + length(&self.payload) + headers
    }

    fn came_by_retries(&self) -> bool {
        self.origin().is_some_and(|origin| Some(origin.topic.as_str()) != first_topic(&self.topic))
    }

    /// The last value of the header, since a service appends.
    fn about(&self, what: &str) -> Option<String> {
        let named = |name: &str| name.strip_prefix(ABOUT) == Some(what);
        let value = self.headers.iter().rev().find(|(name, _)| named(name))?.1.as_deref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// The topic that a topic of dead letters is named after: where its events were first.
#[must_use]
pub fn first_topic(topic: &str) -> Option<&str> {
    topic.strip_suffix(SUFFIX).filter(|first| !first.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn letter(topic: &str, headers: &[(&str, &str)]) -> Letter {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())));
        Letter {
            topic: topic.to_owned(),
            partition: 2,
            offset: 7,
            laid_at_ms: Some(1_795_262_594_999),
            key: Some(b"ada".to_vec()),
            payload: Some(b"not json".to_vec()),
            headers: headers.collect(),
        }
    }

    fn names(letter: &Letter) -> Vec<String> {
        letter.original_headers().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_letter_says_where_it_comes_from_and_what_its_own_headers_are() {
        let letter = letter(
            "orders.dlq",
            &[
                ("retry-topic", "somebody's own"),
                ("traceparent", "x"),
                ("dlq-reason", "an older one"),
                ("dlq-reason", "no"),
                ("dlq-service", "payment"),
                ("dlq-topic", "orders"),
                ("dlq-partition", "3"),
                ("dlq-offset", "41"),
            ],
        );
        assert_eq!(letter.reason().as_deref(), Some("no"), "the last word counts");
        assert_eq!(letter.service().as_deref(), Some("payment"));
        assert_eq!(letter.origin(), Some(Origin { topic: "orders".to_owned(), partition: 3, offset: 41 }));
        assert_eq!(letter.first_partition(), Some(3));
        assert_eq!(
            names(&letter),
            ["retry-topic", "traceparent"],
            "nobody retried it, so the header is the producer's"
        );
    }

    #[test]
    fn a_letter_by_a_retry_topic_loses_what_the_retries_added() {
        let headers = [
            ("event-id", "e"),
            ("retry-topic", "orders"),
            ("retry-since-us", "1"),
            ("retry-reason", "503"),
            ("dlq-topic", "payment.retry"),
            ("dlq-partition", "0"),
            ("dlq-offset", "4"),
        ];
        let letter = letter("orders.dlq", &headers);
        assert_eq!(names(&letter), ["event-id"]);
        assert_eq!(letter.first_partition(), None, "partition 0 is the retry topic's");
    }

    #[test]
    fn a_letter_without_headers_is_one_all_the_same() {
        let letter = letter("orders.dlq", &[("dlq-topic", "orders"), ("dlq-partition", "three"), ("dlq-offset", "1")]);
        assert_eq!((letter.reason(), letter.service(), letter.origin()), (None, None, None));
        assert_eq!(first_topic("orders.dlq"), Some("orders"));
        assert_eq!((first_topic("orders"), first_topic(".dlq")), (None, None));
    }
}
