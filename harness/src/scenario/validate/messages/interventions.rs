//! Faults that a client of the cluster does, drawn brokers, damage, and what else may be waited for: what they are called,
//! what is said about wrong ones; and that the table of all faults is true.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::scenario::model::Scenario;
use std::path::Path;

/// The table of all faults.
const TABLE: &str = include_str!("../../../../../docs/faults.md");

/// The good scenario with one more fault.
fn with(fault: &str) -> Result<Scenario, ScenarioError> {
    read(&GOOD.replace("[expect]", &format!("[[fault]]\n{fault}\n\n[expect]")))
}

fn doing(action: &str) -> Result<Scenario, ScenarioError> {
    with(&format!("at = \"200ms\"\ndo = {{ {action} }}"))
}

#[test]
fn interventions_are_called_by_what_they_do() {
    for (action, called) in [
        (
            "move-leader = { topic = \"orders\", partition = 1, to = 2 }",
            "move the leader of orders/1 to broker 2 at 200ms",
        ),
        ("move-leader = { topic = \"orders\", partition = 0 }", "move the leader of orders/0 at 200ms"),
        ("reassign = { topic = \"orders\", partition = 0, to = [3, 1] }", "reassign orders/0 to brokers 3, 1 at 200ms"),
        ("elect-unclean = { topic = \"orders\", partition = 0 }", "elect an unclean leader of orders/0 at 200ms"),
        ("move-coordinator = { group = \"order-tracker\" }", "move the coordinator of group order-tracker at 200ms"),
        ("expel = { group = \"order-tracker\", client = \"a*\" }", "expel a* from group order-tracker at 200ms"),
        (
            "clash = { group = \"order-tracker\", instance = \"a\" }",
            "a second member a in group order-tracker for 5s at 200ms",
        ),
        (
            "rebalance-storm = { group = \"order-tracker\", joins = 9 }",
            "rebalance storm in group order-tracker, 9 joins at 200ms",
        ),
        ("rolling-restart = \"majority(1)\"", "rolling restart of majority(1) at 200ms"),
        ("kill = \"all\"", "kill all at 200ms"),
        ("damage = { of = \"leader(orders/0)\", lost-log = true }", "lost-log leader(orders/0) at 200ms"),
    ] {
        let scenario = doing(action).unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(scenario.faults[1].to_string(), called);
    }
    for (when, called) in [
        (
            "consumed = { topic = \"orders\", group = \"order-tracker\", nth = 50 }",
            "kill one after 50 messages of orders committed by group order-tracker",
        ),
        (
            "state = { topic = \"orders\", partition = 0, in-sync = 1 }",
            "kill one after the ISR of orders/0 shrank to 1",
        ),
        ("state = { rebalancing = \"order-tracker\" }", "kill one after group order-tracker began to rebalance"),
        (
            "produced = { topic = \"orders\", key = \"user-7\", nth = 3 }",
            "kill one after message 3 of key user-7 in orders",
        ),
        (
            "consumed = { topic = \"orders\", group = \"order-tracker\", key = \"user-7\", nth = 3 }",
            "kill one after message 3 of key user-7 in orders, committed by group order-tracker",
        ),
    ] {
        let scenario = with(&format!("when = {{ {when} }}\ndo = {{ kill = \"one\" }}"));
        let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(scenario.faults[1].to_string(), called);
    }
}

