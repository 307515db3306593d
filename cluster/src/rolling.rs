//! A rolling restart: brokers die and start again one after another, each only when the one before has caught up.
//!
//! Owns the order of steps, as a pure machine that is told what the cluster looks like and says what comes next, so that it
//! works on whatever plays the cluster; and the call that drives it on a [`Cluster`]. An operator's restart would move leaders
//! away first (controlled shutdown); here every broker just dies, as in the table of differences in `ARCHITECTURE.md`.

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::roles::Role;
use crate::shell::Shell;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// Between two looks at the cluster.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a cluster looks like to whoever asks one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Brokers that are registered and not fenced.
    pub alive: Vec<i32>,
    /// Partitions that have a replica which is not in sync.
    pub behind: Vec<(String, i32)>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Kill this broker.
    Kill(i32),
    /// Start this broker again.
    Start(i32),
    /// Nothing, until the cluster looks different.
    Wait,
    /// Nothing any more: every broker was restarted, and is back.
    Done,
}

/// A rolling restart under way.
#[derive(Debug, Clone)]
pub struct RollingRestart {
    left: VecDeque<i32>,
    /// The broker that was killed last, and whether it is down still.
    last: Option<(i32, bool)>,
}

impl RollingRestart {
    /// Of these brokers, in this order.
    #[must_use]
    pub fn of(brokers: impl IntoIterator<Item = i32>) -> Self {
        Self { left: brokers.into_iter().collect(), last: None }
    }

    /// What comes next in a cluster that looks like this, or in which nobody is left to be asked.
    ///
    /// A broker stays down until the others have noticed, so that its leaders really move; the next one goes when nothing
    /// is behind any more, whoever is to blame for it.
    pub fn next(&mut self, view: Option<&View>) -> Turn {
        match (self.last, view) {
            (Some((id, true)), Some(view)) if view.alive.contains(&id) => Turn::Wait,
            (Some((id, true)), _) => {
                self.last = Some((id, false));
                Turn::Start(id)
            }
            (_, None) => Turn::Wait,
            (_, Some(view)) if self.lacks(view).is_some() => Turn::Wait,
            (_, Some(_)) => match self.left.pop_front() {
                Some(id) => {
                    self.last = Some((id, true));
                    Turn::Kill(id)
                }
                None => Turn::Done,
            },
        }
    }

    /// The broker that is down because of it.
    #[must_use]
    pub fn down(&self) -> Option<i32> {
        self.last.filter(|(_, is_down)| *is_down).map(|(id, _)| id)
    }

    /// What a cluster that looks like this is waited for.
    fn lacks<'a>(&self, view: &'a View) -> Option<Lack<'a>> {
        let absent = self.last.map(|(id, _)| id).filter(|id| !view.alive.contains(id));
        absent.map(Lack::Broker).or_else(|| view.behind.first().map(Lack::Replica))
    }
}

enum Lack<'a> {
    Broker(i32),
    Replica(&'a (String, i32)),
}

impl fmt::Display for Lack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(id) => write!(f, "broker {id} is not seen alive"),
            Self::Replica((topic, partition)) => write!(f, "a replica of {topic}/{partition} is not in sync"),
        }
    }
}

impl Cluster {
    /// Restarts the brokers that play a role, one after another: each is killed, is missed by the others, starts again, and has
    /// caught up before the next one goes. Returns them, in that order, when the last one is back.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use shakedown_cluster::{Cluster, Role};
    /// # use std::time::Duration;
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// assert_eq!(cluster.rolling_restart(&Role::All, Duration::from_secs(20))?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FaultError::Nobody`] when nobody plays the role, [`FaultError::UnknownNode`] for a broker that there is not,
    /// [`FaultError::NotBack`] when a step takes longer than `at_most`.
    pub fn rolling_restart(&self, role: &Role, at_most: Duration) -> Result<Vec<i32>, FaultError> {
        let brokers = self.players(role);
        if brokers.is_empty() {
            let role = role.clone();
            return Err(self.thread.ask(|shell| shell.nobody(role)).unwrap_or(FaultError::Stopped));
        }
        let mut rolling = RollingRestart::of(brokers.iter().copied());
        let mut since = Instant::now();
        loop {
            let view = self.thread.ask(Shell::view).ok_or(FaultError::Stopped)?;
            match rolling.next(view.as_ref()) {
                Turn::Kill(id) => self.kill(id)?,
                Turn::Start(id) => self.restart(id)?,
                Turn::Done => return Ok(brokers),
                Turn::Wait if since.elapsed() >= at_most => {
                    let missing = view.as_ref().and_then(|view| rolling.lacks(view));
                    let missing = missing.map_or_else(|| "nobody noticed".to_owned(), |lack| lack.to_string());
                    let id = rolling.last.map_or(brokers[0], |(id, _)| id);
                    return Err(FaultError::NotBack { id, missing, waited: at_most });
                }
                Turn::Wait => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            }
            since = Instant::now();
        }
    }
}

impl Shell {
    /// What the cluster looks like by the newest metadata of any node that is up.
    fn view(&self) -> Option<View> {
        self.newest(|image| {
            let mut view = View { alive: image.alive().map(|broker| broker.id.0).collect(), behind: Vec::new() };
            for (name, topic) in &image.topics {
                let states = (0..).zip(&topic.partitions);
                let behind = states.filter(|(_, state)| state.isr.len() < state.replicas.len());
                view.behind.extend(behind.map(|(index, _)| (name.to_string(), index)));
            }
            Some(view)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(alive: &[i32], behind: &[(&str, i32)]) -> View {
        View { alive: alive.to_vec(), behind: behind.iter().map(|(topic, at)| ((*topic).to_owned(), *at)).collect() }
    }

    #[test]
    fn the_next_broker_goes_when_the_last_one_has_caught_up() {
        let mut rolling = RollingRestart::of([1, 2]);
        let whole = view(&[1, 2, 3], &[]);
        assert_eq!(rolling.next(Some(&view(&[1, 2], &[("orders", 0)]))), Turn::Wait, "somebody else is missing");
        assert_eq!(rolling.next(Some(&whole)), Turn::Kill(1));
        assert_eq!(rolling.next(Some(&whole)), Turn::Wait, "nobody has noticed");
        assert_eq!(rolling.down(), Some(1));
        assert_eq!(rolling.next(Some(&view(&[2, 3], &[("orders", 0)]))), Turn::Start(1));
        assert_eq!(rolling.down(), None);
        assert_eq!(rolling.next(Some(&view(&[2, 3], &[]))), Turn::Wait, "it is not registered again");
        assert_eq!(rolling.next(Some(&view(&[1, 2, 3], &[("orders", 0)]))), Turn::Wait, "it lags");
        assert_eq!(rolling.next(Some(&whole)), Turn::Kill(2));
        assert_eq!(rolling.next(Some(&view(&[1, 3], &[("orders", 0)]))), Turn::Start(2));
        assert_eq!(rolling.next(Some(&whole)), Turn::Done);
    }

    #[test]
    fn the_only_broker_is_missed_by_nobody_and_starts_at_once() {
        let mut rolling = RollingRestart::of([1]);
        assert_eq!(rolling.next(Some(&view(&[1], &[]))), Turn::Kill(1));
        assert_eq!(rolling.next(None), Turn::Start(1));
        assert_eq!(rolling.next(None), Turn::Wait);
        assert_eq!(rolling.next(Some(&view(&[1], &[]))), Turn::Done);
    }
}
