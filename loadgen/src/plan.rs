//! The plan of a load: everything that is offered, before anything is.
//!
//! Owns validation and the digest by which two runs are known to have offered the same. Does not own the cluster to
//! offer it to: the same plan runs against any.

use crate::bodies::Bodies;
use crate::digest::Digest;
use crate::direct::{Settings, SettingsError};
use crate::driver::Driver;
use crate::duration_text;
use crate::http::{HttpPlan, HttpPlanError};
use crate::keys::{HotSet, KeyDraw, KeySpace, KeySpaceError};
use crate::part::{self, PRODUCERS_MAX, Shard};
use crate::payload::{PayloadError, PayloadPlan};
use crate::rate::Rate;
use crate::schedule::{Arrivals, Process, Schedule, ScheduleError, Shape};
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
    /// Raw bytes in place of orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadPlan>,
    /// Properties of librdkafka, over the defaults `acks=all`, `enable.idempotence=true` and `linger.ms=5`.
    #[serde(default)]
    pub client: BTreeMap<String, String>,
    /// The client that offers it, where it goes to topics.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver: Driver,
    /// A cap on what is sent, whatever the schedule says; what it holds back is late, never lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<Rate>,
    /// How many clients offer it, each the messages of keys of its own: 1 to [`PRODUCERS_MAX`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub producers: u32,
    /// What is asked of the service, where the load goes to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPlan>,
    /// How long unanswered messages are waited for at the end.
    #[serde(with = "duration_text", default = "flush_timeout_default")]
    pub flush_timeout: Duration,
    /// Whether acknowledgements are measured at each partition of a topic by itself, too. It changes nothing of what is
    /// offered, and is no part of the digest.
    #[serde(skip)]
    pub measures_partitions: bool,
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
    /// A producer that has to begin a transaction before it may send, which those of a load never do.
    #[error(
        "client property \"transactional.id\" = {received:?}: producers of a load begin no transactions, leave it out"
    )]
    Transactional {
        /// The id.
        received: String,
    },
    /// A property that librdkafka has, and the direct driver has not.
    #[error(transparent)]
    Driver(#[from] SettingsError),
    /// Another client for what no client of Kafka offers.
    #[error("driver {received:?} for a load over HTTP: allowed is none, it is for topics")]
    HttpDriver {
        /// The driver's word.
        received: &'static str,
    },
    /// No producer, or too many.
    #[error("{received} producers: allowed are 1 to {PRODUCERS_MAX}")]
    Producers {
        /// The number received.
        received: u32,
    },
    /// Some would have nothing to do.
    #[error(
        "{shards} shards with {producers} producers each share {users} keys: a key has one producer, so some would have nothing to do"
    )]
    Parts {
        /// Shards of the run.
        shards: u32,
        /// Producers of each.
        producers: u32,
        /// Keys of the plan.
        users: u32,
    },
    /// Several producers where there is no producer.
    #[error(
        "{received} producers for a load over HTTP: how much goes on at once is said by its requests in flight; allowed is 1"
    )]
    HttpProducers {
        /// The number received.
        received: u32,
    },
    /// Arrivals that cannot be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Keys that cannot be drawn.
    #[error(transparent)]
    Keys(#[from] KeySpaceError),
    /// Payloads that cannot be made.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// Requests that cannot be made.
    #[error(transparent)]
    Http(#[from] HttpPlanError),
}

const fn flush_timeout_default() -> Duration {
    FLUSH_TIMEOUT_DEFAULT
}

const fn one() -> u32 {
    1
}

fn is_default(driver: &Driver) -> bool {
    *driver == Driver::default()
}

const fn is_one(number: &u32) -> bool {
    *number == 1
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
            payload: None,
            client: BTreeMap::new(),
            driver: Driver::default(),
            max_rate: None,
            producers: 1,
            http: None,
            flush_timeout: FLUSH_TIMEOUT_DEFAULT,
            measures_partitions: false,
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
        if let Some(received) = self.client.get("transactional.id") {
            return Err(PlanError::Transactional { received: received.clone() });
        }
        if self.driver == Driver::Direct {
            if self.http.is_some() {
                return Err(PlanError::HttpDriver { received: self.driver.word() });
            }
            Settings::new(&self.client)?;
        }
        self.keys.validate()?;
        part::validate(1, self.producers, self.keys.users)?;
        if self.http.is_some() && self.producers > 1 {
            return Err(PlanError::HttpProducers { received: self.producers });
        }
        self.arrivals.total()?;
        self.payload.as_ref().map_or(Ok(()), PayloadPlan::validate)?;
        self.http.as_ref().map_or(Ok(()), HttpPlan::validate)?;
        if self.payload.is_some() && self.http.is_some() {
            return Err(PayloadError::Service.into());
        }
        Ok(())
    }

    /// Whether a shard of the plan can be carried out.
    ///
    /// # Errors
    /// As for [`LoadPlan::validate`].
    pub(crate) fn validate_for(&self, shard: Shard) -> Result<(), PlanError> {
        self.validate()?;
        part::validate(shard.of(), self.producers, self.keys.users)
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
        Ok(Workload::new(self.seed, &self.keys)?.with_payload(self.payload.as_ref()))
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
        add_arrivals(&mut digest, &self.arrivals);
        add_keys(&mut digest, &self.keys);
        digest.number(self.client.len() as u64);
        for (name, value) in &self.client {
            digest.text(name);
            digest.text(value);
        }
        digest.text(&self.max_rate.map_or_else(String::new, |rate| rate.to_string()));
        if self.driver != Driver::default() {
            digest.text("driver");
            digest.text(self.driver.word());
        }
        if self.producers > 1 {
            digest.text("producers");
            digest.number(u64::from(self.producers));
        }
        if let Some(PayloadPlan { bytes, compression_ratio }) = &self.payload {
            digest.text("payload");
            digest.text(&bytes.to_string());
            digest.number(compression_ratio.to_bits());
        }
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

/// Whatever was added to the first three shapes is told by more, so that plans without it keep their digest.
fn add_arrivals(digest: &mut Digest, Arrivals { shape, rate, duration }: &Arrivals) {
    match shape {
        Shape::Constant => digest.number(0),
        Shape::Poisson => digest.number(1),
        Shape::Ramp { from, .. } => {
            digest.number(2);
            digest.text(&from.to_string());
        }
        Shape::Steps { steps, .. } => {
            digest.number(3);
            digest.number(steps.len() as u64);
            for step in steps {
                digest.text(&step.rate.to_string());
                digest.text(&duration_text::format(step.duration));
            }
        }
        Shape::Burst { bursts, .. } => {
            digest.number(4);
            digest.text(&bursts.rate.to_string());
            digest.text(&duration_text::format(bursts.every));
            digest.text(&duration_text::format(bursts.duration));
        }
        Shape::Replay { recording, speed } => {
            digest.number(5);
            digest.text(&speed.to_string());
            digest.number(recording.offsets_ns().len() as u64);
            recording.offsets_ns().iter().for_each(|offset| digest.number(*offset));
        }
    }
    if !matches!(shape, Shape::Poisson) && shape.process() == Process::Poisson {
        digest.text("poisson");
    }
    digest.text(&rate.to_string());
    digest.text(&duration_text::format(*duration));
}

fn add_keys(digest: &mut Digest, KeySpace { users, draw }: &KeySpace) {
    digest.number(u64::from(*users));
    match draw {
        KeyDraw::Uniform => digest.number(u64::MAX),
        KeyDraw::Zipf(exponent) => digest.number(exponent.to_bits()),
        KeyDraw::Hot(HotSet { keys, share }) => {
            digest.text("hot");
            digest.number(u64::from(*keys));
            digest.number(share.to_bits());
        }
        KeyDraw::Sequential => digest.text("sequential"),
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
    use crate::byte_sizes::ByteSizes;
    use crate::replay::Recording;
    use crate::schedule::{Bursts, Step};
    use std::collections::HashSet;

    fn example() -> LoadPlan {
        let arrivals = Arrivals {
            shape: Shape::Poisson,
            rate: "500/s".parse().expect("a rate"),
            duration: Duration::from_secs(10),
        };
        LoadPlan::new(42, 7, "orders", arrivals, KeySpace { users: 1_000, draw: KeyDraw::Zipf(0.9) })
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
        let changes: [fn(&mut LoadPlan); 17] = [
            |plan| plan.producers = 2,
            |plan| plan.seed = 43,
            |plan| plan.topic = "order".to_owned(),
            |plan| plan.more_topics.push("payments".to_owned()),
            |plan| plan.arrivals.shape = Shape::Constant,
            |plan| plan.arrivals.rate = "501/s".parse().expect("a rate"),
            |plan| plan.arrivals.duration = Duration::from_secs(11),
            |plan| plan.keys.users = 1_001,
            |plan| plan.keys.draw = KeyDraw::Uniform,
            |plan| plan.keys.draw = KeyDraw::Sequential,
            |plan| plan.keys.draw = KeyDraw::Hot(HotSet { keys: 10, share: 0.8 }),
            |plan| plan.keys.draw = KeyDraw::Hot(HotSet { keys: 10, share: 0.9 }),
            |plan| plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(200))),
            |plan| plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(201))),
            |plan| {
                plan.payload = Some(PayloadPlan { compression_ratio: 2.0, ..PayloadPlan::new(ByteSizes::Fixed(200)) });
            },
            |plan| plan.max_rate = Some("500/s".parse().expect("a rate")),
            |plan| drop(plan.client.insert("acks".to_owned(), "1".to_owned())),
        ];
        let acks = |value: &str| {
            let mut plan = example();
            plan.client.insert("acks".to_owned(), value.to_owned());
            plan.digest().expect("valid")
        };
        assert_ne!(acks("0"), acks("1"));
        let mut seen = HashSet::from([original]);
        for (place, change) in changes.into_iter().enumerate() {
            assert!(seen.insert(digest(change)), "change {place} went unnoticed");
        }
    }

    #[test]
    fn the_digest_tells_every_part_of_every_shape() {
        let rate = |text: &str| text.parse::<Rate>().expect("a rate");
        let seconds = Duration::from_secs;
        let ramp = |from, process| Shape::Ramp { from: rate(from), process };
        let burst = |burst, every, length| Shape::Burst {
            bursts: Bursts { rate: rate(burst), every: seconds(every), duration: seconds(length) },
            process: Process::Even,
        };
        let at = |shape| Arrivals { shape, ..example().arrivals };
        let steps = |steps: &[(&str, u64)], process| {
            let steps = steps.iter().map(|(text, length)| Step { rate: rate(text), duration: seconds(*length) });
            Arrivals::steps(steps.collect(), process).expect("steps")
        };
        let replay = |instants: &[u64], speed: &str| {
            let recording = Recording::new(instants.to_vec()).expect("a recording");
            Arrivals::replay(recording, speed.parse().expect("a speed")).expect("a replay")
        };
        let mut seen = HashSet::new();
        for arrivals in [
            at(Shape::Constant),
            at(Shape::Poisson),
            at(ramp("100/s", Process::Even)),
            at(ramp("500/s", Process::Even)),
            at(ramp("500/s", Process::Poisson)),
            at(burst("100/s", 4, 2)),
            at(burst("101/s", 4, 2)),
            at(burst("100/s", 5, 2)),
            at(burst("100/s", 4, 1)),
            steps(&[("500/s", 10)], Process::Even),
            steps(&[("500/s", 10)], Process::Poisson),
            steps(&[("500/s", 5), ("500/s", 5)], Process::Even),
            replay(&[1, 2, 3], "1"),
            replay(&[1, 2, 3], "2"),
            replay(&[1, 3, 4], "1"),
        ] {
            let plan = LoadPlan { arrivals, ..example() };
            assert!(seen.insert(plan.digest().expect("valid")), "{:?} went unnoticed", plan.arrivals);
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
            plan.arrivals.shape = Shape::Ramp { from: from.parse().expect("a rate"), process: Process::Even };
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
        ramp.arrivals.shape = Shape::Ramp { from: "1/s".parse().expect("a rate"), process: Process::Even };
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
        assert!(error(|plan| plan.producers = 65).starts_with("65 producers: allowed are 1 to 64"));
        assert!(error(|plan| (plan.producers, plan.keys.users) = (3, 2)).contains("share 2 keys"));
        assert!(
            error(|plan| (plan.producers, plan.http) = (2, Some(HttpPlan::new("/orders")))).contains("allowed is 1")
        );
        assert!(error(|plan| plan.arrivals.duration = Duration::ZERO).contains("above zero"));
        assert!(
            error(|plan| plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(9)))).starts_with("payloads of 9 bytes")
        );
        let error_of_both = error(|plan| {
            plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(200)));
            plan.http = Some(HttpPlan::new("/orders"));
        });
        assert_eq!(error_of_both, "payloads of raw bytes cannot be asked of a service: they are for topics");
        assert!(
            error(|plan| drop(plan.client.insert("bootstrap.servers".to_owned(), "x:1".to_owned())))
                .contains("\"bootstrap.servers\"")
        );
        let error_of_transactions =
            error(|plan| drop(plan.client.insert("transactional.id".to_owned(), "x".to_owned())));
        assert!(error_of_transactions.contains("\"transactional.id\" = \"x\""), "{error_of_transactions}");
    }
}
