//! One snapshot for every message that a wrong scenario can get: they are read by people, and reviewed like code.

mod arrivals;
mod equipment;
mod http_load;
mod interventions;
mod load_messages;
mod service_load;

use super::fault_messages::disturbed;
use super::{Capabilities, scenario};
use crate::backend::{Backend, Embedded};
use crate::language::problem::ScenarioError;
use crate::plan::Plan;
use crate::scenario::files::{SystemFile, assemble};
use crate::scenario::model::{Bounds, Scenario};
use shakedown_reports::expectation::{LagBudget, StandstillLimit};
use shakedown_reports::record::StreamInfo;
use shakedown_reports::watch::Watch;
use std::path::Path;

pub(super) const GOOD: &str = r#"name = "orders arrive"
seed = 1

[topics.orders]
partitions = 2

[services.tracker]
group = "order-tracker"
consumes = ["orders"]
ledger = { get = "/tracked", identity = "/order_id", key = "/user" }

[services.analytics]
figures = { get = "/analytics" }

[flows.end-to-end]
from = "load"
to = "topic orders"

[conserved.orders]
equal = ["count load", "figure analytics.orders"]

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }

[[fault]]
at = "200ms"
do = { kill = "service(tracker)" }
heal = { after = "100ms" }

[expect]
lost = 0
conserved = ["orders"]
latency."end-to-end" = { p99 = "250ms" }
"#;

pub(super) fn read(text: &str) -> Result<Scenario, ScenarioError> {
    read_for(text, &Embedded)
}

pub(super) fn read_for(text: &str, backend: &dyn Backend) -> Result<Scenario, ScenarioError> {
    let files = assemble(Path::new("scenarios/broken.toml"), text.to_owned(), &|name| {
        Ok(match name {
            "shop" => SystemFile::Found {
                path: "scenarios/systems/shop.toml".to_owned(),
                text: "[topics.payments]\npartitions = \"six\"\n".to_owned(),
            },
            _ => SystemFile::Missing { known: vec!["billing".to_owned(), "shop".to_owned(), "tracker".to_owned()] },
        })
    })?;
    scenario(&files, Capabilities::of(backend, &["analytics", "order", "tracker"]))
}

/// The message for the good scenario with one part replaced.
fn message(part: &str, replacement: &str) -> String {
    assert!(GOOD.contains(part), "the good scenario has no {part:?}");
    let text = GOOD.replacen(part, replacement, 1);
    match read(&text) {
        Ok(_) => panic!("this was taken:\n{text}"),
        Err(error) => error.render(false),
    }
}

#[test]
fn the_good_scenario_is_good() {
    let scenario = read(GOOD).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(scenario.name, "orders arrive");
    assert_eq!((scenario.topics.len(), scenario.services.len(), scenario.faults.len()), (1, 2, 1));
}

macro_rules! messages {
    ($($name:ident: $part:literal => $replacement:literal,)+) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(message($part, $replacement));
        })+
    };
}

