//! What is said of a load that a service offers.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::scenario::model::Scenario;

/// The good scenario with a service for its load.
fn offered_by_a_service(replace: &str, by: &str) -> Result<Scenario, ScenarioError> {
    let text = GOOD.replace("target = \"topic orders\"\n", "target = \"service order\"\n");
    let text = text.replace("from = \"load\"", "from = \"topic orders\"").replace("count load", "count topic orders");
    let text = text.replace("to = \"topic orders\"", "to = \"ledger tracker\"");
    let text = text.replace("latency.\"end-to-end\" = { p99 = \"250ms\" }\n", "");
    let text = text.replace("[flows.end-to-end]", "[services.order]\nproduces = [\"orders\"]\n\n[flows.end-to-end]");
    assert!(text.contains(replace), "the scenario has no {replace:?}");
    read(&text.replace(replace, by))
}

#[test]
fn expects_a_gap_that_nobody_records() {
    let unavailable = "lost = 0\nunavailable = { at_most = \"1.5s\" }";
    let error = offered_by_a_service("lost = 0", unavailable).expect_err("no acknowledgement is recorded");
    insta::assert_snapshot!(error.render(false));
}

#[test]
fn load_of_a_service_takes_nothing_meant_for_the_load_generator() {
    let keys = "keys = { users = 10, zipf = 0.9 }\nclient = { \"linger.ms\" = 5 }\n\n[[fault]]";
    insta::assert_snapshot!(offered_by_a_service("[[fault]]", keys).expect_err("never used").render(false));
    offered_by_a_service("[[fault]]", "keys = { users = 10 }\n\n[[fault]]").expect("users are for both");
}

#[test]
fn fault_that_ends_the_service_that_offers_the_load() {
    let error = offered_by_a_service("kill = \"service(tracker)\"", "kill = \"service(order)\"");
    insta::assert_snapshot!(error.expect_err("it would begin again").render(false));
    offered_by_a_service("kill = \"service(tracker)\"", "pause = \"service(order)\"").expect("a pause is fine");
}

#[test]
fn load_that_is_not_recorded_cannot_be_a_source() {
    let text = GOOD.replace("target = \"topic orders\"", "target = \"service tracker\"");
    insta::assert_snapshot!(read(&text).expect_err("no operations are recorded").render(false));
}
