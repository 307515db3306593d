//! Everything alive in a run, and how it ends in good order however far the run came.

use super::books::Books;
use super::chronicle::Chronicle;
use super::drain::{self, Gauge};
use super::error::RunError;
use super::fleet::Fleet;
use super::judgement::Ending;
use super::ledger::LedgerPoller;
use super::session::Session;
use super::stand_ins::StandIns;
use super::topic_books;
use super::watching::Watching;
use super::{measuring, offering, topics};
use crate::backend::RunningCluster;
use crate::plan::Plan;
use crate::scenario::deed::Deed;
use crate::scenario::model::{FaultRule, LedgerRule};
use crate::scenario::operation::Operation;
use shakedown_loadgen::stop::STOPPED_PATIENCE;
use shakedown_loadgen::{Load, Sampler, StopFlag, Tap, TapError};
use shakedown_reports::record::Figure;
use shakedown_reports::{Summary, numbers};
use std::sync::Arc;
use std::time::Duration;

/// How long taps may take for what services produced while they stopped.
const LAST_READ: Duration = Duration::from_secs(10);

/// The live parts of a run. Fields are dropped in the order in which they stand here: services before the cluster that
/// they talk to.
#[derive(Default)]
pub struct Parts {
    /// The services.
    pub fleet: Option<Arc<Fleet>>,
    /// The load generator, while it offers.
    pub load: Option<Load>,
    /// Reads what the run costs, while the load lasts.
    pub sampler: Option<Sampler>,
    /// Ends the load before its time.
    pub load_stop: StopFlag,
    /// Readers of service ledgers.
    pub pollers: Vec<(LedgerRule, LedgerPoller)>,
    /// Readers of the books that services keep.
    pub books: Books,
    /// The stand-ins that services call.
    pub stand_ins: Arc<StandIns>,
    /// Watches groups and logs, if some expectation needs that.
    pub watching: Option<Watching>,
    /// Readers of topics.
    pub taps: Vec<(String, Tap)>,
    /// Asks the cluster how far everybody is, from the drain on.
    pub gauge: Option<Gauge>,
    /// Ends the taps.
    pub tap_stop: StopFlag,
    /// The cluster.
    pub cluster: Option<Arc<dyn RunningCluster>>,
    /// Topics that the run has created in a cluster that it does not own, and that go with it.
    pub brought: Vec<String>,
    /// Writes down what the cluster tells of itself.
    pub chronicle: Option<Chronicle>,
    /// What the report says above its table.
    pub summary: Summary,
    /// What services stated about themselves.
    pub figures: Vec<Figure>,
    /// How the run came to its end.
    pub ending: Ending,
}

