//! What is wrong with a stand-in on purpose, from when a fault strikes until it heals.
//!
//! Failures stand in the order in which their faults struck. A request meets the first of those that refuse or lose answers
//! and concern it, and the first of those that make answers late: whether an answer comes and when are two questions. Whether
//! anybody listens at all is `server`'s part.

use super::draw::draw;
use super::server::Server;
use crate::scenario::stand_in::FailureMode;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is wrong with one stand-in at the moment.
pub(super) struct Failures {
    seed: u64,
    standing: Mutex<Vec<Arc<Standing>>>,
}

/// One failure in force.
#[derive(Debug)]
pub(super) struct Standing {
    mode: FailureMode,
    /// Keeps the draws of two faults apart.
    place: usize,
    hits: AtomicU64,
}

/// A failure that is in force until it is [ended](InForce::end). One that is dropped stays until the run is over.
pub struct InForce<'a>(Kind<'a>);

enum Kind<'a> {
    /// Nobody listens.
    Down(&'a Server),
    /// Requests are met by it.
    Standing { failures: &'a Failures, standing: Arc<Standing> },
}

impl Failures {
    /// Nothing is wrong. The seed draws whom a failure concerns that does not concern all.
    pub(super) fn none(seed: u64) -> Self {
        Self { seed, standing: Mutex::default() }
    }

    /// What becomes of the answer to this request, where something does.
    pub(super) fn concerning(&self, path: &str, identity: &str) -> Option<Arc<Standing>> {
        let standing = self.lock();
        standing.iter().find(|standing| standing.concerns(self.seed, path, identity)).cloned()
    }

    /// How late an answer is because of them.
    pub(super) fn delay(&self) -> Duration {
        let late = |standing: &Arc<Standing>| match standing.mode {
            FailureMode::Slow { by } => Some((Arc::clone(standing), by)),
            _ => None,
        };
        let Some((standing, by)) = self.lock().iter().find_map(late) else { return Duration::ZERO };
        standing.hit();
        by
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Standing>>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Counts a request that it hit.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it lets effects happen.
    pub(super) fn is_after_effect(&self) -> bool {
        matches!(self.mode, FailureMode::FailAfterEffect { .. })
    }

    fn concerns(&self, seed: u64, path: &str, identity: &str) -> bool {
        match self.mode {
            FailureMode::Down | FailureMode::Slow { .. } => false,
            FailureMode::Fail { permille } | FailureMode::FailAfterEffect { permille } => {
                let purpose = format!("{} {}", self.mode.word(), self.place);
                draw(seed, &purpose, path, identity) % 1000 < u64::from(permille)
            }
        }
    }
}

impl<'a> InForce<'a> {
    /// Puts a failure into force; `place` is that of its fault in the scenario.
    pub(super) fn begin(server: &'a Server, failures: &'a Failures, mode: FailureMode, place: usize) -> Self {
        if mode == FailureMode::Down {
            server.hold_down();
            return Self(Kind::Down(server));
        }
        let standing = Arc::new(Standing { mode, place, hits: AtomicU64::new(0) });
        failures.lock().push(Arc::clone(&standing));
        Self(Kind::Standing { failures, standing })
    }

    /// Ends it, and tells how many requests it hit; `None` where nobody was there to count them.
    ///
    /// # Errors
    /// When nobody can listen at the stand-in's port any more.
    pub fn end(self) -> io::Result<Option<u64>> {
        match self.0 {
            Kind::Down(server) => server.let_up().map(|()| None),
            Kind::Standing { failures, standing } => {
                failures.lock().retain(|other| !Arc::ptr_eq(other, &standing));
                Ok(Some(standing.hits.load(Ordering::Relaxed)))
            }
        }
    }
}
