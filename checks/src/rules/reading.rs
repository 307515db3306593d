//! The books of a rule, by the parts that they play.

use shakedown_reports::books::Fact;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::rules::{BookRule, Part};

/// What a rule sees: its books, and what it was told.
pub(super) struct Books<'a> {
    pub(super) record: &'a dyn Record,
    pub(super) rule: &'a BookRule,
}

/// Why a rule cannot decide.
pub(super) enum Trouble {
    /// The record cannot be read: nobody can judge anything.
    Unreadable(RecordError),
    /// A book is missing, or says things that the rule does not know; in words.
    Unusable(String),
}

impl From<RecordError> for Trouble {
    fn from(error: RecordError) -> Self {
        Self::Unreadable(error)
    }
}

impl Books<'_> {
    /// The books that play this part.
    pub(super) fn of(&self, part: Part) -> &[String] {
        self.rule.books.get(&part).map(Vec::as_slice).unwrap_or_default()
    }

    /// Visits every fact of the books that play this part, book by book.
    pub(super) fn visit(&self, part: Part, visit: &mut dyn FnMut(&Fact)) -> Result<(), Trouble> {
        if self.of(part).is_empty() && !part.is_shared() {
            return Err(Trouble::Unusable(format!("no book plays the part `{}`", part.name())));
        }
        self.of(part).iter().try_for_each(|book| self.visit_book(part, book, visit))
    }

    /// Visits every fact of one of them.
    pub(super) fn visit_book(&self, part: Part, book: &str, visit: &mut dyn FnMut(&Fact)) -> Result<(), Trouble> {
        if self.record.book(book, visit)? {
            return Ok(());
        }
        Err(Trouble::Unusable(format!("the run has no book `{book}`, which plays the part `{}`", part.name())))
    }

    /// Like [`Books::visit`], for parts whose facts are of a few kinds: the visitor says whether it knows a fact's.
    pub(super) fn visit_known(
        &self,
        part: Part,
        known: &str,
        visit: &mut dyn FnMut(&Fact) -> bool,
    ) -> Result<(), Trouble> {
        let mut stranger = None;
        self.visit(part, &mut |fact| {
            if !visit(fact) && stranger.is_none() {
                stranger = Some(fact.kind.clone());
            }
        })?;
        match stranger {
            None => Ok(()),
            Some(kind) => Err(Trouble::Unusable(format!(
                "a book that plays the part `{}` has a fact of the kind `{kind}`; known are {known}",
                part.name()
            ))),
        }
    }
}
