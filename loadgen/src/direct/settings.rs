//! What properties of librdkafka mean here. Defaults are librdkafka's, but for those that a plan has of its own.
//!
//! librdkafka itself has looked at names and values before ([`crate::topic_load`] connects it to look topics up), so what is left
//! to refuse is what it can do and this producer cannot.

use super::partitioner::Partitioner;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every property that is heeded, for those who wrote another.
const HEEDED: [&str; 28] = [
    "acks",
    "allow.auto.create.topics",
    "batch.num.messages",
    "batch.size",
    "client.id",
    "compression.codec",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.timeout.ms",
];

/// The most requests that an idempotent producer may have out on a connection, as librdkafka has it. What brokers know again of a
/// partition is minded in [`super::place_queue`].
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

/// A property that the direct driver cannot heed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It knows no such thing.
    #[error(
        "client property {name:?}: the direct driver does not have it (it has {}); leave it out, or use driver librdkafka",
        HEEDED.join(", ")
    )]
    Property {
        /// The property.
        name: String,
    },
    /// It cannot do that.
    #[error(
        "client property {name:?} = {received:?}: the direct driver allows {allowed}; for others use driver librdkafka"
    )]
    Value {
        /// The property.
        name: String,
        /// Its value.
        received: String,
        /// What it may be.
        allowed: String,
    },
}

impl SettingsError {
    /// The property.
    #[must_use]
    pub fn property(&self) -> &str {
        match self {
            Self::Property { name } | Self::Value { name, .. } => name,
        }
    }
}

/// Of what a producer waits for before it calls a message written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Nothing.
    None,
    /// The leader.
    Leader,
    /// Every replica in sync.
    All,
}

impl Acks {
    /// As requests have it.
    pub(crate) const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Everything that a plan's properties say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) client_id: String,
    pub(crate) acks: Acks,
    pub(crate) idempotent: bool,
    pub(crate) linger: Duration,
    /// Bytes of a batch, before it is compressed.
    pub(crate) batch_size: usize,
    pub(crate) batch_messages: usize,
    /// A message that is larger is refused.
    pub(crate) message_bytes: usize,
    pub(crate) compresses: bool,
    pub(crate) partitioner: Partitioner,
    /// Of all messages that have not ended.
    pub(crate) queue_bytes: usize,
    pub(crate) in_flight: usize,
    /// Attempts after the first.
    pub(crate) retries: u32,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    /// From the moment in which a batch is begun; `None` for one that is tried for ever.
    pub(crate) delivery_timeout: Option<Duration>,
    /// How long brokers may wait for replicas.
    pub(crate) request_timeout: Duration,
    /// How long a connection may take until its broker has said what it speaks.
    pub(crate) setup_timeout: Duration,
    /// How long an answer may take; then the connection is given up.
    pub(crate) socket_timeout: Duration,
}

impl Settings {
    pub(crate) fn new(properties: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        if let Some(name) = properties.keys().find(|name| !HEEDED.contains(&name.as_str())) {
            return Err(SettingsError::Property { name: name.clone() });
        }
        let of = Properties(properties);
        let acks = of.one_of(
            &["acks", "request.required.acks"],
            &[("all", Acks::All), ("-1", Acks::All), ("1", Acks::Leader), ("0", Acks::None)],
            Acks::All,
        )?;
        // As for librdkafka: a plan that asks for fewer acks means no idempotence.
        let idempotent = of.boolean("enable.idempotence", acks == Acks::All)?;
        if idempotent && acks != Acks::All {
            return Err(of.refuse("enable.idempotence", "true with acks=all alone"));
        }
        if of.boolean("allow.auto.create.topics", false)? {
            return Err(of.refuse("allow.auto.create.topics", "false"));
        }
        let in_flight = of.number(&["max.in.flight", "max.in.flight.requests.per.connection"], 1_000_000)?;
        let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX).max(1);
        let compressions = [("none", false), ("lz4", true)];
        let none_is_ever = of.number(&["message.timeout.ms", "delivery.timeout.ms"], 300_000)?;
        Ok(Self {
            client_id: of.text("client.id").unwrap_or("shakedown-load").to_owned(),
            acks,
            idempotent,
            linger: of.milliseconds(&["linger.ms", "queue.buffering.max.ms"], 5)?,
            batch_size: of.size("batch.size", 1_000_000)?,
            batch_messages: of.size("batch.num.messages", 10_000)?,
            message_bytes: of.size("message.max.bytes", 1_000_000)?,
            compresses: of.one_of(&["compression.type", "compression.codec"], &compressions, false)?,
            partitioner: of.one_of(&["partitioner"], &Partitioner::NAMES, Partitioner::Crc32)?,
            queue_bytes: of.size("queue.buffering.max.kbytes", 1_048_576)?.saturating_mul(1_024),
            in_flight: if idempotent { in_flight.min(IDEMPOTENT_IN_FLIGHT_MAX) } else { in_flight },
            retries: u32::try_from(of.number(&["retries", "message.send.max.retries"], 2_147_483_647)?)
                .unwrap_or(u32::MAX),
            retry_backoff: of.milliseconds(&["retry.backoff.ms"], 100)?,
            retry_backoff_max: of.milliseconds(&["retry.backoff.max.ms"], 1_000)?,
            reconnect_backoff: of.milliseconds(&["reconnect.backoff.ms"], 100)?,
            reconnect_backoff_max: of.milliseconds(&["reconnect.backoff.max.ms"], 10_000)?,
            delivery_timeout: (none_is_ever > 0).then(|| Duration::from_millis(none_is_ever)),
            request_timeout: of.milliseconds(&["request.timeout.ms"], 30_000)?,
            setup_timeout: of.milliseconds(&["socket.connection.setup.timeout.ms"], 30_000)?,
            socket_timeout: of.milliseconds(&["socket.timeout.ms"], 60_000)?,
        })
    }
}

