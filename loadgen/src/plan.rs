//! The plan of a load: everything that is offered, before anything is.
//!
//! Owns validation and the digest by which two runs are known to have offered the same. Does not own the cluster to
//! offer it to: the same plan runs against any.

use crate::bodies::Bodies;
use crate::digest::Digest;
use crate::duration_text;
use crate::http::{HttpPlan, HttpPlanError};
use crate::keys::{KeySpace, KeySpaceError};
use crate::rate::Rate;
use crate::schedule::{Arrivals, Schedule, ScheduleError, Shape};
use crate::topic::{self, NAME_LENGTH_MAX};
use crate::workload::{PlannedMessage, Workload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long unanswered messages are waited for at the end, unless the plan says otherwise.
pub const FLUSH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The messages of each end of the plan that go into its digest one by one.
const DIGEST_MESSAGES: u64 = 1_000;

/// One load on one topic, or on one service over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadPlan {
    /// Fixes arrivals, keys, payloads and amounts.
    pub seed: u64,
    /// Told apart in every message's header; two runs of one plan differ in nothing else.
    pub run: u32,
    /// Where messages go: a topic, or with [`Self::http`] the service that is asked, by name.
    pub topic: String,
    /// Further topics: then each in turn, beginning with [`LoadPlan::topic`], gets the next message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_topics: Vec<String>,
    /// When they go.
    pub arrivals: Arrivals,
    /// Whom they are for.
    pub keys: KeySpace,
    /// Properties of librdkafka, over the defaults `acks=all`, `enable.idempotence=true` and `linger.ms=5`.
    #[serde(default)]
    pub client: BTreeMap<String, String>,
    /// A cap on what is sent, whatever the schedule says; what it holds back is late, never lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<Rate>,
    /// What is asked of the service, where the load goes to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPlan>,
    /// How long unanswered messages are waited for at the end.
    #[serde(with = "duration_text", default = "flush_timeout_default")]
    pub flush_timeout: Duration,
}

/// A plan that cannot be carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Not a topic's name.
    #[error("topic {received:?}: allowed are 1 to {NAME_LENGTH_MAX} of a-z, A-Z, 0-9, '.', '_' and '-'")]
    Topic {
        /// The name received.
        received: String,
    },
    /// A property that the plan does not own.
    #[error("client property {name:?} is not the plan's to set: the cluster is chosen when the load starts")]
    Property {
        /// The property.
        name: String,
    },
    /// Arrivals that cannot be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Keys that cannot be drawn.
    #[error(transparent)]
    Keys(#[from] KeySpaceError),
    /// Requests that cannot be made.
    #[error(transparent)]
    Http(#[from] HttpPlanError),
}

const fn flush_timeout_default() -> Duration {
    FLUSH_TIMEOUT_DEFAULT
}

impl LoadPlan {
    /// A plan with the default client, no cap, and [`FLUSH_TIMEOUT_DEFAULT`].
    #[must_use]
    pub fn new(seed: u64, run: u32, topic: impl Into<String>, arrivals: Arrivals, keys: KeySpace) -> Self {
        Self {
            seed,
            run,
            topic: topic.into(),
            more_topics: Vec::new(),
            arrivals,
            keys,
            client: BTreeMap::new(),
            max_rate: None,
            http: None,
            flush_timeout: FLUSH_TIMEOUT_DEFAULT,
        }
    }

    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// Names the part that cannot, the value received and the values allowed.
    pub fn validate(&self) -> Result<(), PlanError> {
        if let Some(received) = self.topics().find(|topic| !topic::is_name(topic)) {
            return Err(PlanError::Topic { received: received.to_owned() });
        }
        for name in ["bootstrap.servers", "metadata.broker.list"] {
            if self.client.contains_key(name) {
                return Err(PlanError::Property { name: name.to_owned() });
            }
        }
        self.keys.validate()?;
        self.arrivals.total()?;
        self.http.as_ref().map_or(Ok(()), HttpPlan::validate)?;
        Ok(())
    }

    /// Every topic that messages go to, in turn.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.topic).chain(&self.more_topics).map(String::as_str)
    }

    /// How many messages will be offered.
    ///
    /// # Errors
    /// When the arrivals cannot be scheduled.
    pub fn total(&self) -> Result<u64, PlanError> {
        Ok(self.arrivals.total()?)
    }

    /// When they will be.
    ///
    /// # Errors
    /// When the arrivals cannot be scheduled.
    pub fn schedule(&self) -> Result<Schedule, PlanError> {
        Ok(self.arrivals.schedule(self.seed)?)
    }

    /// What they will be.
    ///
    /// # Errors
    /// When the keys cannot be drawn.
    pub fn workload(&self) -> Result<Workload, PlanError> {
        Ok(Workload::new(self.seed, &self.keys)?)
    }

    /// 16 hexadecimal digits that are equal when, and but for accidents of 1 in 2^64 only when, two plans offer the
    /// same messages at the same offsets in the same way. [`LoadPlan::run`] is no part of it.
    ///
    /// # Errors
    /// When the plan cannot be carried out.
    pub fn digest(&self) -> Result<String, PlanError> {
        self.validate()?;
        let mut digest = Digest::new();
        digest.number(self.seed);
        self.topics().for_each(|topic| digest.text(topic));
        digest.number(match self.arrivals.shape {
            Shape::Constant => 0,
            Shape::Poisson => 1,
            Shape::Ramp { .. } => 2,
        });
        if let Shape::Ramp { from } = self.arrivals.shape {
            digest.text(&from.to_string());
        }
        digest.text(&self.arrivals.rate.to_string());
        digest.text(&duration_text::format(self.arrivals.duration));
        digest.number(u64::from(self.keys.users));
        digest.number(self.keys.zipf.map_or(u64::MAX, f64::to_bits));
        digest.number(self.client.len() as u64);
        for (name, value) in &self.client {
            digest.text(name);
            digest.text(value);
        }
        digest.text(&self.max_rate.map_or_else(String::new, |rate| rate.to_string()));
        if let Some(http) = &self.http {
            add_http(&mut digest, http);
        }

        let bodies = self.http.as_ref().map(|http| Bodies::new(self.seed, http.body, &http.products));
        let schedule = self.schedule()?;
        let mut workload = self.workload()?;
        let total = schedule.total();
        let mut buffer = Vec::with_capacity(256);
        for sequence in total.saturating_sub(DIGEST_MESSAGES)..total {
            let message = workload.message_at(sequence);
            add_message(&mut digest, &workload, bodies.as_ref(), &message, &mut buffer);
        }
        digest.number(schedule.offset_ns(total - 1));
        let mut cursor = schedule.cursor();
        for _ in 0..total.min(DIGEST_MESSAGES) {
            let message = workload.next_message();
            add_message(&mut digest, &workload, bodies.as_ref(), &message, &mut buffer);
            digest.number(cursor.peek().expect("the schedule has that many messages"));
            cursor.advance();
        }
        Ok(digest.to_string())
    }
}

