//! How far a run came, by what its directory has.

use crate::ending::Ending;
use crate::verdict::Verdict;
use serde::Serialize;

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// To its end; what it came to is the verdict's part.
    Finished,
    /// Somebody ended it, in good order.
    Interrupted,
    /// It ended before it was judged: the harness, or what it needs, broke.
    BrokeOff,
    /// It left no ending: it was killed, or it is still running.
    Killed,
}

impl RunState {
    /// What a directory with this ending and this stored verdict says.
    #[must_use]
    pub fn of(ending: Option<&Ending>, verdict: Option<&Verdict>) -> Self {
        match (ending, verdict) {
            (None, _) => Self::Killed,
            (Some(ending), _) if ending.interrupted => Self::Interrupted,
            (Some(_), None) => Self::BrokeOff,
            (Some(_), Some(_)) => Self::Finished,
        }
    }

    /// What a reader has to know before anything else; nothing of a run that came to its end.
    #[must_use]
    pub const fn notice(self) -> Option<&'static str> {
        match self {
            Self::Finished => None,
            Self::Interrupted => Some("This run was interrupted. What follows is what was seen until then."),
            Self::BrokeOff => {
                Some("This run broke off before it was judged. What follows is what was seen until then.")
            }
            Self::Killed => Some(
                "This run was killed: it left no ending, unless it is still running. What follows is what was seen until \
                 then; the last second may be missing.",
            ),
        }
    }
}
