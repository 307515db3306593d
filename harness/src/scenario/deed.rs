//! What a fault does, and how that is called.

use super::model::{FaultAction, FaultTarget};
use super::operation::Operation;
use super::stand_in::Failure;
use shakedown_cluster::{Disturbance, Effect, Intervention, Role, Rule, Selector, error_name};
use std::fmt;
use std::time::Duration;

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Something to whoever plays a role.
    Hit {
        /// What.
        action: FaultAction,
        /// To whom.
        target: FaultTarget,
    },
    /// A service ends in order, until the fault heals.
    Stop(FaultTarget),
    /// A service has another number of instances, for good or until the fault heals.
    Scale {
        /// The service.
        service: String,
        /// How many.
        to: u32,
    },
    /// Something that an operator does, for good.
    Operate(Operation),
    /// Something to requests of clients, for as long as the fault lasts.
    Requests(Rule),
    /// Something to links, connections or a clock, for as long as the fault lasts.
    Disturb(Disturbance),
    /// Every wall clock moves on, for good.
    AdvanceClock(Duration),
    /// Something that only a client of the cluster can do: leaders move, members of groups come and go.
    Intervene(Intervention),
    /// Brokers die and start again, one after another.
    RollingRestart(Role),
    /// Somebody outside fails, for as long as the fault lasts.
    Fail(Failure),
}

impl Deed {
    /// Whom of a service's instances it takes hold of: the service, and which of them; `None` for all.
    #[must_use]
    pub fn service(&self) -> Option<(&str, Option<u32>)> {
        match self {
            Self::Hit { target: FaultTarget::Service { name, instance }, .. }
            | Self::Stop(FaultTarget::Service { name, instance }) => Some((name, *instance)),
            _ => None,
        }
    }
}

impl fmt::Display for Deed {
    /// `kill service(tracker)`, `hang up after Produce of orders, no. 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit { action, target } => write!(f, "{} {target}", action.word()),
            Self::Stop(target) => write!(f, "stop {target}"),
            Self::Scale { service, to } => write!(f, "scale service({service}) to {to}"),
            Self::Operate(operation) => operation.fmt(f),
            Self::Disturb(disturbance) => disturbance.fmt(f),
            Self::AdvanceClock(by) => write!(f, "advance the clock by {by:?}"),
            Self::Intervene(intervention) => intervention.fmt(f),
            Self::RollingRestart(role) => write!(f, "rolling restart of {role}"),
            Self::Fail(failure) => failure.fmt(f),
            Self::Requests(rule) => {
                write!(f, "{} {}", Done(&rule.effect), Asked(&rule.selector))?;
                match (rule.from, rule.times) {
                    (1, None) => Ok(()),
                    (from, None) => write!(f, ", from no. {from} on"),
                    (from, Some(1)) => write!(f, ", no. {from}"),
                    (from, Some(times)) => write!(f, ", no. {from} to {}", from.saturating_add(times - 1)),
                }
            }
        }
    }
}

struct Done<'a>(&'a Effect);

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = |applied: &bool| if *applied { "after" } else { "instead of" };
        match self.0 {
            Effect::Error { error, applied } => write!(f, "{} {}", error_name(*error), after(applied)),
            Effect::Silence { applied } => write!(f, "silence {}", after(applied)),
            Effect::HangUp { applied } => write!(f, "hang up {}", after(applied)),
            Effect::Hold { applied: false, lasts: None } => f.write_str("hold"),
            Effect::Hold { applied: true, lasts: None } => f.write_str("hold the reply to"),
            Effect::Hold { applied: false, lasts: Some(lasts) } => write!(f, "hold for {lasts:?}"),
            Effect::Hold { applied: true, lasts: Some(lasts) } => write!(f, "hold for {lasts:?} the reply to"),
            Effect::Duplicate => f.write_str("duplicate"),
            Effect::Throttle { lasts } => write!(f, "throttle by {lasts:?}"),
            Effect::Work { lasts } => write!(f, "work of {lasts:?} for"),
        }
    }
}

/// `Produce of orders/0 at broker 2`.
pub(super) struct Asked<'a>(pub(super) &'a Selector);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { apis, client, topic, partition, group, transactional_id, node } = self.0;
        match apis.as_slice() {
            [] => f.write_str("every request")?,
            apis => f.write_str(&apis.iter().map(|api| format!("{api:?}")).collect::<Vec<_>>().join(", "))?,
        }
        match (topic, partition) {
            (Some(topic), Some(partition)) => write!(f, " of {topic}/{partition}")?,
            (Some(topic), None) => write!(f, " of {topic}")?,
            (None, _) => {}
        }
        let named = [("group", group), ("client", client), ("transactional id", transactional_id)];
        for (what, name) in named.into_iter().filter_map(|(what, name)| Some((what, name.as_ref()?))) {
            write!(f, " of {what} {name}")?;
        }
        node.map_or(Ok(()), |node| write!(f, " at broker {node}"))
    }
}
