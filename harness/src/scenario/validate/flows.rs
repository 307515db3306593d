//! Flows and rules of conservation: every stream exists and carries what the rule compares.

use super::book_rules::refuse_keys_of_rules;
use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::reference::{StreamReference, TargetReference, TermReference};
use crate::scenario::merge::Merged;
use crate::scenario::model::{ConservedRule, FlowRule};

pub(super) fn validate_flows(merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Vec<FlowRule> {
    let mut flows = Vec::new();
    for (name, flow) in &merged.flows.0 {
        let (from, to) = (&flow.value.from, &flow.value.to);
        if let StreamReference::Ledger(_) = from.value {
            let help = "write `load` or `topic NAME`: a ledger says what was done, not what was to be done";
            problems.add(from.place, format!("flow `{}` cannot start at a ledger", name.value), "not a source", help);
        } else {
            scope.check_stream(&from.value, from.place, problems);
        }
        if to.value == StreamReference::Load {
            let help = "write `topic NAME` or `ledger NAME`";
            problems.add(to.place, format!("flow `{}` cannot end at the load", name.value), "not a sink", help);
        } else {
            scope.check_stream(&to.value, to.place, problems);
        }
        if from.value == to.value && to.value != StreamReference::Load {
            let message = format!("flow `{}` ends where it starts", name.value);
            problems.add(to.place, message, "the same stream", "name two different streams");
        }
        if from.value == StreamReference::Load {
            check_share(to, merged, scope, problems);
        }
        flows.push(FlowRule { name: name.value.clone(), from: from.value.clone(), to: to.value.clone() });
    }
    flows
}

/// Of a load spread over several topics, a service gets all that is in those it consumes. Where these are some of them, and
/// not one and not all, no flow can say how much is due at its end.
fn check_share(to: &Spanned<StreamReference>, merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) {
    let (StreamReference::Ledger(name), Some(load)) = (&to.value, &merged.load) else { return };
    let TargetReference::Topics(topics) = &load.value.target.value else { return };
    let Some(consumes) = scope.service(name).and_then(|service| service.consumes.as_ref()) else { return };
    let is_consumed = |topic: &&Spanned<String>| consumes.value.iter().any(|consumed| consumed.value == topic.value);
    let (consumed, all) = (topics.iter().filter(is_consumed).count(), topics.len());
    if (2..all).contains(&consumed) {
        let message = format!("service `{name}` consumes {consumed} of the {all} topics that the load is spread over");
        let help = "a flow from the load can end at a service that consumes one of its topics, or all of them; \
                    write a flow from each topic that it consumes, `from = \"topic NAME\"`";
        problems.add(to.place, message, "what is due here?", help);
    }
}

pub(super) fn validate_conserved(
    merged: &Merged,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Vec<ConservedRule> {
    let mut rules = Vec::new();
    for (name, rule) in &merged.conserved.0 {
        let Some(equal) = &rule.value.equal else {
            if rule.value.rule.is_none() {
                let message = format!("rule `{}` has neither `equal` nor `rule`", name.value);
                let help = "write `equal = [...]`, terms that must be equal, or `rule = ...`, one of those over books";
                problems.add(name.place, message, "says nothing", help);
            }
            continue;
        };
        if rule.value.rule.is_none() {
            refuse_keys_of_rules(name, &rule.value, problems);
        }
        if equal.value.len() < 2 {
            let message = format!("rule `{}` compares nothing", name.value);
            problems.add(equal.place, message, "fewer than two terms", "name at least two terms that must be equal");
        }
        for term in &equal.value {
            match &term.value {
                TermReference::Count(stream) => {
                    scope.check_stream(stream, term.place, problems);
                }
                TermReference::Sum(stream) => {
                    if scope.check_stream(stream, term.place, problems) && !scope.has_value(stream) {
                        let help =
                            "say where the amount is: `value = \"/field\"` in the topic's `message` or the ledger";
                        problems.add(term.place, format!("`{stream}` carries no amount to sum"), "has no data", help);
                    }
                }
                TermReference::Figure { service, .. } => {
                    if scope.check_service(service, term.place, problems)
                        && scope.service(service).is_some_and(|known| known.figures.is_none())
                    {
                        let stating: Vec<&str> = scope
                            .service_names()
                            .filter(|name| scope.service(name).is_some_and(|known| known.figures.is_some()))
                            .collect();
                        let help = format!(
                            "add `figures = {{ get = \"/...\" }}` to it; services that state figures: {}",
                            names::list(&stating)
                        );
                        problems.add(term.place, format!("service `{service}` states no figures"), "has no data", help);
                    }
                }
            }
        }
        let terms = equal.value.iter().map(|term| term.value.clone()).collect();
        rules.push(ConservedRule { name: name.value.clone(), equal: terms });
    }
    rules
}
