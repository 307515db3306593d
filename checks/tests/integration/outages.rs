//! Histories of acknowledgements: outages that must be convicted, and what must not be mistaken for one.

use crate::history::{self, findings, system};
use proptest::prelude::*;
use shakedown_checks::{judge, unavailable};
use shakedown_reports::expectation::Expectations;
use shakedown_reports::identity::Key;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Operation, Outcome, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome as Judgement};
use std::collections::BTreeMap;
use std::time::Duration;

const MS: u64 = 1_000_000;
const START_MS: u64 = 1_700_000_000_000;
const LIMIT_MS: u64 = 1_500;

/// A message of a key, due so many milliseconds after the start, and what became of it when. The partition is the key.
type Message = (u32, u64, Outcome, u64);

/// Acknowledged five milliseconds after it was due.
fn prompt(key: u32, due_ms: u64) -> Message {
    (key, due_ms, Outcome::Ok, due_ms + 5)
}

fn record(mut messages: Vec<Message>) -> MemoryRecord {
    let mut record = system(1);
    messages.sort_by_key(|(_, _, _, answered_ms)| *answered_ms);
    for (sequence, (key, due_ms, outcome, answered_ms)) in (0..).zip(messages) {
        let operation = Operation {
            outcome,
            partition: if outcome == Outcome::Ok { i32::try_from(key).expect("few keys") } else { -1 },
            intended_ns: (START_MS + due_ms) * MS,
            completed_ns: (START_MS + answered_ms) * MS,
            ..history::operation(sequence, key, 0)
        };
        record.push_operation(operation);
    }
    record
}

fn judged(record: &MemoryRecord, at_most_ms: u64) -> Finding {
    unavailable::check(record, Duration::from_millis(at_most_ms)).expect("a record in memory is readable")
}

/// The verdict, and what is said of it.
fn said(messages: Vec<Message>) -> (Judgement, String) {
    let finding = judged(&record(messages), LIMIT_MS);
    (finding.outcome, finding.detail)
}

fn pass(detail: &str) -> (Judgement, String) {
    (Judgement::Pass, detail.to_owned())
}

fn fail(detail: &str) -> (Judgement, String) {
    (Judgement::Fail, detail.to_owned())
}

/// Six partitions, a message at each in turn every 10 ms, for ten seconds.
fn steady() -> Vec<Message> {
    (0..1_000).map(|n| prompt(n % 6, u64::from(n) * 10)).collect()
}

/// What is due meanwhile at these partitions is acknowledged when it is over.
fn outage(partitions: std::ops::Range<u32>, from_ms: u64, to_ms: u64) -> Vec<Message> {
    let late = |(key, due_ms, outcome, at_ms)| {
        let hit = partitions.contains(&key) && (from_ms..to_ms).contains(&due_ms);
        (key, due_ms, outcome, if hit { to_ms } else { at_ms })
    };
    steady().into_iter().map(late).collect()
}

#[test]
fn a_steady_load_has_no_gap() {
    assert_eq!(said(steady()), pass("longest gap 0.005 s (1.5)"));
}

#[test]
fn slow_arrivals_are_no_outage() {
    let slow = [0, 4_000, 4_001, 30_000, 90_000].map(|due_ms| prompt(0, due_ms));
    assert_eq!(said(slow.to_vec()), pass("longest gap 0.005 s (1.5)"));
}

#[test]
fn slow_arrivals_behind_a_failure_that_was_survived_are_no_outage() {
    let failed = (0, 1_000, Outcome::Fail, 1_003);
    assert_eq!(said(vec![failed, prompt(0, 1_001), prompt(0, 60_000)]), pass("longest gap 0.006 s (1.5)"));
}

#[test]
fn an_outage_of_all_partitions_is_convicted_with_its_length() {
    // The first due within it is due at its very beginning.
    assert_eq!(said(outage(0..6, 3_000, 5_200)), fail("longest gap 2.2 s (1.5!) at orders/0"));
}

#[test]
fn an_outage_of_one_partition_of_six_is_convicted() {
    let record = record(outage(3..4, 3_030, 5_000));
    let finding = judged(&record, LIMIT_MS);
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Fail, 1_000, 1));
    assert_eq!((finding.check.as_str(), finding.subject.as_str()), ("unavailable", "topic orders"));
    assert_eq!(finding.detail, "longest gap 1.97 s (1.5!) at orders/3");
    let [story] = finding.evidence.as_slice() else { panic!("one story, not {:?}", finding.evidence) };
    assert_eq!(story.title, "orders/3: no acknowledgement for 1.97 s");
    let told: Vec<_> =
        story.events.iter().map(|event| (event.at_ns.expect("a time") / MS - START_MS, event.text.as_str())).collect();
    let [(3_030, began), (5_000, ended)] = told.as_slice() else { panic!("two instants, not {told:?}") };
    assert_eq!(*began, "the first message was due; none waited before it");
    assert!(ended.ends_with("acknowledged at partition 3 offset 467; 33 messages waited"), "{ended}");
}

