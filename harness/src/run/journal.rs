//! Where everything that happens in a run is written down: the timeline of the run directory, and whoever watches.

use crate::report::Report;
use shakedown_loadgen::{Live, RunClock, StopFlag};
use shakedown_reports::{Event, EventKind, RunDirectory};
use std::sync::Arc;
use std::time::Instant;

/// Somebody who watches a run: a progress line, or nobody.
pub trait Observer: Send + Sync {
    /// A phase began, or something changed within it.
    fn phase(&self, text: &str);

    /// Something goes on, so far.
    fn progress(&self, text: &str) {
        self.phase(text);
    }

    /// Nothing goes on until something comes. Told again and again for as long as that lasts.
    fn waiting(&self, text: &str) {
        self.phase(text);
    }

    /// The verdict is there, and everything stays up until somebody interrupts; `places` says where, a line each.
    fn kept(&self, _report: &Report, _places: &[String]) {}
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn phase(&self, _text: &str) {}
}

/// The timeline. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    directory: RunDirectory,
    clock: RunClock,
    observer: Arc<dyn Observer>,
    live: Live,
    closed: StopFlag,
}

impl Journal {
    /// Writes into this run directory, and notes in `live` what is broken.
    #[must_use]
    pub fn new(directory: RunDirectory, clock: RunClock, observer: Arc<dyn Observer>, live: Live) -> Self {
        Self { directory, clock, observer, live, closed: StopFlag::new() }
    }

    /// From now on things are shown and no longer written down: they are no part of the run.
    pub fn close(&self) {
        self.closed.stop();
    }

    /// A phase begins.
    pub fn phase(&self, name: &str, text: impl Into<String>) {
        let text = text.into();
        self.observer.phase(&format!("{name}: {text}"));
        self.event(EventKind::Phase { name: name.to_owned() }, text);
    }

    /// Something happened to a service.
    pub fn service(&self, service: &str, text: impl Into<String>) {
        self.event(EventKind::Service { service: service.to_owned() }, text);
    }

    /// A fault began.
    pub fn fault(&self, fault: &str, text: impl Into<String>) {
        self.fault_at(Instant::now(), fault, text);
    }

    /// What a fault did is undone.
    pub fn healed(&self, fault: &str, text: impl Into<String>) {
        self.event(EventKind::Fault { fault: fault.to_owned(), healed: true }, text);
    }

    /// A fault began at an instant that has passed.
    pub fn fault_at(&self, at: Instant, fault: &str, text: impl Into<String>) {
        self.event_at(at, EventKind::Fault { fault: fault.to_owned(), healed: false }, text);
    }

    /// Something is not as it should be, without deciding the verdict.
    pub fn warning(&self, text: impl Into<String>) {
        self.event(EventKind::Warning, text);
    }

    /// Shows progress without writing it down.
    pub fn progress(&self, text: &str) {
        self.observer.progress(text);
    }

    /// Shows what is waited for without writing it down.
    pub fn waiting(&self, text: &str) {
        self.observer.waiting(text);
    }

    fn event(&self, kind: EventKind, text: impl Into<String>) {
        self.event_at(Instant::now(), kind, text);
    }

    /// Something happened at an instant that has passed.
    pub fn event_at(&self, at: Instant, kind: EventKind, text: impl Into<String>) {
        if self.closed.is_stopped() {
            return;
        }
        if let EventKind::Fault { fault, healed } = &kind {
            self.live.note_fault(fault, *healed);
        }
        let ago_ns = u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let event = Event { at_ns: self.clock.now_ns().saturating_sub(ago_ns), kind, text: text.into() };
        // The record's own streams fail loudly on a full disk; a missing line of the timeline decides nothing.
        let _ = self.directory.event(&event);
    }
}
