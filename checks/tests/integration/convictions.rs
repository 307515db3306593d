//! Histories written by hand, each with one thing to find, and what must not be mistaken for it.

use crate::history::{self, LEDGER, LOAD, TOPIC, delivery, everything, findings, judged, operation, system};
use shakedown_reports::expectation::{Bounds, ConservationRule, Expectations, LatencyBudget, Term};
use shakedown_reports::identity::Key;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, Share, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome as Judgement, Story, Verdict};
use std::collections::BTreeMap;

/// Six acknowledged messages of two keys, all delivered in order.
fn clean() -> MemoryRecord {
    let mut record = system(1);
    for sequence in 0..6_u32 {
        let operation = operation(sequence.into(), sequence % 2, sequence / 2);
        record.push_operation(operation);
        record.push_delivery(TOPIC, delivery(&operation, 1_000));
    }
    record
}

fn only<'a>(verdict: &'a Verdict, check: &str) -> &'a Finding {
    let findings = findings(verdict, check);
    assert_eq!(findings.len(), 1, "{verdict:#?}");
    findings[0]
}

fn lines(story: &Story) -> Vec<&str> {
    story.events.iter().map(|event| event.text.as_str()).collect()
}

#[test]
fn a_clean_run_passes_with_its_comparisons() {
    let verdict = judged(&clean(), &everything(1));
    assert_eq!(verdict.outcome, Judgement::Pass);
    let seen: Vec<_> = verdict.findings.iter().map(|f| (f.check.as_str(), f.subject.as_str(), f.compared)).collect();
    let expected = [
        ("lost", "load -> topic orders", 6),
        ("duplicated", "topic orders", 6),
        ("phantom", "topic orders", 6),
        ("reordered", "load -> topic orders", 4),
        ("conserved", "money", 6),
        ("latency", "end-to-end", 6),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_loss_is_told_with_its_place_and_its_neighbours() {
    let mut record = clean();
    let lost = record.deliveries[usize::from(TOPIC)].remove(2);
    // Its offset was written again after a failover.
    record.deliveries[usize::from(TOPIC)][3].offset = lost.offset;
    let verdict = judged(&record, &everything(1));
    let finding = only(&verdict, "lost");
    assert_eq!((finding.outcome, finding.found, finding.detail.as_str()), (Judgement::Fail, 1, "1 of 6"));
    assert_eq!(finding.evidence[0].title, "message 2 (key user-0, no. 1 of the key)");
    let expected = [
        "before it: message 0 read from topic orders, partition 0 offset 0",
        "acknowledged at partition 0 offset 2",
        "in its place: message 4 read from topic orders, partition 0 offset 2",
        "never in topic orders",
    ];
    let mut told = lines(&finding.evidence[0]);
    told.sort_by_key(|line| expected.iter().position(|other| other == line));
    assert_eq!(told, expected);
    let times: Vec<_> = finding.evidence[0].events.iter().map(|event| event.at_ns.unwrap_or(u64::MAX)).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn where_offsets_mean_something_else_the_neighbours_are_those_of_the_key() {
    let mut record = clean();
    // The topic is not the one that acknowledged: all of it lies elsewhere.
    record.deliveries[usize::from(TOPIC)].iter_mut().for_each(|delivery| delivery.offset += 100);
    record.deliveries[usize::from(TOPIC)].remove(2);
    let verdict = judged(&record, &everything(1));
    let expected = [
        "before it: message 0 read from topic orders, partition 0 offset 100",
        "acknowledged at partition 0 offset 2",
        "after it: message 4 read from topic orders, partition 0 offset 104",
        "never in topic orders",
    ];
    assert_eq!(lines(&only(&verdict, "lost").evidence[0]), expected);
}

#[test]
fn a_flow_carries_its_share_of_a_load_and_no_more() {
    let mut record = clean();
    let share = Share { place: 1, of: 2 };
    record.shares.push((record.flows[0], share));
    let all = std::mem::take(&mut record.deliveries[usize::from(TOPIC)]);
    let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|delivery| share.has(delivery.identity));
    record.deliveries[usize::from(TOPIC)] = own;
    let verdict = judged(&record, &everything(1));
    let lost = only(&verdict, "lost");
    assert_eq!((lost.outcome, lost.compared, lost.found), (Judgement::Pass, 3, 0));
    record.deliveries[usize::from(TOPIC)].pop();
    assert_eq!(only(&judged(&record, &everything(1)), "lost").found, 1);
    record.deliveries[usize::from(TOPIC)].push(others[0]);
    let verdict = judged(&record, &everything(1));
    assert_eq!(only(&verdict, "phantom").found, 1, "it belongs to another topic");
}

#[test]
fn unknown_operations_may_be_missing_and_may_appear_but_failed_ones_must_not() {
    for (outcome, arrives, lost, phantom) in [
        (Outcome::Unknown, false, 0, 0),
        (Outcome::Unknown, true, 0, 0),
        (Outcome::Fail, false, 0, 0),
        (Outcome::Fail, true, 0, 1),
        (Outcome::Ok, false, 1, 0),
    ] {
        let mut record = clean();
        let extra = Operation { outcome, error: -185, ..operation(6, 0, 3) };
        record.push_operation(extra);
        if arrives {
            record.push_delivery(TOPIC, delivery(&extra, 1_000));
        }
        let verdict = judged(&record, &everything(1));
        assert_eq!(only(&verdict, "lost").found, lost, "{outcome:?} {arrives}");
        assert_eq!(only(&verdict, "phantom").found, phantom, "{outcome:?} {arrives}");
        let convicted = if lost + phantom > 0 { Judgement::Fail } else { Judgement::Pass };
        assert_eq!(verdict.outcome, convicted, "{outcome:?} {arrives}");
        if phantom == 1 {
            let told = lines(&only(&verdict, "phantom").evidence[0]);
            assert!(told.contains(&"failed with _TIMED_OUT: certainly not written"), "{told:?}");
        }
    }
}

#[test]
fn an_exact_number_of_losses_can_be_expected() {
    let mut record = clean();
    record.deliveries[usize::from(TOPIC)].truncate(4);
    let outcome = |lost| judged(&record, &Expectations { lost: Some(lost), ..Expectations::default() }).outcome;
    assert_eq!([0, 1, 2, 3].map(outcome), [Judgement::Fail, Judgement::Fail, Judgement::Pass, Judgement::Fail]);
}

#[test]
fn one_offset_read_twice_is_no_copy_but_one_effect_twice_is() {
    let mut record = system(2);
    let message = operation(0, 0, 0);
    record.push_operation(message);
    record.push_delivery(TOPIC, delivery(&message, 1_000));
    record.push_delivery(TOPIC, delivery(&message, 2_000));
    record.push_delivery(LEDGER, delivery(&message, 3_000));
    record.push_delivery(LEDGER, delivery(&message, 4_000));
    let verdict = judged(&record, &Expectations { duplicated: Some(0.into()), ..Expectations::default() });
    let found: Vec<_> = findings(&verdict, "duplicated").iter().map(|f| (f.subject.as_str(), f.found)).collect();
    assert_eq!(found, [("topic orders", 0), ("ledger tracker", 1)]);
    record.deliveries[usize::from(TOPIC)][1].offset = 7;
    let verdict = judged(&record, &Expectations { duplicated: Some(0.into()), ..Expectations::default() });
    let finding = findings(&verdict, "duplicated")[0];
    let expected = [
        "acknowledged at partition 0 offset 0",
        "read from topic orders, partition 0 offset 0",
        "read from topic orders, partition 0 offset 7",
    ];
    assert_eq!(lines(&finding.evidence[0]), expected);
}

#[test]
fn what_was_never_acknowledged_is_counted_and_is_not_lost() {
    let mut record = clean();
    for (sequence, outcome) in [(6, Outcome::Fail), (7, Outcome::Unknown)] {
        record.push_operation(Operation { outcome, error: -188, ..operation(sequence, 0, 3) });
    }
    let expect = |allowed| Expectations { unacknowledged: Some(allowed), lost: Some(0), ..Expectations::default() };
    let verdict = judged(&record, &expect(0.into()));
    let finding = only(&verdict, "unacknowledged");
    assert_eq!((finding.outcome, finding.found, finding.detail.as_str()), (Judgement::Fail, 2, "2 of 8"));
    assert_eq!(lines(&finding.evidence[0]), ["failed with _UNKNOWN_TOPIC: certainly not written"]);
    assert_eq!(lines(&finding.evidence[1]), ["outcome unknown (_UNKNOWN_TOPIC)"]);
    assert_eq!(only(&verdict, "lost").outcome, Judgement::Pass);
    let at_least = |number| Bounds { at_least: number, at_most: u64::MAX };
    let outcome = |allowed| judged(&record, &expect(allowed)).outcome;
    assert_eq!([2, 3].map(|number| outcome(at_least(number))), [Judgement::Pass, Judgement::Fail]);
}

#[test]
fn a_sink_of_two_flows_counts_its_copies_once_and_takes_messages_from_both() {
    let mut record = system(2);
    record.add_flow(LOAD, LEDGER);
    let (from_load, copied) = (operation(0, 0, 0), operation(1, 0, 1));
    record.push_operation(from_load);
    record.push_operation(copied);
    for message in [from_load, copied, copied] {
        record.push_delivery(LEDGER, delivery(&message, 1_000));
    }
    let verdict = judged(&record, &Expectations { duplicated: Some(1.into()), ..Expectations::default() });
    let ledger = |check: &str| findings(&verdict, check)[1].clone();
    assert_eq!((ledger("duplicated").found, ledger("duplicated").outcome), (1, Judgement::Pass));
    assert_eq!((ledger("phantom").found, ledger("phantom").outcome), (0, Judgement::Pass));
}

#[test]
fn an_overtaken_message_is_told_with_the_one_that_overtook_it() {
    let mut record = clean();
    let deliveries = &mut record.deliveries[usize::from(TOPIC)];
    deliveries.swap(1, 3);
    (deliveries[1].received_ns, deliveries[3].received_ns) = (deliveries[3].received_ns, deliveries[1].received_ns);
    let verdict = judged(&record, &everything(1));
    let finding = only(&verdict, "reordered");
    assert_eq!((finding.found, finding.detail.as_str()), (1, "1 of 4 behind a later one"));
    assert_eq!(finding.evidence[0].title, "message 1 (key user-1, no. 0 of the key)");
    let expected = [
        "message 3, no. 1 of the key, was read from topic orders, partition 1 offset 3",
        "it was read from topic orders, partition 1 offset 1",
    ];
    assert_eq!(lines(&finding.evidence[0]), expected);
}

#[test]
fn so_many_out_of_order_as_expected_are_what_was_to_be_shown() {
    let outcome = |record: &MemoryRecord, reordered: Bounds| {
        let expectations = Expectations { reordered: Some(reordered), ..Expectations::default() };
        let finding = only(&judged(record, &expectations), "reordered").clone();
        (finding.outcome, finding.detail, finding.evidence.len())
    };
    let detail = |text: &str| text.to_owned();
    let mut record = clean();
    let missing = "0 of 4 behind a later one, exactly 1 expected over all";
    assert_eq!(outcome(&record, Bounds::exactly(1)), (Judgement::Fail, detail(missing), 0));
    record.deliveries[usize::from(TOPIC)].swap(1, 3);
    let shown = "1 of 4 behind a later one, exactly 1 expected over all";
    assert_eq!(outcome(&record, Bounds::exactly(1)), (Judgement::Pass, detail(shown), 0));
    let convicted = "1 of 4 behind a later one, exactly 2 expected over all";
    assert_eq!(outcome(&record, Bounds::exactly(2)), (Judgement::Fail, detail(convicted), 1));
    let any = Bounds { at_least: 1, at_most: u64::MAX };
    assert_eq!(outcome(&record, any).0, Judgement::Pass);
    assert_eq!(outcome(&record, Bounds::exactly(0)).0, Judgement::Fail);
}

#[test]
fn a_message_under_another_key_is_out_of_order_unless_the_sink_knows_no_keys() {
    let mut record = clean();
    record.deliveries[usize::from(TOPIC)][2].key = Key::interned(0);
    let verdict = judged(&record, &everything(1));
    assert_eq!(only(&verdict, "reordered").detail, "1 under another key");
    assert_eq!(history::convicting(&verdict), ["reordered"]);
    record.deliveries[usize::from(TOPIC)].iter_mut().for_each(|delivery| delivery.key = Key::ABSENT);
    let verdict = judged(&record, &everything(1));
    assert_eq!(only(&verdict, "reordered").detail, "6 under another key", "a topic without keys orders nothing");
    assert_eq!(lines(&only(&verdict, "reordered").evidence[0])[1], "it arrived without a key");
    record.streams[usize::from(TOPIC)].kind = StreamKind::Ledger;
    let verdict = judged(&record, &Expectations { order_per_key: true, ..Expectations::default() });
    assert_eq!(verdict.outcome, Judgement::Pass, "a ledger may know no keys: {verdict:#?}");
}

#[test]
fn a_topic_orders_a_key_only_within_a_partition() {
    let mut record = system(2);
    let at = |sequence: u64, partition: i32| Delivery { partition, ..delivery(&operation(sequence, 0, 0), 1_000) };
    record.deliveries[usize::from(TOPIC)] = vec![at(0, 0), at(1, 1), at(2, 0), at(3, 1)];
    record.deliveries[usize::from(LEDGER)] = vec![at(1, 1), at(3, 1), at(0, 0), at(2, 0)];
    let expectations = Expectations { order_per_key: true, ..Expectations::default() };
    let behind_topic = |record: &MemoryRecord| {
        let verdict = judged(record, &expectations);
        let finding = findings(&verdict, "reordered")[1].clone();
        (finding.outcome, finding.compared, finding.found)
    };
    assert_eq!(behind_topic(&record), (Judgement::Pass, 2, 0));
    record.deliveries[usize::from(LEDGER)].swap(2, 3);
    assert_eq!(behind_topic(&record), (Judgement::Fail, 2, 1));
}

fn money(terms: &[Term]) -> Expectations {
    let rule = ConservationRule { name: "money".to_owned(), equal: terms.to_vec() };
    Expectations { conserved: vec![rule], ..Expectations::default() }
}

#[test]
fn equal_totals_do_not_excuse_messages_that_disagree() {
    let mut record = clean();
    record.deliveries[usize::from(TOPIC)][0].value += 5;
    record.deliveries[usize::from(TOPIC)][1].value -= 5;
    let terms = [Term::Sum("load".to_owned()), Term::Sum("orders".to_owned())];
    let verdict = judged(&record, &money(&terms));
    let finding = only(&verdict, "conserved");
    assert_eq!((finding.outcome, finding.found), (Judgement::Fail, 2));
    assert_eq!(finding.detail, "2 messages disagree; 6,015 in load = topic orders");
    assert_eq!(lines(&finding.evidence[0]), ["1,000 in load", "1,005 in topic orders"]);
}

#[test]
fn a_figure_that_differs_is_measured_by_its_gap() {
    let mut record = clean();
    record.add_figure("analytics.revenue", 6_000);
    record.add_figure("analytics.orders", 6);
    let revenue = [Term::Sum("topic orders".to_owned()), Term::Figure("analytics.revenue".to_owned())];
    let verdict = judged(&record, &money(&revenue));
    let finding = only(&verdict, "conserved");
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Fail, 6, 15));
    assert_eq!(finding.detail, "6,015 in topic orders, but 6,000 in analytics.revenue");
    let orders = [Term::Count("topic orders".to_owned()), Term::Figure("analytics.orders".to_owned())];
    assert_eq!(judged(&record, &money(&orders)).outcome, Judgement::Pass);
}

