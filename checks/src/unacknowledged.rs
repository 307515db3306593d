//! Unacknowledged: a message of the load that came back with an error, or with nothing at all.
//!
//! Nobody promised anything about such a message, so it is not [`crate::lost`]: it may be in the log (an unknown outcome) or
//! is certainly not (a failure). Whoever does not look at what became of what they sent has lost it all the same, and that is
//! what this counts: everything that was offered less everything that was acknowledged. One pass, nothing kept.

use crate::evidence::{self, STORIES_MAX};
use crate::tally::{self, Tally};
use shakedown_reports::expectation::Bounds;
use shakedown_reports::record::{Outcome, Record, RecordError};
use shakedown_reports::verdict::{Finding, Story};

/// The check's name in findings.
pub const NAME: &str = "unacknowledged";

/// One finding, over the whole load.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: impl Into<Bounds>) -> Result<Finding, RecordError> {
    let mut tally = Tally { subject: "load".to_owned(), compared: 0, found: 0, evidence: Vec::new() };
    record.operations(&mut |operation| {
        tally.compared += 1;
        if operation.outcome == Outcome::Ok {
            return;
        }
        tally.found += 1;
        if tally.evidence.len() < STORIES_MAX {
            let title = evidence::title(record, operation.identity, operation.key, Some(operation.key_sequence));
            tally.evidence.push(Story { title, events: vec![evidence::operation_event(operation)] });
        }
    })?;
    let mut findings = tally::findings(NAME, allowed, vec![tally]);
    Ok(findings.swap_remove(0))
}
