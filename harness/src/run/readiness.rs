//! Waiting until services are ready, and saying why one is not.

use super::error::RunError;
use super::fleet::Instance;
use super::http;
use super::session::Session;
use crate::scenario::model::Readiness;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::{Duration, Instant};

/// Between two looks at a service that is not ready.
const POLL: Duration = Duration::from_millis(10);

/// For one question about a group.
const GROUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for one instance, which must be running.
///
/// # Errors
/// When it dies, or the limit passes, both with its last lines.
pub fn wait(session: &Session, bootstrap: &str, instance: &Instance, deadline: Instant) -> Result<(), RunError> {
    let mut probe = Probe::new(session, bootstrap, instance);
    loop {
        session.go_on()?;
        let Err(reason) = probe.look() else {
            session.journal.service(&instance.service, format!("{} is ready", instance.label));
            return Ok(());
        };
        if let Some(status) = instance.died() {
            let last_lines = instance.log.last_lines();
            return Err(RunError::DiedAtStart { service: instance.label.clone(), status, last_lines });
        }
        if Instant::now() >= deadline {
            return Err(RunError::NotReady {
                service: instance.label.clone(),
                limit: session.plan.scenario.limits.start,
                reason,
                last_lines: instance.log.last_lines(),
            });
        }
        std::thread::sleep(POLL);
    }
}

/// Looks at one instance by its own rule.
struct Probe<'a> {
    session: &'a Session,
    instance: &'a Instance,
    bootstrap: &'a str,
    groups: Option<BaseConsumer>,
}

impl<'a> Probe<'a> {
    fn new(session: &'a Session, bootstrap: &'a str, instance: &'a Instance) -> Self {
        Self { session, instance, bootstrap, groups: None }
    }

    /// Whether it is ready; if not, why.
    fn look(&mut self) -> Result<(), String> {
        match &self.instance.readiness {
            Readiness::Http(path) => {
                let address = self.instance.address().ok_or("it has not said where it listens")?;
                self.session.block_on(http::get(&self.session.http, &address, path)).map(drop)
            }
            Readiness::Log(text) => {
                if self.instance.log.awaited_seen() {
                    Ok(())
                } else {
                    Err(format!("no line with {text:?} yet"))
                }
            }
            Readiness::Group => self.group(),
        }
    }

    fn group(&mut self) -> Result<(), String> {
        let group = self.instance.group.as_deref().unwrap_or_default();
        if self.groups.is_none() {
            let client: Result<BaseConsumer, _> =
                ClientConfig::new().set("bootstrap.servers", self.bootstrap).set("group.id", group).create();
            self.groups = Some(client.map_err(|error| error.to_string())?);
        }
        let Some(client) = &self.groups else { return Err("no client".to_owned()) };
        let list = client.client().fetch_group_list(Some(group), GROUP_TIMEOUT).map_err(|error| error.to_string())?;
        let Some(found) = list.groups().iter().find(|found| found.name() == group) else {
            return Err(format!("the cluster knows no group `{group}` yet"));
        };
        let wanted = usize::try_from(self.instance.number).unwrap_or(usize::MAX);
        if found.state() == "Stable" && found.members().len() >= wanted {
            Ok(())
        } else {
            Err(format!("group `{group}` is {} with {} members", found.state(), found.members().len()))
        }
    }
}