#[test]
fn interventions_name_what_exists_and_damage_is_one_thing() {
    let actions = [
        "move-leader = { topic = \"ordres\", partition = 0 }",
        "move-leader = { topic = \"orders\", partition = 2 }",
        "move-leader = { topic = \"orders\", partition = 0, to = 4 }",
        "reassign = { topic = \"orders\", partition = 0, to = [1, 1] }",
        "reassign = { topic = \"orders\", partition = 0, to = [] }",
        "expel = { group = \"order-traker\" }",
        "rebalance-storm = { group = \"order-tracker\", joins = 0 }",
        "clash = { group = \"order-tracker\", instance = \"tracker-1\", for = \"0s\" }",
        "rolling-restart = \"leader(orders/0)\"",
        "damage = { of = \"controller\", torn-tail = 5 }",
        "damage = { of = \"service(tracker)\", torn-tail = 5 }",
        "damage = { of = \"leader(orders/0)\" }",
        "damage = { of = \"leader(orders/0)\", lost-segment = { from = 9, below = 9 } }",
        "rolling-restart = \"all\", kill = \"all\"",
    ];
    let messages = actions.map(|action| doing(action).expect_err(action).render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_leader_that_moves_does_not_move_back() {
    let fault =
        "at = \"600ms\"\ndo = { move-leader = { topic = \"orders\", partition = 0 } }\nheal = { after = \"1s\" }";
    insta::assert_snapshot!(with(fault).expect_err("nothing to heal").render(false));
    let storm = fault.replace(
        "move-leader = { topic = \"orders\", partition = 0 }",
        "rebalance-storm = { group = \"order-tracker\", joins = 5 }",
    );
    assert!(with(&storm).is_ok(), "a storm may end early");
}

#[test]
fn two_brokers_have_no_minority_and_one_replica_no_other_leader() {
    let small = |action: &str| {
        let fault = format!("[[fault]]\nat = \"200ms\"\ndo = {{ {action} }}\n\n[expect]");
        read(&GOOD.replace("seed = 1", "seed = 1\ncluster = { brokers = 2 }").replace("[expect]", &fault))
    };
    let actions = ["kill = \"minority\"", "move-leader = { topic = \"orders\", partition = 0 }"];
    let messages = actions.map(|action| small(action).expect_err(action).render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn what_the_cluster_never_comes_to_cannot_be_waited_for() {
    let waits = [
        "consumed = { topic = \"orders\", group = \"order-traker\", nth = 1 }",
        "consumed = { topic = \"orders\", group = \"order-tracker\", nth = 101 }",
        "state = { topic = \"orders\", partition = 0, in-sync = 3 }",
        "state = { topic = \"orders\", partition = 7, in-sync = 1 }",
        "state = { rebalancing = \"tracker\" }",
        "state = { partition = 0 }",
    ];
    let messages = waits.map(|when| {
        let fault = format!("when = {{ {when} }}\ndo = {{ kill = \"one\" }}");
        with(&fault).expect_err(when).render(false)
    });
    insta::assert_snapshot!(messages.join("\n\n"));
}

/// The parts between backticks that begin so.
fn quoted(begin: &str) -> Vec<&'static str> {
    let parts = TABLE.split('`').skip(1).step_by(2);
    parts.filter(|part| part.starts_with(begin)).collect()
}

/// The same with servers behind the tracker, and with a place where it stands still.
fn equipped(text: &str) -> String {
    let equipment = "store = \"postgres\"\ncache = \"redis\"\nfailpoint = { at = \"before_work\" }\n";
    text.replace("[services.tracker]\n", &format!("[services.tracker]\n{equipment}"))
}

#[test]
fn each_line_of_the_table_of_faults_is_a_valid_fault() {
    // A ring of fewer brokers has all links, and nobody notices a stand-in that is not called.
    let calls = "[services.tracker]\ncalls = [\"payment-provider\", \"warehouse\", \"mailbox\"]";
    let good = GOOD.replace("seed = 1", "seed = 1\ncluster = { brokers = 4 }").replace("[services.tracker]", calls);
    let good = equipped(&good);
    let actions = quoted("do = {");
    assert!(actions.len() >= 50, "{} actions", actions.len());
    for action in actions {
        let fault = format!("[[fault]]\nat = \"600ms\"\n{action}\n\n[expect]");
        read(&good.replace("[expect]", &fault)).unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
    let triggers = quoted("when = {");
    assert!(triggers.len() >= 5, "{} triggers", triggers.len());
    for trigger in triggers {
        let fault = format!("[[fault]]\n{trigger}\ndo = {{ kill = \"one\" }}\n\n[expect]");
        read(&good.replace("[expect]", &fault)).unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
}

#[test]
fn each_test_that_the_table_of_faults_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let rows = TABLE.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut count = 0;
    for row in rows {
        let named = row.trim_end_matches(['|', ' ', '`']).rsplit('`').next().unwrap_or_default();
        let parts: Vec<&str> = named.split("::").collect();
        let is_there = match parts[..] {
            ["clients", file, test] => {
                text(&format!("cluster/tests/clients/{file}.rs")).contains(&format!("fn {test}()"))
            }
            ["control", test] => text("cluster/tests/control.rs").contains(&format!("fn {test}()")),
            ["scenarios", "failures", case] => root.join(format!("scenarios/failures/{case}.toml")).is_file(),
            ["scenarios", file, test] => {
                text(&format!("harness/tests/scenarios/{file}.rs")).contains(&format!("\"{file}::{test}\""))
            }
            _ => false,
        };
        assert!(is_there, "`{named}` is no test: {row}");
        count += 1;
    }
    assert!(count >= 50, "{count} rows");
}
