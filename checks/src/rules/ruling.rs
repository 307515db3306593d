//! What a rule found, and the finding that becomes of it.

use super::CONTRADICTED;
use super::reading::{Books, Trouble};
use super::telling::{About, tell};
use crate::conserved;
use crate::evidence::STORIES_MAX;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::BookRule;
use shakedown_reports::verdict::{Finding, Outcome};

/// What a rule found.
#[derive(Default)]
pub(super) struct Ruling {
    /// How many orders, events or moments were compared.
    pub(super) compared: u64,
    /// One line for people: what it all adds up to.
    pub(super) summary: String,
    /// Why nothing is proven although nothing is broken, if so.
    pub(super) unclear: Option<String>,
    found: u64,
    proven: u64,
    /// The first few.
    told: Vec<Violation>,
}

/// The rule is broken once.
pub(super) struct Violation {
    /// Whom it is about, and how.
    pub(super) title: String,
    /// Where its story is found.
    pub(super) about: About,
}

/// How a rule is broken, and whether a fact that is still to come could mend it.
pub(super) enum Fault {
    /// It could: something is missing.
    Missing(String),
    /// It could not: something is there that must not be.
    Wrong(String),
}

impl Fault {
    pub(super) fn missing(reason: impl Into<String>) -> Self {
        Self::Missing(reason.into())
    }

    pub(super) fn wrong(reason: impl Into<String>) -> Self {
        Self::Wrong(reason.into())
    }
}

impl Ruling {
    /// A ruling over so many.
    pub(super) fn over(compared: u64) -> Self {
        Self { compared, ..Self::default() }
    }

    /// The rule is broken; `subject` names whom it is about in the story's title.
    pub(super) fn broken(&mut self, subject: &str, fault: Fault, about: impl FnOnce() -> About) {
        self.broken_times(1, subject, fault, about);
    }

    /// The rule is broken several times about the same.
    pub(super) fn broken_times(&mut self, times: u64, subject: &str, fault: Fault, about: impl FnOnce() -> About) {
        let (is_proven, reason) = match fault {
            Fault::Missing(reason) => (false, reason),
            Fault::Wrong(reason) => (true, reason),
        };
        self.found += times;
        self.proven += if is_proven { times } else { 0 };
        if self.told.len() < STORIES_MAX {
            self.told.push(Violation { title: format!("{subject}: {reason}"), about: about() });
        }
    }

    /// The finding; reads the books again for the stories of the first few.
    pub(super) fn finding(self, books: &Books<'_>) -> Result<Finding, Trouble> {
        let allowed = books.rule.violations;
        let undecided = self.unclear.is_some() || self.compared == 0;
        let outcome = match allowed.allow(self.found) {
            _ if undecided && self.found == 0 => Outcome::Inconclusive,
            false => Outcome::Fail,
            true if undecided => Outcome::Inconclusive,
            true => Outcome::Pass,
        };
        let check = if self.proven > allowed.at_most { CONTRADICTED } else { conserved::NAME };
        let evidence = if outcome == Outcome::Fail { tell(books, &self.told)? } else { Vec::new() };
        Ok(Finding {
            check: check.to_owned(),
            subject: books.rule.name.clone(),
            outcome,
            compared: self.compared,
            found: self.found,
            detail: self.detail(allowed),
            evidence,
        })
    }

    /// `2 violations; 600 orders over ...`.
    fn detail(&self, allowed: Bounds) -> String {
        let mut parts: Vec<String> = Vec::new();
        match self.found {
            0 => {}
            1 => parts.push("1 violation".to_owned()),
            many => parts.push(format!("{} violations", grouped(many))),
        }
        if allowed != Bounds::exactly(0) {
            parts.push(format!("{allowed} expected"));
        }
        parts.extend(self.unclear.clone());
        parts.push(if self.compared == 0 { "nothing was compared".to_owned() } else { self.summary.clone() });
        parts.join("; ")
    }
}

/// What becomes of a rule whose books cannot be used.
pub(super) fn undecided(rule: &BookRule, reason: String) -> Finding {
    Finding {
        check: conserved::NAME.to_owned(),
        subject: rule.name.clone(),
        outcome: Outcome::Inconclusive,
        compared: 0,
        found: 0,
        detail: reason,
        evidence: Vec::new(),
    }
}

/// `1 order`, `1,200 orders`.
pub(super) fn counted(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(number)) }
}
