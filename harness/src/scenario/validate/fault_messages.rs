//! Faults that are written well and would come to nothing, and faults that are written twice.

use super::messages::{GOOD, read};

/// The good scenario with a fault that does this to so many brokers.
pub(super) fn disturbed(action: &str, brokers: u32) -> String {
    let fault = format!("[[fault]]\nat = \"200ms\"\ndo = {{ {action} }}\n");
    let wide = format!("seed = 1\ncluster = {{ brokers = {brokers} }}");
    let text = if brokers == 3 { GOOD.to_owned() } else { GOOD.replace("seed = 1", &wide) };
    text.replace("[expect]", &format!("{fault}\n[expect]"))
}

#[test]
fn faults_that_change_nothing_are_refused() {
    let messages: Vec<String> = [
        "cut = { ring = true }",
        "cut = { between = [\"controller\", \"controller\"] }",
        "cut = { from = \"broker(1)\", to = \"broker(1)\" }",
        "delay = { around = \"controller\", by = \"0s\" }",
        "clients = { delay = \"0ms\" }",
        "clients = { slow-close = \"0s\" }",
        "clients = { client = \"track*\", cut = true }",
        "clock = { of = \"broker(1)\", ahead = \"0s\" }",
        "clock = { of = \"broker(1)\", jump-behind = \"0s\" }",
        "slow-sync = { of = \"broker(1)\", by = \"0s\" }",
        "advance-clock = \"0s\"",
        "requests = { api = \"Fetch\", throttle = \"0s\" }",
        "requests = { api = \"Fetch\", hold = \"reply\", for = \"0s\" }",
        "advance-clock = \"7d\" }\nheal = { after = \"1s\"",
    ]
    .into_iter()
    .map(|action| read(&disturbed(action, 3)).expect_err(action).render(false))
    .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
    for (action, brokers) in
        [("cut = { ring = true }", 4), ("delay = { around = \"controller\", by = \"0s\", jitter = \"5ms\" }", 3)]
    {
        read(&disturbed(action, brokers)).unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
}

#[test]
fn faults_of_one_text_are_told_apart() {
    let fault = "[[fault]]\nat = \"1ms\"\ndo = { kill = \"controller\" }\n\n";
    let slow = |by: &str| {
        format!("[[fault]]\nat = \"1ms\"\ndo = {{ slow-sync = {{ of = \"controller\", by = \"{by}\" }} }}\n\n")
    };
    let faults = format!("{fault}{}{fault}{}{fault}[expect]", slow("1ms"), slow("2ms"));
    let scenario = read(&GOOD.replace("[expect]", &faults)).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let names: Vec<String> = scenario.faults[1..].iter().map(ToString::to_string).collect();
    let expected = [
        "kill controller at 1ms",
        "slow-sync controller at 1ms",
        "kill controller at 1ms #2",
        "slow-sync controller at 1ms #2",
        "kill controller at 1ms #3",
    ];
    assert_eq!(names, expected);
}
