//! Which nodes can hear each other, and how late. Clients reach every node that runs, whatever is done here.
//!
//! - [`set`]: sets of links in words: one way, a partition, a bridge, a ring.
//! - [`transit`]: what is under way on links that delay.
//!
//! A link is either plain, which costs a look at one bit, or has been touched: by a rule, or by what is still under way on
//! it. A cut link is a connection that broke: what was under way on it is lost with what is said from then on. It is not
//! held back until the link is mended, as nodes that have lost a connection begin a new one and do not go on with the old.
//! A link that does not delay any more is different: its connection has been there all the time, and what is still under
//! way on it is heard at once.

mod set;
mod transit;

use crate::chance::Draws;
use crate::faults::FaultError;
use crate::injection::{Hits, Placed};
use shakedown_broker::Input;
use std::time::Duration;
use transit::Transit;

pub use set::LinkSet;

/// How late something arrives: `by`, and up to `jitter` more, drawn from the cluster's seed for each message and each link
/// or client by itself. What is delayed stays in order, as on a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// At least so much.
    pub by: Duration,
    /// At most so much more.
    pub jitter: Duration,
}

impl Delay {
    /// Always the same.
    #[must_use]
    pub const fn by(by: Duration) -> Self {
        Self { by, jitter: Duration::ZERO }
    }

    pub(crate) fn draw(self, draws: &mut Draws) -> Duration {
        self.by.saturating_add(draws.up_to(self.jitter))
    }
}

/// What is done to links between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFault {
    /// What is said is not heard, and what was under way is lost. A cut counts even where other faults delay. A hit is a
    /// message that was lost.
    Cut(LinkSet),
    /// What is said is heard later. Of several delays of one link, the first that stands counts. When there is none any
    /// more, what was still under way is heard at once. A hit is a message.
    Delay(LinkSet, Delay),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Cut,
    Delay(Delay),
}

/// A fault in place.
#[derive(Debug)]
struct Rule {
    number: u64,
    /// Whether it stands until it is mended, and no guard undoes it.
    is_kept: bool,
    /// For each sender a bit for each receiver.
    links: Vec<u32>,
    effect: Effect,
    hits: Hits,
}

impl Rule {
    fn covers(&self, from: usize, to: usize) -> bool {
        has(&self.links, from, to)
    }
}

/// The links between nodes, each one way; nodes count from 0.
#[derive(Debug)]
pub(crate) struct Links {
    /// For each sender, a bit for each receiver that has to be thought about: a rule covers the link, or something is under
    /// way on it.
    touched: Vec<u32>,
    rules: Vec<Rule>,
    transit: Transit,
}

impl Links {
    /// Plain links between so many nodes, 32 at most.
    pub(crate) fn new(nodes: usize, seed: u64) -> Self {
        Self { touched: vec![0; nodes], rules: Vec::new(), transit: Transit::new(seed) }
    }

    /// Whether what this node says to that one is heard at once.
    pub(crate) fn is_plain(&self, from: usize, to: usize) -> bool {
        !has(&self.touched, from, to)
    }

    /// Sends over a link that is not plain. What is heard at once nevertheless comes back.
    pub(crate) fn send(&mut self, from: usize, to: usize, now_ns: u64, input: Input) -> Option<Input> {
        let on_it = || self.rules.iter().filter(|rule| rule.covers(from, to));
        if let Some(cut) = on_it().find(|rule| rule.effect == Effect::Cut) {
            cut.hits.count();
            return None;
        }
        let mut delays = on_it().filter_map(|rule| match rule.effect {
            Effect::Delay(delay) => Some((delay, &rule.hits)),
            Effect::Cut => None,
        });
        let delay = delays.next().map(|(delay, hits)| {
            hits.count();
            delay
        });
        let at_once = self.transit.send((from, to), now_ns, delay, input);
        if delay.is_none() && at_once.is_some() {
            self.touched[from] &= !(1 << to);
        }
        at_once
    }

