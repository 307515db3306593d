//! Waiting until services are ready, and saying why one is not.

use super::error::RunError;
use super::fleet::Instance;
use super::http;
use super::session::Session;
use crate::scenario::model::Readiness;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupList;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two looks at a service that is not ready.
const POLL: Duration = Duration::from_millis(10);

/// For one question about a group. Whoever looks asks again; whoever ends waits as long for who looks.
const GROUP_TIMEOUT: Duration = Duration::from_secs(1);

/// The members that the instance's group has now, by id; none where readiness does not depend on the group.
///
/// # Errors
/// When the cluster does not answer.
pub fn members(bootstrap: &str, instance: &Instance) -> Result<BTreeSet<String>, RunError> {
    let Some(group) = instance.group.as_deref().filter(|_| instance.readiness == Readiness::Group) else {
        return Ok(BTreeSet::new());
    };
    let failed = || RunError::kafka(format!("list the members of group {group}"));
    let client = group_client(bootstrap, group).map_err(failed())?;
    let list = client.client().fetch_group_list(Some(group), GROUP_TIMEOUT).map_err(failed())?;
    Ok(find_group(&list, group).map(|(_, members)| members).unwrap_or_default())
}

/// Waits for one instance, which must be running. A member of its group that was there `before` it started does not
/// stand for it: after `kill -9` the group keeps the dead one until its session expires.
///
/// # Errors
/// When it dies, or the limit passes, both with its last lines.
pub fn wait(
    session: &Session,
    bootstrap: &str,
    instance: &Instance,
    before: &BTreeSet<String>,
    deadline: Instant,
) -> Result<(), RunError> {
    let mut probe = Probe::new(session, bootstrap, instance, before);
    loop {
        session.go_on()?;
        let Err(reason) = probe.look() else {
            session.journal.service(&instance.service, format!("{} is ready", instance.label));
            return Ok(());
        };
        if let Some(error) = death(instance) {
            return Err(error);
        }
        if Instant::now() >= deadline {
            return Err(not_ready(instance, session.plan.scenario.limits.start, reason));
        }
        session.journal.waiting(&format!("{} is not ready: {reason}", instance.label));
        std::thread::sleep(POLL);
    }
}

/// The end of an instance that was to become ready, if it has ended on its own.
pub(super) fn death(instance: &Instance) -> Option<RunError> {
    let (service, status) = (instance.label.clone(), instance.died()?);
    Some(RunError::DiedAtStart { service, status, last_lines: instance.log.last_lines() })
}

/// What is said of an instance that lives and is not ready within its limit.
pub(super) fn not_ready(instance: &Instance, limit: Duration, reason: String) -> RunError {
    RunError::NotReady { service: instance.label.clone(), limit, reason, last_lines: instance.log.last_lines() }
}

/// Looks at one instance by its own rule.
pub(super) struct Probe<'a> {
    session: &'a Session,
    instance: &'a Instance,
    bootstrap: &'a str,
    before: &'a BTreeSet<String>,
    groups: Option<BaseConsumer>,
}

impl<'a> Probe<'a> {
    /// Looks at an instance with these members in its group `before` it started.
    pub(super) fn new(
        session: &'a Session,
        bootstrap: &'a str,
        instance: &'a Instance,
        before: &'a BTreeSet<String>,
    ) -> Self {
        Self { session, instance, bootstrap, before, groups: None }
    }

    /// Whether it is ready; if not, why.
    pub(super) fn look(&mut self) -> Result<(), String> {
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
            self.groups = Some(group_client(self.bootstrap, group).map_err(|error| error.to_string())?);
        }
        let Some(client) = &self.groups else { return Err("no client".to_owned()) };
        let list = client.client().fetch_group_list(Some(group), GROUP_TIMEOUT).map_err(|error| error.to_string())?;
        let Some((state, members)) = find_group(&list, group) else {
            return Err(format!("the cluster knows no group `{group}` yet"));
        };
        let wanted = usize::try_from(self.instance.number).unwrap_or(usize::MAX);
        joined(&state, &members, self.before, wanted).map_err(|reason| format!("group `{group}` {reason}"))
    }
}

/// Whether the group is stable, has so many members, and among them one that was not there before.
fn joined(state: &str, members: &BTreeSet<String>, before: &BTreeSet<String>, wanted: usize) -> Result<(), String> {
    if state != "Stable" || members.len() < wanted {
        return Err(format!("is {state} with {} members", members.len()));
    }
    if members.is_subset(before) {
        return Err(format!("has {} members, all from before the start", members.len()));
    }
    Ok(())
}

fn group_client(bootstrap: &str, group: &str) -> Result<BaseConsumer, rdkafka::error::KafkaError> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create()
}

/// The group's state and the ids of its members.
fn find_group(list: &GroupList, group: &str) -> Option<(String, BTreeSet<String>)> {
    let found = list.groups().iter().find(|found| found.name() == group)?;
    let members = found.members().iter().map(|member| member.id().to_owned()).collect();
    Some((found.state().to_owned(), members))
}

#[cfg(test)]
mod tests {
    use super::joined;
    use std::collections::BTreeSet;

    fn set(members: &[&str]) -> BTreeSet<String> {
        members.iter().map(|member| (*member).to_owned()).collect()
    }

    #[test]
    fn a_group_is_joined_when_it_is_stable_and_complete() {
        assert_eq!(joined("Stable", &set(&["a"]), &set(&[]), 1), Ok(()));
        assert_eq!(joined("Stable", &set(&["a"]), &set(&[]), 2), Err("is Stable with 1 members".to_owned()));
        let state = "PreparingRebalance";
        assert_eq!(joined(state, &set(&["a"]), &set(&[]), 1), Err(format!("is {state} with 1 members")));
    }

    #[test]
    fn a_member_that_was_killed_does_not_stand_for_the_one_that_starts() {
        let error = joined("Stable", &set(&["dead"]), &set(&["dead"]), 1).expect_err("nobody new");
        assert_eq!(error, "has 1 members, all from before the start");
        assert_eq!(joined("Stable", &set(&["dead", "new"]), &set(&["dead"]), 1), Ok(()));
        assert_eq!(joined("Stable", &set(&["new"]), &set(&["dead"]), 1), Ok(()));
    }
}