#[test]
fn an_outage_shorter_than_the_limit_passes_and_the_limit_itself_is_allowed() {
    assert_eq!(said(outage(3..4, 3_030, 4_100)), pass("longest gap 1.07 s (1.5)"));
    assert_eq!(said(outage(3..4, 3_030, 4_530)), pass("longest gap 1.5 s (1.5)"));
    let mut over = record(outage(3..4, 3_030, 4_530));
    let late = (START_MS + 4_530) * MS;
    over.operations.iter_mut().filter(|operation| operation.completed_ns == late).for_each(|o| o.completed_ns += 1);
    assert_eq!(judged(&over, LIMIT_MS).detail, "longest gap 1.5 s (1.5!) at orders/3");
}

#[test]
fn while_messages_wait_a_gap_begins_with_the_acknowledgement_before() {
    // Two wait; the first is acknowledged half a second late, the other two seconds after that.
    let messages = vec![(0, 0, Outcome::Ok, 500), (0, 1, Outcome::Ok, 2_500), prompt(0, 3_000)];
    assert_eq!(said(messages.clone()), fail("longest gap 2 s (1.5!) at orders/0"));
    let finding = judged(&record(messages), LIMIT_MS);
    let began = &finding.evidence[0].events[0];
    assert_eq!(began.text, "message 0 (key user-0) acknowledged at partition 0 offset 0, the last for now");
}

#[test]
fn an_outage_at_the_very_end_is_seen() {
    let mut messages = steady();
    // The load waits two more seconds for what one partition does not acknowledge, then gives it up.
    for message in messages.iter_mut().filter(|message| message.0 == 2 && message.1 >= 9_500) {
        (message.2, message.3) = (Outcome::Unknown, 12_000);
    }
    let record = record(messages);
    let finding = judged(&record, LIMIT_MS);
    assert_eq!((finding.outcome, finding.detail.as_str()), (Judgement::Fail, "longest gap 2.5 s (1.5!) at orders/2"));
    let text = &finding.evidence[0].events[1].text;
    let expected =
        "the load ended without another acknowledgement; 9 messages waited, 9 of them failed or were given up";
    assert_eq!(text, expected);
}

#[test]
fn failures_end_no_gap_however_fast_they_come() {
    let refused = |(key, due_ms, outcome, at_ms)| match due_ms {
        3_000..5_000 => (key, due_ms, Outcome::Fail, due_ms + 1),
        _ => (key, due_ms, outcome, at_ms),
    };
    let (outcome, detail) = said(steady().into_iter().map(refused).collect());
    assert_eq!(outcome, Judgement::Fail);
    assert!(detail.starts_with("longest gap 2.0"), "{detail}");
}

#[test]
fn acknowledgements_of_other_partitions_and_out_of_order_make_no_gap() {
    // Each partition answers every 400 ms, but in batches, newest first and shifted against the others.
    let batch = |key: u32| (0..20_u64).map(move |n| (key, n * 100, Outcome::Ok, (n / 4 + 1) * 400 + 90 - (n % 4) * 10));
    let messages: Vec<Message> = (0..6).flat_map(batch).collect();
    assert_eq!(said(messages), pass("longest gap 0.46 s (1.5)"));
}

#[test]
fn a_message_without_a_place_is_judged_by_how_long_it_waited() {
    let with = |message: Message| said(steady().into_iter().chain([message]).collect());
    // Its key was never acknowledged, so its partition is unknown: too large, say, and refused at once.
    assert_eq!(with((9, 2_000, Outcome::Fail, 2_001)), pass("longest gap 0.005 s (1.5)"));
    let (outcome, detail) = with((9, 2_000, Outcome::Unknown, 4_000));
    assert_eq!(outcome, Judgement::Fail);
    assert_eq!(detail, "longest gap 2 s (1.5!) at messages that no acknowledgement places");
}

#[test]
fn a_target_that_refuses_everything_for_a_while_does_not_hide_behind_unknown_places() {
    let mut record = record(steady());
    for operation in &mut record.operations {
        // Without keys, a message that failed has no partition.
        operation.key = Key::ABSENT;
        let due_ms = operation.intended_ns / MS - START_MS;
        if (3_000..5_000).contains(&due_ms) {
            (operation.outcome, operation.partition, operation.completed_ns) =
                (Outcome::Fail, -1, operation.intended_ns + 1);
        }
    }
    let finding = judged(&record, LIMIT_MS);
    assert_eq!((finding.outcome, finding.found), (Judgement::Fail, 1));
    assert_eq!(finding.detail, "longest gap 2.005 s (1.5!) at the load as a whole");
}

