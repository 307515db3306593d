//! What may be wrong between nodes, between clients and nodes, and with clocks, by the roles of those whom it hits; and how
//! that is called in scenarios and reports. What it does to whom is in [`crate::injection`].

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::injection::{AnyFault, Fault};
use crate::links::{Delay, LinkFault, LinkSet};
use crate::roles::Role;
use crate::wall::{ClockEffect, ClockFault, TimeShift};
use crate::weather::{ClientEffect, ClientFault, Clients};
use std::fmt;

/// A fault that stands until it heals.
#[derive(Debug, Clone, PartialEq)]
pub enum Disturbance {
    /// Links between nodes are cut, or slow.
    Links {
        /// Which.
        links: Links,
        /// How slow; `None` cuts them.
        delay: Option<Delay>,
    },
    /// Connections of clients.
    Clients {
        /// At whom; `None` for every broker.
        of: Option<Role>,
        /// Of the client with this `client.id`; `None` for all.
        client: Option<String>,
        /// What happens to them.
        effect: ClientEffect,
        /// How often at most.
        times: Option<u64>,
    },
    /// A wall clock.
    Clock {
        /// Whose.
        of: Role,
        /// What is wrong with it.
        effect: ClockEffect,
    },
}

/// Links between nodes. A role that several play stands for the first of them, but in groups for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// What one says to the other.
    OneWay(Role, Role),
    /// Both ways.
    Between(Role, Role),
    /// All of one.
    Around(Role),
    /// All but those within a group.
    Groups(Vec<Vec<Role>>),
    /// Between two halves that hear this one.
    Bridge(Role),
    /// All but those of neighbours.
    Ring,
}

impl Disturbance {
    /// The fault on those who play the roles at the moment.
    ///
    /// # Errors
    /// The first role that nobody plays.
    pub fn on(&self, players: impl Fn(&Role) -> Vec<i32>) -> Result<AnyFault, Role> {
        let one = |role: &Role| players(role).first().copied().ok_or_else(|| role.clone());
        Ok(match self {
            Self::Links { links, delay } => {
                let set = links.set(one, &players)?;
                delay.map_or_else(|| LinkFault::Cut(set.clone()), |delay| LinkFault::Delay(set.clone(), delay)).into()
            }
            Self::Clients { of, client, effect, times } => {
                let node = of.as_ref().map(one).transpose()?;
                let clients = client.clone().map_or(Clients::All, Clients::Named);
                ClientFault { node, clients, effect: effect.clone(), at_most: *times }.into()
            }
            Self::Clock { of, effect } => ClockFault { node: one(of)?, effect: effect.clone() }.into(),
        })
    }
}

impl Cluster {
    /// As [`Self::inject`], on those who play the roles at the moment.
    ///
    /// # Errors
    /// [`FaultError::Nobody`] when nobody plays one of them; it may be tried again. Otherwise as [`Self::inject`].
    pub fn disturb(&self, disturbance: &Disturbance) -> Result<Fault, FaultError> {
        match disturbance.on(|role| self.players(role)) {
            Ok(fault) => self.inject(fault),
            Err(role) => Err(self.thread.ask(|shell| shell.nobody(role)).unwrap_or(FaultError::Stopped)),
        }
    }
}

impl Links {
    fn set(
        &self,
        one: impl Fn(&Role) -> Result<i32, Role>,
        players: impl Fn(&Role) -> Vec<i32>,
    ) -> Result<LinkSet, Role> {
        Ok(match self {
            Self::OneWay(from, to) => LinkSet::OneWay { from: one(from)?, to: one(to)? },
            Self::Between(first, second) => LinkSet::Between(one(first)?, one(second)?),
            Self::Around(role) => LinkSet::Around(one(role)?),
            Self::Groups(groups) => {
                // Without those whom it names, a group would be cut off from others than it says.
                let all = |role: &Role| Some(players(role)).filter(|ids| !ids.is_empty()).ok_or_else(|| role.clone());
                let ids = |group: &Vec<Role>| {
                    let ids = group.iter().map(all).collect::<Result<Vec<_>, Role>>()?;
                    Ok(ids.concat())
                };
                LinkSet::Across(groups.iter().map(ids).collect::<Result<_, Role>>()?)
            }
            Self::Bridge(role) => LinkSet::Bridge(one(role)?),
            Self::Ring => LinkSet::Ring,
        })
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneWay(from, to) => write!(f, "{from} -> {to}"),
            Self::Between(first, second) => write!(f, "{first} - {second}"),
            Self::Around(role) => write!(f, "around {role}"),
            Self::Groups(groups) => {
                let group = |group: &Vec<Role>| group.iter().map(Role::to_string).collect::<Vec<_>>().join(", ");
                f.write_str(&groups.iter().map(group).collect::<Vec<_>>().join(" | "))
            }
            Self::Bridge(role) => write!(f, "all but those of the bridge {role}"),
            Self::Ring => f.write_str("all but the ring"),
        }
    }
}

impl fmt::Display for Disturbance {
    /// `cut broker(1) -> broker(2)`, `delay 50ms around controller`, `clients of leader(orders/0): half-open`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Links { links, delay: None } => write!(f, "cut {links}"),
            Self::Links { links, delay: Some(delay) } => write!(f, "delay {} {links}", Late(*delay)),
            Self::Clients { of, client, effect, times } => {
                f.write_str("clients")?;
                if let Some(client) = client {
                    write!(f, " called {client}")?;
                }
                if let Some(of) = of {
                    write!(f, " of {of}")?;
                }
                write!(f, ": {}", Effect(effect))?;
                times.map_or(Ok(()), |times| write!(f, ", {times} times"))
            }
            Self::Clock { of, effect } => match effect {
                ClockEffect::Skew(shift) => write!(f, "clock of {of} {}", Shift(*shift)),
                ClockEffect::Jump(shift) => write!(f, "clock of {of} jumps {}", Shift(*shift)),
                ClockEffect::Rate(factor) => write!(f, "clock of {of} at {factor} times its rate"),
            },
        }
    }
}

struct Late(Delay);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.by)?;
        if self.0.jitter.is_zero() { Ok(()) } else { write!(f, " to {:?}", self.0.by + self.0.jitter) }
    }
}

struct Shift(TimeShift);

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TimeShift::Ahead(by) => write!(f, "{by:?} ahead"),
            TimeShift::Behind(by) => write!(f, "{by:?} behind"),
        }
    }
}

struct Effect<'a>(&'a ClientEffect);

impl fmt::Display for Effect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClientEffect::Cut => f.write_str("cut"),
            ClientEffect::HalfOpen => f.write_str("half-open"),
            ClientEffect::Delay(delay) => write!(f, "answers {} late", Late(*delay)),
            ClientEffect::Bandwidth { bytes_per_second } => write!(f, "{bytes_per_second} bytes a second"),
            ClientEffect::Reset { after } => write!(f, "reset after {after} bytes of an answer"),
            ClientEffect::SlowClose { by } => write!(f, "closed {by:?} late"),
        }
    }
}
