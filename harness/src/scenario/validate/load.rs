//! The load: its target, and that at least one message will be due.

use super::scenario::top_of;
use super::scope::Scope;
use super::topics::scalars;
use crate::language::problem::Problems;
use crate::language::raw::ShapeChoice;
use crate::language::reference::TargetReference;
use crate::scenario::merge::Merged;
use crate::scenario::model::{LoadRule, Target};

/// More messages than this in one run do not fit the record's dense arrays.
const MESSAGES_MAX: u128 = 1 << 32;

/// Users when the scenario does not say.
const USERS: u32 = 1_000;

pub(super) fn validate(merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<LoadRule> {
    let Some(load) = &merged.load else {
        let help = "add [load] with `target` and `arrivals`";
        problems.add(top_of(0), "the file's top level has no `load`", "in this file", help);
        return None;
    };
    let place = load.value.target.place;
    let target = match &load.value.target.value {
        TargetReference::Topic(name) => {
            if scope.check_topic(name, place, problems)
                && scope.topic(name).and_then(|topic| topic.message.as_ref()).is_some_and(|m| m.value.value.is_some())
            {
                let message = format!("topic `{name}` reads an amount that the load generator's messages do not have");
                let help = "leave `message` out: the load generator's own header carries identity, amount and time";
                problems.add(place, message, "has no data", help);
            }
            Target::Topic(name.clone())
        }
        TargetReference::Service(name) => {
            scope.check_service(name, place, problems);
            let instances = scope.service(name).and_then(|service| service.instances.as_ref());
            if let Some(instances) = instances.filter(|instances| instances.value.0 > 1) {
                let message = format!("service `{name}` is the load's target, and so can only have one instance");
                problems.add(
                    instances.place,
                    message,
                    "more than one source",
                    "each would offer the whole load: write 1",
                );
            }
            Target::Service(name.clone())
        }
    };
    let arrivals = &load.value.arrivals;
    let (rate, duration) = (arrivals.value.rate.value, arrivals.value.duration.value.0);
    let total = u128::from(rate.messages) * duration.as_nanos() / rate.per.as_nanos().max(1);
    if total == 0 || total > MESSAGES_MAX {
        let message = format!("these arrivals come to {total} messages");
        let help = format!("allowed: 1 to {MESSAGES_MAX} messages, which is the rate times the duration");
        problems.add(arrivals.place, message, "nothing to run, or too much", help);
    }
    let keys = load.value.keys.as_ref().map(|keys| &keys.value);
    Some(LoadRule {
        target,
        poisson: arrivals.value.shape.value == ShapeChoice::Poisson,
        messages: rate.messages,
        per: rate.per,
        duration,
        users: keys
            .and_then(|keys| keys.users.as_ref())
            .map_or(USERS, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        zipf: keys.and_then(|keys| keys.zipf.as_ref()).map(|zipf| zipf.value.0),
        client: load.value.client.as_ref().map(|client| scalars(&client.value)).unwrap_or_default(),
    })
}