messages! {
    syntax_error: "seed = 1" => "seed = ",
    unknown_key_at_the_top: "seed = 1" => "sead = 1",
    unknown_key_in_a_table: "partitions = 2" => "partition = 2",
    unknown_key_in_an_inline_table: "rate = \"100/s\"" => "rates = \"100/s\"",
    unknown_key_in_a_fault: "at = \"200ms\"" => "at = \"200ms\"\noften = 3",
    unknown_fault: "do = { kill = \"service(tracker)\" }" => "do = { flip = \"service(tracker)\" }",
    missing_key: "arrivals = { shape = \"constant\", rate = \"100/s\", for = \"1s\" }" => "arrivals = { shape = \"constant\", rate = \"100/s\" }",
    no_name: "name = \"orders arrive\"" => "",
    empty_name: "name = \"orders arrive\"" => "name = \" - \"",
    no_load: "[load]\ntarget = \"topic orders\"\narrivals = { shape = \"constant\", rate = \"100/s\", for = \"1s\" }" => "",
    no_expect: "[expect]\nlost = 0\nconserved = [\"orders\"]\nlatency.\"end-to-end\" = { p99 = \"250ms\" }" => "",
    empty_expect: "lost = 0\nconserved = [\"orders\"]\nlatency.\"end-to-end\" = { p99 = \"250ms\" }" => "",
    table_where_a_number_belongs: "partitions = 2" => "partitions = { count = 2 }",
    string_where_a_number_belongs: "seed = 1" => "seed = \"one\"",
    string_where_a_table_belongs: "[conserved.orders]\nequal = [\"count load\", \"figure analytics.orders\"]" => "[conserved]\norders = \"equal\"",
    number_where_a_string_belongs: "name = \"orders arrive\"" => "name = 5",
    number_where_a_list_belongs: "consumes = [\"orders\"]" => "consumes = 1",
    number_out_of_range: "partitions = 2" => "partitions = 0",
    negative_seed: "seed = 1" => "seed = -1",
    too_many_brokers: "seed = 1" => "seed = 1\ncluster = { brokers = 99 }",
    unknown_topic_setting: "partitions = 2" => "partitions = 2\nconfig = { \"retention.mss\" = 1 }",
    topic_setting_with_a_wrong_value: "partitions = 2" => "partitions = 2\nconfig = { \"retention.ms\" = \"soon\" }",
    unknown_broker_setting: "seed = 1" => "seed = 1\ncluster = { config = { \"num.partition\" = 1 } }",
    size_with_an_unknown_unit: "seed = 1" => "seed = 1\ncluster = { memory = \"64MB\" }",
    size_with_a_bad_number: "seed = 1" => "seed = 1\ncluster = { memory = \"lots\" }",
    unknown_backend: "seed = 1" => "seed = 1\ncluster = { backend = \"embeded\" }",
    unknown_shape: "shape = \"constant\"" => "shape = \"possion\"",
    unknown_order: "lost = 0" => "lost = 0\norder = \"per-kee\"",
    order_of_a_wrong_type: "lost = 0" => "lost = 0\norder = { at_most = 3 }",
    negative_loss: "lost = 0" => "lost = -1",
    unknown_stand_in: "figures = { get = \"/analytics\" }" => "calls = [\"mailbocks\"]\nfigures = { get = \"/analytics\" }",
    duration_without_quotes: "for = \"1s\"" => "for = 1",
    duration_without_unit: "for = \"1s\"" => "for = \"1\"",
    duration_with_an_unknown_unit: "for = \"1s\"" => "for = \"1sec\"",
    duration_with_a_bad_number: "for = \"1s\"" => "for = \"1.2.3s\"",
    duration_without_a_number: "for = \"1s\"" => "for = \"soon\"",
    duration_below_zero: "for = \"1s\"" => "for = \"-3s\"",
    rate_without_unit: "rate = \"100/s\"" => "rate = \"100\"",
    rate_with_an_unknown_unit: "rate = \"100/s\"" => "rate = \"100/sec\"",
    rate_with_a_bad_number: "rate = \"100/s\"" => "rate = \"a hundred/s\"",
    arrivals_of_nothing: "for = \"1s\"" => "for = \"0s\"",
    arrivals_of_too_many: "rate = \"100/s\", for = \"1s\"" => "rate = \"1000000000/s\", for = \"10s\"",
    too_many_users: "[[fault]]" => "keys = { users = 16777217 }\n\n[[fault]]",
    client_that_chooses_the_cluster: "[[fault]]" => "client = { \"bootstrap.servers\" = \"localhost:9092\" }\n\n[[fault]]",
    transactions_where_there_are_none: "[[fault]]" => "transactions = { every = \"50ms\" }\n\n[[fault]]",
    transactions_that_outlast_their_coordinator: "[[fault]]" => "transactions = { every = \"2m\" }\n\n[[fault]]",
    transactions_by_another_driver: "[[fault]]" => "transactions = {}\ndriver = \"direct\"\n\n[[fault]]",
    client_that_begins_transactions: "[[fault]]" => "client = { \"transactional.id\" = \"load\" }\n\n[[fault]]",
    skew_out_of_range: "[[fault]]" => "keys = { users = 10, zipf = 9.5 }\n\n[[fault]]",
    unknown_system: "seed = 1" => "seed = 1\nsystem = \"traker\"",
    wrong_type_in_the_system: "seed = 1" => "seed = 1\nsystem = \"shop\"",
    topic_with_a_bad_name: "[topics.orders]" => "[topics.\"my orders\"]\n\n[topics.orders]",
    consumes_an_unknown_topic: "consumes = [\"orders\"]" => "consumes = [\"order\"]",
    consumes_without_a_group: "group = \"order-tracker\"\n" => "",
    service_with_a_bad_name: "[services.analytics]" => "[services.Analytics]\ncommand = [\"x\"]\nready = { log = \"up\" }\n\n[services.analytics]",
    service_that_is_not_built_in: "[services.analytics]" => "[services.trackr]\nenv = { A = 1 }\n\n[services.analytics]",
    service_with_an_empty_command: "[services.analytics]" => "[services.mine]\ncommand = []\nready = { log = \"up\" }\n\n[services.analytics]",
    service_that_is_never_ready: "[services.analytics]" => "[services.mine]\ncommand = [\"./mine\"]\n\n[services.analytics]",
    service_with_two_rules_of_readiness: "figures = { get = \"/analytics\" }" => "figures = { get = \"/analytics\" }\nready = { http = \"/ready\", log = \"up\" }",
    service_that_waits_for_no_group: "figures = { get = \"/analytics\" }" => "figures = { get = \"/analytics\" }\nready = { group = true }",
    path_without_a_slash: "figures = { get = \"/analytics\" }" => "figures = { get = \"analytics\" }",
    pointer_without_a_slash: "identity = \"/order_id\"" => "identity = \"order_id\"",
    environment_with_a_list: "figures = { get = \"/analytics\" }" => "figures = { get = \"/analytics\" }\nenv = { A = [1] }",
    load_on_an_unknown_topic: "target = \"topic orders\"" => "target = \"topic order\"",
    load_on_an_unknown_service: "target = \"topic orders\"" => "target = \"service tracer\"",
    load_on_something_else: "target = \"topic orders\"" => "target = \"GET tracker /orders\"",
    flow_from_an_unknown_topic: "from = \"load\"" => "from = \"topic ordres\"",
    flow_from_a_ledger: "from = \"load\"" => "from = \"ledger tracker\"",
    flow_to_an_unknown_ledger: "to = \"topic orders\"" => "to = \"ledger trakcer\"",
    flow_to_the_load: "to = \"topic orders\"" => "to = \"load\"",
    flow_in_a_circle: "from = \"load\"" => "from = \"topic orders\"",
    flow_to_a_nameless_stream: "to = \"topic orders\"" => "to = \"orders\"",
    rule_with_one_term: "equal = [\"count load\", \"figure analytics.orders\"]" => "equal = [\"count load\"]",
    rule_with_a_nonsense_term: "\"count load\"" => "\"number of orders\"",
    rule_over_an_unknown_topic: "\"count load\"" => "\"count topic ordrs\"",
    rule_over_an_unknown_service: "\"figure analytics.orders\"" => "\"figure analitics.orders\"",
    rule_over_a_service_without_figures: "\"figure analytics.orders\"" => "\"figure tracker.orders\"",
    rule_over_messages_without_an_amount: "\"count load\"" => "\"sum ledger tracker\"",
    expects_an_unknown_rule: "conserved = [\"orders\"]" => "conserved = [\"order\"]",
    expects_no_rule: "conserved = [\"orders\"]" => "conserved = []",
    expects_of_flows_without_a_flow: "[flows.end-to-end]\nfrom = \"load\"\nto = \"topic orders\"" => "",
    expects_latency_at_no_number_of_partitions: "{ p99 = \"250ms\" }" => "{ p99 = \"250ms\", partitions = \"one\" }",
    expects_latency_at_partitions_alone: "{ p99 = \"250ms\" }" => "{ partitions = 1 }",
    expects_latency_of_an_unknown_flow: "latency.\"end-to-end\"" => "latency.\"end2end\"",
    expects_an_unknown_percentile: "p99 = \"250ms\"" => "p999 = \"250ms\"",
    expects_an_empty_budget: "{ p99 = \"250ms\" }" => "{}",
    expects_a_gap_without_a_limit: "lost = 0" => "unavailable = {}",
    expects_a_gap_with_an_unknown_key: "lost = 0" => "unavailable = { at_least = \"1.5s\" }",
    expects_a_gap_without_its_table: "lost = 0" => "unavailable = \"1.5s\"",
    expects_a_gap_with_a_unit_of_something_else: "lost = 0" => "unavailable = { at_most = \"1.5kg\" }",
    expects_a_gap_of_nothing: "lost = 0" => "unavailable = { at_most = \"0s\" }",
    expects_a_misspelt_check: "lost = 0" => "unavailible = { at_most = \"1.5s\" }",
    expects_order_in_two_ways: "lost = 0" => "order = \"per-key\"\nreordered = 1",
    expects_skips_that_nothing_shows: "lost = 0" => "skipped = 0",
    expects_a_count_in_words: "lost = 0" => "offset-regressed = \"none\"",
    expects_a_negative_count: "lost = 0" => "offset-regressed = -1",
    expects_any_count: "lost = 0" => "offset-regressed = {}",
    expects_no_fewer_than_none: "lost = 0" => "offset-regressed = { at_least = 0 }",
    expects_a_count_that_cannot_be: "lost = 0" => "offset-regressed = { at_least = 3, at_most = 2 }",
    expects_a_count_with_an_unknown_key: "lost = 0" => "offset-regressed = { least = 1 }",
    expects_a_misspelt_check_of_groups: "lost = 0" => "commited-too-far = 0",
    expects_a_standstill_of_nothing: "lost = 0" => "stalled = { at_most = \"0s\" }",
    expects_a_standstill_without_a_limit: "lost = 0" => "stalled = {}",
    expects_a_standstill_of_half_a_partition: "lost = 0" => "stalled = { at_most = \"2s\", partitions = 0.5 }",
    expects_lag_without_a_limit: "lost = 0" => "lag = {}",
    expects_lag_with_an_unknown_key: "lost = 0" => "lag = { atmost = 1000 }",
    expects_a_drain_in_no_time: "lost = 0" => "lag = { drained_in = \"0s\" }",
    expects_a_drain_without_a_unit: "lost = 0" => "lag = { drained_in = 5 }",
    fault_on_an_unknown_service: "service(tracker)" => "service(traker)",
    fault_on_an_unknown_instance: "service(tracker)" => "instance(tracker, 2)",
    fault_on_an_unknown_role: "service(tracker)" => "servise(tracker)",
    stop_of_an_unknown_role: "{ kill = \"service(tracker)\" }" => "{ stop = \"leeder(orders/0)\" }",
    role_that_is_no_text: "{ kill = \"service(tracker)\" }" => "{ isolate = 3 }",
    fault_that_the_back_end_cannot_do: "service(tracker)" => "store(tracker)",
    fault_that_a_service_cannot_have: "{ kill = \"service(tracker)\" }" => "{ isolate = \"service(tracker)\" }",
    fault_on_a_role_without_its_partition: "service(tracker)" => "leader(orders)",
    fault_on_an_unknown_topic: "service(tracker)" => "leader(ordres/0)",
    fault_on_an_unknown_partition: "service(tracker)" => "follower(orders/2)",
    fault_on_an_unknown_broker: "service(tracker)" => "broker(4)",
    fault_on_an_unknown_group: "service(tracker)" => "group-coordinator(order-traker)",
    fault_that_never_strikes: "at = \"200ms\"\n" => "",
    fault_that_waits_for_nothing: "at = \"200ms\"" => "when = { after = \"1ms\" }",
    fault_that_waits_for_two_things: "at = \"200ms\"" => "when = { produced = { topic = \"orders\", nth = 3 }, then = \"x\" }",
    fault_that_waits_for_an_unknown_topic: "at = \"200ms\"" => "when = { produced = { topic = \"order\", nth = 3 } }",
    fault_that_waits_for_more_than_is_offered: "at = \"200ms\"" => "when = { produced = { topic = \"orders\", nth = 101 } }",
    fault_that_waits_for_an_unknown_fault: "at = \"200ms\"" => "name = \"crash\"\nwhen = { then = \"crash\" }",
    fault_that_heals_with_an_unknown_fault: "heal = { after = \"100ms\" }" => "heal = { then = \"crash\" }",
    fault_that_never_heals: "heal = { after = \"100ms\" }" => "heal = {}",
    faults_of_one_name: "[expect]" => "[[fault]]\nname = \"crash\"\nat = \"1ms\"\ndo = { pause = \"controller\" }\n\n[[fault]]\nname = \"crash\"\nat = \"2ms\"\ndo = { pause = \"controller\" }\n\n[expect]",
    more_replicas_than_brokers: "partitions = 2" => "partitions = 2\nreplication_factor = 4",
    replicas_on_one_broker: "[topics.orders]\npartitions = 2" => "[cluster]\nbrokers = 1\n\n[topics.orders]\npartitions = 2\nreplication_factor = 3",
    too_many_controllers: "seed = 1" => "seed = 1\ncluster = { controllers = 9 }",
    fault_that_does_nothing: "{ kill = \"service(tracker)\" }" => "{}",
    fault_that_does_two_things: "{ kill = \"service(tracker)\" }" => "{ kill = \"service(tracker)\", pause = \"service(tracker)\" }",
    fault_after_the_load: "at = \"200ms\"" => "at = \"2s\"",
    faults_that_overlap: "[expect]" => "[[fault]]\nat = \"300ms\"\ndo = { pause = \"instance(tracker, 1)\" }\n\n[expect]",
    faults_that_overlap_until_the_end: "heal = { after = \"100ms\" }" => "[[fault]]\nat = \"900ms\"\ndo = { restart = \"service(tracker)\" }",
    restart_that_heals_twice: "do = { kill =" => "do = { restart =",
}

