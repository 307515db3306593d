//! What happens to clients' connections on purpose: which rules stand, and whom they strike.
//!
//! Owns the rules. That a connection falls silent or is forgotten is its [`Mailbox`]'s business, at the one place where
//! all of its work passes; what its answers and its bytes go through is in `connection/weathered.rs`, with the arithmetic
//! here:
//!
//! - [`fault`]: what can be done, as data.
//! - [`outbox`], [`pace`]: when which bytes may go.
//!
//! In calm weather, which is all of the time in most clusters, a connection looks at one flag for each answer and each read.

mod fault;
mod outbox;
mod pace;

use crate::chance::Draws;
use crate::faults::FaultError;
use crate::injection::{Hits, Placed};
use crate::links::Delay;
use crate::mailbox::Mailbox;
use crate::shell::Shell;
use std::cell::{Cell, RefCell};
use std::num::NonZeroU64;
use std::time::Duration;
use tokio::sync::{Notify, watch};

pub use fault::{ClientEffect, ClientFault, Clients};
pub(crate) use outbox::Outbox;
pub(crate) use pace::{Pace, piece};

/// A fault in place.
#[derive(Debug)]
struct Rule {
    number: u64,
    /// Whether it stands until it is mended, and no guard undoes it.
    is_kept: bool,
    /// The place of the node, or any.
    node: Option<usize>,
    fault: ClientFault,
    hits: Hits,
    /// Never sent on: it goes with the rule.
    standing: watch::Sender<()>,
}

impl Rule {
    fn covers(&self, mailbox: &Mailbox) -> bool {
        self.node.is_none_or(|node| node == mailbox.node) && self.fault.clients.has(mailbox)
    }

    /// Whether it covers the connection and may still strike.
    fn selects(&self, mailbox: &Mailbox) -> bool {
        self.fault.at_most.is_none_or(|at_most| self.hits.so_far() < at_most) && self.covers(mailbox)
    }

    fn undone(&self) -> Undone {
        Undone(self.standing.subscribe())
    }
}

/// Tells that a fault is undone.
#[derive(Debug)]
pub(crate) struct Undone(watch::Receiver<()>);

impl Undone {
    /// Waits for it.
    pub(crate) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// What happens to an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) delay: Option<Delay>,
    /// The connection is reset when so many bytes of it have gone.
    pub(crate) reset_after: Option<u64>,
}

/// All that is done to clients' connections.
#[derive(Debug)]
pub(crate) struct Weather {
    seed: u64,
    is_calm: Cell<bool>,
    rules: RefCell<Vec<Rule>>,
    /// Tells all who wait for bytes to have had their time that rules have gone.
    cleared: Notify,
}