#[test]
fn without_acknowledgements_nothing_passes() {
    let nothing = judged(&system(1), LIMIT_MS);
    assert_eq!((nothing.outcome, nothing.compared), (Judgement::Inconclusive, 0));
    assert_eq!(nothing.detail, "the load generator offered no message that could be measured");
    let refused: Vec<Message> = (0..10).map(|n| (0, n * 10, Outcome::Fail, n * 10 + 1)).collect();
    let expected = "longest gap 0.091 s (1.5)  nothing was acknowledged".to_owned();
    assert_eq!(said(refused), (Judgement::Inconclusive, expected));
}

#[test]
fn messages_that_nobody_knows_when_to_expect_cannot_pass() {
    let mut record = record(steady());
    record.operations[7].intended_ns = 0;
    let finding = judged(&record, LIMIT_MS);
    assert_eq!((finding.outcome, finding.compared), (Judgement::Inconclusive, 999));
    assert!(finding.detail.ends_with("  1 without an intended instant"), "{}", finding.detail);
}

#[test]
fn a_limit_alone_is_an_expectation_and_an_incomplete_record_convicts_nobody_by_it() {
    let judged = |record: &MemoryRecord| {
        let expectations = Expectations { unavailable: Some(LIMIT_MS * 1_000_000), ..Expectations::default() };
        judge(record, &expectations).expect("readable")
    };
    assert_eq!(judged(&record(steady())).outcome, Judgement::Pass);
    let mut cut_off = record(outage(3..4, 3_030, 5_000));
    assert_eq!(judged(&cut_off).outcome, Judgement::Fail);
    cut_off.defects.push("load: operations.bin was not finished".to_owned());
    let verdict = judged(&cut_off);
    assert_eq!(verdict.outcome, Judgement::Inconclusive);
    let [finding] = findings(&verdict, unavailable::NAME)[..] else { panic!("one finding, not {verdict:#?}") };
    assert_eq!(finding.detail, "longest gap 1.97 s (1.5!) at orders/3; the record is incomplete");
}

#[test]
fn a_run_that_does_not_name_the_topic_names_the_partition() {
    let mut record = record(outage(3..4, 3_030, 5_000));
    (record.streams, record.flows) = (Vec::new(), Vec::new());
    record.add_stream("load", StreamKind::Load);
    let finding = judged(&record, LIMIT_MS);
    assert_eq!((finding.subject.as_str(), finding.evidence[0].title.starts_with("partition 3: no")), ("load", true));
}

/// The definition as it is written, quadratic: before each answer that ends a gap, since when has something been due?
fn longest_naively(messages: &[Message]) -> u64 {
    let last_ms = messages.iter().map(|message| message.3).max().unwrap_or_default();
    let mut places: BTreeMap<u32, Vec<&Message>> = BTreeMap::new();
    messages.iter().for_each(|message| places.entry(message.0).or_default().push(message));
    let gap = |place: &Vec<&Message>, from: Option<usize>, to: Option<usize>| {
        let from_ms = from.map_or(0, |index| place[index].3);
        let to_ms = to.map_or(last_ms, |index| place[index].3);
        let unanswered = &place[from.map_or(0, |index| index + 1)..];
        let due = unanswered.iter().map(|message| message.1.max(from_ms)).filter(|due_ms| *due_ms <= to_ms).min();
        due.map_or(0, |due_ms| to_ms - due_ms)
    };
    let longest = |place: &Vec<&Message>| {
        let acknowledged = (0..place.len()).filter(|index| place[*index].2 == Outcome::Ok).map(Some);
        let ends: Vec<Option<usize>> = [None].into_iter().chain(acknowledged).chain([None]).collect();
        ends.windows(2).map(|pair| gap(place, pair[0], pair[1])).max().unwrap_or_default()
    };
    places.values().map(longest).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_longest_gap_is_that_of_the_definition(
        drawn in proptest::collection::vec((0..3_u32, 0..60_u64, any::<bool>(), 0..40_u64), 0..12),
    ) {
        let mut messages: Vec<Message> = drawn
            .into_iter()
            .map(|(key, due_ms, ok, took_ms)| (key, due_ms, if ok { Outcome::Ok } else { Outcome::Unknown }, due_ms + took_ms))
            // So that every key has its place.
            .chain((0..3).map(|key| prompt(key, 0)))
            .collect();
        messages.sort_by_key(|message| message.3);
        let longest_ms = longest_naively(&messages);
        let record = record(messages);
        prop_assert_eq!(judged(&record, longest_ms).outcome, Judgement::Pass);
        if longest_ms > 0 {
            prop_assert_eq!(judged(&record, longest_ms - 1).outcome, Judgement::Fail);
        }
    }
}
