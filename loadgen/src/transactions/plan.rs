//! When the transactions of a load end, and which of them are aborted on purpose.

use crate::chance;
use crate::duration_text;
use rand_chacha::rand_core::Rng as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a transaction is open, unless the plan says otherwise.
pub const EVERY_DEFAULT: Duration = Duration::from_millis(100);
/// The shortest a transaction can be told to be open; one message each is said by [`TransactionPlan::messages`].
const EVERY_MIN: Duration = Duration::from_millis(1);
/// What a coordinator lets a transaction take, unless the client asks for something else (`transaction.timeout.ms`).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// librdkafka's property for that.
const TIMEOUT_PROPERTY: &str = "transaction.timeout.ms";

/// The transactions of one load: each of its producers has one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionPlan {
    /// How long a transaction is open, from its first message on. Then it is committed.
    #[serde(with = "duration_text")]
    pub every: Duration,
    /// How many messages it takes at most; with so many it is committed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// The share of transactions that are aborted on purpose, from 0 to 1, drawn from the seed: whatever reads them
    /// (`isolation.level`) must not see their messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub abort: f64,
    /// What the `transactional.id` of each producer begins with; its number follows. Without it each run has one of its own, so that no
    /// two are in each other's way; with it a run fences the one before it, and aborts what that has left open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Transactions that a load cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TransactionError {
    /// Over in no time, or never.
    #[error(
        "transactions of {}: allowed are {EVERY_MIN:?} to half of what the coordinator gives them, {TIMEOUT_PROPERTY}, {timeout:?}",
        duration_text::format(*received)
    )]
    Every {
        /// The length received.
        received: Duration,
        /// What the coordinator gives them.
        timeout: Duration,
    },
    /// Without messages.
    #[error("transactions of 0 messages: allowed are 1 and more")]
    Messages,
    /// No share.
    #[error("a share of {received} of transactions to abort: allowed are 0 to 1")]
    Abort {
        /// The share received.
        received: f64,
    },
    /// An id that is none.
    #[error("transactional id {received:?}: allowed are 1 to {ID_LENGTH_MAX} bytes")]
    Id {
        /// The id received.
        received: String,
    },
    /// A property that contradicts them.
    #[error("client property {name:?} = {received:?} in a load with transactions: {allowed}")]
    Property {
        /// The property.
        name: String,
        /// Its value.
        received: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A client that has none.
    #[error("transactions by driver {received:?}: allowed is librdkafka, the other one has none")]
    Driver {
        /// The driver's word.
        received: &'static str,
    },
    /// A load over HTTP.
    #[error("transactions in a load over HTTP: allowed are none, they are for topics")]
    Http,
}

/// Longer ones no coordinator's log has to bear; Kafka's own bound is that of a record.
const ID_LENGTH_MAX: usize = 200;

const fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl Default for TransactionPlan {
    /// Committed every [`EVERY_DEFAULT`], whatever is in them.
    fn default() -> Self {
        Self { every: EVERY_DEFAULT, messages: None, abort: 0.0, id: None }
    }
}

impl TransactionPlan {
    /// Whether these can be had with a client of these properties.
    ///
    /// # Errors
    /// Names the part that cannot, the value received and the values allowed.
    pub(crate) fn validate(&self, client: &BTreeMap<String, String>) -> Result<(), TransactionError> {
        let said = |name: &str, allows: fn(&str) -> bool, allowed| match client.get(name) {
            Some(received) if !allows(received) => {
                Err(TransactionError::Property { name: name.to_owned(), received: received.clone(), allowed })
            }
            _ => Ok(()),
        };
        let all = "every replica in sync has to acknowledge them, leave it out";
        said("acks", crate::client::is_all, all)?;
        said("request.required.acks", crate::client::is_all, all)?;
        said("enable.idempotence", crate::client::is_true, "they need it, leave it out")?;
        let millis = client.get(TIMEOUT_PROPERTY).and_then(|millis| millis.parse().ok());
        let timeout = millis.map_or(TIMEOUT_DEFAULT, Duration::from_millis);
        if self.every < EVERY_MIN || self.every > timeout / 2 {
            return Err(TransactionError::Every { received: self.every, timeout });
        }
        if self.messages == Some(0) {
            return Err(TransactionError::Messages);
        }
        if !(0.0..=1.0).contains(&self.abort) {
            return Err(TransactionError::Abort { received: self.abort });
        }
        match &self.id {
            Some(id) if !(1..=ID_LENGTH_MAX).contains(&id.len()) => Err(TransactionError::Id { received: id.clone() }),
            _ => Ok(()),
        }
    }

