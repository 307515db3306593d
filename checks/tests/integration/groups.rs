//! Histories of groups and of logs, written by hand after what happens to people: what must be convicted, with its story,
//! and what must not be mistaken for it.

use crate::history::{self, LEDGER, TOPIC};
use crate::watched::{self, AGAIN, commit, reading};
use shakedown_checks::{committed_too_far, inconsistent_offset, offset_regressed, skipped};
use shakedown_reports::course::Trouble;
use shakedown_reports::expectation::{Bounds, Expectations};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story};
use shakedown_reports::watch::{Commit, CommitKind, Reading};

const NOTHING: Bounds = Bounds::exactly(0);

/// Message `n` of partition 0, at offset n, seen so many milliseconds after the start.
fn message(n: u32, seen_ms: u64) -> Delivery {
    let of = history::operation(n.into(), 0, n);
    Delivery { received_ns: watched::at(seen_ms), ..history::delivery(&of, 0) }
}

/// Ten messages in partition 0, one a millisecond; those of them that were processed, ten milliseconds later each.
fn orders(processed: impl IntoIterator<Item = u32>) -> MemoryRecord {
    let mut record = watched::system();
    record.deliveries[usize::from(TOPIC)] = (0..10).map(|n| message(n, n.into())).collect();
    record.deliveries[usize::from(LEDGER)] =
        processed.into_iter().map(|n| message(n, 10 + u64::from(n) * 10)).collect();
    record
}

fn only(findings: Result<Vec<Finding>, RecordError>) -> Finding {
    let findings = findings.expect("a record in memory is readable");
    let [finding] = findings.as_slice() else { panic!("one finding, not {findings:#?}") };
    finding.clone()
}

fn told(story: &Story) -> Vec<(u64, &str)> {
    let since_start = |at_ns: u64| at_ns.saturating_sub(watched::at(0)) / watched::MS;
    story.events.iter().map(|event| (event.at_ns.map_or(u64::MAX, since_start), event.text.as_str())).collect()
}

fn skipped_of(record: &MemoryRecord) -> Finding {
    only(skipped::check(record, NOTHING))
}

fn too_far_of(record: &MemoryRecord) -> Finding {
    only(committed_too_far::check(record, NOTHING))
}

fn regressed_of(record: &MemoryRecord) -> Finding {
    only(offset_regressed::check(record, NOTHING))
}

fn verdict(finding: &Finding) -> (Outcome, u64, u64) {
    (finding.outcome, finding.compared, finding.found)
}

// Skipped.

#[test]
fn what_a_killed_service_had_committed_and_not_done_is_skipped_exactly() {
    // It commits five at a time before it works, dies after two, and goes on from its commit.
    let mut record = orders([0, 1, 2, 3, 4, 5, 6, 9]);
    record.commits = vec![commit(0, 5, 0, 5), commit(0, 9, 1, 50), commit(0, 10, 2, 95)];
    let finding = skipped_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 10, 2));
    assert_eq!(finding.subject, "group order-tracker on orders -> ledger tracker");
    assert_eq!(finding.detail, "2 of 10");
    let [first, second] = finding.evidence.as_slice() else { panic!("two stories, not {:?}", finding.evidence) };
    assert_eq!((first.title.as_str(), second.title.as_str()), ("message 7 (key user-0)", "message 8 (key user-0)"));
    let expected = [
        (7, "read from topic orders, partition 0 offset 7"),
        (50, "group order-tracker committed 9 at orders/0 (generation 1)"),
        (70, "before it, offset 6: message 6 in ledger tracker, read by its owner at partition 0 offset 6"),
        (100, "behind it, offset 9: message 9 in ledger tracker, read by its owner at partition 0 offset 9"),
        (u64::MAX, "never in ledger tracker"),
    ];
    assert_eq!(told(first), expected);
}

