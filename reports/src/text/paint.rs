//! Colour, where it was asked for.

use crate::verdict::Outcome;

/// How an outcome is written in the table and in the foot.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Fail => "FAIL",
    }
}

/// Text that is to be looked at, in the colour of its outcome. Pad before painting: escapes have a length.
pub(super) fn outcome(colour: bool, outcome: Outcome, text: &str) -> String {
    let code = match outcome {
        Outcome::Pass => "32",
        Outcome::Inconclusive => "33",
        Outcome::Fail => "1;31",
    };
    paint(colour, code, text)
}

/// Text that leads the eye.
pub(super) fn bold(colour: bool, text: &str) -> String {
    paint(colour, "1", text)
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}
