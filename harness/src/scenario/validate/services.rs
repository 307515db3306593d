//! Services: what starts them, when they are ready, what they touch.

use super::equipment;
use super::scenario::Capabilities;
use super::scope::{MAILBOX, Scope};
use super::topics::scalars;
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::{RawLedger, RawReady, RawService};
use crate::scenario::merge::Merged;
use crate::scenario::model::{LedgerRule, Readiness, Service};

pub(super) fn validate(
    merged: &Merged,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Vec<Service> {
    let mut services = Vec::new();
    for (name, service) in &merged.services.0 {
        check_name(name, problems);
        let raw = &service.value;
        check_references(name, raw, scope, problems);
        let command = raw.command.as_ref().map(|command| {
            if command.value.first().is_none_or(|program| program.value.is_empty()) {
                let help = "write the program and its arguments: [\"./target/debug/mine\", \"--flag\"]";
                problems.add(
                    command.place,
                    format!("service `{}` has an empty command", name.value),
                    "no program",
                    help,
                );
            }
            command.value.iter().map(|word| word.value.clone()).collect::<Vec<_>>()
        });
        if command.is_none() && !capabilities.built_in.contains(&name.value.as_str()) {
            let known =
                scope.service_names().filter(|known| *known != name.value).chain(capabilities.built_in.iter().copied());
            let nearest =
                names::nearest(&name.value, known).map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let built_in = names::list(capabilities.built_in);
            let help = format!("{nearest}give it a `command`, or name a built-in service: {built_in}");
            let message = format!("service `{}` is not built in, and has no `command`", name.value);
            problems.add(name.place, message, "nothing to start", help);
        }
        services.push(Service {
            name: name.value.clone(),
            ready: readiness(name, raw, command.is_some(), problems),
            command,
            instances: raw.instances.as_ref().map_or(1, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
            group: raw.group.as_ref().map(|group| group.value.clone()),
            consumes: strings(raw.consumes.as_ref()),
            produces: strings(raw.produces.as_ref()),
            calls: raw.calls.as_ref().map(|calls| calls.value.iter().map(|c| c.value).collect()).unwrap_or_default(),
            env: raw.env.as_ref().map(|env| scalars(&env.value)).unwrap_or_default(),
            port: raw.port.as_ref().and_then(|port| u16::try_from(port.value.0).ok()),
            figures: raw.figures.as_ref().map(|figures| figures.value.get.value.0.clone()),
            ledger: raw.ledger.as_ref().map(|ledger| ledger_rule(&ledger.value)),
            equipment: equipment::validate(name, raw, scope, problems),
        });
    }
    services
}

fn check_name(name: &Spanned<String>, problems: &mut Problems<'_>) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = &name.value;
    if text.is_empty() || text.len() > 63 || !text.chars().all(legal) || text == MAILBOX || text == "load" {
        let help = "allowed: lower-case letters, digits and `-`, at most 63 of them; `load` and `mailbox` are taken";
        problems.add(name.place, format!("`{text}` cannot be a service's name"), "not a name", help);
    }
}

fn check_references(name: &Spanned<String>, raw: &RawService, scope: &Scope<'_>, problems: &mut Problems<'_>) {
    for topics in [&raw.consumes, &raw.produces].into_iter().flatten() {
        for topic in &topics.value {
            scope.check_topic(&topic.value, topic.place, problems);
        }
    }
    if let (Some(consumes), None) = (&raw.consumes, &raw.group) {
        let message = format!("service `{}` consumes, but has no `group`", name.value);
        let help = "add `group = \"...\"`: the run is drained when the group has committed everything";
        problems.add(consumes.place, message, "by which group?", help);
    }
}

fn readiness(name: &Spanned<String>, raw: &RawService, has_command: bool, problems: &mut Problems<'_>) -> Readiness {
    let Some(ready) = &raw.ready else {
        if !has_command {
            return Readiness::Http("/ready".to_owned());
        }
        if raw.group.is_none() {
            let help = "add `ready = { http = \"/ready\" }`, `ready = { log = \"...\" }`, or a `group`";
            let message = format!("nothing says when service `{}` is ready", name.value);
            problems.add(name.place, message, "has a command, but neither `ready` nor `group`", help);
        }
        return Readiness::Group;
    };
    let RawReady { http, log, group } = &ready.value;
    let with_group = group.as_ref().is_some_and(|group| group.value);
    match (http, log, with_group) {
        (Some(path), None, false) => Readiness::Http(path.value.0.clone()),
        (None, Some(text), false) => Readiness::Log(text.value.clone()),
        (None, None, true) => {
            if raw.group.is_none() {
                let message = format!("service `{}` waits for a group, but has no `group`", name.value);
                problems.add(ready.place, message, "which group?", "add `group = \"...\"` to the service");
            }
            Readiness::Group
        }
        _ => {
            let message = format!("service `{}` needs one rule of readiness", name.value);
            let help = "write one of { http = \"/ready\" }, { log = \"some text\" }, { group = true }";
            problems.add(ready.place, message, "not exactly one rule", help);
            Readiness::Group
        }
    }
}

fn ledger_rule(raw: &RawLedger) -> LedgerRule {
    LedgerRule {
        get: raw.get.value.0.clone(),
        identity: raw.identity.value.0.clone(),
        key: raw.key.as_ref().map(|pointer| pointer.value.0.clone()),
        value: raw.value.as_ref().map(|pointer| pointer.value.0.clone()),
        position: raw.position.as_ref().map_or_else(|| "/position".to_owned(), |pointer| pointer.value.0.clone()),
        at_us: raw.at_us.as_ref().map_or_else(|| "/at_us".to_owned(), |pointer| pointer.value.0.clone()),
        intended_us: raw.intended_us.as_ref().map(|pointer| pointer.value.0.clone()),
    }
}

fn strings(list: Option<&Spanned<Vec<Spanned<String>>>>) -> Vec<String> {
    list.map(|list| list.value.iter().map(|text| text.value.clone()).collect()).unwrap_or_default()
}
