//! The stages of validation, in order, with all their problems collected.

use super::scope::Scope;
use super::{book_rules, books, equipment, expect, faults, flows, load, load_arrivals, services, stand_ins, topics};
use crate::backend::{Backend, BrokerFaults, BrokerSettings};
use crate::language::document::Place;
use crate::language::document::Spanned;
use crate::language::problem::{Problems, ScenarioError};
use crate::language::quantity::Span;
use crate::scenario::books::BookPlan;
use crate::scenario::consumption::consumptions;
use crate::scenario::files::ScenarioFiles;
use crate::scenario::merge::Merged;
use crate::scenario::model::{Limits, Scenario};
use shakedown_cluster::settings::check_broker;
use std::path::Path;
use std::time::Duration;

/// What the chosen back end can do, so that a scenario that asks for more is refused before anything starts.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities<'a> {
    /// The back end's name.
    pub backend: &'a str,
    /// The faults on brokers that it can do.
    pub broker_faults: BrokerFaults,
    /// What becomes of broker settings.
    pub broker_settings: BrokerSettings,
    /// Whether it can boot controllers that are no brokers.
    pub has_controllers: bool,
    /// Whether producers can have transactions there.
    pub has_transactions: bool,
    /// The built-in services.
    pub built_in: &'a [&'a str],
}

impl<'a> Capabilities<'a> {
    /// What a back end says of itself.
    pub fn of(backend: &dyn Backend, built_in: &'a [&'a str]) -> Self {
        Self {
            backend: backend.name(),
            broker_faults: backend.broker_faults(),
            broker_settings: backend.broker_settings(),
            has_controllers: backend.has_controllers(),
            has_transactions: backend.has_transactions(),
            built_in,
        }
    }
}

/// Validates a scenario.
///
/// # Errors
/// With every problem that was found.
pub fn scenario(files: &ScenarioFiles, capabilities: Capabilities<'_>) -> Result<Scenario, ScenarioError> {
    let mut problems = Problems::new(&files.sources);
    let merged = &files.merged;
    let folder = files.path.parent().unwrap_or(Path::new(""));
    let scope = Scope::new(merged, load_arrivals::arrivals(merged, folder, &mut problems));

    let topics = topics::validate(merged, &scope, &mut problems);
    let services = services::validate(merged, &scope, capabilities, &mut problems);
    let stand_ins = stand_ins::validate(merged, &scope, &mut problems);
    equipment::validate_for_all(merged, &mut problems);
    let load = load::validate(merged, &scope, &mut problems);
    let flows = flows::validate_flows(merged, &scope, &mut problems);
    let conserved = flows::validate_conserved(merged, &scope, &mut problems);
    let (service_books, topic_books) = books::validate(merged, &mut problems);
    let book_rules = book_rules::validate(merged, &scope, &service_books, &topic_books, &mut problems);
    let faults = faults::validate(merged, &scope, capabilities, &mut problems);
    let consumptions = consumptions(&services, &flows, load.as_ref().map(|load| &load.target));
    let (expect, expected_rules) = expect::validate(merged, &scope, &consumptions, &mut problems);
    cluster(merged, capabilities, &mut problems);
    let name = match &merged.name {
        Some(name) if name.value.chars().any(char::is_alphanumeric) => name.value.clone(),
        Some(name) => {
            let help = "write what the scenario is about, in a few words";
            problems.add(name.place, "`name` has no letter or digit", "says nothing", help);
            String::new()
        }
        None => {
            let help = "add `name = \"...\"`: what the scenario is about, in a few words";
            problems.add(top_of(0), "the file's top level has no `name`", "in this file", help);
            String::new()
        }
    };
    problems.finish()?;

    let conserved = conserved.into_iter().filter(|rule| expected_rules.contains(&rule.name)).collect();
    let rules = book_rules.into_iter().filter(|rule| expected_rules.contains(&rule.name)).collect();
    Ok(Scenario {
        path: files.path.clone(),
        text: files.text.clone(),
        name,
        seed: merged.seed.as_ref().map_or(1, |seed| seed.value.0),
        system: scope.system().map(str::to_owned),
        brokers: scope.brokers(),
        controllers: merged.cluster.controllers.as_ref().map_or(0, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        memory: merged.cluster.memory.as_ref().map(|memory| memory.value.0),
        broker_config: merged.cluster.config.as_ref().map(|config| topics::scalars(&config.value)).unwrap_or_default(),
        topics,
        services,
        stand_ins,
        flows,
        conserved,
        books: BookPlan { services: service_books, topics: topic_books, rules },
        load: load.expect("a load that cannot be read always leaves a problem"),
        faults,
        expect,
        limits: limits(files),
    })
}

/// What only some back ends can be told.
fn cluster(merged: &Merged, capabilities: Capabilities<'_>, problems: &mut Problems<'_>) {
    let backend = capabilities.backend;
    if let Some(config) = &merged.cluster.config {
        match capabilities.broker_settings {
            BrokerSettings::Checked => topics::settings(&config.value, check_broker, problems),
            BrokerSettings::HandedOn => {}
            BrokerSettings::Refused => {
                let message = format!("the back end `{backend}` has brokers with settings of their own");
                let help = "set it there, and leave `config` out; topics can have settings of theirs";
                problems.add(config.place, message, "not possible here", help);
            }
        }
    }
    let controllers = merged.cluster.controllers.as_ref().filter(|controllers| controllers.value.0 > 0);
    if let Some(controllers) = controllers.filter(|_| !capabilities.has_controllers) {
        let message = format!("the back end `{backend}` has no dedicated controllers");
        let help = "leave `controllers` out: every broker is a controller, too; the back end `embedded` has them";
        problems.add(controllers.place, message, "not possible here", help);
    }
    let transactions = merged.load.as_ref().and_then(|load| load.value.transactions.as_ref());
    if let Some(transactions) = transactions.filter(|_| !capabilities.has_transactions) {
        let message = format!("the back end `{backend}` has no transactions yet");
        let help = "leave `transactions` out, or write backend = \"apache\" in [cluster]";
        problems.add(transactions.place, message, "not possible here", help);
    }
}

/// The place of problems that are about something missing from the file as a whole.
pub(super) fn top_of(file: usize) -> Place {
    Place { file, start: 0, end: 0 }
}

fn limits(files: &ScenarioFiles) -> Limits {
    let raw = files.merged.limits.as_ref().map(|limits| &limits.value);
    let pick = |span: Option<&Option<Spanned<Span>>>, default| {
        span.and_then(Option::as_ref).map_or(Duration::from_secs(default), |span| span.value.0)
    };
    Limits {
        start: pick(raw.map(|limits| &limits.start), 30),
        drain: pick(raw.map(|limits| &limits.drain), 60),
        stop: pick(raw.map(|limits| &limits.stop), 10),
    }
}