#[test]
fn so_many_skipped_as_expected_pass_and_at_least_one_is_enough_where_it_is_asked_for() {
    let mut record = orders([0, 1, 2, 3, 4, 5, 6, 9]);
    record.commits = vec![commit(0, 10, 0, 95)];
    let outcome = |allowed| only(skipped::check(&record, allowed)).outcome;
    assert_eq!(outcome(Bounds::exactly(2)), Outcome::Pass);
    assert_eq!(outcome(Bounds::exactly(3)), Outcome::Fail);
    assert_eq!(outcome(Bounds { at_least: 1, at_most: u64::MAX }), Outcome::Pass);
    assert_eq!(outcome(Bounds { at_least: 3, at_most: 9 }), Outcome::Fail);
}

#[test]
fn what_lies_ahead_of_the_commit_is_not_skipped() {
    let mut record = orders([0, 1, 2]);
    record.commits = vec![commit(0, 3, 0, 40)];
    assert_eq!(verdict(&skipped_of(&record)), (Outcome::Pass, 3, 0));
}

#[test]
fn a_commit_that_only_the_coordinator_tells_of_has_passed_as_well() {
    let mut record = orders([]);
    record.readings = vec![reading(0, -1, 10, 0), reading(0, 4, 10, 100)];
    let finding = skipped_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 4, 4));
    assert_eq!(told(&finding.evidence[0])[1].1, "passed by what group order-tracker has committed");
}

#[test]
fn records_deleted_under_a_slow_consumer_are_skipped_and_those_deleted_before_are_nobodys() {
    let mut record = orders([2, 3, 8, 9]);
    let start = |start, asked_ms| Reading { start, ..reading(0, -1, 10, asked_ms) };
    // Two were deleted before anybody watched, then everything up to 8, past a group that stood at 4.
    record.readings = vec![start(2, 0), start(8, 50)];
    record.commits = vec![commit(0, 4, 0, 45), commit(0, 10, 1, 120)];
    let finding = skipped_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 8, 4));
    assert_eq!(finding.evidence[0].title, "message 4 (key user-0)");
}

#[test]
fn a_group_whose_commits_expired_skips_with_latest_and_does_not_go_back_with_earliest() {
    let expired = Commit { kind: CommitKind::Removed, ..commit(0, -1, 1, 60) };
    let mut latest = orders([0, 1, 2, 3, 8, 9]);
    latest.commits = vec![commit(0, 4, 0, 50), expired, commit(0, 10, 2, 120)];
    assert_eq!(verdict(&skipped_of(&latest)), (Outcome::Fail, 10, 4));
    assert_eq!(verdict(&regressed_of(&latest)), (Outcome::Inconclusive, 0, 0), "nothing to compare with");

    let mut earliest = orders((0..4).chain(0..10));
    earliest.commits = vec![commit(0, 4, 0, 50), expired, commit(0, 1, 2, 70), commit(0, 10, 3, 160)];
    assert_eq!(verdict(&skipped_of(&earliest)), (Outcome::Pass, 10, 0));
    assert_eq!(verdict(&regressed_of(&earliest)), (Outcome::Pass, 1, 0));
}

#[test]
fn one_effect_is_enough_for_a_message_at_two_offsets() {
    let mut record = orders(0..9);
    // The producer sent it twice; the service's inbox let it through once.
    record.deliveries[usize::from(TOPIC)][9].identity = message(3, 0).identity;
    record.commits = vec![commit(0, 10, 0, 120)];
    assert_eq!(verdict(&skipped_of(&record)), (Outcome::Pass, 9, 0));
}

#[test]
fn what_was_cut_off_and_written_anew_is_not_skipped() {
    let mut record = orders((0..7).chain(20..22));
    // The tap read 7, 8 and 9 from a leader that lost them; 7 and 8 were written again, as other messages.
    for (n, offset) in [(20, 7), (21, 8)] {
        let anew = Delivery { offset, ..message(n, 30) };
        record.deliveries[usize::from(TOPIC)].push(anew);
    }
    record.readings = vec![reading(0, -1, 10, 0), reading(0, 9, 9, 400)];
    record.commits = vec![commit(0, 9, 0, 400)];
    assert_eq!(verdict(&skipped_of(&record)), (Outcome::Pass, 9, 0));
}