/// The properties of a plan, each to be read under any of its names.
struct Properties<'a>(&'a BTreeMap<String, String>);

impl Properties<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Where both names of a property are there, the one that librdkafka is told last.
    fn last_of(&self, names: &[&str]) -> Option<(&str, &str)> {
        let said = self.0.iter().rev().find(|(name, _)| names.contains(&name.as_str()))?;
        Some((said.0.as_str(), said.1.as_str()))
    }

    fn refuse(&self, name: &str, allowed: impl Into<String>) -> SettingsError {
        let received = self.text(name).unwrap_or_default().to_owned();
        SettingsError::Value { name: name.to_owned(), received, allowed: allowed.into() }
    }

    fn one_of<T: Copy>(&self, names: &[&str], allowed: &[(&str, T)], default: T) -> Result<T, SettingsError> {
        let Some((name, value)) = self.last_of(names) else {
            return Ok(default);
        };
        let found = allowed.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
        let words = || allowed.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(|(_, meaning)| *meaning).ok_or_else(|| self.refuse(name, words()))
    }

    fn boolean(&self, name: &str, default: bool) -> Result<bool, SettingsError> {
        let words = [("true", true), ("t", true), ("1", true), ("false", false), ("f", false), ("0", false)];
        self.one_of(&[name], &words, default)
    }

    fn number(&self, names: &[&str], default: u64) -> Result<u64, SettingsError> {
        let Some((name, value)) = self.last_of(names) else {
            return Ok(default);
        };
        value.trim().parse().map_err(|_| self.refuse(name, "a number that is not negative"))
    }

    fn size(&self, name: &str, default: u64) -> Result<usize, SettingsError> {
        Ok(usize::try_from(self.number(&[name], default)?).unwrap_or(usize::MAX).max(1))
    }

    /// librdkafka takes fractions of milliseconds for some.
    fn milliseconds(&self, names: &[&str], default: u64) -> Result<Duration, SettingsError> {
        let Some((name, value)) = self.last_of(names) else {
            return Ok(Duration::from_millis(default));
        };
        let seconds = value.trim().parse().map(|milliseconds: f64| milliseconds / 1e3);
        let span = seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        span.ok_or_else(|| self.refuse(name, "milliseconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::new(&properties.collect())
    }

    #[test]
    fn the_defaults_are_those_of_a_plan() {
        let settings = settings(&[]).expect("nothing is asked");
        assert_eq!((settings.acks, settings.idempotent, settings.in_flight), (Acks::All, true, 5));
        assert_eq!((settings.linger, settings.compresses), (Duration::from_millis(5), false));
        assert_eq!(settings.delivery_timeout, Some(Duration::from_secs(300)));
        assert_eq!(settings.queue_bytes, 1 << 30);
    }

    #[test]
    fn both_names_of_a_property_mean_the_same() {
        for name in ["linger.ms", "queue.buffering.max.ms"] {
            assert_eq!(settings(&[(name, "0.5")]).expect("allowed").linger, Duration::from_micros(500));
        }
        for name in ["acks", "request.required.acks"] {
            let settings = settings(&[(name, "1")]).expect("allowed");
            assert_eq!((settings.acks, settings.idempotent, settings.in_flight), (Acks::Leader, false, 1_000_000));
        }
        for name in ["compression.type", "compression.codec"] {
            assert!(settings(&[(name, "lz4")]).expect("allowed").compresses);
        }
        assert_eq!(settings(&[("delivery.timeout.ms", "0")]).expect("allowed").delivery_timeout, None);
        assert_eq!(settings(&[("partitioner", "murmur2")]).expect("allowed").partitioner, Partitioner::Murmur2);
        assert_eq!(settings(&[("max.in.flight", "2")]).expect("allowed").in_flight, 2);
        assert_eq!(settings(&[("max.in.flight", "20")]).expect("allowed").in_flight, 5, "it is idempotent");
    }

    #[test]
    fn what_it_cannot_do_is_refused_by_name() {
        for (name, value, told) in [
            ("compression.type", "zstd", "allows none, lz4;"),
            ("sasl.mechanism", "PLAIN", "the direct driver does not have it (it has acks, "),
            ("allow.auto.create.topics", "true", "allows false;"),
            ("acks", "2", "allows all, -1, 1, 0;"),
            ("linger.ms", "soon", "allows milliseconds;"),
            ("batch.size", "-1", "allows a number"),
        ] {
            let error = settings(&[(name, value)]).expect_err("it cannot").to_string();
            assert!(error.contains(name) && error.contains(told), "{error}");
        }
        let both = settings(&[("acks", "1"), ("enable.idempotence", "true")]).expect_err("they exclude each other");
        assert!(both.to_string().contains("true with acks=all alone"), "{both}");
    }
}