#[test]
fn expectations_on_groups_are_read_and_watched_for() {
    let sees = "[flows.tracked]\nfrom = \"load\"\nto = \"ledger tracker\"\n\n[load]";
    let expects = "skipped = { at_least = 1 }\ncommitted-too-far = 3\noffset-regressed = { at_most = 9 }\n\
                   inconsistent-offset = 0\nstalled = { at_most = \"2s\", partitions = 1 }\nlag = { at_most = 1000, drained_in = \"5s\" }\n";
    let scenario = read(&GOOD.replace("[load]", sees).replace("lost = 0\n", expects));
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
    let plan = Plan::new(scenario).expect("it can be planned");
    let bounds = |at_least, at_most| Some(Bounds { at_least, at_most });
    let expected = &plan.expectations;
    assert_eq!((expected.skipped, expected.committed_too_far), (bounds(1, u64::MAX), bounds(3, 3)));
    assert_eq!((expected.offset_regressed, expected.inconsistent_offset), (bounds(0, 9), bounds(0, 0)));
    let stalled = StandstillLimit { at_most: 2_000_000_000, partitions: Bounds::exactly(1) };
    assert_eq!(expected.stalled, Some(stalled));
    assert_eq!(expected.lag, Some(LagBudget { at_most: Some(1_000), drained_in: Some(5_000_000_000) }));
    let labels: Vec<String> = plan.streams.iter().map(StreamInfo::label).collect();
    assert_eq!(labels, ["load", "topic orders", "ledger tracker", "topic orders, read again"]);
    let [watch] = plan.watches.as_slice() else { panic!("one watch, not {:?}", plan.watches) };
    assert_eq!((watch.label().as_str(), watch.source), ("group order-tracker on orders", Some(1)));
    assert_eq!(watch.sinks, [2]);
    let again: Vec<_> = plan.read_again().map(|(stream, topic)| (stream, topic.name.as_str())).collect();
    assert_eq!(again, [(3, "orders")]);
}