#[test]
fn names_that_do_not_exist_prove_nothing_and_say_what_exists() {
    let record = clean();
    let figure = [Term::Sum("load".to_owned()), Term::Figure("analytics.revenue".to_owned())];
    let stream = [Term::Sum("load".to_owned()), Term::Sum("topic odrers".to_owned())];
    let detail = |terms: &[Term]| {
        let verdict = judged(&record, &money(terms));
        assert_eq!(verdict.outcome, Judgement::Inconclusive);
        only(&verdict, "conserved").detail.clone()
    };
    assert_eq!(detail(&figure), "no service stated the figure \"analytics.revenue\"; stated were: ");
    assert_eq!(detail(&stream), "the run has no stream \"topic odrers\"; it has: load, topic orders");
}

fn budget(flow: Option<Flow>, at_most: &[(&str, u64)]) -> Expectations {
    let at_most = at_most.iter().map(|(name, bound)| ((*name).to_owned(), *bound)).collect();
    let latency = BTreeMap::from([("end-to-end".to_owned(), LatencyBudget { flow, at_most, partitions: None })]);
    Expectations { latency, ..Expectations::default() }
}

#[test]
fn a_budget_is_decided_exactly_and_not_by_the_histogram() {
    // Twenty milliseconds and a nanosecond: one bucket of three digits, two verdicts.
    let mut record = system(1);
    let message = operation(0, 0, 0);
    record.push_operation(message);
    record.push_delivery(TOPIC, delivery(&message, 20_000_000));
    let flow = Some(Flow { from: LOAD, to: TOPIC });
    assert_eq!(judged(&record, &budget(flow, &[("p50", 20_000_000)])).outcome, Judgement::Pass);
    assert_eq!(judged(&record, &budget(flow, &[("p50", 19_999_999)])).outcome, Judgement::Fail);
}

