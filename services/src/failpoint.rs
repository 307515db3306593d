//! Failpoints: named places at which a process can be made to stand still, so that a test can kill it exactly there.
//!
//! `FAILPOINT=before_work:200` makes whoever gets there wait for ever on the 200th visit to `before_work`, counted from the
//! start of the process; heartbeats and HTTP go on. Unset, which is how everybody runs, a visit costs nothing. A place is a line in
//! [`PLACES`] and a `visit` where it is.

use crate::config::{ConfigError, Environment};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::warn;

const VARIABLE: &str = "FAILPOINT";

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A batch is in hand, and nothing of its work is done.
    BeforeWork,
    /// Stock is reserved, and the warehouse has not been asked.
    AfterReserve,
    /// The effects outside are there, and the store knows nothing of them.
    AfterEffect,
    /// Dead letters lie in their topics, and the store knows nothing of them.
    AfterDeadLetter,
    /// The store has everything, and the offsets of the batch are not committed.
    AfterRecord,
    /// Without an outbox: one of the two writes is there, the other is not.
    BetweenWrites,
    /// Events are in the outbox and not yet published.
    BeforePublish,
    /// Events are published, and the outbox still has them as to be published.
    AfterPublish,
    /// An order was asked for, and nothing of it is stored.
    BeforeAccept,
    /// An order is stored, and whoever asked for it was not answered.
    AfterAccept,
}

/// The places by name.
const PLACES: [(&str, Place); 10] = [
    ("before_work", Place::BeforeWork),
    ("after_reserve", Place::AfterReserve),
    ("after_effect", Place::AfterEffect),
    ("after_dead_letter", Place::AfterDeadLetter),
    ("after_record", Place::AfterRecord),
    ("between_writes", Place::BetweenWrites),
    ("before_publish", Place::BeforePublish),
    ("after_publish", Place::AfterPublish),
    ("before_accept", Place::BeforeAccept),
    ("after_accept", Place::AfterAccept),
];

/// The places that `FAILPOINT` may name.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|(name, _)| *name)
}

/// Where this process stops, if it does; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failpoint {
    armed: Option<Arc<Armed>>,
}

#[derive(Debug)]
struct Armed {
    place: Place,
    /// Which visit does not end, from 1.
    nth: u64,
    visits: AtomicU64,
}

impl Failpoint {
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let Some(value) = environment.optional(VARIABLE) else { return Ok(Self::default()) };
        let armed = value.split_once(':').and_then(|(wanted, nth)| {
            let (_, place) = PLACES.iter().find(|(name, _)| *name == wanted)?;
            let nth = nth.parse().ok().filter(|nth| *nth > 0)?;
            Some(Arc::new(Armed { place: *place, nth, visits: AtomicU64::new(0) }))
        });
        let names: Vec<&str> = names().collect();
        let refused = || ConfigError {
            variable: VARIABLE.to_owned(),
            value: value.to_owned(),
            allowed: format!("PLACE:N, N from 1, PLACE one of {}", names.join(", ")),
        };
        armed.map(|armed| Self { armed: Some(armed) }).ok_or_else(refused)
    }

    /// Is at a place; does not return where the process is to stop there.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting.
    pub(crate) async fn visit(&self, place: Place) {
        let Some(armed) = self.armed.as_ref().filter(|armed| armed.place == place) else { return };
        let visit = armed.visits.fetch_add(1, Ordering::Relaxed) + 1;
        if visit == armed.nth {
            warn!(?place, visit, "waiting at a failpoint");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn read(value: &str) -> Result<Failpoint, ConfigError> {
        Failpoint::read(&Environment::from_iter([(VARIABLE, value)]))
    }

    /// Whether a visit comes to an end.
    fn returns(failpoint: &Failpoint) -> bool {
        let visit = pin!(failpoint.visit(Place::BeforeWork));
        visit.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn the_nth_visit_does_not_end() {
        let failpoint = read("before_work:3").unwrap();
        assert_eq!([(); 3].map(|()| returns(&failpoint)), [true, true, false]);
        assert!(returns(&failpoint), "once");
    }

    #[test]
    fn nothing_happens_unless_it_is_asked_for() {
        let failpoint = read("").unwrap();
        assert!((0..1000).all(|_| returns(&failpoint)));
    }

    #[test]
    fn a_place_that_is_none_is_refused_with_those_that_are() {
        for value in ["before_work", "before_work:0", "before_work:soon", "before_lunch:1"] {
            let error = read(value).unwrap_err();
            assert_eq!((error.variable.as_str(), error.value.as_str()), ("FAILPOINT", value));
            assert!(error.allowed.starts_with("PLACE:N, N from 1, PLACE one of before_work, "), "{}", error.allowed);
        }
    }
}