#[test]
fn expects_commits_of_nobody() {
    let text = GOOD.replace("consumes = [\"orders\"]\n", "").replace("lost = 0", "lag = { at_most = 5 }");
    insta::assert_snapshot!(read(&text).expect_err("nobody consumes").render(false));
}

#[test]
fn nothing_is_watched_that_nobody_asks_for() {
    let plan = |text: &str| {
        let scenario = read(text).unwrap_or_else(|error| panic!("{}", error.render(false)));
        Plan::new(scenario).expect("it can be planned")
    };
    assert_eq!((plan(GOOD).watches.len(), plan(GOOD).read_again().count()), (0, 0));
    let more = "[topics.copies]\n\n[topics.orders]";
    let stalled = GOOD.replace("lost = 0", "stalled = { at_most = \"2s\" }").replace("[topics.orders]", more);
    let watches: Vec<String> = plan(&stalled).watches.iter().map(Watch::label).collect();
    assert_eq!(watches, ["group order-tracker on orders", "topic copies"], "every log has a last stable offset");
    let lag = GOOD.replace("lost = 0", "lag = { at_most = 5 }").replace("[topics.orders]", more);
    assert_eq!(plan(&lag).watches.len(), 1);
}

#[test]
fn expects_latency_without_a_time() {
    let more =
        "\n[topics.copies]\nmessage = { identity = \"/id\" }\n\n[topics.more]\nmessage = { identity = \"/id\" }\n";
    let flow = "\n[flows.copy]\nfrom = \"topic copies\"\nto = \"topic more\"\n";
    let text = format!("{GOOD}latency.copy = {{ p50 = \"1ms\" }}\n{more}{flow}");
    insta::assert_snapshot!(read(&text).expect_err("no time to measure from").render(false));
}

