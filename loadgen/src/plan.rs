//! The plan of a load: everything that is offered, before anything is.
//!
//! Owns validation. The digest by which two runs are known to have offered the same is in `plan_digest.rs`. Does not own the
//! cluster to offer it to: the same plan runs against any.

use crate::direct::{Settings, SettingsError};
use crate::driver::Driver;
use crate::duration_text;
use crate::http::{HttpPlan, HttpPlanError};
use crate::keys::{KeySpace, KeySpaceError};
use crate::part::{self, PRODUCERS_MAX, Shard};
use crate::payload::{PayloadError, PayloadPlan};
use crate::plan_digest;
use crate::rate::Rate;
use crate::schedule::{Arrivals, Schedule, ScheduleError};
use crate::topic::{self, NAME_LENGTH_MAX};
use crate::transactions::{TransactionError, TransactionPlan};
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long unanswered messages are waited for at the end, unless the plan says otherwise.
pub const FLUSH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

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
    /// Messages go in transactions, and count when those are committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<TransactionPlan>,
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
    /// Each producer needs an id of its own, and somebody who ends its transactions.
    #[error(
        "client property \"transactional.id\" = {received:?}: write transactions with this id, the client's property is not the plan's to set"
    )]
    Transactional {
        /// The id.
        received: String,
    },
    /// Transactions that cannot be had.
    #[error(transparent)]
    Transactions(#[from] TransactionError),
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
            transactions: None,
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
        if let Some(transactions) = &self.transactions {
            if self.http.is_some() {
                return Err(TransactionError::Http.into());
            }
            if self.driver == Driver::Direct {
                return Err(TransactionError::Driver { received: self.driver.word() }.into());
            }
            transactions.validate(&self.client)?;
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
        plan_digest::of(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::byte_sizes::ByteSizes;
    use crate::keys::KeyDraw;
    use crate::schedule::{Process, Shape};

    pub(crate) fn example() -> LoadPlan {
        let arrivals = Arrivals {
            shape: Shape::Poisson,
            rate: "500/s".parse().expect("a rate"),
            duration: Duration::from_secs(10),
        };
        LoadPlan::new(42, 7, "orders", arrivals, KeySpace { users: 1_000, draw: KeyDraw::Zipf(0.9) })
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