#[test]
fn a_broken_budget_names_its_percentile_and_the_slowest_message() {
    let mut record = clean();
    record.deliveries[usize::from(TOPIC)][3].received_ns += 300_000_000;
    let flow = Some(Flow { from: LOAD, to: TOPIC });
    let verdict = judged(&record, &budget(flow, &[("p50", 20_000_000), ("p99", 250_000_000)]));
    let finding = only(&verdict, "latency");
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Fail, 6, 1));
    assert_eq!(finding.detail, "p50 1 us (20 ms)  p99 300 ms (250 ms!)");
    assert_eq!(finding.evidence[0].title, "message 3 (key user-1)");
    assert_eq!(lines(&finding.evidence[0]), ["was to be sent", "arrived, 300 ms later"]);
}

#[test]
fn a_budget_for_each_partition_counts_those_where_it_breaks() {
    let mut record = clean();
    for (index, delivery) in record.deliveries[usize::from(TOPIC)].iter_mut().enumerate() {
        delivery.partition = i32::try_from(index % 3).expect("small");
    }
    record.deliveries[usize::from(TOPIC)][4].received_ns += 300_000_000;
    let verdict_for = |record, partitions| {
        let mut expectations =
            budget(Some(Flow { from: LOAD, to: TOPIC }), &[("p50", 20_000_000), ("max", 250_000_000)]);
        expectations.latency.values_mut().for_each(|budget| budget.partitions = Some(partitions));
        only(&judged(record, &expectations), "latency").clone()
    };
    let told = "breaks at 1 of 3 partitions; partition 1: p50 1 us (20 ms)  max 300 ms (250 ms!)";
    let expected = verdict_for(&record, Bounds::exactly(1));
    assert_eq!((expected.outcome, expected.compared, expected.found), (Judgement::Pass, 6, 0));
    assert_eq!(expected.detail, told);
    for other in [0, 2] {
        let found = verdict_for(&record, Bounds::exactly(other));
        assert_eq!((found.outcome, found.found, found.detail.as_str()), (Judgement::Fail, 1, told));
        assert_eq!(found.evidence[0].title, "message 4 (key user-0)");
    }
    let mut unmeasured = clean();
    unmeasured.operations.iter_mut().for_each(|operation| operation.intended_ns = 0);
    unmeasured.deliveries[usize::from(TOPIC)].iter_mut().for_each(|delivery| delivery.intended_ns = 0);
    let nothing = verdict_for(&unmeasured, Bounds { at_least: 1, at_most: 2 });
    assert_eq!((nothing.outcome, nothing.compared), (Judgement::Inconclusive, 0));
    let clean = verdict_for(&clean(), Bounds::exactly(0));
    assert_eq!((clean.outcome, clean.detail.as_str()), (Judgement::Pass, "breaks at 0 of 2 partitions"));
}