    /// When something that is under way is heard next.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        self.transit.next_due_ns()
    }

    /// The next message that is due, and the place of the node that hears it.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<(usize, Input)> {
        self.transit.pop_due(now_ns)
    }

    /// Forgets what is under way to and from a node that was killed: it goes with its connections.
    pub(crate) fn forget(&mut self, node: usize) {
        self.transit.lose(|from, to| from == node || to == node);
    }

    /// Puts a fault in place between the nodes with these ids, for its guard to undo.
    pub(crate) fn place(&mut self, number: u64, fault: &LinkFault, ids: &[i32]) -> Result<Placed, FaultError> {
        self.put(number, fault, ids, false)
    }

    /// As [`Self::place`], until it is mended. What was kept on the same links is replaced, so that nothing piles up.
    pub(crate) fn keep(&mut self, number: u64, fault: &LinkFault, ids: &[i32], now_ns: u64) -> Result<(), FaultError> {
        let (effect, links) = resolve(fault, ids)?;
        let same_kind =
            |rule: &&mut Rule| rule.is_kept && std::mem::discriminant(&rule.effect) == std::mem::discriminant(&effect);
        self.rules.iter_mut().filter(same_kind).for_each(|rule| take_out(&mut rule.links, &links));
        self.mended(now_ns);
        self.put(number, fault, ids, true).map(drop)
    }

    fn put(&mut self, number: u64, fault: &LinkFault, ids: &[i32], is_kept: bool) -> Result<Placed, FaultError> {
        let (effect, links) = resolve(fault, ids)?;
        for (touched, bits) in self.touched.iter_mut().zip(&links) {
            *touched |= bits;
        }
        let hits = Hits::default();
        if effect == Effect::Cut {
            self.transit.lose(|from, to| has(&links, from, to)).iter().for_each(|_| hits.count());
        }
        self.rules.push(Rule { number, is_kept, links, effect, hits: hits.clone() });
        Ok(Placed { number, hits })
    }

    /// Undoes a fault, unless it has been mended already.
    pub(crate) fn undo(&mut self, number: u64, now_ns: u64) {
        self.rules.retain(|rule| rule.number != number);
        self.mended(now_ns);
    }

    /// Mends all links of a node.
    pub(crate) fn reconnect(&mut self, node: usize, now_ns: u64) {
        for rule in &mut self.rules {
            rule.links.iter_mut().for_each(|bits| *bits &= !(1 << node));
            rule.links[node] = 0;
        }
        self.mended(now_ns);
    }

    /// Mends everything.
    pub(crate) fn heal(&mut self, now_ns: u64) {
        self.rules.clear();
        self.mended(now_ns);
    }

    /// Forgets rules that cover nothing any more, and lets what is under way feel what has changed.
    fn mended(&mut self, now_ns: u64) {
        self.rules.retain(|rule| rule.links.iter().any(|bits| *bits != 0));
        let delays = || self.rules.iter().filter(|rule| rule.effect != Effect::Cut);
        self.transit.hurry(now_ns, |from, to| !delays().any(|rule| rule.covers(from, to)));
    }
}

/// What a fault does, and for each sender a bit for each receiver.
fn resolve(fault: &LinkFault, ids: &[i32]) -> Result<(Effect, Vec<u32>), FaultError> {
    match fault {
        LinkFault::Cut(set) => Ok((Effect::Cut, set.bits(ids)?)),
        LinkFault::Delay(set, delay) => Ok((Effect::Delay(*delay), set.bits(ids)?)),
    }
}

fn has(links: &[u32], from: usize, to: usize) -> bool {
    links.get(from).is_some_and(|bits| bits >> to & 1 == 1)
}

