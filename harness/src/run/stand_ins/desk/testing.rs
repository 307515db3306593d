//! A stand-in without a port, for tests of what it answers and writes down.

use super::super::book::Book;
use super::super::failures::{Failures, InForce};
use super::super::server::Server;
use super::super::trade::Trade;
use super::{Counter as _, Desk};
use crate::scenario::stand_in::FailureMode;
use axum::Router;
use serde_json::Value as Json;
use shakedown_loadgen::RunClock;
use shakedown_reports::books::{self, Fact};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long each of its answers takes.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// A stand-in with a book that can be read.
pub(crate) struct Counted<T> {
    pub(crate) desk: Arc<Desk<T>>,
    failures: Arc<Failures>,
    /// Where it would listen.
    server: Server,
    faults: AtomicUsize,
    folder: tempfile::TempDir,
}

/// Opens one.
pub(crate) fn counted<T: Trade>(trade: T) -> Counted<T> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let book = Book::create(folder.path(), "book").expect("a book");
    let failures = Arc::new(Failures::none(1));
    let desk = Arc::new(Desk::new(trade, book, RunClock::start(), LATENCY, Arc::clone(&failures)));
    let server = Server::claim(Router::new()).expect("a port");
    Counted { desk, failures, server, faults: AtomicUsize::new(0), folder }
}

/// Its answer to this body: status and JSON.
pub(crate) fn ask<T: Trade>(counted: &Counted<T>, path: &'static str, key: Option<&str>, body: &Json) -> (u16, Json) {
    let reply = counted.desk.take(path, key.map(str::as_bytes), body.to_string().as_bytes());
    (reply.status.as_u16(), serde_json::from_str(&reply.body).expect("JSON"))
}

impl<T: Trade> Counted<T> {
    /// What it has written down so far.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.desk.flush();
        let mut facts = Vec::new();
        books::read(self.folder.path(), "book", &mut |fact| facts.push(fact)).expect("a good book");
        facts
    }

    /// The kinds of that.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.facts().into_iter().map(|fact| fact.kind).collect()
    }

    /// Lets it fail as one more fault of a scenario would.
    pub(crate) fn fail(&self, mode: FailureMode) -> InForce<'_> {
        InForce::begin(&self.server, &self.failures, mode, self.faults.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends it.
    pub(crate) fn finish(&self) {
        self.desk.finish().expect("all is written");
    }
}