    /// The `transactional.id` of the producer with this number, of a run that began at this instant.
    pub(crate) fn id_of(&self, began_ns: u64, number: u16) -> String {
        match &self.id {
            Some(id) => format!("{id}-{number}"),
            None => format!("shakedown-load-{began_ns}-{number}"),
        }
    }

    /// Whether a producer's transaction with this number is aborted on purpose.
    pub(crate) fn aborts(&self, seed: u64, producer: u16, transaction: u64) -> bool {
        let mut generator = chance::generator(seed, chance::ABORTS);
        generator.set_stream(u64::from(producer));
        // Two words of 32 bits each.
        generator.set_word_pos(u128::from(transaction) * 2);
        // Of 2^53: every one of them is a number of its own.
        ((generator.next_u64() >> 11) as f64) < self.abort * (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_load_cannot_have_is_refused_with_what_it_can() {
        let plan = TransactionPlan::default;
        let refused = |plan: TransactionPlan, client: &[(&str, &str)]| {
            let client = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            plan.validate(&client).map_err(|error| error.to_string())
        };
        assert_eq!(refused(plan(), &[]), Ok(()));
        assert_eq!(refused(plan(), &[("acks", "-1"), ("enable.idempotence", "true")]), Ok(()));
        let long = TransactionPlan { every: Duration::from_secs(90), ..plan() };
        assert_eq!(refused(long.clone(), &[("transaction.timeout.ms", "180000")]), Ok(()));
        for (plan, client, expected) in [
            (long, &[][..], "transactions of 90s: allowed are 1ms to half of"),
            (TransactionPlan { every: Duration::from_micros(1), ..plan() }, &[], "transactions of 1us: allowed are"),
            (TransactionPlan { messages: Some(0), ..plan() }, &[], "transactions of 0 messages: allowed are 1"),
            (
                TransactionPlan { abort: 1.5, ..plan() },
                &[],
                "a share of 1.5 of transactions to abort: allowed are 0 to 1",
            ),
            (TransactionPlan { abort: f64::NAN, ..plan() }, &[], "a share of NaN"),
            (TransactionPlan { id: Some(String::new()), ..plan() }, &[], "transactional id \"\": allowed are 1 to 200"),
            (plan(), &[("acks", "1")], "client property \"acks\" = \"1\" in a load with transactions: every replica"),
            (plan(), &[("enable.idempotence", "false")], "client property \"enable.idempotence\" = \"false\""),
        ] {
            let error = refused(plan, client).expect_err("refused");
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn every_producer_of_every_run_has_an_id_of_its_own() {
        let plan = TransactionPlan::default();
        assert_eq!(plan.id_of(7, 0), "shakedown-load-7-0");
        assert_eq!(TransactionPlan { id: Some("till".to_owned()), ..plan }.id_of(7, 3), "till-3");
    }

    #[test]
    fn the_seed_draws_which_are_aborted_and_so_many_are() {
        let aborted = |abort: f64, seed: u64, producer: u16| -> Vec<u64> {
            let plan = TransactionPlan { abort, ..TransactionPlan::default() };
            (0..10_000).filter(|transaction| plan.aborts(seed, producer, *transaction)).collect()
        };
        assert_eq!(aborted(0.0, 42, 0), [0; 0]);
        assert_eq!(aborted(1.0, 42, 0).len(), 10_000);
        let tenth = aborted(0.1, 42, 0);
        // Three standard deviations of a binomial of 10,000 draws.
        assert!((910..=1_090).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(tenth, aborted(0.1, 42, 0), "the same seed, the same transactions");
        assert_ne!(tenth, aborted(0.1, 42, 1));
        assert_ne!(tenth, aborted(0.1, 43, 0));
    }
}
