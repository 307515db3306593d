//! The rules in force, in order, and how often each was met.

use super::about::About;
use super::rule::{Effect, Rule, RuleId};
use crate::node::Node;
use crate::wire::request::Frame;
use std::cell::OnceCell;

#[derive(Debug)]
struct InForce {
    id: RuleId,
    rule: Rule,
    /// Requests that it was about.
    met: u64,
    /// Requests that it hit.
    hits: u64,
    /// Whether it neither counts nor hits yet.
    asleep: bool,
}

/// The rules in force. The first that hits a request decides about it; those behind it still count it.
#[derive(Debug, Default)]
pub(super) struct Rules {
    list: Vec<InForce>,
    next: u64,
}

impl Rules {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts a rule into force, behind all others; one that is asleep begins when it is woken.
    pub(super) fn add(&mut self, rule: Rule, asleep: bool) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.list.push(InForce { id, rule, met: 0, hits: 0, asleep });
        id
    }

    /// Ends a rule; how often it hit.
    pub(super) fn remove(&mut self, id: RuleId) -> Option<u64> {
        let at = self.list.iter().position(|in_force| in_force.id == id)?;
        Some(self.list.remove(at).hits)
    }

    /// Lets a rule begin that is asleep.
    pub(super) fn wake(&mut self, id: RuleId) {
        if let Some(in_force) = self.list.iter_mut().find(|in_force| in_force.id == id) {
            in_force.asleep = false;
        }
    }

    /// How often a rule in force has hit.
    pub(super) fn hits(&self, id: RuleId) -> Option<u64> {
        self.list.iter().find(|in_force| in_force.id == id).map(|in_force| in_force.hits)
    }

    /// Counts a request, and decides what becomes of it.
    pub(super) fn judge(&mut self, node: &Node, frame: &Frame) -> Option<(RuleId, Effect)> {
        let about = OnceCell::new();
        let mut decided = None;
        for in_force in self.list.iter_mut().filter(|in_force| !in_force.asleep) {
            let about = || about.get_or_init(|| About::read(node, &frame.request));
            if !in_force.rule.selector.fits(node.id(), frame, about) || !in_force.rule.effect.concerns(frame) {
                continue;
            }
            in_force.met += 1;
            if decided.is_none() && in_force.rule.hits(in_force.met) {
                in_force.hits += 1;
                decided = Some((in_force.id, in_force.rule.effect.clone()));
            }
        }
        decided
    }
}
