//! What people do to a cluster: to topics and groups that exist, and so that it changes something.

use super::requests::partition_exists;
use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::problem::Problems;
use crate::language::raw_operations::{RawAddPartitions, RawDeleteRecords, RawPoison};
use crate::language::setting::Whole;
use crate::scenario::operation::{Before, Operation};

/// What nobody can decode, if the scenario does not say.
const POISON: &str = "{\"poison\": ";

/// `delete-records`.
pub(super) fn delete_records(
    raw: &Spanned<RawDeleteRecords>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Operation> {
    let RawDeleteRecords { topic, partition, before, past, by } = &raw.value;
    if !scope.check_topic(&topic.value, topic.place, problems) {
        return None;
    }
    if let Some(partition) = partition {
        partition_exists(&topic.value, partition.value.0, partition.place, scope, problems).then_some(())?;
    }
    if let Some(group) = past {
        scope.check_group(&group.value, group.place, problems).then_some(())?;
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let before = match (before, past, by) {
        (Some(before), None, None) => Before::Offset(number(before.value.0)),
        (None, Some(group), by) => {
            let by = by.as_ref().map_or(0, |by| number(by.value.0));
            Before::Past { group: group.value.clone(), by }
        }
        (Some(_), None, Some(by)) => {
            problems.add(by.place, "`by` says nothing here", "never used", "it belongs to `past`");
            return None;
        }
        _ => {
            let help = "write `before = 500`, or `past = \"GROUP\"` with or without `by = 200`";
            problems.add(raw.place, "up to where are records deleted?", "not exactly one answer", help);
            return None;
        }
    };
    let partition = partition.as_ref().map_or(0, |partition| i32::try_from(partition.value.0).unwrap_or(i32::MAX));
    Some(Operation::DeleteRecords { topic: topic.value.clone(), partition, before })
}

/// `add-partitions`.
pub(super) fn add_partitions(
    raw: &Spanned<RawAddPartitions>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Operation> {
    let RawAddPartitions { topic, to } = &raw.value;
    if !scope.check_topic(&topic.value, topic.place, problems) {
        return None;
    }
    let partitions = scope.partitions(&topic.value);
    if to.value.0 <= partitions {
        let message = format!("topic `{}` has {partitions} partitions, and none can be taken away", topic.value);
        problems.add(to.place, message, "not more", format!("allowed: more than {partitions}"));
        return None;
    }
    let to = u32::try_from(to.value.0).unwrap_or(u32::MAX);
    Some(Operation::AddPartitions { topic: topic.value.clone(), to })
}

/// `poison`.
pub(super) fn poison(raw: &Spanned<RawPoison>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Operation> {
    let RawPoison { topic, partition, key, value } = &raw.value;
    if !scope.check_topic(&topic.value, topic.place, problems) {
        return None;
    }
    let partition = match (partition, key) {
        (Some(Spanned { value: Whole(number), place }), _) => {
            partition_exists(&topic.value, *number, *place, scope, problems).then_some(())?;
            Some(i32::try_from(*number).unwrap_or(i32::MAX))
        }
        (None, Some(_)) => None,
        (None, None) => Some(0),
    };
    let key = key.as_ref().map(|key| key.value.clone());
    let value = value.as_ref().map_or_else(|| POISON.to_owned(), |value| value.value.clone());
    Some(Operation::Poison { topic: topic.value.clone(), partition, key, value })
}

#[cfg(test)]
mod tests {
    use crate::Runner;

    const SCENARIO: &str = r#"
name = "an operator at work"
[topics.orders]
partitions = 6
[services.tracker]
group = "order-tracker"
consumes = ["orders"]
[flows.end-to-end]
from = "load"
to = "topic orders"
[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }
[[fault]]
at = "200ms"
do = { DEED }
[expect]
lost = 0
"#;

    /// What the fault is called, or what is wrong with the scenario.
    fn planned(deed: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("operator.toml");
        std::fs::write(&file, SCENARIO.replace("DEED", deed)).expect("a file");
        let plan = Runner::new(&file).plan().map_err(|error| error.to_string())?;
        Ok(plan.scenario.faults[0].to_string())
    }

    #[test]
    fn operators_and_stops_are_called_by_what_they_do() {
        for (deed, name) in [
            ("delete-records = { topic = \"orders\", before = 500 }", "delete records of orders/0 before 500 at 200ms"),
            (
                "delete-records = { topic = \"orders\", partition = 5, past = \"order-tracker\", by = 200 }",
                "delete records of orders/5 up to 200 past group order-tracker at 200ms",
            ),
            (
                "delete-records = { topic = \"orders\", past = \"order-tracker\" }",
                "delete records of orders/0 up to group order-tracker at 200ms",
            ),
            ("add-partitions = { topic = \"orders\", to = 12 }", "add partitions to orders, up to 12 at 200ms"),
            ("poison = { topic = \"orders\" }", "poison in orders/0 at 200ms"),
            ("poison = { topic = \"orders\", partition = 5, key = \"user-1\" }", "poison in orders/5 at 200ms"),
            ("poison = { topic = \"orders\", key = \"user-1\", value = \"\" }", "poison in orders at 200ms"),
            ("stop = \"service(tracker)\"", "stop service(tracker) at 200ms"),
            ("stop = \"instance(tracker, 1)\"", "stop instance(tracker, 1) at 200ms"),
        ] {
            assert_eq!(planned(deed).as_deref(), Ok(name));
        }
    }

    #[test]
    fn what_changes_nothing_or_nobody_is_refused() {
        for (deed, message) in [
            ("delete-records = { topic = \"order\", before = 5 }", "there is no topic `order`"),
            ("delete-records = { topic = \"orders\", partition = 6, before = 5 }", "topic `orders` has no partition 6"),
            ("delete-records = { topic = \"orders\", past = \"tracker\" }", "there is no group `tracker`"),
            ("delete-records = { topic = \"orders\" }", "up to where are records deleted?"),
            (
                "delete-records = { topic = \"orders\", before = 5, past = \"order-tracker\" }",
                "up to where are records",
            ),
            ("delete-records = { topic = \"orders\", before = 5, by = 5 }", "`by` says nothing here"),
            ("add-partitions = { topic = \"orders\", to = 6 }", "topic `orders` has 6 partitions"),
            (
                "add-partitions = { topic = \"orders\", to = 12 } }\nheal = { after = \"1s\"",
                "what somebody does to a cluster stays",
            ),
            ("poison = { topic = \"order\" }", "there is no topic `order`"),
            ("poison = { topic = \"orders\", partition = 6 }", "topic `orders` has no partition 6"),
            ("poison = { key = \"user-1\" }", "`fault.do.poison` has no `topic`"),
            ("stop = \"leader(orders/0)\"", "`stop` cannot hit leader(orders/0)"),
            ("stop = \"service(trackers)\"", "there is no service `trackers`"),
        ] {
            let refused = planned(deed).expect_err(deed);
            assert!(refused.contains(message), "{deed}: {refused}");
        }
    }
}