#[test]
fn a_ledger_that_knows_no_intended_instant_is_measured_from_its_source() {
    let mut record = system(2);
    let message = operation(0, 0, 0);
    record.push_operation(message);
    record.push_delivery(TOPIC, delivery(&message, 1_000));
    record.push_delivery(LEDGER, Delivery { intended_ns: 0, ..delivery(&message, 7_000) });
    for from in [LOAD, TOPIC] {
        let flow = Some(Flow { from, to: LEDGER });
        assert_eq!(judged(&record, &budget(flow, &[("max", 7_000)])).outcome, Judgement::Pass);
        assert_eq!(judged(&record, &budget(flow, &[("max", 6_999)])).outcome, Judgement::Fail);
    }
}

#[test]
fn without_a_flow_latency_runs_to_the_acknowledgement() {
    let record = clean();
    assert_eq!(judged(&record, &budget(None, &[("max", 500)])).outcome, Judgement::Pass);
    assert_eq!(judged(&record, &budget(None, &[("max", 499)])).outcome, Judgement::Fail);
}

#[test]
fn a_delivery_before_its_time_counts_as_zero_and_cannot_pass() {
    let mut record = clean();
    record.deliveries[usize::from(TOPIC)][0].received_ns -= 5_000;
    let flow = Some(Flow { from: LOAD, to: TOPIC });
    let verdict = judged(&record, &budget(flow, &[("max", 1_000)]));
    let finding = only(&verdict, "latency");
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Inconclusive, 6, 0));
    assert_eq!(finding.detail, "max 1 us (1 us)  1 arrived before their intended instant");

    let verdict = judged(&record, &budget(flow, &[("max", 999)]));
    assert_eq!(only(&verdict, "latency").outcome, Judgement::Fail, "the others convict whatever became of that one");
}

