//! The stand-ins of one run: those that its services call.

use super::book::Book;
use super::desk::{Counter, Desk, Totals};
use super::failures::{Failures, InForce};
use super::mailbox::Mailbox;
use super::payment_provider::PaymentProvider;
use super::server::{Server, router};
use super::trade::Trade;
use super::warehouse::Warehouse;
use crate::run::error::RunError;
use crate::run::journal::Journal;
use crate::run::session::Session;
use crate::scenario::stand_in::{Failure, StandIn, StandInRule};
use shakedown_loadgen::Names;
use shakedown_reports::numbers::grouped;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often books are handed to the operating system: what a killed harness loses at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The stand-ins of a run; none by default.
#[derive(Default)]
pub struct StandIns {
    all: Vec<Running>,
    flusher: Option<JoinHandle<()>>,
}

/// One of them.
struct Running {
    stand_in: StandIn,
    counter: Arc<dyn Counter>,
    failures: Arc<Failures>,
    server: Server,
}

impl StandIns {
    /// Opens those that some service calls, each on a free port.
    ///
    /// # Errors
    /// When a port or a book cannot be had.
    pub fn open(session: &Session) -> Result<Self, RunError> {
        let rules = &session.plan.scenario.stand_ins;
        let all = rules.iter().map(|rule| Running::open(session, rule)).collect::<Result<Vec<_>, _>>()?;
        let counters: Vec<_> = all.iter().map(|running| Arc::clone(&running.counter)).collect();
        let flush = async move {
            loop {
                tokio::time::sleep(FLUSH_EVERY).await;
                counters.iter().for_each(|counter| counter.flush());
            }
        };
        let flusher = (!all.is_empty()).then(|| session.runtime.spawn(flush));
        Ok(Self { all, flusher })
    }

    /// The variables in which a service finds those that it calls.
    pub fn variables(&self, calls: &[StandIn]) -> impl Iterator<Item = (String, String)> {
        let called = self.all.iter().filter(move |running| calls.contains(&running.stand_in));
        called.map(|running| (running.stand_in.variable().to_owned(), running.server.url()))
    }

    /// Puts a failure into force, for the fault at this place of the scenario; nothing where nobody calls the stand-in.
    #[must_use]
    pub fn fail(&self, failure: &Failure, place: usize) -> Option<InForce<'_>> {
        let running = self.all.iter().find(|running| running.stand_in == failure.stand_in)?;
        Some(InForce::begin(&running.server, &running.failures, failure.mode, place))
    }

    /// Where each of them listens.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.all.iter().map(|running| (running.stand_in.name(), running.server.url()))
    }

    /// Ends them, tells what happened at each, and finishes what they have written.
    ///
    /// # Errors
    /// When some of it could not be written.
    pub fn close(&self, journal: &Journal) -> Result<(), RunError> {
        self.all.iter().for_each(|running| running.server.close());
        self.finish(journal)
    }

    /// Tells what happened at each, and finishes what they have written. They go on, and what they do from now on is in no book.
    ///
    /// # Errors
    /// When some of it could not be written.
    pub fn finish(&self, journal: &Journal) -> Result<(), RunError> {
        let mut first = Ok(());
        for Running { stand_in, counter, .. } in &self.all {
            let (name, totals) = (stand_in.name(), counter.totals());
            if let Some(reason) = &totals.first_wrong {
                journal.warning(format!("{name} refused {}: {reason}", requests(totals.wrong)));
            }
            journal.service(name, totals.to_string());
            first = first.and(counter.finish());
        }
        first
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        if let Some(flusher) = &self.flusher {
            flusher.abort();
        }
    }
}

impl Running {
    fn open(session: &Session, rule: &StandInRule) -> Result<Self, RunError> {
        let StandInRule { stand_in, declines, .. } = rule;
        let (plan, directory) = (&session.plan, &session.directory);
        let seed = plan.scenario.seed;
        let failures = Arc::new(Failures::none(seed));
        let counter = match stand_in {
            StandIn::PaymentProvider => behind(PaymentProvider::new(*declines, seed), session, rule, &failures)?,
            StandIn::Warehouse => behind(Warehouse, session, rule, &failures)?,
            StandIn::Mailbox => {
                let stream = plan.ledger_stream(stand_in.name());
                let ledger = stream.map(|stream| directory.delivery_writer(stream)).transpose()?;
                let names = Names::new(directory.interner(), plan.load.seed, plan.planned_identities());
                behind(Mailbox::new(names, ledger), session, rule, &failures)?
            }
        };
        let opened = Server::claim(router(&counter)).and_then(|server| server.open().map(|()| server));
        let server = opened.map_err(RunError::io(format!("open the stand-in {}", stand_in.name())))?;
        Ok(Self { stand_in: *stand_in, counter, failures, server })
    }
}

/// Somebody of this trade, with a book.
fn behind<T: Trade>(
    trade: T,
    session: &Session,
    rule: &StandInRule,
    failures: &Arc<Failures>,
) -> Result<Arc<dyn Counter>, RunError> {
    let book = Book::create(session.directory.path(), rule.stand_in.name())?;
    Ok(Arc::new(Desk::new(trade, book, session.clock, rule.latency, Arc::clone(failures))))
}

impl fmt::Display for Totals {
    /// `1,200 captured, 3 declined, 5 requests repeated`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, times) in &self.effects {
            write!(f, "{} {kind}, ", grouped(*times))?;
        }
        write!(f, "{} repeated", requests(self.repeated))
    }
}

/// `1 request`, `2 requests`.
fn requests(number: u64) -> String {
    format!("{} request{}", grouped(number), if number == 1 { "" } else { "s" })
}