#[test]
fn without_a_commit_or_a_group_nothing_was_compared() {
    assert_eq!(verdict(&skipped_of(&orders(0..10))), (Outcome::Inconclusive, 0, 0));
    assert_eq!(verdict(&too_far_of(&orders(0..10))), (Outcome::Inconclusive, 0, 0));
    let mut nobody = orders(0..10);
    nobody.watches.clear();
    for finding in [skipped_of(&nobody), too_far_of(&nobody), regressed_of(&nobody)] {
        assert_eq!(verdict(&finding), (Outcome::Inconclusive, 0, 0));
        assert!(finding.detail.starts_with("the run watches no group"), "{}", finding.detail);
    }
}

#[test]
fn every_sink_of_a_group_is_judged_for_itself() {
    let mut record = orders(0..10);
    let emails = record.add_stream("mailbox", StreamKind::Ledger);
    record.watches[0].sinks.push(emails);
    record.deliveries[usize::from(emails)] = (0..9).map(|n| message(n, 200)).collect();
    record.commits = vec![commit(0, 10, 0, 300)];
    let findings = skipped::check(&record, NOTHING).expect("readable");
    let subjects: Vec<_> = findings.iter().map(|finding| (finding.subject.as_str(), finding.found)).collect();
    let expected = [
        ("group order-tracker on orders -> ledger tracker", 0),
        ("group order-tracker on orders -> ledger mailbox", 1),
    ];
    assert_eq!(subjects, expected);
}

// Committed too far.

#[test]
fn a_commit_before_the_work_is_too_far_though_nothing_was_lost() {
    let mut record = orders(0..10);
    // Processed at 10, 20, ... 100 ms; the second commit covers messages that were processed after it had been seen.
    record.commits = vec![commit(0, 5, 0, 51), commit(0, 9, 1, 55), commit(0, 10, 2, 100)];
    assert_eq!(verdict(&skipped_of(&record)), (Outcome::Pass, 10, 0));
    let finding = too_far_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 3, 1));
    let [story] = finding.evidence.as_slice() else { panic!("one story, not {:?}", finding.evidence) };
    assert_eq!(story.title, "commit 9 at orders/0");
    let expected = [
        (5, "message 5 (key user-0) read from topic orders, partition 0 offset 5"),
        (55, "group order-tracker committed 9 at orders/0 (generation 1)"),
        (60, "only then message 5 was processed: in ledger tracker, read by its owner at partition 0 offset 5"),
    ];
    assert_eq!(told(story), expected);
}

#[test]
fn a_commit_over_work_that_was_never_done_is_too_far() {
    let mut record = orders([0, 1, 3]);
    record.commits = vec![commit(0, 2, 0, 30), commit(0, 4, 1, 50)];
    let finding = too_far_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 2, 1));
    assert_eq!(told(&finding.evidence[0])[2], (u64::MAX, "message 2 is never in ledger tracker"));
}

#[test]
fn only_the_first_commit_that_passes_a_message_is_to_blame_for_it() {
    let mut record = orders([0, 1, 3, 4, 5, 6]);
    let reset = Commit { kind: CommitKind::Reset, ..commit(0, 9, 4, 140) };
    record.commits = vec![
        commit(0, 2, 0, 30),
        commit(0, 4, 1, 50),
        commit(0, 3, 2, 60),
        commit(0, 7, 3, 100),
        reset,
        commit(0, 9, 5, 150),
    ];
    let finding = too_far_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 3, 1), "those that pass nothing new are not compared");
    assert_eq!(finding.evidence[0].title, "commit 4 at orders/0");
}