#[test]
fn one_measured_message_does_not_vouch_for_those_that_nobody_can_measure() {
    let mut record = clean();
    for index in 1..6 {
        record.operations[index].intended_ns = 0;
        record.deliveries[usize::from(TOPIC)][index].intended_ns = 0;
    }
    let flow = Some(Flow { from: LOAD, to: TOPIC });
    let verdict = judged(&record, &budget(flow, &[("max", 1_000)]));
    let finding = only(&verdict, "latency");
    assert_eq!((finding.outcome, finding.compared, finding.found), (Judgement::Inconclusive, 1, 0));
    assert_eq!(finding.detail, "max 1 us (1 us)  5 without an intended instant");

    let verdict = judged(&record, &budget(flow, &[("max", 999)]));
    assert_eq!(only(&verdict, "latency").outcome, Judgement::Fail, "the one that was measured convicts");
}

#[test]
fn a_wrong_percentile_proves_nothing_and_says_what_is_allowed() {
    let verdict = judged(&clean(), &budget(None, &[("p100", 1)]));
    assert_eq!(verdict.outcome, Judgement::Inconclusive);
    let expected = "\"p100\" is no percentile; there are p50, p99, p99.9 (any percentage above 0 and below 100, with up to four decimals) and max";
    assert_eq!(only(&verdict, "latency").detail, expected);
}

