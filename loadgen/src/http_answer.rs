//! What an answer says about a request: taken, certainly not, or nobody knows; and whether it is asked again.
//!
//! Protocol rule: only an answer shows that a request was applied, and only a refusal shows that it was not. So
//!
//! - 2xx, read to its end: **ok**;
//! - 4xx: **fail**, refused for good. But 408, 425 and 429 are about the moment: asked again;
//! - 3xx (which may stand behind something done), 5xx, a time-out, a connection that broke, an answer that broke off:
//!   **unknown**, asked again with the same key, as a customer's browser does;
//! - no connection: nothing was sent. Asked again; no attempt of a request that never had a connection was applied.
//!
//! A refusal behind an attempt of which nobody knows proves nothing of that attempt: the request stays unknown.

use crate::order_id;
use crate::recorder::End;
use shakedown_reports::record::Outcome;
use std::time::Duration;

/// The first pause before a request is asked again; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause that nobody asked for.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 2xx.
    Taken,
    /// No, with this status.
    Refused(u16),
    /// Not now, with this status, and when it may be.
    NotNow(u16, Option<Duration>),
    /// Something broke there, with this status, and when it may be whole again.
    Broken(u16, Option<Duration>),
    /// There was no connection: nothing was sent.
    Unreached,
    /// There was one, and no whole answer came.
    Silent,
}

impl Answer {
    /// What a whole answer with this status says; `after` is its `Retry-After`.
    pub(crate) fn of(status: u16, after: Option<Duration>) -> Self {
        match status {
            200..=299 => Self::Taken,
            // A redirection may stand behind something done (303 See Other), and is not followed: nobody knows.
            408 | 425 | 429 => Self::NotNow(status, after),
            400..=499 => Self::Refused(status),
            _ => Self::Broken(status, after),
        }
    }
}

/// What the attempts of one request have shown so far.
#[derive(Debug, Default)]
pub(crate) struct Course {
    attempts: u32,
    unreached: u32,
    pauses: u32,
    /// Some attempt may have been applied.
    unsure: bool,
    /// Of the last answer.
    status: u16,
}

impl Course {
    /// Takes note of an attempt; how the request ended, if it did.
    pub(crate) fn see(&mut self, answer: Answer) -> Option<End> {
        self.attempts += 1;
        match answer {
            Answer::Taken => return Some(End::taken()),
            Answer::Refused(status) => {
                self.status = status;
                return Some(self.give_up());
            }
            Answer::NotNow(status, _) => self.status = status,
            Answer::Broken(status, _) => {
                self.status = status;
                self.unsure = true;
            }
            Answer::Unreached => self.unreached += 1,
            Answer::Silent => self.unsure = true,
        }
        None
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How the request ended, given that it is not asked again.
    pub(crate) fn give_up(&self) -> End {
        let outcome = if self.unsure { Outcome::Unknown } else { Outcome::Fail };
        End::unacknowledged(outcome, i16::try_from(self.status).unwrap_or(i16::MAX))
    }

    /// How long to wait before the next attempt. Who cannot be reached is passed over at once, as load balancers do, until
    /// all `instances` were tried. Other pauses grow, and differ from request to request by the plan alone, so that
    /// customers who were turned away together do not come back together; an answer that says when wins.
    pub(crate) fn pause(&mut self, answer: Answer, instances: usize, identity: u64) -> Duration {
        let instances = u32::try_from(instances).unwrap_or(u32::MAX).max(1);
        if answer == Answer::Unreached && !self.unreached.is_multiple_of(instances) {
            return Duration::ZERO;
        }
        let whole = PAUSE_FIRST.saturating_mul(1 << self.pauses.min(10)).min(PAUSE_MAX);
        self.pauses += 1;
        // From half of it to the whole.
        let draw = order_id::mix(identity.wrapping_add(u64::from(self.pauses))) % 1_000;
        let pause = whole / 2 + whole / 2 * u32::try_from(draw).unwrap_or(0) / 1_000;
        match answer {
            Answer::NotNow(_, Some(after)) | Answer::Broken(_, Some(after)) => pause.max(after),
            _ => pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(answers: &[Answer]) -> (Outcome, i16) {
        let mut course = Course::default();
        for answer in answers {
            if let Some(end) = course.see(*answer) {
                return (end.outcome, end.error);
            }
        }
        let end = course.give_up();
        (end.outcome, end.error)
    }

    #[test]
    fn a_status_says_what_it_says() {
        let after = Some(Duration::from_secs(1));
        for (status, answer) in [
            (200, Answer::Taken),
            (201, Answer::Taken),
            (302, Answer::Broken(302, after)),
            (400, Answer::Refused(400)),
            (422, Answer::Refused(422)),
            (408, Answer::NotNow(408, after)),
            (429, Answer::NotNow(429, after)),
            (500, Answer::Broken(500, after)),
            (503, Answer::Broken(503, after)),
        ] {
            assert_eq!(Answer::of(status, after), answer);
        }
    }

    #[test]
    fn an_outcome_is_no_surer_than_its_least_sure_attempt() {
        use Answer::{Broken, NotNow, Refused, Silent, Taken, Unreached};
        for (answers, end) in [
            (&[Taken][..], (Outcome::Ok, 0)),
            (&[Silent, Broken(503, None), Taken], (Outcome::Ok, 0)),
            (&[Refused(422)], (Outcome::Fail, 422)),
            (&[Unreached, NotNow(429, None), Refused(422)], (Outcome::Fail, 422)),
            (&[Silent, Refused(422)], (Outcome::Unknown, 422)),
            (&[Broken(500, None), Unreached], (Outcome::Unknown, 500)),
            (&[Silent], (Outcome::Unknown, 0)),
            (&[Unreached, Unreached], (Outcome::Fail, 0)),
            (&[NotNow(429, None)], (Outcome::Fail, 429)),
        ] {
            assert_eq!(ended(answers), end, "{answers:?}");
        }
    }

    #[test]
    fn who_cannot_be_reached_is_passed_over_until_all_were_tried() {
        let mut course = Course::default();
        let pauses: Vec<bool> = (0..6)
            .map(|_| {
                course.see(Answer::Unreached);
                course.pause(Answer::Unreached, 3, 7).is_zero()
            })
            .collect();
        assert_eq!(pauses, [true, true, false, true, true, false]);
        let mut alone = Course::default();
        alone.see(Answer::Unreached);
        assert!(!alone.pause(Answer::Unreached, 0, 7).is_zero(), "nobody is there at all");
    }

    #[test]
    fn pauses_grow_and_are_the_plans() {
        let pauses = |identity| {
            let mut course = Course::default();
            (0..8).map(|_| course.pause(Answer::Silent, 2, identity)).collect::<Vec<_>>()
        };
        let of_one = pauses(1);
        for (place, (pause, whole_ms)) in of_one.iter().zip([50, 100, 200, 400, 800, 1_000, 1_000, 1_000]).enumerate() {
            let whole = Duration::from_millis(whole_ms);
            assert!(whole / 2 <= *pause && *pause <= whole, "pause {place} is {pause:?} of {whole:?}");
        }
        assert_eq!(pauses(1), of_one);
        assert_ne!(pauses(2), of_one);
        let later = Duration::from_secs(3);
        assert_eq!(Course::default().pause(Answer::Broken(503, Some(later)), 1, 1), later, "it says when");
    }
}
