//! What the nodes' wall clocks show, and what is done to them.
//!
//! A node has two times. Its monotonic one, by which sessions, heartbeats, elections and all other deadlines go, is the
//! cluster's ([`crate::clock`]), the same for all nodes, and nothing here moves it. Its wall clock makes timestamps, and
//! decides what is too old or too new: retention, expiry of offsets, the bounds on a record's timestamp. So it may be wrong
//! by years, or moved on by days, and nobody is taken for dead because of it.
//!
//! A node whose wall clock was moved is told at once ([`Input::ClockMoved`]), rather than when it happens to look again.

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::injection::{Hits, Placed};
use crate::shell::Shell;
use shakedown_broker::Input;
use std::time::Duration;

/// A way along the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeShift {
    /// Into the future.
    Ahead(Duration),
    /// Into the past.
    Behind(Duration),
}

impl TimeShift {
    fn signed_ms(self) -> i64 {
        match self {
            Self::Ahead(by) => millis(by),
            Self::Behind(by) => -millis(by),
        }
    }
}

/// What is done to a node's wall clock while it stands, through all of the node's lives. Undone, the clock is right again
/// at once, whichever way that is. A hit is a time that the node was given while its clock was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockFault {
    /// The node.
    pub node: i32,
    /// What is wrong with its clock.
    pub effect: ClockEffect,
}

/// What is wrong with a clock.
#[derive(Debug, Clone, PartialEq)]
pub enum ClockEffect {
    /// It is off by so much, as a clock that nobody has ever set. Of several, the first that stands counts.
    Skew(TimeShift),
    /// It jumps by so much, from wherever it is. Several add up.
    Jump(TimeShift),
    /// It runs at this factor from here on: 2 is twice as fast, 0.5 half as fast, 0 stands still. Of several, the first that
    /// stands counts. What goes by it is looked at when this begins and ends, and otherwise no more often than ever.
    Rate(f64),
}

#[derive(Debug)]
struct Rule {
    number: u64,
    /// The place of the node.
    node: usize,
    effect: ClockEffect,
    since: Duration,
    hits: Hits,
}

/// All wall clocks.
#[derive(Debug)]
pub(crate) struct WallClocks {
    /// What a clock that is right showed when the cluster started, since the Unix epoch; moved on by as much as time has been
    /// since. Not in milliseconds: they are cut off once, when a clock is read.
    start: Duration,
    rules: Vec<Rule>,
}

impl WallClocks {
    /// Clocks that are right, and showed this when the cluster started.
    pub(crate) fn new(start: Duration) -> Self {
        Self { start, rules: Vec::new() }
    }

    /// What a node's clock shows so long after the start, in milliseconds since the Unix epoch.
    pub(crate) fn read(&self, node: usize, since_start: Duration) -> i64 {
        let right_ms = millis(self.start.saturating_add(since_start));
        if self.rules.is_empty() {
            return right_ms;
        }
        let (mut skew, mut drift, mut jumps_ms) = (None, None, 0_i64);
        for rule in self.rules.iter().filter(|rule| rule.node == node) {
            rule.hits.count();
            match rule.effect {
                ClockEffect::Skew(shift) => skew = skew.or(Some(shift.signed_ms())),
                ClockEffect::Jump(shift) => jumps_ms = jumps_ms.saturating_add(shift.signed_ms()),
                ClockEffect::Rate(factor) => {
                    drift = drift.or(Some(drift_ms(since_start.saturating_sub(rule.since), factor)));
                }
            }
        }
        [skew.unwrap_or(0), drift.unwrap_or(0), jumps_ms].into_iter().fold(right_ms, i64::saturating_add)
    }

