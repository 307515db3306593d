//! Stores, caches, backlogs, failpoints and numbers of instances: what is taken, what it means, what is said about wrong ones;
//! loads on several topics.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::plan::Plan;
use crate::scenario::equipment::{CacheRule, FailpointRule, StoreRule};
use crate::scenario::model::Scenario;
use shakedown_reports::record::Share;

const TRACKER: &str = "[services.tracker]\n";

/// The good scenario with a tracker that is equipped so, and with one more fault.
fn with(equipment: &str, fault: &str) -> Result<Scenario, ScenarioError> {
    let fault = if fault.is_empty() { String::new() } else { format!("[[fault]]\n{fault}\n\n") };
    let text =
        GOOD.replace(TRACKER, &format!("{TRACKER}{equipment}\n")).replace("[expect]", &format!("{fault}[expect]"));
    read(&text)
}

fn taken(equipment: &str, fault: &str) -> Scenario {
    with(equipment, fault).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

#[test]
fn services_are_equipped_as_it_is_written() {
    let scenario = taken("", "");
    let tracker = &scenario.services[0].equipment;
    assert_eq!((&tracker.store, &tracker.cache), (&Some(StoreRule::Sqlite), &None), "it keeps a store");
    let equipment = "store = \"postgres\"\ncache = \"redis\"\nbacklog = { get = \"/backlog\" }\n\
                     failpoint = { at = \"before_work\" }";
    let scenario = taken(equipment, "at = \"600ms\"\ndo = { scale = \"service(tracker)\", to = 3 }");
    let tracker = &scenario.services[0];
    let failpoint = FailpointRule { at: "before_work".to_owned(), nth: 1 };
    assert_eq!(tracker.equipment.store, Some(StoreRule::Postgres));
    assert_eq!(tracker.equipment.cache, Some(CacheRule::Redis));
    assert_eq!(tracker.equipment.backlog.as_deref(), Some("/backlog"));
    assert_eq!(tracker.equipment.failpoint, Some(failpoint));
    assert_eq!((tracker.instances, tracker.instances_max()), (1, 3));
    assert_eq!(scenario.faults[1].to_string(), "scale service(tracker) to 3 at 600ms");
}

#[test]
fn what_a_scenario_says_of_all_services_is_for_those_that_say_nothing() {
    let text = GOOD.replace("seed = 1", "seed = 1\nstore = \"postgres\"\ncache = \"redis://cache\"");
    let text = text.replace(TRACKER, &format!("{TRACKER}store = \"sqlite\"\n"));
    let scenario = read(&text).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let [tracker, analytics] = scenario.services.as_slice() else { panic!("two services") };
    assert_eq!(tracker.equipment.store, Some(StoreRule::Sqlite));
    assert_eq!(analytics.equipment.store, Some(StoreRule::Postgres));
    assert_eq!(analytics.equipment.cache, Some(CacheRule::Url("redis://cache".to_owned())));
}

#[test]
fn faults_on_equipment_are_called_by_what_they_do() {
    let equipment = "store = \"postgres\"\ncache = \"redis\"\nfailpoint = { at = \"before_work\", nth = 7 }";
    for (fault, called) in [
        ("at = \"600ms\"\ndo = { kill = \"store(tracker)\" }", "kill store(tracker) at 600ms"),
        ("at = \"600ms\"\ndo = { pause = \"cache(tracker)\" }", "pause cache(tracker) at 600ms"),
        ("at = \"600ms\"\ndo = { restart = \"store(tracker)\" }", "restart store(tracker) at 600ms"),
        (
            "when = { failpoint = { service = \"tracker\" } }\ndo = { kill = \"service(tracker)\" }",
            "kill service(tracker) after tracker stands at its failpoint",
        ),
        (
            "at = \"600ms\"\ndo = { kill = \"instance(tracker, 2)\" }\n\n[[fault]]\nat = \"500ms\"\n\
             do = { scale = \"service(tracker)\", to = 2 }",
            "kill instance(tracker, 2) at 600ms",
        ),
    ] {
        assert_eq!(taken(equipment, fault).faults[1].to_string(), called);
    }
}

#[test]
fn wrong_equipment_is_explained() {
    let messages = [
        with("store = \"postgress\"", ""),
        with("store = 5", ""),
        with("store = \"mysql://localhost/tracker\"", ""),
        with("cache = \"memcached\"", ""),
        with("backlog = \"/backlog\"", ""),
        with("failpoint = { at = \"before_wrok\" }", ""),
        with("failpoint = { at = \"before_work\", nth = 0 }", ""),
        read(&GOOD.replace("seed = 1", "seed = 1\nstore = \"postgres://localhost/all\"")),
        read(&GOOD.replace("[services.analytics]", "[services.order]\nstore = \"postgres\"\n\n[services.analytics]")),
        read(&GOOD.replace(TRACKER, &format!("{TRACKER}command = [\"x\"]\n")).replace(
            "[expect]",
            "[[fault]]\nat = \"600ms\"\ndo = { scale = \"service(tracker)\", to = 2 }\n\n[expect]",
        )),
    ];
    let messages = messages.map(|read| read.expect_err("something is wrong").render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn books_of_instances_that_share_nothing_are_refused() {
    let books = "command = [\"x\"]\nready = { log = \"up\" }\ninstances = 2\nbooks = { trail = { get = \"/tracked\", \
                 entity = \"/order_id\", kind = \"/item\" } }\n";
    // The ledger has a position for each instance.
    let text = GOOD.replace(TRACKER, &format!("{TRACKER}{books}"));
    let message = read(&text).expect_err("whose book?").render(false);
    insta::assert_snapshot!(message);
    let shared = text.replace("instances = 2", "instances = 2\nstore = \"sqlite\"");
    assert!(read(&shared).is_ok(), "all of them tell of one store");
    let alone = text.replace("instances = 2", "instances = 1");
    assert!(read(&alone).is_ok(), "there is one to tell");
}

#[test]
fn faults_without_anything_to_hit_are_explained() {
    let messages = [
        ("", "at = \"600ms\"\ndo = { kill = \"store(tracker)\" }"),
        ("store = \"postgres://localhost/tracker\"", "at = \"600ms\"\ndo = { pause = \"store(tracker)\" }"),
        ("", "at = \"600ms\"\ndo = { kill = \"cache(tracker)\" }"),
        ("", "at = \"600ms\"\ndo = { kill = \"store(traker)\" }"),
        ("store = \"postgres\"", "at = \"600ms\"\ndo = { isolate = \"store(tracker)\" }"),
        ("store = \"postgres\"", "at = \"600ms\"\ndo = { stop = \"store(tracker)\" }"),
        (
            "store = \"postgres\"",
            "at = \"500ms\"\ndo = { kill = \"store(tracker)\" }\n\n[[fault]]\nat = \"600ms\"\n\
             do = { pause = \"store(tracker)\" }",
        ),
        ("", "when = { failpoint = { service = \"tracker\" } }\ndo = { kill = \"service(tracker)\" }"),
        ("", "at = \"600ms\"\ndo = { scale = \"service(tracker)\" }"),
        ("", "at = \"600ms\"\ndo = { scale = \"instance(tracker, 1)\", to = 2 }"),
        ("", "at = \"600ms\"\ndo = { scale = \"service(tracker)\", to = 0 }"),
        ("", "at = \"600ms\"\ndo = { kill = \"service(tracker)\", to = 2 }"),
    ];
    let messages = messages.map(|(equipment, fault)| with(equipment, fault).expect_err(fault).render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}

/// The good scenario with its load on these topics.
fn spread(target: &str) -> Result<Scenario, ScenarioError> {
    let topics = "[topics.orders]\npartitions = 2\n\n[topics.payments]";
    let flow = "[flows.paid]\nfrom = \"load\"\nto = \"topic payments\"\n\n[conserved.orders]";
    let text = GOOD.replace("[topics.orders]\npartitions = 2", topics).replace("[conserved.orders]", flow);
    read(&text.replace("target = \"topic orders\"", &format!("target = {target}")))
}

#[test]
fn a_load_on_several_topics_is_spread_over_them_and_flows_carry_their_shares() {
    let scenario = spread("[\"topic orders\", \"topic payments\"]");
    let plan = Plan::new(scenario.unwrap_or_else(|error| panic!("{}", error.render(false)))).expect("a plan");
    assert_eq!(plan.load.topics().collect::<Vec<_>>(), ["orders", "payments"]);
    let shares = [Some(Share { place: 0, of: 2 }), Some(Share { place: 1, of: 2 })];
    assert_eq!((plan.flows.len(), plan.shares), (2, shares.to_vec()));
    let messages = ["[\"topic orders\"]", "[\"topic orders\", \"topic orders\"]", "[\"topic orders\", \"payments\"]"]
        .map(|target| spread(target).expect_err(target).render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn lag_may_be_that_of_some_groups() {
    let lag = |groups: &str| {
        let expects = format!("lag = {{ at_most = 10, groups = {groups} }}");
        read(&GOOD.replace("lost = 0", &expects))
    };
    let scenario = lag("[\"order-tracker\"]").unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(Plan::new(scenario).expect("a plan").expectations.lag_groups, ["order-tracker"]);
    let messages = ["[\"order-traker\"]", "[]"].map(|groups| lag(groups).expect_err(groups).render(false));
    insta::assert_snapshot!(messages.join("\n\n"));
}