impl Weather {
    /// Calm.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, is_calm: Cell::new(true), rules: RefCell::default(), cleared: Notify::new() }
    }

    /// Whether no rule stands.
    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    /// A connection's own chance: that of its client at its node, whatever others do.
    pub(crate) fn draws(&self, mailbox: &Mailbox) -> Draws {
        let client_id = mailbox.client_id.borrow();
        let client_id = client_id.as_deref().unwrap_or_default();
        Draws::of(self.seed, &[b"client", &(mailbox.node as u64).to_le_bytes(), client_id.as_bytes()])
    }

    /// What happens to the next answer of a connection; counted.
    pub(crate) fn pass(&self, mailbox: &Mailbox) -> Passage {
        let delay = self.strike(mailbox, |effect| match effect {
            ClientEffect::Delay(delay) => Some(*delay),
            _ => None,
        });
        let reset_after = self.strike(mailbox, |effect| match effect {
            ClientEffect::Reset { after } => Some(*after),
            _ => None,
        });
        Passage { delay, reset_after }
    }

    /// Whether a delay stands for a connection, if only for what is under way on it.
    pub(crate) fn is_slow(&self, mailbox: &Mailbox) -> bool {
        let delays = |rule: &&Rule| matches!(rule.fault.effect, ClientEffect::Delay(_));
        self.rules.borrow().iter().filter(delays).any(|rule| rule.covers(mailbox))
    }

    /// Ends when rules have gone.
    pub(crate) async fn cleared(&self) {
        self.cleared.notified().await;
    }

    /// How many bytes a second a connection carries, if it is narrow.
    pub(crate) fn rate(&self, mailbox: &Mailbox) -> Option<NonZeroU64> {
        let rules = self.rules.borrow();
        rules.iter().filter(|rule| rule.selects(mailbox)).find_map(|rule| rate(&rule.fault.effect))
    }

    /// A narrow connection carried a piece.
    pub(crate) fn count_piece(&self, mailbox: &Mailbox) {
        self.strike(mailbox, rate);
    }

    /// How much later a connection that ends is closed, unless that is undone before.
    pub(crate) fn slow_close(&self, mailbox: &Mailbox) -> Option<(Duration, Undone)> {
        let rules = self.rules.borrow();
        let slow = |effect: &ClientEffect| match effect {
            ClientEffect::SlowClose { by } => Some(*by),
            _ => None,
        };
        let mut standing = rules.iter().filter(|rule| rule.selects(mailbox));
        let (rule, by) = standing.find_map(|rule| Some((rule, slow(&rule.fault.effect)?)))?;
        rule.hits.count();
        Some((by, rule.undone()))
    }

    /// Decides whether a connection is cut off: when it comes into being, when its client has said its name, and when
    /// rules have changed.
    pub(crate) fn meet(&self, mailbox: &Mailbox) {
        if self.is_calm() && !mailbox.is_silent() {
            return;
        }
        let rules = self.rules.borrow();
        let before = mailbox.silenced_by().filter(|number| rules.iter().any(|rule| rule.number == *number));
        let cuts = || rules.iter().filter(|rule| rule.fault.effect == ClientEffect::Cut);
        let cut = before.or_else(|| {
            let cut = cuts().find(|rule| rule.selects(mailbox))?;
            cut.hits.count();
            Some(cut.number)
        });
        mailbox.silence(cut);
    }

    /// The first rule that selects a connection and has this effect strikes.
    fn strike<T>(&self, mailbox: &Mailbox, effect: impl Fn(&ClientEffect) -> Option<T>) -> Option<T> {
        let rules = self.rules.borrow();
        let mut standing = rules.iter().filter(|rule| rule.selects(mailbox));
        let (rule, effect) = standing.find_map(|rule| Some((rule, effect(&rule.fault.effect)?)))?;
        rule.hits.count();
        Some(effect)
    }
}

fn rate(effect: &ClientEffect) -> Option<NonZeroU64> {
    match effect {
        ClientEffect::Bandwidth { bytes_per_second } => Some(*bytes_per_second),
        _ => None,
    }
}

impl Shell {
    /// Puts a fault in place, for its guard to undo.
    pub(crate) fn change_weather(&self, fault: ClientFault) -> Result<Placed, FaultError> {
        self.put_weather(fault, false)
    }

    /// Puts a fault in place until it is mended; one that is there already stays as it is.
    pub(crate) fn keep_weather(&self, fault: ClientFault) -> Result<(), FaultError> {
        let is_there = self.weather.rules.borrow().iter().any(|rule| rule.is_kept && rule.fault == fault);
        if is_there { Ok(()) } else { self.put_weather(fault, true).map(drop) }
    }

    fn put_weather(&self, fault: ClientFault, is_kept: bool) -> Result<Placed, FaultError> {
        let node = fault.node.map(|id| self.place(id)).transpose()?;
        let (number, hits, standing) = (self.next_fault(), Hits::default(), watch::Sender::default());
        let rule = Rule { number, is_kept, node, fault, hits: hits.clone(), standing };
        if rule.fault.effect == ClientEffect::HalfOpen {
            self.mailboxes.each(|mailbox| {
                if mailbox.is_served() && rule.selects(mailbox) {
                    rule.hits.count();
                    mailbox.forget(rule.undone());
                }
            });
        }
        self.weather.rules.borrow_mut().push(rule);
        self.weather.is_calm.set(false);
        self.mailboxes.each(|mailbox| self.weather.meet(mailbox));
        Ok(Placed { number, hits })
    }

    /// Undoes what is done to connections, by the numbers of the faults.
    pub(crate) fn clear_weather(&self, is_undone: impl Fn(u64) -> bool) {
        self.retain_weather(|rule| !is_undone(rule.number));
    }

