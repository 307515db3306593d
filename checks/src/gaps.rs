//! Gaps between acknowledgements: the counting behind [`crate::unavailable`], for one place at a time.

use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::Operation;

/// A time in which acknowledgements were due and none came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    /// When the first of them was due, or the last one before had come.
    pub(crate) since_ns: u64,
    /// When the next one came, or the waiting ended without one.
    pub(crate) until_ns: u64,
    /// How many messages waited, for all or some of it.
    pub(crate) waited: u64,
    /// How many of them were answered otherwise: failed, or given up.
    pub(crate) refused: u64,
    /// What was acknowledged when it began; `None` where it began with a message that was due.
    pub(crate) before: Option<Acknowledged>,
    /// What ended it.
    pub(crate) after: Option<Acknowledged>,
}

impl Gap {
    pub(crate) fn length_ns(&self) -> u64 {
        self.until_ns.saturating_sub(self.since_ns)
    }
}

/// An acknowledgement, for the telling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) identity: Identity,
    pub(crate) key: Key,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A gap that nothing has ended yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    since_ns: u64,
    before: Option<Acknowledged>,
    /// Messages that had an answer when it began.
    answered: u64,
    /// Of these, how many had another than an acknowledgement.
    refused: u64,
}

/// Finds the gaps of one place: first told when messages are due, then how they were answered, in order of time.
#[derive(Debug)]
pub(crate) struct Gaps {
    at_most_ns: u64,
    /// Whether a gap also ends when nothing waits any more: where no acknowledgement can ever come.
    ends_idle: bool,
    due_ns: Vec<u64>,
    came: usize,
    answered: u64,
    refused: u64,
    now_ns: u64,
    open: Option<Open>,
    longest: Option<Gap>,
    exceeding: u64,
}

impl Gaps {
    pub(crate) fn new(at_most_ns: u64, ends_idle: bool) -> Self {
        Self {
            at_most_ns,
            ends_idle,
            due_ns: Vec::new(),
            came: 0,
            answered: 0,
            refused: 0,
            now_ns: 0,
            open: None,
            longest: None,
            exceeding: 0,
        }
    }

    /// A message is due at this instant. Only before the first answer.
    pub(crate) fn due(&mut self, at_ns: u64) {
        self.due_ns.push(at_ns);
    }

    /// All that is due is known.
    pub(crate) fn begin(&mut self) {
        self.due_ns.sort_unstable();
    }

    /// A message is acknowledged: one that was [due](Self::due), or one of which nobody knows when.
    pub(crate) fn acknowledge(&mut self, operation: &Operation) {
        self.pass_to(operation.completed_ns.max(operation.intended_ns));
        let acknowledged = Acknowledged {
            identity: operation.identity,
            key: operation.key,
            partition: operation.partition,
            offset: operation.offset,
        };
        self.close(Some(acknowledged));
        self.answered += u64::from(operation.intended_ns != 0);
        if self.waiting() > 0 {
            self.open = Some(self.opened(self.now_ns, Some(acknowledged)));
        }
    }

    /// A message that was due failed, or is given up. It waits no longer, but the gap goes on: nothing has shown yet that
    /// acknowledgements come again.
    pub(crate) fn refuse(&mut self, operation: &Operation) {
        self.pass_to(operation.completed_ns.max(operation.intended_ns));
        self.answered += 1;
        self.refused += 1;
        if self.ends_idle && self.waiting() == 0 {
            self.close(None);
        }
    }

    /// Nothing is answered after this instant.
    pub(crate) fn finish(&mut self, at_ns: u64) {
        self.pass_to(at_ns);
        self.close(None);
        self.due_ns = Vec::new();
    }

    /// The longest gap, where anything was due.
    pub(crate) fn longest(&self) -> Option<Gap> {
        self.longest
    }

    /// How many gaps were longer than allowed.
    pub(crate) fn exceeding(&self) -> u64 {
        self.exceeding
    }

    fn waiting(&self) -> u64 {
        (self.came as u64).saturating_sub(self.answered)
    }

    fn opened(&self, since_ns: u64, before: Option<Acknowledged>) -> Open {
        Open { since_ns, before, answered: self.answered, refused: self.refused }
    }

    /// Time goes on; two threads that write the record may disagree by microseconds about it, and it never goes back.
    fn pass_to(&mut self, at_ns: u64) {
        self.now_ns = self.now_ns.max(at_ns);
        while let Some(due_ns) = self.due_ns.get(self.came).copied().filter(|due_ns| *due_ns <= self.now_ns) {
            if self.open.is_none() {
                self.open = Some(self.opened(due_ns, None));
            }
            self.came += 1;
        }
    }

    fn close(&mut self, after: Option<Acknowledged>) {
        let Some(open) = self.open.take() else { return };
        let gap = Gap {
            since_ns: open.since_ns,
            until_ns: self.now_ns,
            waited: (self.came as u64).saturating_sub(open.answered),
            refused: self.refused - open.refused,
            before: open.before,
            after,
        };
        self.exceeding += u64::from(gap.length_ns() > self.at_most_ns);
        if self.longest.is_none_or(|longest| longest.length_ns() < gap.length_ns()) {
            self.longest = Some(gap);
        }
    }
}
