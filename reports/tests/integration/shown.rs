//! What people and snapshots get to see.

use crate::sample::{self, STARTED_NS};
use shakedown_reports::text::{self, Report};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent, Verdict};
use shakedown_reports::{Event, EventKind, Summary, snapshot};

fn finding(check: &str, subject: &str, outcome: Outcome, compared: u64, found: u64, detail: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: subject.to_owned(),
        outcome,
        compared,
        found,
        detail: detail.to_owned(),
        evidence: Vec::new(),
    }
}

fn summary() -> Summary {
    let mut summary = Summary { elapsed_ms: 11_900, ..Summary::default() };
    summary.line("cluster", "embedded, 3 brokers, KRaft; up in 14 ms");
    summary.line("services", "order, payment x2, inventory, notification; ready in 412 ms");
    summary.line("load", "5,000 orders offered at 500/s (Poisson), 5,000 accepted");
    summary.totals.insert("orders offered".to_owned(), 5_000);
    summary.totals.insert("money offered".to_owned(), 1_234_432_107);
    summary.faults_fired.insert("kill leader".to_owned(), 1);
    summary
}

fn passed() -> Vec<Finding> {
    vec![
        finding("lost", "load -> topic orders", Outcome::Pass, 5_000, 0, ""),
        finding("lost", "topic orders -> ledger tracker", Outcome::Pass, 5_000, 0, ""),
        finding("duplicated", "topic orders", Outcome::Pass, 5_000, 0, ""),
        finding("reordered", "load -> topic orders", Outcome::Pass, 4_000, 0, ""),
        finding(
            "conserved",
            "money",
            Outcome::Pass,
            5_000,
            0,
            "1,234,432,107 in load = topic orders = tracker.revenue = another.figure_with_a_name",
        ),
        finding("latency", "end-to-end", Outcome::Pass, 5_000, 0, "p50 8.1 ms (20 ms)  p99 190 ms (250 ms)"),
    ]
}

fn failed() -> Vec<Finding> {
    let event = |after_ms: u64, text: &str| StoryEvent {
        at_ns: Some(STARTED_NS + after_ms * 1_000_000),
        text: text.to_owned(),
    };
    let story = Story {
        title: "message 731 (key user-17, no. 4 of the key)".to_owned(),
        events: vec![
            event(4_018, "acknowledged at partition 0 offset 912"),
            event(
                4_230,
                "in its place: message 744 read from topic orders, partition 0 offset 912, long after it should have been there",
            ),
            StoryEvent { at_ns: None, text: "never in topic orders".to_owned() },
        ],
    };
    let mut findings = passed();
    findings[0] = Finding {
        evidence: vec![story; 5],
        ..finding("lost", "load -> topic orders", Outcome::Fail, 5_000, 5, "5 of 5,000")
    };
    findings[3] =
        finding("reordered", "load -> topic orders", Outcome::Inconclusive, 0, 0, "no key had two messages to compare");
    findings
}

fn render(verdict: &Verdict, events: &[Event], colour: bool) -> String {
    let (info, summary) = (sample::info(), summary());
    let artifact = Some("target/shakedown/a-leader-dies-while-orders-flow/20261121T120314/verdict.json");
    text::render(&Report { info: &info, summary: &summary, events, verdict, artifact, colour })
}

#[test]
fn a_passed_run_is_a_table() {
    insta::assert_snapshot!(render(&Verdict::new(passed(), Vec::new()), &[], false));
}

#[test]
fn a_failed_run_tells_its_stories_and_how_to_run_it_again() {
    let warning = Event {
        at_ns: STARTED_NS + 5_000_000_000,
        kind: EventKind::Warning,
        text: "3 messages of topic orders could not be read".to_owned(),
    };
    let quiet = Event { kind: EventKind::Load, text: "not shown".to_owned(), ..warning };
    let verdict = Verdict::new(failed(), vec!["the drain did not finish".to_owned()]);
    insta::assert_snapshot!(render(&verdict, &[warning, quiet], false));
}