impl Parts {
    /// Where Kafka is.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.as_ref().map(|cluster| cluster.bootstrap_servers()).unwrap_or_default()
    }

    /// Ends everything, in the order of the data: load, services, ledgers, taps, cluster. Goes on after an error, and
    /// returns the first. With `is_kept` services, stand-ins and cluster go on, and [`Self::end`] ends them.
    ///
    /// # Errors
    /// When a part of the record could not be finished.
    pub fn finish(&mut self, session: &Session, is_kept: bool) -> Result<(), RunError> {
        session.journal.phase("stop", if is_kept { "taps" } else { "services, taps, cluster" });
        let mut first = Ok(());
        let mut keep = |result: Result<(), RunError>| {
            if first.is_ok() {
                first = result;
            }
        };
        if let Some(watching) = &mut self.watching {
            keep(watching.stop_looking());
        }
        keep(self.finish_load(session));
        if let Some(fleet) = self.fleet.take_if(|_| !is_kept) {
            self.ending.reasons.extend(fleet.stop(session.plan.scenario.limits.stop));
        } else if let Some(fleet) = &self.fleet {
            // Those that stay up are not stopped, and who has died by now is a reason all the same.
            let deaths = fleet.obituaries().into_iter().chain(fleet.servers.deaths());
            for death in deaths {
                session.journal.warning(&death);
                self.ending.reasons.push(death);
            }
        }
        for (_, poller) in self.pollers.drain(..) {
            keep(poller.close(&session.runtime).map(drop));
        }
        self.books.close(&session.runtime);
        keep(if is_kept {
            self.stand_ins.finish(&session.journal)
        } else {
            std::mem::take(&mut self.stand_ins).close(&session.journal)
        });
        if let Err(reason) = self.read_last_words(session) {
            session.journal.warning(&reason);
            self.ending.drained = false;
            self.ending.reasons.push(reason);
        }
        keep(self.finish_watching(session));
        keep(self.write_topic_books(session));
        self.gauge = None;
        self.tap_stop.stop();
        for (topic, tap) in self.taps.drain(..) {
            match tap.join() {
                Ok(summary) if summary.unreadable > poison_in(&session.plan, &topic) => {
                    let first = summary.unreadable_samples.first().map(ToString::to_string).unwrap_or_default();
                    let text = format!("{} messages of topic {topic} cannot be read: {first}", summary.unreadable);
                    session.journal.warning(&text);
                    self.ending.reasons.push(text);
                }
                Ok(_) => {}
                // The client of one tap gave up: what it read until then is recorded, and the rest nobody can judge.
                Err(error @ TapError::Fatal { .. }) => {
                    session.journal.warning(error.to_string());
                    self.ending.drained = false;
                    self.ending.reasons.push(error.to_string());
                }
                Err(error) => keep(Err(error.into())),
            }
        }
        if !is_kept {
            keep(self.end(session));
        }
        first
    }

    /// Ends whatever is alive when the record is finished.
    ///
    /// # Errors
    /// When something is left behind in somebody else's cluster.
    pub fn end(&mut self, session: &Session) -> Result<(), RunError> {
        if let Some(fleet) = self.fleet.take() {
            // There is no verdict any more that complaints could change.
            let _ = fleet.stop(session.plan.scenario.limits.stop);
        }
        self.stand_ins = Arc::default();
        let ended = if self.brought.is_empty() { Ok(()) } else { self.take_topics_back(session) };
        self.cluster = None;
        if let Some(chronicle) = self.chronicle.take() {
            chronicle.finish();
        }
        if !session.options.keep {
            // Best effort: what is left behind is a folder in a run directory.
            let _ = std::fs::remove_dir_all(session.stores());
        }
        ended
    }

    /// Where everything that is alive listens, a line each; and where servers leave their data.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let services = self.fleet.iter().flat_map(|fleet| fleet.instances());
        let services =
            services.filter_map(|instance| Some((instance.label.clone(), format!("http://{}", instance.address()?))));
        let stand_ins = self.stand_ins.places().map(|(name, url)| (name.to_owned(), url));
        let kafka = std::iter::once(("Kafka".to_owned(), self.bootstrap()));
        let servers = self.fleet.iter().flat_map(|fleet| fleet.servers.places());
        let folder = self.fleet.iter().filter_map(|fleet| fleet.servers.kept_folder());
        let data = folder.map(|folder| ("data of servers".to_owned(), folder.display().to_string()));
        kafka
            .chain(servers)
            .chain(services)
            .chain(stand_ins)
            .chain(data)
            .map(|(who, place)| format!("{who:<20} {place}"))
            .collect()
    }

    /// Ends a load that is still under way, and notes what became of it until then.
    fn finish_load(&mut self, session: &Session) -> Result<(), RunError> {
        self.load_stop.stop();
        if let Some(load) = self.load.take() {
            let summary = load.join()?;
            offering::sum_up(session, self, &summary);
        }
        measuring::finish(session, self)
    }

    /// Deletes the topics that the run has brought. Whoever interrupts a run does not wait long for that.
    fn take_topics_back(&mut self, session: &Session) -> Result<(), RunError> {
        let brought = std::mem::take(&mut self.brought);
        let patience = if session.go_on().is_ok() { topics::TIMEOUT } else { STOPPED_PATIENCE };
        let deleted = session.runtime.block_on(topics::delete(&self.bootstrap(), &brought, patience));
        if let Err(error) = &deleted {
            session.journal.warning(format!("these topics may be left behind: {}: {error}", brought.join(", ")));
        }
        deleted
    }

    /// Reads what groups committed at the end, and topics once more. What could not be read is a reason.
    fn finish_watching(&mut self, session: &Session) -> Result<(), RunError> {
        let unseen = match self.watching.take() {
            Some(watching) => watching.finish(&self.bootstrap(), &session.options.interrupt)?,
            None => None,
        };
        let unread = self.read_again(session)?;
        for reason in unseen.into_iter().chain(unread) {
            session.journal.warning(&reason);
            self.ending.reasons.push(reason);
        }
        Ok(())
    }

    /// Writes the books of topics, where some rule compares them. What could not be read is a reason.
    fn write_topic_books(&mut self, session: &Session) -> Result<(), RunError> {
        if self.gauge.is_some() {
            let reasons = topic_books::write(session, &self.bootstrap())?;
            reasons.iter().for_each(|reason| session.journal.warning(reason));
            // What a book does not have may be in what was not read: nobody is convicted of what is missing.
            self.ending.drained &= reasons.is_empty();
            self.ending.reasons.extend(reasons);
        }
        Ok(())
    }

    /// Reads topics once more from their beginning, where some expectation compares that. What could not be read, in words.
    fn read_again(&self, session: &Session) -> Result<Option<String>, RunError> {
        // Half a run is not compared with itself.
        let Some(gauge) = self.gauge.as_ref().filter(|_| session.go_on().is_ok()) else { return Ok(None) };
        let stop = StopFlag::new();
        let mut taps = Vec::new();
        for (stream, topic) in session.plan.read_again() {
            taps.push((
                topic.name.clone(),
                super::conductor::tap(session, &self.bootstrap(), stream, topic, true, &stop)?,
            ));
        }
        if taps.is_empty() {
            return Ok(None);
        }
        let waited = gauge.ends().map_err(|error| error.to_string());
        let waited = waited.and_then(|ends| {
            let own = ends.into_iter().filter(|(topic, _)| taps.iter().any(|(tapped, _)| tapped == topic)).collect();
            drain::read_to(&own, &taps, LAST_READ, &session.options.interrupt)
        });
        stop.stop();
        for (_, tap) in taps {
            tap.join()?;
        }
        Ok(waited.err().map(|reason| format!("a topic was not read again to its end: {reason}")))
    }

    /// Waits until the taps have read what services produced while they stopped: it is part of what they did.
    fn read_last_words(&self, session: &Session) -> Result<(), String> {
        let Some(gauge) = self.gauge.as_ref().filter(|_| self.ending.drained) else { return Ok(()) };
        let ends = gauge.ends().map_err(|error| error.to_string())?;
        let waited = drain::read_to(&ends, &self.taps, LAST_READ, &session.options.interrupt);
        waited.map_err(|reason| format!("what services produced while they stopped was not read: {reason}"))
    }
}

/// How many messages that nobody can read the scenario itself produces to a topic.
fn poison_in(plan: &Plan, topic: &str) -> u64 {
    let is_poison = |fault: &&FaultRule| match &fault.deed {
        Deed::Operate(Operation::Poison { topic: poisoned, .. }) => poisoned == topic,
        _ => false,
    };
    plan.scenario.faults.iter().filter(is_poison).count() as u64
}

/// `14 ms`, `1.25 s`.
#[must_use]
pub fn short(duration: Duration) -> String {
    numbers::duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}
