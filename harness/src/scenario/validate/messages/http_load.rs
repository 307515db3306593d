//! A load over HTTP: what it may say, what its defaults are, and what is said about wrong ones.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::plan::{Plan, load_plan};
use crate::scenario::http_load::{BodyForm, HttpLoad};
use crate::scenario::model::{Scenario, Target};
use shakedown_reports::record::StreamKind;
use std::time::Duration;

/// The good scenario with its load on the tracker, over HTTP, and more keys in `[load]`.
fn with(target: &str, more: &str) -> Result<Scenario, ScenarioError> {
    let text = GOOD.replace("target = \"topic orders\"\n", &format!("target = \"{target}\"\n{more}"));
    read(&text)
}

fn good(target: &str, more: &str) -> Scenario {
    with(target, more).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn message(target: &str, more: &str) -> String {
    with(target, more).expect_err("refused").render(false)
}

#[test]
fn a_path_is_enough() {
    let scenario = good("POST tracker /orders", "");
    let target = Target::Post { service: "tracker".to_owned(), path: "/orders".to_owned() };
    assert_eq!(scenario.load.target, target);
    let http = scenario.load.http.as_ref().expect("a load over HTTP");
    assert_eq!((http.body, http.in_flight, http.products.len()), (BodyForm::Storefront, 256, 8));
    assert_eq!((http.timeout, http.retry_for), (Duration::from_secs(2), Duration::from_secs(10)));
    let plan = Plan::new(scenario).expect("a plan");
    assert!(plan.records_operations());
    assert_eq!((plan.planned_identities(), plan.streams[0].kind), (100, StreamKind::Load));
    assert_eq!(plan.load.http.expect("a load over HTTP").path, "/orders");
    assert_eq!(good("POST tracker /api/orders", "").load.http.expect("over HTTP").body, BodyForm::Fanout);
}

#[test]
fn everything_about_it_may_be_said() {
    let more = "body = \"fanout\"\nin_flight = 7\ntimeout = \"250ms\"\nretries = { for = \"0s\" }\n";
    let http = good("POST tracker /take", more).load.http.expect("a load over HTTP");
    let expected = HttpLoad {
        body: BodyForm::Fanout,
        in_flight: 7,
        timeout: Duration::from_millis(250),
        retry_for: Duration::ZERO,
        products: http.products.clone(),
    };
    assert_eq!(http, expected);
}

#[test]
fn what_is_ordered_is_what_the_service_sells() {
    let sold = |catalogue: &str| {
        let text = GOOD.replace("target = \"topic orders\"\n", "target = \"POST tracker /orders\"\n");
        let text =
            text.replace("consumes = [\"orders\"]", &format!("consumes = [\"orders\"]\nenv = {{ {catalogue} }}"));
        read(&text).unwrap_or_else(|error| panic!("{}", error.render(false))).load.http.expect("over HTTP").products
    };
    assert_eq!(sold("CATALOGUE = \"tea=5, mug=10\""), ["tea", "mug"]);
    assert_eq!(sold("CATALOGUE = \"nonsense\"").len(), 8, "which the service refuses");
    assert_eq!(sold("OTHER = 1").len(), 8);
}

#[test]
fn each_part_of_it_is_part_of_the_plan() {
    let digest = |target: &str, more: &str| Plan::new(good(target, more)).expect("a plan").digest;
    let original = digest("POST tracker /orders", "");
    for (target, more) in [
        ("POST tracker /order", ""),
        ("POST analytics /orders", ""),
        ("POST tracker /orders", "body = \"fanout\"\n"),
        ("POST tracker /orders", "in_flight = 255\n"),
        ("POST tracker /orders", "timeout = \"1s\"\n"),
        ("POST tracker /orders", "retries = { for = \"1s\" }\n"),
        ("topic orders", ""),
    ] {
        assert_ne!(digest(target, more), original, "{target} {more}");
    }
    assert_eq!(digest("POST tracker /orders", "body = \"storefront\"\n"), original, "that is the default");
    let rule = good("POST tracker /orders", "").load;
    assert!(load_plan(1, &rule).expect("a plan").http.is_some());
}

#[test]
fn the_service_has_to_be_there() {
    insta::assert_snapshot!(message("POST tracer /orders", ""));
}

#[test]
fn a_path_begins_with_a_slash() {
    insta::assert_snapshot!(message("POST tracker orders", ""));
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    let more = "in_flight = 0\ntimeout = \"0s\"\nbody = \"soap\"\nretries = { until = \"1s\" }\n";
    insta::assert_snapshot!(message("POST tracker /orders", more));
    insta::assert_snapshot!(message("POST tracker /orders", "timeout = \"0s\"\nclient = { \"linger.ms\" = 5 }\n"));
}

#[test]
fn a_load_on_a_topic_has_none_of_it() {
    let more = "body = \"fanout\"\nin_flight = 7\ntimeout = \"250ms\"\nretries = { for = \"1s\" }\n";
    insta::assert_snapshot!(message("topic orders", more));
}
