//! Histories of a load over HTTP: requests that overlap have no order and no partition, and everything else has one.

use crate::history::{self, TOPIC, delivery, findings, judged, system};
use proptest::prelude::*;
use shakedown_checks::{reordered, unavailable};
use shakedown_reports::expectation::Expectations;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, Operation, Outcome};
use shakedown_reports::verdict::Outcome as Judgement;
use std::time::Duration;

const MS: u64 = 1_000_000;
const START_MS: u64 = 1_700_000_000_000;

/// A request of a key: when it was sent and when it ended, in milliseconds after the start, and how.
type Request = (u32, u64, u64, Outcome);

/// The operations of these requests, in the order in which they are numbered.
fn operations(requests: &[Request]) -> Vec<Operation> {
    let mut key_sequences = [0; 8];
    let operation = |(sequence, &(key, sent_ms, ended_ms, outcome)): (u64, &Request)| {
        let key_sequence = &mut key_sequences[key as usize];
        let number = *key_sequence;
        *key_sequence += 1;
        Operation {
            outcome,
            error: if outcome == Outcome::Ok { 0 } else { 503 },
            partition: -1,
            offset: -1,
            intended_ns: (START_MS + sent_ms) * MS,
            sent_ns: (START_MS + sent_ms) * MS,
            completed_ns: (START_MS + ended_ms) * MS,
            ..history::operation(sequence, key, number)
        }
    };
    (0..).zip(requests).map(operation).collect()
}

/// These requests, and the numbers of those that arrived, in the order in which they did.
fn record(requests: &[Request], arrived: &[usize]) -> MemoryRecord {
    let mut record = system(1);
    let operations = operations(requests);
    for (offset, number) in (0..).zip(arrived) {
        let of = operations[*number];
        record.push_delivery(TOPIC, Delivery { partition: 0, offset, ..delivery(&of, 500 * MS) });
    }
    let mut ended = operations;
    ended.sort_by_key(|operation| operation.completed_ns);
    ended.into_iter().for_each(|operation| record.push_operation(operation));
    record
}

fn order(record: &MemoryRecord) -> (Judgement, u64, u64) {
    let expectations = Expectations { order_per_key: true, ..Expectations::default() };
    let verdict = judged(record, &expectations);
    let finding = findings(&verdict, "reordered")[0];
    (finding.outcome, finding.compared, finding.found)
}

const OVERLAPPING: [Request; 3] = [(1, 0, 30, Outcome::Ok), (1, 10, 20, Outcome::Ok), (1, 40, 50, Outcome::Ok)];

#[test]
fn requests_that_overlap_may_arrive_in_either_order() {
    assert_eq!(order(&record(&OVERLAPPING, &[0, 1, 2])), (Judgement::Pass, 2, 0));
    assert_eq!(order(&record(&OVERLAPPING, &[1, 0, 2])), (Judgement::Pass, 2, 0));
}

#[test]
fn a_request_that_was_answered_before_another_was_sent_comes_first() {
    let record = record(&OVERLAPPING, &[1, 2, 0]);
    assert_eq!(order(&record), (Judgement::Fail, 2, 1));
    let findings = reordered::check(&record, 0).expect("a record in memory is readable");
    let [story] = findings[0].evidence.as_slice() else { panic!("one story, not {:?}", findings[0].evidence) };
    assert_eq!(story.title, "message 0 (key user-1, no. 0 of the key)");
    let told: Vec<_> = story.events.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(
        told,
        [
            "acknowledged",
            "only then message 2 was sent",
            "it was read from topic orders, partition 0 offset 2",
            "message 2, no. 2 of the key, was read from topic orders, partition 0 offset 1",
        ]
    );
    // The instant itself is still an overlap.
    let touching = [(1, 0, 30, Outcome::Ok), (1, 30, 40, Outcome::Ok)];
    assert_eq!(order(&self::record(&touching, &[1, 0])), (Judgement::Pass, 1, 0));
}

