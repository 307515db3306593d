//! What is refused on one back end and taken on another.

use super::messages::{GOOD, read_for};
use crate::backend::{Apache, Backend, Embedded, External};

/// The good scenario with one part replaced, on this back end.
fn refused(part: &str, replacement: &str, backend: &dyn Backend) -> String {
    assert!(GOOD.contains(part), "the good scenario has no {part:?}");
    let text = GOOD.replacen(part, replacement, 1);
    assert!(read_for(&text, &Embedded).is_ok(), "embedded takes it:\n{text}");
    match read_for(&text, backend) {
        Ok(_) => panic!("{} takes this:\n{text}", backend.name()),
        Err(error) => error.render(false),
    }
}

fn external() -> External {
    External::new("127.0.0.1:9092")
}

const COMMITTED: &str = "when = { consumed = { topic = \"orders\", group = \"order-tracker\", nth = 5 } }";

const KILL: &str = "do = { kill = \"service(tracker)\" }\nheal = { after = \"100ms\" }";

#[test]
fn apache_says_what_it_can() {
    let messages = [
        refused(KILL, "do = { isolate = \"leader(orders/0)\" }", &Apache),
        refused(KILL, "do = { disk-full = \"controller\" }", &Apache),
        refused(KILL, "do = { cut = { around = \"broker(1)\" } }", &Apache),
        refused(KILL, "do = { requests = { api = \"Produce\", nth = 3, drop = \"connection\" } }", &Apache),
        refused(KILL, "do = { damage = { of = \"leader(orders/0)\", torn-tail = 5 } }", &Apache),
        refused("at = \"200ms\"", "when = { request = { api = \"Produce\", nth = 5 } }", &Apache),
        refused("at = \"200ms\"", COMMITTED, &Apache),
        refused("at = \"200ms\"", "when = { state = { rebalancing = \"order-tracker\" } }", &Apache),
        refused("at = \"200ms\"", "when = { produced = { topic = \"orders\", key = \"user-1\", nth = 5 } }", &Apache),
        refused("seed = 1", "seed = 1\ncluster = { controllers = 3 }", &Apache),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn external_says_what_it_can() {
    let messages = [
        refused(KILL, "do = { kill = \"leader(orders/0)\" }", &external()),
        refused(KILL, "do = { rolling-restart = \"all\" }", &external()),
        refused(KILL, "do = { advance-clock = \"1d\" }", &external()),
        refused("at = \"200ms\"", COMMITTED, &external()),
        refused("seed = 1", "seed = 1\ncluster = { config = { \"num.partitions\" = 3 } }", &external()),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

fn is_taken(part: &str, replacement: &str, backend: &dyn Backend) -> bool {
    read_for(&GOOD.replacen(part, replacement, 1), backend).is_ok()
}

#[test]
fn faults_that_a_back_end_can_do_are_taken() {
    for action in ["kill", "pause", "restart"] {
        for role in [
            "leader(orders/0)",
            "followers(orders/1)",
            "controller",
            "group-coordinator(order-tracker)",
            "broker(2)",
            "minority",
        ] {
            assert!(is_taken(KILL, &format!("do = {{ {action} = \"{role}\" }}"), &Apache), "{action} {role}");
        }
    }
    assert!(is_taken(KILL, "do = { rolling-restart = \"majority\" }", &Apache), "brokers die and start again");
    for intervention in ["move-leader = { topic = \"orders\", partition = 0 }", "expel = { group = \"order-tracker\" }"]
    {
        for backend in [&Apache as &dyn Backend, &external()] {
            assert!(is_taken(KILL, &format!("do = {{ {intervention} }}"), backend), "any cluster has clients");
        }
    }
    let produced = "when = { produced = { topic = \"orders\", nth = 50 } }";
    assert!(is_taken("at = \"200ms\"", produced, &Apache) && is_taken("at = \"200ms\"", produced, &external()));
    assert!(is_taken(KILL, KILL, &external()), "services are the harness's own, whatever plays the cluster");
}

#[test]
fn broker_settings_are_judged_by_whoever_has_the_brokers() {
    let text = GOOD.replacen("seed = 1", "seed = 1\ncluster = { config = { \"no.such.setting\" = 3 } }", 1);
    assert!(read_for(&text, &Embedded).is_err(), "embedded knows its settings");
    assert!(read_for(&text, &Apache).is_ok(), "these are Kafka's to judge");
    assert!(read_for(&text, &external()).is_err(), "those brokers run already");
}