#[test]
fn the_first_effect_counts_and_a_commit_seen_at_that_instant_is_in_time() {
    let mut record = orders((0..10).chain(0..10));
    record.commits = vec![commit(0, 10, 0, 100)];
    assert_eq!(verdict(&too_far_of(&record)), (Outcome::Pass, 1, 0));
    record.commits = vec![commit(0, 10, 0, 99)];
    assert_eq!(verdict(&too_far_of(&record)), (Outcome::Fail, 1, 1));
}

#[test]
fn work_that_shows_in_a_topic_counts_from_when_it_was_produced_and_not_from_when_a_tap_saw_it() {
    let mut record = orders([]);
    let processed = record.add_stream("processed", StreamKind::Topic);
    record.watches[0].sinks = vec![processed];
    let produced = |timestamp_ms| Delivery { timestamp_ms, offset: 0, ..message(0, 500) };
    record.commits = vec![commit(0, 1, 0, 50)];
    let start_ms = i64::try_from(watched::at(0) / watched::MS).expect("before the end of time");
    for (timestamp_ms, outcome) in [(start_ms + 49, Outcome::Pass), (start_ms + 51, Outcome::Fail), (-1, Outcome::Fail)]
    {
        record.deliveries[usize::from(processed)] = vec![produced(timestamp_ms)];
        assert_eq!(too_far_of(&record).outcome, outcome, "{timestamp_ms}");
    }
}

#[test]
fn work_that_was_read_before_the_commit_was_done_by_then_whatever_a_clock_says() {
    let mut record = orders([]);
    let processed = record.add_stream("processed", StreamKind::Topic);
    record.watches[0].sinks = vec![processed];
    record.commits = vec![commit(0, 1, 0, 50)];
    // By `LogAppendTime`, on a broker that is an hour ahead.
    let ahead_ms = i64::try_from(watched::at(3_600_000) / watched::MS).expect("before the end of time");
    for (read_ms, outcome) in [(40, Outcome::Pass), (60, Outcome::Fail)] {
        let produced = Delivery { timestamp_ms: ahead_ms, offset: 0, ..message(0, read_ms) };
        record.deliveries[usize::from(processed)] = vec![produced];
        assert_eq!(too_far_of(&record).outcome, outcome, "read after {read_ms} ms");
    }
}

#[test]
fn a_reset_promises_nothing() {
    let mut record = orders(0..4);
    record.commits = vec![commit(0, 4, 0, 50), Commit { kind: CommitKind::Reset, ..commit(0, 10, 1, 60) }];
    assert_eq!(verdict(&too_far_of(&record)), (Outcome::Pass, 1, 0));
    assert_eq!(skipped_of(&record).found, 6, "but what it passes is skipped");
}

#[test]
fn an_unclean_election_leaves_a_group_beyond_the_end_of_the_log() {
    let mut record = orders(0..10);
    record.commits = vec![commit(0, 10, 0, 110)];
    record.readings =
        vec![reading(0, 10, 10, 120), reading(0, 10, 7, 220), reading(0, 10, 8, 320), reading(0, 10, 30, 420)];
    let finding = too_far_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 5, 1), "one offset, however often it is given out");
    assert_eq!(finding.evidence[0].title, "commit 10 at orders/0, beyond the end of the log");
    let expected = [
        (220, "group order-tracker has committed 10, says its coordinator"),
        (221, "the log of orders/0 ends at 7, says its leader"),
    ];
    assert_eq!(told(&finding.evidence[0]), expected);
}

#[test]
fn a_leader_that_was_cut_off_knows_an_old_end_and_convicts_nobody() {
    let mut record = orders(0..10);
    record.commits = vec![commit(0, 10, 0, 110)];
    record.readings = vec![reading(0, 10, 10, 120), reading(0, 10, 7, 220), reading(0, 10, 30, 420)];
    let isolated = |since, until| Trouble { since_ns: watched::at(since), until_ns: watched::at(until) };
    record.course.troubles = vec![isolated(150, 300)];
    assert_eq!(verdict(&too_far_of(&record)), (Outcome::Pass, 3, 0), "one commit, and the looks before and behind it");
    record.course.troubles = vec![isolated(150, 219), isolated(230, 300)];
    assert_eq!(verdict(&too_far_of(&record)), (Outcome::Fail, 4, 1), "nothing was broken when it was looked at");
    // From its question to its last answer, a look takes a millisecond: what ends in between ends too late.
    record.course.troubles = vec![Trouble { until_ns: watched::at(220) + 1, ..isolated(150, 220) }];
    assert_eq!(too_far_of(&record).outcome, Outcome::Pass);
}