fn add_http(digest: &mut Digest, http: &HttpPlan) {
    let HttpPlan { path, body, products, in_flight, timeout, retry_for } = http;
    for text in ["http", path, body.word(), &duration_text::format(*timeout), &duration_text::format(*retry_for)] {
        digest.text(text);
    }
    digest.number(u64::from(*in_flight));
    digest.number(products.len() as u64);
    for product in products {
        digest.text(product);
    }
}

/// With `bodies` the message is a request's, else a topic's.
fn add_message(
    digest: &mut Digest,
    workload: &Workload,
    bodies: Option<&Bodies>,
    message: &PlannedMessage,
    buffer: &mut Vec<u8>,
) {
    digest.number(message.sequence);
    digest.number(u64::from(message.key));
    digest.number(u64::from(message.key_sequence));
    digest.bytes(&message.value.to_le_bytes());
    match bodies {
        Some(bodies) => bodies.write(message, buffer),
        None => workload.write_payload(message, buffer),
    }
    digest.bytes(buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> LoadPlan {
        let arrivals = Arrivals {
            shape: Shape::Poisson,
            rate: "500/s".parse().expect("a rate"),
            duration: Duration::from_secs(10),
        };
        LoadPlan::new(42, 7, "orders", arrivals, KeySpace { users: 1_000, zipf: Some(0.9) })
    }

    #[test]
    fn the_digest_is_the_same_for_ever() {
        assert_eq!(example().digest().expect("valid"), GOLDEN, "the same plan must stay the same plan");
    }

    /// The digest of the example above.
    const GOLDEN: &str = "b1be9d420797c106";

    #[test]
    fn the_digest_tells_every_part_but_the_run() {
        let digest = |change: fn(&mut LoadPlan)| {
            let mut plan = example();
            change(&mut plan);
            plan.digest().expect("valid")
        };
        let original = digest(|_| ());
        assert_eq!(digest(|plan| plan.run = 8), original);
        let changes: [fn(&mut LoadPlan); 10] = [
            |plan| plan.seed = 43,
            |plan| plan.topic = "order".to_owned(),
            |plan| plan.more_topics.push("payments".to_owned()),
            |plan| plan.arrivals.shape = Shape::Constant,
            |plan| plan.arrivals.rate = "501/s".parse().expect("a rate"),
            |plan| plan.arrivals.duration = Duration::from_secs(11),
            |plan| plan.keys.users = 1_001,
            |plan| plan.keys.zipf = None,
            |plan| plan.max_rate = Some("500/s".parse().expect("a rate")),
            |plan| drop(plan.client.insert("acks".to_owned(), "1".to_owned())),
        ];
        let acks = |value: &str| {
            let mut plan = example();
            plan.client.insert("acks".to_owned(), value.to_owned());
            plan.digest().expect("valid")
        };
        assert_ne!(acks("0"), acks("1"));
        for (place, change) in changes.into_iter().enumerate() {
            assert_ne!(digest(change), original, "change {place} went unnoticed");
        }
    }

    #[test]
    fn the_digest_tells_every_part_of_a_load_over_http() {
        let digest = |change: fn(&mut HttpPlan)| {
            let mut http = HttpPlan::new("/orders");
            change(&mut http);
            LoadPlan { http: Some(http), ..example() }.digest().expect("valid")
        };
        let original = digest(|_| ());
        assert_ne!(original, GOLDEN, "a topic is no service");
        let changes: [fn(&mut HttpPlan); 6] = [
            |http| http.path = "/order".to_owned(),
            |http| http.body = crate::BodyForm::Fanout,
            |http| drop(http.products.pop()),
            |http| http.in_flight += 1,
            |http| http.timeout += Duration::from_secs(1),
            |http| http.retry_for = Duration::ZERO,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            assert_ne!(digest(change), original, "change {place} went unnoticed");
        }
    }

    #[test]
    fn the_digest_tells_where_a_ramp_begins() {
        let digest = |from: &str| {
            let mut plan = example();
            plan.arrivals.shape = Shape::Ramp { from: from.parse().expect("a rate") };
            plan.digest().expect("valid")
        };
        assert_eq!(digest("100/s"), "75eb7fdc7df677f7", "the same plan must stay the same plan");
        assert_ne!(digest("100/s"), digest("101/s"));
        assert_ne!(digest("500/s"), example().digest().expect("valid"));
    }

    #[test]
    fn a_plan_survives_json() {
        let plan = example();
        let text = serde_json::to_string(&plan).expect("serializable");
        assert!(text.contains(r#""arrivals":{"shape":"poisson","rate":"500/s","for":"10s"}"#), "{text}");
        assert!(!text.contains("http"), "{text}");
        assert_eq!(serde_json::from_str::<LoadPlan>(&text).expect("readable"), plan);
        let mut ramp = plan.clone();
        ramp.arrivals.shape = Shape::Ramp { from: "1/s".parse().expect("a rate") };
        let text = serde_json::to_string(&ramp).expect("serializable");
        assert!(text.contains(r#""shape":{"ramp":{"from":"1/s"}}"#), "{text}");
        assert_eq!(serde_json::from_str::<LoadPlan>(&text).expect("readable"), ramp);
        let plan = LoadPlan { http: Some(HttpPlan::new("/orders")), ..plan };
        let text = serde_json::to_string(&plan).expect("serializable");
        assert!(text.contains(r#""timeout":"2s","retry_for":"10s""#), "{text}");
        assert_eq!(serde_json::from_str::<LoadPlan>(&text).expect("readable"), plan);
    }

    #[test]
    fn refuses_what_cannot_be_carried_out() {
        let error = |change: fn(&mut LoadPlan)| {
            let mut plan = example();
            change(&mut plan);
            plan.validate().expect_err("refused").to_string()
        };
        assert!(error(|plan| plan.topic.clear()).starts_with("topic \"\""));
        assert!(error(|plan| plan.topic = "a/b".to_owned()).contains("\"a/b\""));
        assert!(error(|plan| plan.topic = "..".to_owned()).contains("\"..\""));
        assert!(error(|plan| plan.more_topics.push("a/b".to_owned())).contains("\"a/b\""));
        assert!(error(|plan| plan.keys.users = 0).starts_with("0 users"));
        assert!(error(|plan| plan.arrivals.duration = Duration::ZERO).contains("above zero"));
        assert!(
            error(|plan| drop(plan.client.insert("bootstrap.servers".to_owned(), "x:1".to_owned())))
                .contains("\"bootstrap.servers\"")
        );
    }
}
