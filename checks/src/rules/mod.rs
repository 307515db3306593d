//! The rules of conservation over books: what services and stand-ins say they did for each order, compared order by order.
//!
//! Each rule is a file and a pure function of the books that play its parts: it goes through them once, keeps a few numbers
//! for each order, event or product, and returns a [`ruling::Ruling`]. What each compares and what it cannot see is told in
//! `docs/rules.md` and, in short, at the head of its file. They share `reading` (books by part), `orders`, `money` and `goods`
//! (what books say of one order) and `telling` (the stories of what convicts).
//!
//! A rule has one finding, named [`conserved::NAME`](crate::conserved::NAME), or [`CONTRADICTED`] where it rests on what books
//! say rather than on what they lack: an order that was captured twice stays so, however the run ended.

mod captured_once;
mod digests;
mod folded;
mod goods;
mod in_order;
mod legal_steps;
mod money;
mod notified;
mod orders;
mod reading;
mod released;
mod ruling;
mod settled;
mod shipped_rightly;
mod stock;
mod telling;

use reading::{Books, Trouble};
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::rules::{BookRule, RuleKind};
use shakedown_reports::verdict::Finding;

/// The name of findings that no fact which is still to come could take back.
pub const CONTRADICTED: &str = "contradicted";

/// One finding for each rule, in their order.
///
/// # Errors
/// When a book cannot be read to its end.
pub fn check(record: &dyn Record, rules: &[BookRule]) -> Result<Vec<Finding>, RecordError> {
    rules.iter().map(|rule| judge(record, rule)).collect()
}

fn judge(record: &dyn Record, rule: &BookRule) -> Result<Finding, RecordError> {
    let books = Books { record, rule };
    let ruling = match rule.rule {
        RuleKind::Settled => settled::rule(&books),
        RuleKind::CapturedOnce => captured_once::rule(&books),
        RuleKind::Stock => stock::rule(&books),
        RuleKind::Released => released::rule(&books),
        RuleKind::ShippedRightly => shipped_rightly::rule(&books),
        RuleKind::Notified => notified::rule(&books),
        RuleKind::Folded => folded::rule(&books),
        RuleKind::Digests => digests::rule(&books),
        RuleKind::LegalSteps => legal_steps::rule(&books),
        RuleKind::InOrder => in_order::rule(&books),
    };
    match ruling.and_then(|ruling| ruling.finding(&books)) {
        Ok(finding) => Ok(finding),
        Err(Trouble::Unreadable(error)) => Err(error),
        Err(Trouble::Unusable(reason)) => Ok(ruling::undecided(rule, reason)),
    }
}