// Offset regressed.

#[test]
fn a_member_that_commits_less_than_before_goes_back() {
    let mut record = orders([]);
    // A zombie that slept through its session, and a partition that another member has in good order.
    record.commits = vec![commit(0, 5, 0, 10), commit(1, 3, 1, 11), commit(0, 2, 2, 20), commit(1, 4, 3, 21)];
    let finding = regressed_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 2, 1));
    assert_eq!(finding.subject, "group order-tracker on orders");
    let [story] = finding.evidence.as_slice() else { panic!("one story, not {:?}", finding.evidence) };
    assert_eq!(story.title, "orders/0: from 5 back to 2");
    let expected = [
        (10, "group order-tracker committed 5 at orders/0 (generation 1), offset 0 of its log"),
        (20, "group order-tracker committed 2 at orders/0 (generation 1), offset 2 of its log"),
    ];
    assert_eq!(told(story), expected);
}

#[test]
fn the_order_is_that_of_the_log_and_not_that_of_what_a_tap_reads_again() {
    let mut record = orders([]);
    let log = [commit(0, 1, 0, 10), commit(0, 5, 4, 20)];
    record.commits = log.into_iter().chain(log).chain([commit(0, 9, 6, 30)]).collect();
    assert_eq!(verdict(&regressed_of(&record)), (Outcome::Pass, 2, 0));
}

#[test]
fn a_reset_while_nobody_is_a_member_is_told_apart() {
    let mut record = orders([]);
    let reset = Commit { kind: CommitKind::Reset, ..commit(0, 0, 1, 20) };
    record.commits = vec![commit(0, 9, 0, 10), reset, commit(0, 4, 2, 30)];
    record.readings = vec![reading(0, 9, 10, 15), reading(0, 0, 10, 25), reading(0, 4, 10, 35)];
    assert_eq!(verdict(&regressed_of(&record)), (Outcome::Pass, 1, 0));
    // Behind the reset, the group is held to its word again.
    record.commits.push(commit(0, 3, 3, 40));
    assert_eq!(verdict(&regressed_of(&record)), (Outcome::Fail, 2, 1));
}

#[test]
fn a_coordinator_that_recovers_badly_answers_less_than_its_log_has() {
    let mut record = orders([]);
    record.commits = vec![commit(0, 4, 0, 10), commit(0, 9, 1, 20)];
    record.readings =
        vec![reading(0, 9, 10, 30), reading(0, 4, 10, 130), reading(0, -1, 10, 230), reading(0, 9, 10, 330)];
    let finding = regressed_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 3, 2), "what is back after nothing was answered is no comparison");
    let titles: Vec<_> = finding.evidence.iter().map(|story| story.title.as_str()).collect();
    assert_eq!(titles, ["orders/0: from 9 back to 4", "orders/0: from 4 back to nothing"]);
    assert_eq!(
        told(&finding.evidence[1])[1].1,
        "the coordinator of group order-tracker answered that nothing is committed"
    );
}

#[test]
fn what_the_log_has_gone_back_the_answers_do_not_count_again() {
    let mut record = orders([]);
    record.commits = vec![commit(0, 9, 0, 10), commit(0, 4, 1, 20)];
    record.readings = vec![reading(0, 9, 10, 15), reading(0, 4, 10, 25)];
    assert_eq!(verdict(&regressed_of(&record)), (Outcome::Fail, 1, 1));
}

// Inconsistent offset.

