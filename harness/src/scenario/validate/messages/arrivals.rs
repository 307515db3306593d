//! Arrivals of every shape: what they offer, and what is said about wrong ones.

use super::{GOOD, read};
use crate::language::problem::ScenarioError;
use crate::plan::Plan;
use crate::scenario::model::Scenario;
use shakedown_loadgen::{Process, Rate, Shape};
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
    assert_eq!(
        scenario.load.shape,
        Shape::Ramp { from: Rate::new(60, Duration::from_secs(60)).expect("a rate"), process: Process::Even }
    );
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

/// Every shape offers the rate, summed up over its time.
#[test]
fn shapes_have_their_totals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recording = folder.path().join("arrivals.txt");
    let lines: String = (0..250).map(|n| format!("{}\n", n * 2_000_000)).collect();
    std::fs::write(&recording, lines).expect("a file");
    let replay = format!("{{ shape = \"replay\", replay = {{ from = {recording:?}, speed = 0.5 }} }}");
    for (arrivals, total, word) in [
        (
            "{ shape = \"steps\", steps = [{ rate = \"100/s\", for = \"2s\" }, { rate = \"500/s\", for = \"100ms\" }] }",
            250,
            "steps",
        ),
        (
            "{ shape = \"burst\", rate = \"50/s\", for = \"3s\", burst = { rate = \"150/s\", every = \"1s\", for = \"500ms\" } }",
            250,
            "bursts",
        ),
        (
            "{ shape = \"ramp\", from = \"100/s\", rate = \"150/s\", for = \"2s\", process = \"poisson\" }",
            250,
            "Poisson ramp",
        ),
        (replay.as_str(), 250, "replay"),
    ] {
        let scenario = with(arrivals, 250).unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(scenario.load.shape.word(), word);
        assert_eq!(Plan::new(scenario).expect("a plan").total, total, "{arrivals}");
        assert!(message(arrivals, 251).contains("it offers 250"), "{}", message(arrivals, 251));
    }
}

macro_rules! messages {
    ($($name:ident: $arrivals:literal,)+) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(message($arrivals, 1));
        })+
    };
}

messages! {
    steps_without_steps: r#"{ shape = "steps", rate = "100/s" }"#,
    steps_that_are_none: r#"{ shape = "steps", steps = [] }"#,
    step_of_no_time: r#"{ shape = "steps", steps = [{ rate = "1/s", for = "0s" }] }"#,
    step_without_a_time: r#"{ shape = "steps", steps = [{ rate = "1/s" }] }"#,
    bursts_that_never_end: r#"{ shape = "burst", rate = "10/s", for = "9s", burst = { rate = "99/s", every = "2s", for = "2s" } }"#,
    bursts_without_bursts: r#"{ shape = "burst", rate = "10/s", for = "9s" }"#,
    replay_of_nothing: r#"{ shape = "replay", replay = { from = "no/such/arrivals.txt" } }"#,
    replay_that_stands_still: r#"{ shape = "replay", replay = { from = "x", speed = 0 } }"#,
    process_of_a_steady_rate: r#"{ shape = "constant", rate = "10/s", for = "1s", process = "poisson" }"#,
    bursts_of_a_steady_rate: r#"{ shape = "constant", rate = "10/s", for = "1s", burst = { rate = "9/s", every = "2s", for = "1s" } }"#,
}