fn take_out(links: &mut [u32], others: &[u32]) {
    links.iter_mut().zip(others).for_each(|(bits, others)| *bits &= !others);
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [i32; 3] = [1, 2, 3];
    const MS: u64 = 1_000_000;

    fn links() -> Links {
        Links::new(IDS.len(), 0)
    }

    fn between(one: i32, other: i32) -> LinkSet {
        LinkSet::Between(one, other)
    }

    fn keep(links: &mut Links, fault: &LinkFault) {
        links.keep(0, fault, &IDS, 0).expect("known nodes");
    }

    /// The links on which a message is lost, by the places of their ends; all others hand it over at once.
    fn cut(links: &mut Links) -> Vec<(usize, usize)> {
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        let is_lost = |(from, to): &(usize, usize)| {
            !links.is_plain(*from, *to) && links.send(*from, *to, 0, Input::Tick).is_none()
        };
        pairs.filter(is_lost).collect()
    }

    #[test]
    fn links_are_cut_both_ways_and_mended() {
        let mut links = links();
        keep(&mut links, &LinkFault::Cut(between(1, 3)));
        keep(&mut links, &LinkFault::Cut(between(2, 2)));
        assert_eq!(cut(&mut links), [(0, 2), (2, 0)]);
        keep(&mut links, &LinkFault::Cut(LinkSet::Around(2)));
        assert_eq!(cut(&mut links), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
        links.reconnect(1, 0);
        assert_eq!(cut(&mut links), [(0, 2), (2, 0)]);
        links.heal(0);
        assert_eq!(cut(&mut links), []);
        assert!(links.is_plain(0, 2), "a mended link costs nothing again once it has been used");
    }

    #[test]
    fn a_guard_mends_its_own_cut_and_no_other() {
        let mut links = links();
        let one_way = LinkFault::Cut(LinkSet::OneWay { from: 1, to: 2 });
        let first = links.place(1, &one_way, &IDS).expect("known nodes");
        let second = links.place(2, &LinkFault::Cut(LinkSet::Around(1)), &IDS).expect("known nodes");
        assert_eq!(cut(&mut links), [(0, 1), (0, 2), (1, 0), (2, 0)]);
        links.undo(second.number, 0);
        assert_eq!(cut(&mut links), [(0, 1)]);
        links.undo(first.number, 0);
        assert_eq!(cut(&mut links), []);
        assert_eq!((first.hits.so_far(), second.hits.so_far()), (2, 3), "the first that stands counts");
    }

    #[test]
    fn a_cut_loses_what_is_under_way_and_a_later_delay_does_not_count() {
        let mut links = links();
        let delay = |ms| LinkFault::Delay(between(1, 2), Delay::by(Duration::from_millis(ms)));
        let first = links.place(1, &delay(10), &IDS).expect("known nodes");
        let second = links.place(2, &delay(1), &IDS).expect("known nodes");
        assert!(links.send(0, 1, 0, Input::Tick).is_none());
        assert!(links.send(1, 0, 0, Input::Tick).is_none());
        assert_eq!(links.next_due_ns(), Some(10 * MS));
        assert_eq!((first.hits.so_far(), second.hits.so_far()), (2, 0));
        let cut = LinkFault::Cut(LinkSet::OneWay { from: 1, to: 2 });
        let cut = links.place(3, &cut, &IDS).expect("known nodes");
        assert_eq!(cut.hits.so_far(), 1);
        assert_eq!(links.pop_due(10 * MS).map(|(to, _)| to), Some(0), "the other way is not cut");
        assert!(links.pop_due(u64::MAX).is_none());
        links.forget(1);
    }

    #[test]
    fn what_a_mended_link_has_delayed_is_heard_at_once() {
        let mut links = links();
        let delay = |ms| LinkFault::Delay(LinkSet::Around(1), Delay::by(Duration::from_millis(ms)));
        let (first, second) = (links.place(1, &delay(60), &IDS), links.place(2, &delay(70), &IDS));
        let numbers = [first, second].map(|placed| placed.expect("known nodes").number);
        assert!(links.send(0, 1, 0, Input::Tick).is_none());
        links.undo(numbers[0], MS);
        assert_eq!(links.next_due_ns(), Some(60 * MS), "another delay stands");
        links.undo(numbers[1], 2 * MS);
        assert_eq!(links.next_due_ns(), Some(2 * MS));
    }

    #[test]
    fn what_is_kept_twice_on_a_link_is_there_once() {
        let mut links = links();
        let delay = |ms| LinkFault::Delay(between(1, 2), Delay::by(Duration::from_millis(ms)));
        keep(&mut links, &delay(10));
        keep(&mut links, &delay(20));
        keep(&mut links, &LinkFault::Cut(between(2, 3)));
        assert_eq!(links.rules.len(), 2);
        assert!(links.send(0, 1, 0, Input::Tick).is_none());
        assert_eq!(links.next_due_ns(), Some(20 * MS));
    }

    #[test]
    fn a_killed_node_hears_nothing_of_what_was_under_way_and_none_of_it_is_heard() {
        let mut links = links();
        keep(&mut links, &LinkFault::Delay(LinkSet::Across(vec![]), Delay::by(Duration::from_millis(5))));
        keep(&mut links, &LinkFault::Delay(LinkSet::Around(2), Delay::by(Duration::from_millis(5))));
        keep(&mut links, &LinkFault::Delay(between(1, 3), Delay::by(Duration::from_millis(5))));
        for (from, to) in [(0, 1), (1, 0), (0, 2)] {
            assert!(links.send(from, to, 0, Input::Tick).is_none());
        }
        links.forget(1);
        assert_eq!(links.pop_due(5 * MS).map(|(to, _)| to), Some(2));
        assert!(links.pop_due(5 * MS).is_none());
    }
}