fn inconsistent_of(record: &MemoryRecord) -> Finding {
    only(inconsistent_offset::check(record, NOTHING))
}

fn read(record: &mut MemoryRecord, stream: StreamId, messages: impl IntoIterator<Item = (u32, i64, u64)>) {
    let delivery = |(n, offset, seen_ms)| Delivery { offset, ..message(n, seen_ms) };
    record.deliveries[usize::from(stream)].extend(messages.into_iter().map(delivery));
}

#[test]
fn who_reads_again_after_an_unclean_election_reads_something_else() {
    let mut record = orders([]);
    read(&mut record, AGAIN, (0..7).map(|n| (n, i64::from(n), 900)).chain([(30, 7, 900), (31, 8, 900)]));
    let finding = inconsistent_of(&record);
    assert_eq!(verdict(&finding), (Outcome::Fail, 9, 2), "nobody compares what one of them does not have");
    assert_eq!(finding.subject, "topic orders");
    let [story, _] = finding.evidence.as_slice() else { panic!("two stories, not {:?}", finding.evidence) };
    assert_eq!(story.title, "orders/0 offset 7");
    let expected = [
        (7, "message 7 (key user-0), amount 1007, timestamp -1 ms: read from topic orders"),
        (900, "message 30 (key user-0), amount 1030, timestamp -1 ms: read from topic orders, read again"),
    ];
    assert_eq!(told(story), expected);
}

#[test]
fn a_tap_that_goes_back_compares_itself() {
    let mut record = orders([]);
    read(&mut record, TOPIC, [(8, 8, 50), (40, 9, 50), (9, 9, 60)]);
    assert_eq!(verdict(&inconsistent_of(&record)), (Outcome::Fail, 3, 1), "one offset counts once");
    assert_eq!(inconsistent_of(&record).evidence[0].events.len(), 3);
}

#[test]
fn any_part_of_a_value_may_differ_and_when_it_was_read_may_not() {
    let twice = |change: fn(&mut Delivery)| {
        let mut record = orders([]);
        read(&mut record, AGAIN, (0..10).map(|n| (n, i64::from(n), 900)));
        change(&mut record.deliveries[usize::from(AGAIN)][4]);
        inconsistent_of(&record).found
    };
    assert_eq!(twice(|_| {}), 0);
    assert_eq!(twice(|delivery| delivery.received_ns += 1), 0);
    assert_eq!(twice(|delivery| delivery.value += 1), 1);
    assert_eq!(twice(|delivery| delivery.timestamp_ms += 1), 1);
    assert_eq!(twice(|delivery| delivery.intended_ns += 1), 1);
    assert_eq!(twice(|delivery| delivery.key = shakedown_reports::identity::Key::ABSENT), 1);
    assert_eq!(twice(|delivery| delivery.identity = message(5, 0).identity), 1);
    assert_eq!(twice(|delivery| delivery.partition = 1), 0, "that is another offset");
}

#[test]
fn a_topic_that_was_read_once_proves_nothing() {
    assert_eq!(verdict(&inconsistent_of(&orders([]))), (Outcome::Inconclusive, 0, 0));
}

// Together.

#[test]
fn what_is_missing_from_an_incomplete_record_convicts_no_group() {
    let mut record = orders([0, 1, 2]);
    record.commits = vec![commit(0, 10, 0, 120), commit(0, 9, 1, 130)];
    record.defects.push("ledger tracker: deliveries-2.bin was not finished".to_owned());
    let expectations = Expectations {
        skipped: Some(NOTHING),
        committed_too_far: Some(NOTHING),
        offset_regressed: Some(NOTHING),
        ..Expectations::default()
    };
    let verdict = history::judged(&record, &expectations);
    assert_eq!(history::convicting(&verdict), [offset_regressed::NAME]);
    let [finding] = history::findings(&verdict, skipped::NAME)[..] else { panic!("one finding, not {verdict:#?}") };
    assert_eq!(finding.detail, "7 of 10; the record is incomplete");
}