#[test]
fn what_became_of_the_cluster_is_a_timeline() {
    let mut events = Vec::new();
    let mut at = |after_ms: u64, kind: EventKind, text: &str| {
        events.push(Event { at_ns: STARTED_NS + after_ms * 1_000_000, kind, text: text.to_owned() });
    };
    let phase = |name: &str| EventKind::Phase { name: name.to_owned() };
    let election =
        |node, topic: &str, partition, epoch| EventKind::Election { node, topic: topic.to_owned(), partition, epoch };
    let isr = |partition| EventKind::IsrChange { topic: "orders".to_owned(), partition, isr: vec![1, 3] };
    let fault = EventKind::Fault { fault: "kill leader(orders/0) at 1s".to_owned(), healed: false };
    at(100, election(2, "orders", 0, 0), "its first leader is no news");
    at(500, phase("load"), "5,000 messages to topic orders");
    at(1_500, fault.clone(), "kill: broker 2");
    at(2_100, EventKind::Cluster { node: Some(2) }, "broker 2 is fenced");
    at(2_101, election(3, "orders", 0, 1), "broker 3 leads orders/0, epoch 1");
    at(2_102, election(1, "orders", 4, 1), "broker 1 leads orders/4, epoch 1");
    at(2_103, election(3, "orders", 2, 1), "broker 3 leads orders/2, epoch 1");
    for partition in 0..17 {
        at(2_104, election(3, "__consumer_offsets", partition, 1), "broker 3 leads one of many");
    }
    at(2_200, isr(0), "in sync on orders/0: 1, 3");
    at(2_210, isr(2), "in sync on orders/2: 1, 3");
    at(2_900, isr(4), "in sync on orders/4: 1, 3");
    at(3_000, fault, "healed: broker 2");
    let truncation = EventKind::Truncation { node: 2, topic: "orders".to_owned(), partition: 0, from: 800, to: 600 };
    at(3_001, truncation, "broker 2 truncates orders/0 from 800 to 600");
    let rebalance = EventKind::Rebalance { group: "order-tracker".to_owned(), generation: 3, members: 2 };
    at(3_500, rebalance.clone(), "group order-tracker: generation 3 with 2 members");
    at(4_000, EventKind::Service { service: "tracker".to_owned() }, "not shown");
    at(5_000, phase("stop"), "services, taps, cluster");
    at(5_001, rebalance, "everybody leaves at the end");
    insta::assert_snapshot!(render(&Verdict::new(passed(), Vec::new()), &events, false));
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    for verdict in [Verdict::new(passed(), Vec::new()), Verdict::new(failed(), vec!["word ".repeat(50)])] {
        let text = render(&verdict, &[], false);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert_eq!(line, line.trim_end());
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let verdict = Verdict::new(failed(), Vec::new());
    let coloured = render(&verdict, &[], true);
    assert!(coloured.contains("\u{1b}[1;31mFAIL"));
    let mut plain = String::new();
    for (number, part) in coloured.split('\u{1b}').enumerate() {
        plain.push_str(if number == 0 { part } else { part.split_once('m').map_or("", |(_, text)| text) });
    }
    let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
    let expected = render(&verdict, &[], false);
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
}

#[test]
fn the_normalised_report_holds_only_what_the_seed_fixes() {
    let normalised = snapshot::normalise(&sample::info(), &summary(), &Verdict::new(failed(), Vec::new()));
    insta::assert_snapshot!(normalised);
    let mut other = sample::info();
    other.started_unix_ms += 1;
    other.environment.cores = 64;
    let mut slower = summary();
    slower.elapsed_ms *= 2;
    slower.lines.clear();
    let mut findings = failed();
    findings[0].evidence.clear();
    findings[5].detail = "p50 9.1 ms (20 ms)  p99 191 ms (250 ms)".to_owned();
    findings[5].compared += 1;
    assert_eq!(snapshot::normalise(&other, &slower, &Verdict::new(findings, Vec::new())), normalised);
}
