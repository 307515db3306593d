//! Ramps: what they offer, and what is said about wrong ones.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::plan::Plan;
use crate::scenario::model::{ArrivalShape, Scenario};
use std::time::Duration;

/// The good scenario with these arrivals, and its fault when so many messages lie in the topic.
fn with(arrivals: &str, nth: u64) -> Result<Scenario, ScenarioError> {
    let strikes = format!("when = {{ produced = {{ topic = \"orders\", nth = {nth} }} }}");
    let text = GOOD.replace("{ shape = \"constant\", rate = \"100/s\", for = \"1s\" }", arrivals);
    read(&text.replace("at = \"200ms\"", &strikes))
}

fn message(arrivals: &str, nth: u64) -> String {
    with(arrivals, nth).expect_err("refused").render(false)
}

#[test]
fn a_ramp_has_the_mean_of_its_rates() {
    let arrivals = "{ shape = \"ramp\", from = \"60/m\", rate = \"99/s\", for = \"4s\" }";
    let scenario = with(arrivals, 200).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(scenario.load.shape, ArrivalShape::Ramp { messages: 60, per: Duration::from_secs(60) });
    assert_eq!(Plan::new(scenario).expect("a plan").total, 200);
    // So a 201st never comes, and a fault that waits for it never strikes.
    assert!(message(arrivals, 201).contains("201"), "{}", message(arrivals, 201));
}

#[test]
fn a_ramp_from_nowhere() {
    insta::assert_snapshot!(message("{ shape = \"ramp\", rate = \"100/s\", for = \"1s\" }", 1));
}

#[test]
fn a_beginning_of_what_is_no_ramp() {
    insta::assert_snapshot!(message("{ shape = \"poisson\", from = \"50/s\", rate = \"100/s\", for = \"1s\" }", 1));
}

#[test]
fn a_ramp_that_a_service_is_to_offer() {
    let text = GOOD.replace("shape = \"constant\"", "shape = \"ramp\", from = \"1/s\"");
    let text = text.replace("target = \"topic orders\"", "target = \"service tracker\"");
    insta::assert_snapshot!(read(&text).expect_err("refused").render(false));
}

#[test]
fn a_ramp_of_too_many() {
    insta::assert_snapshot!(message("{ shape = \"ramp\", from = \"1/s\", rate = \"1000000000/s\", for = \"10s\" }", 1));
}

#[test]
fn a_ramp_between_rates_that_have_nothing_in_common() {
    let arrivals = "{ shape = \"ramp\", from = \"999999999/d\", rate = \"999999998/ns\", for = \"31d\" }";
    insta::assert_snapshot!(message(arrivals, 1));
}
