//! What a run does at the moment, and since when: for whoever interrupts it, and for whoever wonders why nothing happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long nothing may happen before somebody wonders.
const QUIET_MAX: Duration = Duration::from_secs(2);

/// Before the same is said once more.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Clones share what they know.
#[derive(Debug, Clone, Default)]
pub(super) struct Doing(Arc<Mutex<Option<Now>>>);

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A phase, which may be over at once or not.
    Phase,
    /// Something that goes on by itself: nobody has to wonder, and is told now and then all the same.
    Progress,
    /// A wait for something; what is told next of it goes on with it.
    Waiting,
}

#[derive(Debug)]
struct Now {
    text: String,
    kind: Kind,
    since: Instant,
    said: Option<Instant>,
}

impl Doing {
    /// From now on it is this.
    pub(super) fn note(&self, kind: Kind, text: &str, at: Instant) {
        let mut now = self.lock();
        if let Some(now) = now.as_mut().filter(|now| kind != Kind::Phase && now.kind == kind) {
            text.clone_into(&mut now.text);
            return;
        }
        *now = Some(Now { text: text.to_owned(), kind, since: at, said: None });
    }

    /// What it is.
    pub(super) fn text(&self) -> String {
        self.lock().as_ref().map(|now| now.text.clone()).unwrap_or_default()
    }

    /// What has to be said by this instant, because nothing else has been said for too long.
    pub(super) fn overdue(&self, at: Instant) -> Option<String> {
        let mut now = self.lock();
        let now = now.as_mut()?;
        let so_far = at.saturating_duration_since(now.since);
        let quiet_max = if now.kind == Kind::Progress { SAID_EVERY } else { QUIET_MAX };
        if so_far < quiet_max || now.said.is_some_and(|said| at.saturating_duration_since(said) < SAID_EVERY) {
            return None;
        }
        now.said = Some(at);
        Some(format!("{} ({} s so far)", now.text, so_far.as_secs()))
    }

    /// A panic elsewhere leaves what is known as it is: it is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Option<Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Doing, Kind};
    use std::time::{Duration, Instant};

    /// What is said so many seconds after the beginning, each in its turn.
    fn said(doing: &Doing, began: Instant, seconds: &[u64]) -> Vec<Option<String>> {
        seconds.iter().map(|seconds| doing.overdue(began + Duration::from_secs(*seconds))).collect()
    }

    #[test]
    fn a_wait_is_told_after_two_seconds_and_then_every_ten() {
        let (doing, began) = (Doing::default(), Instant::now());
        assert_eq!(said(&doing, began, &[9]), [None], "nothing is known yet");
        doing.note(Kind::Waiting, "waiting for 1,200 acknowledgements", began);
        assert_eq!(said(&doing, began, &[1]), [None]);
        doing.note(Kind::Waiting, "waiting for 1,100 acknowledgements", began + Duration::from_secs(1));
        let told = |text: &str| Some(format!("waiting for 1,100 acknowledgements ({text} so far)"));
        assert_eq!(said(&doing, began, &[2, 3, 11, 12, 13]), [told("2 s"), None, None, told("12 s"), None]);
        assert_eq!(doing.text(), "waiting for 1,100 acknowledgements");
    }

    #[test]
    fn a_phase_that_hangs_is_told_and_progress_every_ten_seconds() {
        let (doing, began) = (Doing::default(), Instant::now());
        doing.note(Kind::Progress, "load: 3 offered, 3 acknowledged", began);
        doing.note(Kind::Progress, "load: 9 offered, 8 acknowledged", began + Duration::from_secs(4));
        let told = |seconds| Some(format!("load: 9 offered, 8 acknowledged ({seconds} s so far)"));
        assert_eq!(said(&doing, began, &[5, 10, 15, 20]), [None, told(10), None, told(20)]);
        doing.note(Kind::Phase, "boot: 3 brokers", began);
        assert_eq!(said(&doing, began, &[5]), [Some("boot: 3 brokers (5 s so far)".to_owned())]);
        doing.note(Kind::Phase, "launch: 1 process", began + Duration::from_secs(6));
        assert_eq!(said(&doing, began, &[7]), [None], "that is another one, since a moment ago");
    }
}