    /// Undoes what is done to connections at one node.
    pub(crate) fn clear_weather_at(&self, node: usize) {
        self.retain_weather(|rule| rule.node != Some(node));
    }

    fn retain_weather(&self, stays: impl Fn(&Rule) -> bool) {
        let mut rules = self.weather.rules.borrow_mut();
        rules.retain(stays);
        self.weather.is_calm.set(rules.is_empty());
        drop(rules);
        self.weather.cleared.notify_waiters();
        self.mailboxes.each(|mailbox| self.weather.meet(mailbox));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Mailboxes;
    use std::rc::Rc;

    const MS: Duration = Duration::from_millis(1);

    fn weather(rules: Vec<(Option<usize>, ClientFault)>) -> Weather {
        let weather = Weather::new(0);
        let rule = |(number, (node, fault))| {
            let (hits, standing) = (Hits::default(), watch::Sender::default());
            Rule { number, is_kept: false, node, fault, hits, standing }
        };
        weather.rules.borrow_mut().extend((0..).zip(rules).map(rule));
        weather.is_calm.set(false);
        weather
    }

    fn connection(node: usize, port: u16, client_id: Option<&str>) -> Rc<Mailbox> {
        let (_, mailbox) = Mailboxes::default().open(node, port);
        if let Some(client_id) = client_id {
            mailbox.introduce(client_id);
        }
        mailbox
    }

    fn delay(by: Duration) -> ClientFault {
        ClientFault::new(ClientEffect::Delay(Delay::by(by)))
    }

    fn hits(weather: &Weather) -> Vec<u64> {
        weather.rules.borrow().iter().map(|rule| rule.hits.so_far()).collect()
    }

    #[test]
    fn the_first_rule_that_selects_a_connection_and_may_still_strike_counts() {
        let weather = weather(vec![
            (None, ClientFault::new(ClientEffect::Reset { after: 5 }).of(Clients::Port(7)).at_most(1)),
            (Some(1), delay(MS)),
            (None, delay(MS * 2).of(Clients::Named(String::from("payment"))).at_most(1)),
            (None, delay(MS * 3)),
        ]);
        let passage = |by, reset_after| Passage { delay: Some(Delay::by(by)), reset_after };
        let (here, there) = (connection(0, 7, Some("payment")), connection(1, 8, Some("payment")));
        assert_eq!(weather.pass(&here), passage(MS * 2, Some(5)));
        assert_eq!(weather.pass(&here), passage(MS * 3, None), "both have struck as often as they may");
        assert_eq!(weather.pass(&there), passage(MS, None));
        assert_eq!(weather.pass(&connection(0, 9, None)), passage(MS * 3, None), "it has not said its name");
        assert_eq!(hits(&weather), [1, 1, 1, 2]);
    }

    #[test]
    fn a_cut_counts_each_connection_once_and_lets_go_of_it_when_it_is_undone() {
        let weather = weather(vec![(Some(0), ClientFault::new(ClientEffect::Cut).at_most(1))]);
        let (first, second, elsewhere) = (connection(0, 1, None), connection(0, 2, None), connection(1, 3, None));
        for _ in 0..2 {
            [&first, &second, &elsewhere].into_iter().for_each(|mailbox| weather.meet(mailbox));
            assert_eq!([&first, &second, &elsewhere].map(|mailbox| mailbox.is_silent()), [true, false, false]);
        }
        assert_eq!(hits(&weather), [1]);
        weather.rules.borrow_mut().clear();
        weather.meet(&first);
        assert!(!first.is_silent());
    }

    #[test]
    fn a_client_draws_by_its_name_and_its_node() {
        let weather = weather(vec![]);
        let first = |mailbox: Rc<Mailbox>| weather.draws(&mailbox).up_to(Duration::from_secs(1));
        let drawn = first(connection(0, 1, Some("payment")));
        assert_eq!(first(connection(0, 2, Some("payment"))), drawn, "ports are given out by chance");
        assert_ne!(first(connection(1, 1, Some("payment"))), drawn);
        assert_ne!(first(connection(0, 1, Some("order"))), drawn);
    }
}
