//! Everything alive in a run, and how it ends in good order however far the run came.

use super::error::RunError;
use super::fleet::Fleet;
use super::judgement::Ending;
use super::ledger::LedgerPoller;
use super::session::Session;
use super::stand_in::Mailbox;
use crate::backend::RunningCluster;
use crate::scenario::model::LedgerRule;
use shakedown_loadgen::{Load, StopFlag, Tap};
use shakedown_reports::Summary;
use shakedown_reports::record::Figure;
use std::sync::Arc;
use std::time::Duration;

/// The live parts of a run. Fields are dropped in the order in which they stand here: services before the cluster that
/// they talk to.
#[derive(Default)]
pub struct Parts {
    /// The services.
    pub fleet: Option<Arc<Fleet>>,
    /// The load generator, while it offers.
    pub load: Option<Load>,
    /// Ends the load before its time.
    pub load_stop: StopFlag,
    /// Readers of service ledgers.
    pub pollers: Vec<(LedgerRule, LedgerPoller)>,
    /// The mailbox, if some service calls it.
    pub mailbox: Option<Mailbox>,
    /// Readers of topics.
    pub taps: Vec<(String, Tap)>,
    /// Ends the taps.
    pub tap_stop: StopFlag,
    /// The cluster.
    pub cluster: Option<Box<dyn RunningCluster>>,
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
    /// returns the first.
    ///
    /// # Errors
    /// When a part of the record could not be finished.
    pub fn finish(&mut self, session: &Session) -> Result<(), RunError> {
        session.journal.phase("stop", "services, taps, cluster");
        let mut first = Ok(());
        let mut keep = |result: Result<(), RunError>| {
            if first.is_ok() {
                first = result;
            }
        };
        self.load_stop.stop();
        if let Some(load) = self.load.take() {
            keep(load.join().map(drop).map_err(RunError::from));
        }
        if let Some(fleet) = self.fleet.take() {
            self.ending.reasons.extend(fleet.stop(session.plan.scenario.limits.stop));
        }
        for (_, poller) in self.pollers.drain(..) {
            keep(poller.close(&session.runtime).map(drop));
        }
        if let Some(mailbox) = self.mailbox.take() {
            let totals = mailbox.totals();
            if totals.refused > 0 {
                session.journal.warning(format!("the mailbox refused {} requests", totals.refused));
            }
            session
                .journal
                .service("mailbox", format!("{} emails sent, {} requests repeated", totals.sent, totals.repeated));
            keep(mailbox.close());
        }
        self.tap_stop.stop();
        for (topic, tap) in self.taps.drain(..) {
            match tap.join() {
                Ok(summary) if summary.unreadable > 0 => {
                    let first = summary.unreadable_samples.first().map(ToString::to_string).unwrap_or_default();
                    let text = format!("{} messages of topic {topic} cannot be read: {first}", summary.unreadable);
                    session.journal.warning(&text);
                    self.ending.reasons.push(text);
                }
                Ok(_) => {}
                Err(error) => keep(Err(error.into())),
            }
        }
        self.cluster = None;
        if !session.options.keep {
            // Best effort: what is left behind is a folder in a run directory.
            let _ = std::fs::remove_dir_all(session.stores());
        }
        first
    }
}

/// `14 ms`, `1.25 s`.
#[must_use]
pub fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// `5,000`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{short, thousands};
    use std::time::Duration;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(short(Duration::from_millis(14)), "14 ms");
        assert_eq!(short(Duration::from_millis(1_250)), "1.25 s");
    }
}