#[test]
fn a_request_that_nobody_answered_may_be_taken_at_any_time_after_it_was_sent() {
    let requests = [(1, 0, 10, Outcome::Unknown), (1, 20, 30, Outcome::Ok), (1, 40, 50, Outcome::Ok)];
    assert_eq!(order(&record(&requests, &[1, 2, 0])), (Judgement::Pass, 2, 0));
    let requests = [(1, 0, 10, Outcome::Ok), (1, 20, 30, Outcome::Unknown)];
    assert_eq!(order(&record(&requests, &[1, 0])), (Judgement::Fail, 1, 1), "but not before it was sent");
}

#[test]
fn keys_have_nothing_to_do_with_each_other() {
    let requests = [(1, 0, 10, Outcome::Ok), (2, 20, 30, Outcome::Ok)];
    assert_eq!(order(&record(&requests, &[1, 0])).0, Judgement::Inconclusive, "no key had two messages");
}

#[test]
fn a_service_that_answers_nobody_is_unavailable_as_a_whole() {
    // A request every 100 ms for ten seconds. Those of two seconds wait until these are over.
    let request = |n: u64| {
        let (key, sent_ms) = (u32::try_from(n % 7).expect("few users"), n * 100);
        let waits = (3_000..5_000).contains(&sent_ms);
        (key, sent_ms, if waits { 5_003 } else { sent_ms + 5 }, Outcome::Ok)
    };
    let requests: Vec<Request> = (0..100).map(request).collect();
    let judged = |requests: &[Request], at_most_ms: u64| {
        let finding = unavailable::check(&record(requests, &[]), Duration::from_millis(at_most_ms));
        finding.expect("a record in memory is readable")
    };
    let finding = judged(&requests, 1_500);
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Fail, 100, 1));
    assert_eq!(finding.subject, "load", "no topic is to blame");
    assert_eq!(finding.detail, "longest gap 2.003 s (1.5!) at the load as a whole");
    let ended = &finding.evidence[0].events[1].text;
    assert!(ended.contains(") acknowledged; 21 messages waited"), "{ended}");
    assert_eq!(judged(&requests, 2_003).detail, "longest gap 2.003 s (2.003)");

    // One user whose requests are never answered is no outage of the service, as long as others' are.
    let mut lonely = requests;
    for (key, sent_ms, ended_ms, outcome) in &mut lonely {
        let given_up = *key == 3;
        *outcome = if given_up { Outcome::Unknown } else { Outcome::Ok };
        *ended_ms = if given_up { 20_000 } else { *sent_ms + 5 };
    }
    assert_eq!(judged(&lonely, 1_500).outcome, Judgement::Fail, "the last of them wait alone, for ten seconds");
    lonely.retain(|(key, sent_ms, _, _)| *key != 3 || *sent_ms < 5_000);
    lonely.iter_mut().filter(|request| request.0 == 3).for_each(|request| request.2 = 9_000);
    let finding = judged(&lonely, 1_500);
    assert_eq!(finding.outcome, Judgement::Pass, "{}", finding.detail);
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let outcome = prop_oneof![6 => Just(Outcome::Ok), 1 => Just(Outcome::Fail), 1 => Just(Outcome::Unknown)];
    proptest::collection::vec((1..3_u32, 0..40_u64, 0..25_u64, outcome), 1..12).prop_map(|drawn| {
        let mut requests: Vec<Request> =
            drawn.into_iter().map(|(key, sent, took, outcome)| (key, sent, sent + took, outcome)).collect();
        requests.sort_by_key(|request| request.1);
        // Somebody has to acknowledge without a partition for it to be a load over HTTP.
        requests[0].3 = Outcome::Ok;
        requests
    })
}

proptest! {
    #[test]
    fn the_naive_reading_agrees(requests in requests(), shuffle in proptest::collection::vec(any::<u64>(), 12)) {
        let mut arrived: Vec<usize> = (0..requests.len()).collect();
        arrived.sort_by_key(|number| shuffle[*number]);
        let behind = |place: usize| {
            let (key, _, ended, outcome) = requests[arrived[place]];
            let overtakes = |other: &usize| requests[*other].0 == key && ended < requests[*other].1;
            outcome != Outcome::Unknown && arrived[..place].iter().any(overtakes)
        };
        let expected = (0..arrived.len()).filter(|place| behind(*place)).count() as u64;
        prop_assert_eq!(order(&record(&requests, &arrived)).2, expected);
    }
}