/// The good scenario with a fault on these requests.
fn on_requests(requests: &str) -> Result<Scenario, ScenarioError> {
    read(&GOOD.replace("[expect]", &format!("[[fault]]\ndo = {{ requests = {{ {requests} }} }}\n\n[expect]")))
}

#[test]
fn faults_on_requests_name_what_exists_and_do_one_thing() {
    let messages: Vec<String> = [
        "api = \"Produse\", error = \"NOT_ENOUGH_REPLICAS\"",
        "api = \"Produce\", error = \"NOT_ENOUGH_REPLICA\"",
        "api = \"Produce\", topic = \"order\", drop = \"connection\"",
        "api = \"Produce\", topic = \"orders\", partition = 2, drop = \"connection\"",
        "api = \"Produce\", partition = 0, drop = \"reply\"",
        "group = \"order-traker\", drop = \"replies\"",
        "broker = 4, duplicate = true",
        "api = \"Produce\"",
        "hold = \"request\", throttle = \"1s\"",
        "hold = \"reply\", applied = true",
        "duplicate = true, for = \"1s\"",
    ]
    .into_iter()
    .map(|requests| on_requests(requests).expect_err(requests).render(false))
    .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn links_connections_and_clocks_are_named_in_one_way() {
    let with = |action: &str| read(&disturbed(action, if action.contains("ring") { 4 } else { 3 }));
    for (action, called) in [
        ("cut = { from = \"controller\", to = \"broker(2)\" }", "cut controller -> broker(2) at 200ms"),
        ("cut = { between = [\"broker(1)\", \"broker(2)\"] }", "cut broker(1) - broker(2) at 200ms"),
        ("cut = { groups = [[\"broker(1)\"], [\"broker(2)\"]] }", "cut broker(1) | broker(2) at 200ms"),
        ("cut = { bridge = \"broker(1)\" }", "cut all but those of the bridge broker(1) at 200ms"),
        ("delay = { ring = true, by = \"5ms\" }", "delay 5ms all but the ring at 200ms"),
        (
            "delay = { around = \"controller\", by = \"5ms\", jitter = \"2ms\" }",
            "delay 5ms to 7ms around controller at 200ms",
        ),
        (
            "clients = { of = \"leader(orders/0)\", client = \"tracker\", half-open = true }",
            "clients called tracker of leader(orders/0): half-open at 200ms",
        ),
        ("clients = { bandwidth = \"64KiB\" }", "clients: 65536 bytes a second at 200ms"),
        ("clients = { reset-after = 5, times = 1 }", "clients: reset after 5 bytes of an answer, 1 times at 200ms"),
        ("clock = { of = \"broker(3)\", behind = \"1h\" }", "clock of broker(3) 3600s behind at 200ms"),
        ("clock = { of = \"controller\", rate = 1.5 }", "clock of controller at 1.5 times its rate at 200ms"),
        ("disk-full = \"leader(orders/0)\"", "disk-full leader(orders/0) at 200ms"),
        ("slow-sync = { of = \"broker(1)\", by = \"50ms\" }", "slow-sync broker(1) at 200ms"),
        ("advance-clock = \"7d\"", "advance the clock by 604800s at 200ms"),
    ] {
        let scenario = with(action).unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(scenario.faults[1].to_string(), called);
    }
    let messages: Vec<String> = [
        "cut = { from = \"controller\" }",
        "cut = { around = \"controller\", ring = true }",
        "cut = { ring = true, by = \"5ms\" }",
        "cut = { around = \"service(tracker)\" }",
        "cut = { around = \"broker(4)\" }",
        "delay = { ring = true }",
        "clients = { client = \"tracker\" }",
        "clients = { cut = true, jitter = \"5ms\" }",
        "clock = { of = \"broker(1)\", ahead = \"1h\", rate = 2 }",
    ]
    .into_iter()
    .map(|action| with(action).expect_err(action).render(false))
    .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_fault_may_wait_for_a_request() {
    let with = |request: &str| {
        let fault =
            format!("[[fault]]\nwhen = {{ request = {{ {request} }} }}\ndo = {{ kill = \"leader(orders/0)\" }}\n");
        read(&GOOD.replace("[expect]", &format!("{fault}\n[expect]")))
    };
    let good = with("api = \"OffsetCommit\", group = \"order-tracker\", nth = 5");
    let good = good.unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(good.faults[1].to_string(), "kill leader(orders/0) before OffsetCommit of group order-tracker, no. 5");
    let messages: Vec<String> = ["api = \"Produce\"", "group = \"tracker\", nth = 1", "partition = 1, nth = 1"]
        .into_iter()
        .map(|request| with(request).expect_err(request).render(false))
        .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_fault_on_requests_needs_no_time_and_hits_one_where_it_has_a_number() {
    let of = |requests: &str| {
        let scenario = on_requests(requests).unwrap_or_else(|error| panic!("{}", error.render(false)));
        scenario.faults.last().expect("the fault").to_string()
    };
    assert_eq!(
        of("api = \"Produce\", topic = \"orders\", nth = 3, drop = \"connection\""),
        "hang up after Produce of orders, no. 3"
    );
    assert_eq!(
        of("group = \"order-tracker\", nth = 2, times = 4, error = \"NOT_COORDINATOR\""),
        "NOT_COORDINATOR instead of every request of group order-tracker, no. 2 to 5"
    );
    assert_eq!(of("api = \"Fetch\", throttle = \"300ms\""), "throttle by 300ms Fetch");
    assert_eq!(of("api = \"Produce\", work = \"2ms\""), "work of 2ms for Produce");
    let error = on_requests("api = \"Produce\", work = \"2s\"").expect_err("too much").render(false);
    assert!(error.contains("allowed: above zero, and 1s at most"), "{error}");
}

#[test]
fn fault_on_followers_of_one_replica() {
    let text = GOOD.replace("[topics.orders]", "[cluster]\nbrokers = 2\n\n[topics.orders]");
    let text = text.replace("service(tracker)", "followers(orders/0)");
    insta::assert_snapshot!(read(&text).expect_err("nobody follows").render(false));
    let replicated = "[topics.orders]\nreplication_factor = 2";
    read(&text.replace("[topics.orders]", replicated)).expect("somebody follows");
}

#[test]
fn faults_on_brokers_wait_for_each_other() {
    let pause = "[[fault]]\nname = \"pause\"\nwhen = { produced = { topic = \"orders\", nth = 60 } }\ndo = { pause = \"followers(orders/1)\" }\nheal = { then = \"kill\" }\n";
    let kill = "[[fault]]\nname = \"kill\"\nat = \"5s\"\nwhen = { then = \"pause\", after = \"100ms\" }\ndo = { power-loss = \"leader(orders/1)\" }\n";
    let cut = "[[fault]]\nat = \"300ms\"\ndo = { isolate = \"group-coordinator(order-tracker)\" }\nheal = { after = \"1ms\" }\n";
    let scenario = read(&GOOD.replace("[expect]", &format!("{pause}\n{kill}\n{cut}\n[expect]")));
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
    let faults: Vec<String> = scenario.faults.iter().map(ToString::to_string).collect();
    let expected = [
        "kill service(tracker) at 200ms",
        "pause followers(orders/1) after 60 messages in orders",
        "power-loss leader(orders/1) 100ms after \"pause\"",
        "isolate group-coordinator(order-tracker) at 300ms",
    ];
    assert_eq!(faults, expected);
    assert_eq!(scenario.faults[1].heal.and_then(|heal| heal.then), Some(2));
}

#[test]
fn load_from_several_instances() {
    let text = "target = \"service order\"\n";
    let text = GOOD.replace("target = \"topic orders\"\n", text).replace("from = \"load\"", "from = \"topic orders\"");
    let text =
        text.replace("to = \"topic orders\"", "to = \"ledger tracker\"").replace("count load", "count topic orders");
    let text = text.replace("[flows.end-to-end]", "[services.order]\ninstances = 2\n\n[flows.end-to-end]");
    insta::assert_snapshot!(read(&text).expect_err("two sources").render(false));
}

#[test]
fn a_gap_alone_is_expectation_enough() {
    let everything = "lost = 0\nconserved = [\"orders\"]\nlatency.\"end-to-end\" = { p99 = \"250ms\" }";
    let scenario = read(&GOOD.replace(everything, "unavailable = { at_most = \"1.5s\" }"));
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(scenario.expect.unavailable, Some(std::time::Duration::from_millis(1_500)));
}

#[test]
fn arrivals_of_a_single_message_are_enough() {
    let text = GOOD.replace("rate = \"100/s\", for = \"1s\"", "rate = \"1/s\", for = \"500ms\"");
    let scenario = read(&text).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(Plan::new(scenario).expect("a plan").total, 1);
}

#[test]
fn faults_one_after_another_do_not_overlap() {
    let second = "[[fault]]\nat = \"301ms\"\ndo = { pause = \"service(tracker)\" }\nheal = { after = \"1ms\" }\n";
    let third = "[[fault]]\nat = \"250ms\"\ndo = { pause = \"service(analytics)\" }\n\n[expect]";
    let scenario = read(&GOOD.replace("[expect]", &format!("{second}\n{third}")));
    assert_eq!(scenario.unwrap_or_else(|error| panic!("{}", error.render(false))).faults.len(), 3);
}

#[test]
fn several_problems_are_shown_at_once() {
    let text = GOOD.replace("lost = 0", "losst = 0").replace("partitions = 2", "partitions = -2");
    let text = text.replace("for = \"1s\"", "for = \"1 second\"");
    insta::assert_snapshot!(read(&text).expect_err("three problems").render(false));
}

#[test]
fn an_unreadable_file_is_named() {
    let error = crate::scenario::files::read(Path::new("no/such/scenario.toml")).expect_err("it is not there");
    assert!(error.render(false).starts_with("error: cannot read the scenario no/such/scenario.toml: "));
}