#[test]
fn nothing_compared_is_never_a_pass() {
    let verdict = judged(&system(1), &everything(1));
    assert_eq!(verdict.outcome, Judgement::Inconclusive);
    assert!(verdict.findings.iter().all(|finding| finding.outcome == Judgement::Inconclusive), "{verdict:#?}");
    let mut without_flows = MemoryRecord::new();
    without_flows.add_stream("load", StreamKind::Load);
    let order = Expectations { order_per_key: true, lost: Some(0), ..Expectations::default() };
    let verdict = judged(&without_flows, &order);
    assert_eq!(verdict.outcome, Judgement::Inconclusive);
    assert_eq!(verdict.findings.len(), 3);
    let verdict = judged(&clean(), &Expectations::default());
    assert_eq!(verdict.outcome, Judgement::Inconclusive);
    assert_eq!(verdict.reasons, ["the scenario expects nothing, so nothing was checked"]);
}

#[test]
fn an_incomplete_record_cannot_pass_but_can_fail() {
    let mut record = clean();
    record.defects.push("load: operations.bin was not finished".to_owned());
    let verdict = judged(&record, &everything(1));
    assert_eq!((verdict.outcome, verdict.reasons.len()), (Judgement::Inconclusive, 1));
    let last = record.deliveries[usize::from(TOPIC)].pop().expect("six deliveries");
    let verdict = judged(&record, &everything(1));
    assert_eq!(verdict.outcome, Judgement::Inconclusive, "what the record lacks may be the record's fault");
    assert_eq!(only(&verdict, "lost").detail, "1 of 6; the record is incomplete");
    record.deliveries[usize::from(TOPIC)].extend([last, Delivery { offset: last.offset + 10, ..last }]);
    let verdict = judged(&record, &everything(1));
    assert_eq!((verdict.outcome, history::convicting(&verdict)), (Judgement::Fail, vec!["duplicated"]));
    // Operations are written later than what taps read: the last of them are missing after a kill.
    let mut record = clean();
    record.defects.push("load: operations.bin was not finished".to_owned());
    record.operations.pop();
    let verdict = judged(&record, &everything(1));
    assert_eq!((verdict.outcome, only(&verdict, "phantom").found), (Judgement::Inconclusive, 1));
}
