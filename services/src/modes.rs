//! What protects this service from crashes, repetitions and disorder. All of it is on; each can be switched off alone, to see
//! what it was good for.

use crate::config::{ConfigError, Environment};
use crate::kafka::CommitTime;

/// How an event is published about a change of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Written with the change, published from there.
    Outbox,
    /// The change first, then the event: a crash between them loses the event.
    Dual,
    /// The event first, then the change: a crash between them leaves an event of a change that never was.
    EventFirst,
}

/// What becomes of an event whose key has an earlier one on the retry topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryOrder {
    /// It follows there.
    Keyed,
    /// It is handled at once, before the earlier one.
    Plain,
}

/// The modes of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) commit: CommitTime,
    /// Whether events that were handled are remembered.
    pub(crate) inbox: bool,
    /// Whether effects outside carry an idempotency key.
    pub(crate) idempotency: bool,
    pub(crate) write: Write,
    pub(crate) retry: RetryOrder,
    /// Whether an event that nobody can handle goes to the dead letter topic; else it is tried for ever.
    pub(crate) dead_letter: bool,
}

/// How often an event has its effects, as `DELIVERY` says; the first is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Exactly,
    AtLeast,
    AtMost,
}

impl Modes {
    /// Reads `DELIVERY`, which sets the defaults of `COMMIT`, `INBOX` and `IDEMPOTENCY`, then these, `WRITE`, `RETRY` and
    /// `DEAD_LETTER`.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let delivery = environment.choice(
            "DELIVERY",
            &[
                ("exactly-once", Delivery::Exactly),
                ("at-least-once", Delivery::AtLeast),
                ("at-most-once", Delivery::AtMost),
            ],
        )?;
        let remembers = delivery != Delivery::AtLeast;
        let commit = match delivery {
            Delivery::AtMost => CommitTime::BeforeWork,
            Delivery::Exactly | Delivery::AtLeast => CommitTime::AfterWork,
        };
        let switch = |variable, default| {
            environment
                .optional(variable)
                .map_or(Ok(default), |_| environment.choice(variable, &[("on", true), ("off", false)]))
        };
        Ok(Self {
            commit: if environment.optional("COMMIT").is_some() { CommitTime::read(environment)? } else { commit },
            inbox: switch("INBOX", remembers)?,
            idempotency: switch("IDEMPOTENCY", remembers)?,
            write: environment.choice(
                "WRITE",
                &[("outbox", Write::Outbox), ("dual", Write::Dual), ("event-first", Write::EventFirst)],
            )?,
            retry: environment.choice("RETRY", &[("keyed", RetryOrder::Keyed), ("plain", RetryOrder::Plain)])?,
            dead_letter: switch("DEAD_LETTER", true)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Modes, ConfigError> {
        Modes::read(&variables.iter().copied().collect())
    }

    #[test]
    fn everything_is_on_by_default() {
        let modes = read(&[]).unwrap();
        assert_eq!((modes.commit, modes.write), (CommitTime::AfterWork, Write::Outbox));
        assert_eq!(modes.retry, RetryOrder::Keyed);
        assert!(modes.inbox && modes.idempotency && modes.dead_letter);
    }

    #[test]
    fn delivery_sets_defaults_that_the_others_override() {
        let twice = read(&[("DELIVERY", "at-least-once")]).unwrap();
        assert_eq!((twice.commit, twice.inbox, twice.idempotency), (CommitTime::AfterWork, false, false));
        let keyed = read(&[("DELIVERY", "at-least-once"), ("IDEMPOTENCY", "on")]).unwrap();
        assert_eq!((keyed.inbox, keyed.idempotency), (false, true));
        let never = read(&[("DELIVERY", "at-most-once")]).unwrap();
        assert_eq!((never.commit, never.inbox), (CommitTime::BeforeWork, true));
        let late = read(&[("DELIVERY", "at-most-once"), ("COMMIT", "after")]).unwrap();
        assert_eq!(late.commit, CommitTime::AfterWork);
    }

    #[test]
    fn a_word_that_is_none_is_refused() {
        for (variable, allowed) in [
            ("DELIVERY", "exactly-once, at-least-once, at-most-once"),
            ("WRITE", "outbox, dual, event-first"),
            ("RETRY", "keyed, plain"),
            ("INBOX", "on, off"),
        ] {
            let error = read(&[(variable, "maybe")]).unwrap_err();
            assert_eq!((error.variable.as_str(), error.allowed.as_str()), (variable, allowed));
        }
    }
}
