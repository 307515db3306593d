//! The stand-ins of a scenario: what they are called, how they answer while all is well, and in which ways they fail.
//!
//! What they answer at all is the contract of `docs/stand-ins.md`; who plays them is [`crate::run::stand_ins`].

pub use crate::language::raw_stand_ins::StandIn;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

impl StandIn {
    /// All of them, in the order in which an order meets them.
    pub const ALL: [Self; 3] = [Self::PaymentProvider, Self::Warehouse, Self::Mailbox];

    /// What scenarios, books and reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentProvider => "payment-provider",
            Self::Warehouse => "warehouse",
            Self::Mailbox => "mailbox",
        }
    }

    /// The variable in which services find its address.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::PaymentProvider => "PAYMENT_PROVIDER_URL",
            Self::Warehouse => "WAREHOUSE_URL",
            Self::Mailbox => "MAILBOX_URL",
        }
    }
}

/// A stand-in that some service calls, and how it answers while all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandInRule {
    /// Which.
    pub stand_in: StandIn,
    /// How long each answer takes.
    pub latency: Duration,
    /// What it declines; nothing unless it is the payment provider.
    pub declines: Declines,
}

impl StandInRule {
    /// One that answers at once, and declines nothing.
    #[must_use]
    pub const fn new(stand_in: StandIn) -> Self {
        Self { stand_in, latency: Duration::ZERO, declines: Declines { above: None, every: None } }
    }
}

/// Which captures are declined: those that fit one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declines {
    /// Those of more than this, in minor units.
    pub above: Option<i64>,
    /// Those of one order in so many, drawn from the seed by its id.
    pub every: Option<NonZeroU64>,
}

/// A way in which a stand-in fails, for as long as a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which fails.
    pub stand_in: StandIn,
    /// How.
    pub mode: FailureMode,
}

/// How a stand-in fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureMode {
    /// Nobody listens, and its connections are closed.
    Down,
    /// Its answers are late by so much; effects are there at once.
    Slow {
        /// How late.
        by: Duration,
    },
    /// It does nothing and answers 503.
    Fail {
        /// To how many requests in a thousand.
        permille: u16,
    },
    /// It does what it is asked for and answers 500. A request that has no effect, as its key is known, is answered as ever.
    FailAfterEffect {
        /// To how many requests in a thousand.
        permille: u16,
    },
}

impl FailureMode {
    /// How the scenario language calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow { .. } => "slow",
            Self::Fail { .. } => "fail",
            Self::FailAfterEffect { .. } => "fail_after_effect",
        }
    }
}

impl fmt::Display for Failure {
    /// `down payment-provider`, `slow mailbox by 3s`, `fail warehouse, 100 of 1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mode.word(), self.stand_in.name())?;
        match self.mode {
            FailureMode::Slow { by } => write!(f, " by {by:?}"),
            FailureMode::Fail { permille } | FailureMode::FailAfterEffect { permille } if permille < 1000 => {
                write!(f, ", {permille} of 1000")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_called_as_they_are_written() {
        let mailbox = |mode| Failure { stand_in: StandIn::Mailbox, mode }.to_string();
        assert_eq!(mailbox(FailureMode::Down), "down mailbox");
        assert_eq!(mailbox(FailureMode::Slow { by: Duration::from_secs(3) }), "slow mailbox by 3s");
        assert_eq!(mailbox(FailureMode::Fail { permille: 1000 }), "fail mailbox");
        assert_eq!(mailbox(FailureMode::FailAfterEffect { permille: 50 }), "fail_after_effect mailbox, 50 of 1000");
    }
}