    /// Moves every clock on.
    fn advance(&mut self, by: Duration) {
        self.start = self.start.saturating_add(by);
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// By how much a clock is off that has run at a factor for so long.
fn drift_ms(real: Duration, factor: f64) -> i64 {
    let shown = Duration::try_from_secs_f64(real.as_secs_f64() * factor).unwrap_or(Duration::MAX);
    millis(shown).saturating_sub(millis(real))
}

impl Cluster {
    /// Moves the wall clock of every node on, by days if need be, and lets every node look at once at what has become old:
    /// retention and the expiry of offsets go by it. Sessions, heartbeats and elections do not, so nobody is fenced and no
    /// member leaves its group. Clients keep their own clocks: what they stamp is that much older from here on.
    ///
    /// It cannot be undone.
    pub fn advance_clock(&self, by: Duration) {
        self.thread.ask(move |shell| shell.advance_clock(by));
    }

    /// Sets every node's clock right: no skew, no jump, no drift. What [`Self::advance_clock`] did stays.
    pub fn set_clocks_right(&self) {
        self.thread.ask(|shell| shell.set_clock_right(|_| true));
    }
}

impl Shell {
    pub(crate) fn advance_clock(&self, by: Duration) {
        self.walls.borrow_mut().advance(by);
        (0..self.ids().len()).for_each(|node| self.deliver(node, Input::ClockMoved));
    }

    pub(crate) fn set_clock_wrong(&self, fault: &ClockFault) -> Result<Placed, FaultError> {
        let node = self.place(fault.node)?;
        if let ClockEffect::Rate(factor) = fault.effect
            && !(factor.is_finite() && factor >= 0.0)
        {
            return Err(FaultError::ClockRate { factor });
        }
        let (number, hits, effect) = (self.next_fault(), Hits::default(), fault.effect.clone());
        let rule = Rule { number, node, effect, since: self.since_start(), hits: hits.clone() };
        self.walls.borrow_mut().rules.push(rule);
        self.deliver(node, Input::ClockMoved);
        Ok(Placed { number, hits })
    }

    /// Undoes what is wrong with clocks, by the numbers of the faults.
    pub(crate) fn set_clock_right(&self, is_undone: impl Fn(u64) -> bool) {
        let mut moved = Vec::new();
        self.walls.borrow_mut().rules.retain(|rule| {
            if is_undone(rule.number) {
                moved.push(rule.node);
            }
            !is_undone(rule.number)
        });
        moved.into_iter().for_each(|node| self.deliver(node, Input::ClockMoved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);

    fn wrong(rules: &[(usize, ClockEffect)]) -> WallClocks {
        let mut clocks = WallClocks::new(Duration::from_millis(1_000_000));
        for (number, (node, effect)) in (0..).zip(rules) {
            let rule = Rule { number, node: *node, effect: effect.clone(), since: SECOND, hits: Hits::default() };
            clocks.rules.push(rule);
        }
        clocks
    }

    #[test]
    fn a_right_clock_goes_on_and_is_moved_on() {
        let mut clocks = wrong(&[]);
        assert_eq!(clocks.read(0, SECOND), 1_001_000);
        clocks.advance(DAY);
        assert_eq!(clocks.read(0, SECOND * 2), 1_002_000 + 86_400_000);
        clocks.advance(Duration::MAX);
        assert_eq!(clocks.read(0, SECOND), i64::MAX);
    }

    #[test]
    fn the_first_skew_counts_and_jumps_add_up() {
        let clocks = wrong(&[
            (1, ClockEffect::Jump(TimeShift::Ahead(SECOND * 10))),
            (1, ClockEffect::Skew(TimeShift::Behind(SECOND))),
            (1, ClockEffect::Skew(TimeShift::Ahead(DAY))),
            (1, ClockEffect::Jump(TimeShift::Behind(SECOND * 3))),
        ]);
        assert_eq!(clocks.read(0, SECOND), 1_001_000, "another node's clock is its own");
        assert_eq!(clocks.read(1, SECOND), 1_001_000 + 10_000 - 1_000 - 3_000);
        let hits: Vec<u64> = clocks.rules.iter().map(|rule| rule.hits.so_far()).collect();
        assert_eq!(hits, [1, 1, 1, 1]);
    }

    #[test]
    fn a_fast_clock_runs_away_from_where_it_was_and_a_slow_one_falls_behind() {
        let at = |factor, since_start| wrong(&[(0, ClockEffect::Rate(factor))]).read(0, since_start);
        assert_eq!(at(60.0, SECOND), 1_001_000, "it was right when it began to run away");
        assert_eq!(at(60.0, SECOND * 2), 1_001_000 + 60_000);
        assert_eq!(at(0.5, SECOND * 3), 1_001_000 + 1_000);
        assert_eq!(at(0.0, SECOND * 9), 1_001_000, "it stands still");
        assert_eq!(at(f64::MAX, SECOND * 9), i64::MAX, "as far as a clock can go");
    }
}
