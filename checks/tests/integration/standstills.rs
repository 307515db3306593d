//! Histories of groups that stand still or fall behind, written by hand, and what must not be mistaken for either.

use crate::watched::{self, MS, reading};
use shakedown_checks::{lag, stalled};
use shakedown_reports::course::Trouble;
use shakedown_reports::expectation::{Bounds, LagBudget, StandstillLimit};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::verdict::{Finding, Outcome, Story};
use shakedown_reports::watch::{Reading, Watch};

const LIMIT: StandstillLimit = StandstillLimit::everywhere(2_000 * MS);
/// Between two looks.
const LOOK_MS: u64 = 100;

/// Ten seconds of looks at three partitions that grow by ten messages between two looks, with the group right behind.
fn steady() -> Vec<Reading> {
    let look = |n: u64| (0..3).map(move |partition| reading(partition, end(n) - 10, end(n), n * LOOK_MS));
    (1..=100).flat_map(look).collect()
}

fn end(look: u64) -> i64 {
    i64::try_from(look * 10).expect("few looks")
}

/// From one instant to another, the group commits nothing more at a partition.
fn poison(readings: &mut [Reading], partition: i32, from_ms: u64, to_ms: u64) {
    let hit = |reading: &&mut Reading| {
        reading.partition == partition && (watched::at(from_ms)..watched::at(to_ms)).contains(&reading.asked_ns)
    };
    let mut stands_at = None;
    for reading in readings.iter_mut().filter(hit) {
        reading.committed = *stands_at.get_or_insert(reading.committed);
    }
}

fn record(readings: Vec<Reading>) -> MemoryRecord {
    let mut record = watched::system();
    record.readings = readings;
    record.course.load_ended_ns = Some(watched::at(10_000));
    record
}

/// The findings on the group and on the last stable offset.
fn stalled_of(record: &MemoryRecord) -> [Finding; 2] {
    let findings = stalled::check(record, &LIMIT).expect("a record in memory is readable");
    findings.try_into().unwrap_or_else(|findings| panic!("two findings, not {findings:#?}"))
}

fn group_of(record: &MemoryRecord) -> Finding {
    let [group, stable] = stalled_of(record);
    assert_eq!((stable.outcome, stable.subject.as_str()), (Outcome::Pass, "last stable offset of orders"));
    group
}

fn lag_of(record: &MemoryRecord, at_most: Option<u64>, drained_in_ms: Option<u64>) -> Finding {
    let budget = LagBudget { at_most, drained_in: drained_in_ms.map(|ms| ms * MS) };
    let findings = lag::check(record, &budget).expect("a record in memory is readable");
    let [finding] = findings.as_slice() else { panic!("one finding, not {findings:#?}") };
    finding.clone()
}

fn told(story: &Story) -> Vec<(u64, &str)> {
    let since_start = |at_ns: u64| (at_ns - watched::at(0)) / MS;
    story.events.iter().map(|event| (event.at_ns.map_or(u64::MAX, since_start), event.text.as_str())).collect()
}

// Stalled.

#[test]
fn a_group_that_keeps_up_does_not_stand_still() {
    let finding = group_of(&record(steady()));
    assert_eq!((finding.outcome, finding.compared, finding.found), (Outcome::Pass, 300, 0));
    assert_eq!(finding.detail, "longest 0 s (2)");
}

#[test]
fn a_group_without_anything_to_do_does_not_stand_still() {
    let idle = (1..=100).map(|look| reading(0, 50, 50, look * LOOK_MS)).collect();
    assert_eq!(group_of(&record(idle)).outcome, Outcome::Pass);
}

#[test]
fn a_poisoned_partition_is_named_while_the_others_flow() {
    let mut readings = steady();
    poison(&mut readings, 1, 4_000, 10_001);
    let finding = group_of(&record(readings));
    assert_eq!((finding.outcome, finding.compared, finding.found), (Outcome::Fail, 300, 1));
    assert_eq!(finding.subject, "group order-tracker on orders");
    assert_eq!(finding.detail, "longest 5.999 s (2!) at orders/1");
    let [story] = finding.evidence.as_slice() else { panic!("one story, not {:?}", finding.evidence) };
    assert_eq!(story.title, "orders/1 stands still for 5.999 s");
    let expected = [
        (4_001, "group order-tracker has committed 390, and could go on to 400"),
        (10_000, "still group order-tracker has committed 390, and could go on to 1,000"),
        (u64::MAX, "meanwhile 2 of the 2 other partitions moved on, by 1,200 offsets together"),
    ];
    assert_eq!(told(story), expected);
}

#[test]
fn a_group_that_has_never_committed_stands_still_as_well() {
    let never = (1..=100).map(|look| reading(0, -1, end(look), look * LOOK_MS)).collect();
    let finding = group_of(&record(never));
    assert_eq!((finding.outcome, finding.found), (Outcome::Fail, 1));
    assert!(finding.evidence[0].events[0].text.starts_with("group order-tracker has committed nothing"));
    assert_eq!(finding.evidence[0].events[2].text, "it is the topic's only partition");
}

#[test]
fn a_standstill_of_the_limit_itself_is_allowed() {
    let mut readings = steady();
    // From the answer at 4,001 ms to the question at 6,000 ms; a look later it is too long.
    poison(&mut readings, 1, 4_000, 6_100);
    assert_eq!(group_of(&record(readings.clone())).detail, "longest 1.999 s (2)");
    poison(&mut readings, 1, 4_000, 6_200);
    let finding = group_of(&record(readings));
    assert_eq!((finding.outcome, finding.detail.as_str()), (Outcome::Fail, "longest 2.099 s (2!) at orders/1"));
}

#[test]
fn what_stands_still_while_something_is_broken_is_no_finding_and_what_does_not_go_on_is() {
    let mut readings = steady();
    poison(&mut readings, 1, 3_000, 7_000);
    let mut record = record(readings);
    let trouble = |since, until| Trouble { since_ns: watched::at(since), until_ns: watched::at(until) };
    record.course.troubles = vec![trouble(2_900, 6_500)];
    assert_eq!(group_of(&record).detail, "longest 0.4 s (2)", "counted from when it was healed");
    record.course.troubles = vec![trouble(2_900, 4_000)];
    let finding = group_of(&record);
    assert_eq!((finding.outcome, finding.detail.as_str()), (Outcome::Fail, "longest 2.9 s (2!) at orders/1"));
    // Another fault in the midst of it begins the clock anew.
    record.course.troubles.push(trouble(5_000, 5_500));
    assert_eq!(group_of(&record).outcome, Outcome::Pass);
}

#[test]
fn partitions_are_counted_and_not_how_often_one_of_them_stands_still() {
    let mut readings = steady();
    poison(&mut readings, 0, 1_000, 4_000);
    poison(&mut readings, 0, 6_000, 9_000);
    poison(&mut readings, 2, 6_000, 9_500);
    let finding = group_of(&record(readings));
    assert_eq!((finding.found, finding.detail.as_str()), (2, "longest 3.399 s (2!) at orders/2"));
    let titles: Vec<_> = finding.evidence.iter().map(|story| story.title.as_str()).collect();
    assert_eq!(titles, ["orders/2 stands still for 3.399 s", "orders/0 stands still for 2.899 s"]);
}

#[test]
fn a_partition_may_be_expected_to_stand_still() {
    let mut readings = steady();
    poison(&mut readings, 0, 1_000, 4_000);
    let record = record(readings);
    let judged = |partitions| {
        let limit = StandstillLimit { partitions, ..LIMIT };
        stalled::check(&record, &limit).expect("readable")
    };
    let one = &judged(Bounds::exactly(1))[0];
    assert_eq!((one.outcome, one.found, one.evidence.len()), (Outcome::Pass, 1, 0));
    assert_eq!(one.detail, "longest 2.899 s (2!) at orders/0  1 partition, exactly 1 expected over all");
    let [group, stable] = &judged(Bounds::exactly(2))[..] else { panic!("two findings") };
    assert_eq!((group.outcome, stable.outcome), (Outcome::Fail, Outcome::Pass), "only who contributed is to blame");
    assert_eq!(judged(Bounds { at_least: 1, at_most: u64::MAX })[0].outcome, Outcome::Pass);
}

#[test]
fn a_time_in_which_nobody_looked_cannot_pass_unless_something_was_broken() {
    let looked = |reading: &Reading| !(watched::at(3_000)..watched::at(5_500)).contains(&reading.asked_ns);
    let mut record = record(steady().into_iter().filter(looked).collect());
    let finding = group_of_unseen(&record);
    assert_eq!((finding.outcome, finding.found), (Outcome::Inconclusive, 0));
    assert_eq!(finding.detail, "longest 0 s (2)  nobody looked for 2.599 s");
    record.course.troubles = vec![Trouble { since_ns: watched::at(2_950), until_ns: watched::at(4_000) }];
    assert_eq!(group_of(&record).outcome, Outcome::Pass);
}

#[test]
fn a_topic_that_nobody_can_look_at_any_more_cannot_pass() {
    let mut record = record(steady().into_iter().filter(|reading| reading.asked_ns < watched::at(7_000)).collect());
    let finding = group_of_unseen(&record);
    assert_eq!((finding.outcome, finding.found), (Outcome::Inconclusive, 0));
    assert_eq!(finding.detail, "longest 0 s (2)  nobody looked for 3.099 s", "the load ends after ten seconds");
    // As long as something is broken, that is no wonder: there are 1.6 s before it, and none behind it.
    let trouble = |since, until| Trouble { since_ns: watched::at(since), until_ns: watched::at(until) };
    record.course.troubles = vec![trouble(8_500, 10_000)];
    assert_eq!(group_of(&record).outcome, Outcome::Pass);
    // A fault that comes later does not hide that nobody could look before it.
    record.course.troubles = vec![trouble(9_500, 10_000)];
    assert_eq!(group_of_unseen(&record).detail, "longest 0 s (2)  nobody looked for 2.599 s");
}

#[test]
fn looks_at_another_topic_tell_how_long_this_one_was_not_seen() {
    let mut record = record(steady());
    record.course.load_ended_ns = Some(watched::at(1_000));
    record.watches.push(Watch {
        topic: "more".to_owned(),
        group: Some("more".to_owned()),
        source: None,
        sinks: Vec::new(),
    });
    let looks = (1..=130_u64).map(|look| Reading { watch: 1, ..reading(0, 10, 10, look * LOOK_MS) });
    record.readings.extend(looks);
    let findings = stalled::check(&record, &LIMIT).expect("readable");
    let details: Vec<&str> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    let unseen = "longest 0 s (2)  nobody looked for 2.999 s";
    assert_eq!(details, [unseen, unseen, "longest 0 s (2)", "longest 0 s (2)"]);
}

#[test]
fn a_group_and_a_log_that_nobody_ever_saw_have_a_finding_all_the_same() {
    let mut record = record(steady());
    let watch = |topic: &str, group: Option<&str>| Watch {
        topic: topic.to_owned(),
        group: group.map(str::to_owned),
        source: None,
        sinks: Vec::new(),
    };
    record.watches.extend([watch("more", Some("unseen")), watch("alone", None), watch("orders", None)]);
    let findings = stalled::check(&record, &LIMIT).expect("readable");
    let told: Vec<_> = findings.iter().map(|finding| (finding.subject.as_str(), finding.outcome)).collect();
    let expected = [
        ("group order-tracker on orders", Outcome::Pass),
        ("last stable offset of orders", Outcome::Pass),
        ("group unseen on more", Outcome::Inconclusive),
        ("last stable offset of alone", Outcome::Inconclusive),
    ];
    assert_eq!(told, expected);
    assert_eq!((findings[2].compared, findings[2].detail.as_str()), (0, "nobody could look how far it was"));
}

fn group_of_unseen(record: &MemoryRecord) -> Finding {
    let [group, stable] = stalled_of(record);
    assert_eq!(stable.outcome, Outcome::Inconclusive, "nobody looked at it either");
    group
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset_and_the_group_is_not_to_blame() {
    let mut readings = steady();
    for reading in
        readings.iter_mut().filter(|reading| reading.partition == 2 && reading.asked_ns >= watched::at(5_000))
    {
        (reading.stable, reading.committed) = (480, 480);
    }
    let [group, stable] = stalled_of(&record(readings));
    assert_eq!(group.outcome, Outcome::Pass);
    assert_eq!((stable.outcome, stable.found), (Outcome::Fail, 1));
    assert_eq!(stable.detail, "longest 4.999 s (2!) at orders/2");
    let text = &stable.evidence[0].events[0].text;
    assert_eq!(text, "the last stable offset is 480, and could go on to 500");
}

#[test]
fn a_log_without_a_group_is_watched_for_its_last_stable_offset_alone() {
    let mut record = record(steady());
    record.watches = vec![Watch { topic: "orders".to_owned(), group: None, source: None, sinks: Vec::new() }];
    let findings = stalled::check(&record, &LIMIT).expect("readable");
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].subject, "last stable offset of orders");
}

#[test]
fn without_a_look_nothing_passes() {
    let findings = stalled::check(&record(Vec::new()), &LIMIT).expect("readable");
    assert_eq!((findings.len(), findings[0].outcome, findings[0].compared), (1, Outcome::Inconclusive, 0));
    assert_eq!(lag_of(&record(Vec::new()), Some(1), Some(1)).outcome, Outcome::Inconclusive);
    let mut nobody = record(steady());
    nobody.watches.clear();
    assert_eq!(lag_of(&nobody, Some(1), None).detail, "the run watches no group, so nothing was compared");
}

// Lag.

#[test]
fn a_group_is_behind_by_the_sum_over_its_partitions() {
    let record = record(steady());
    assert_eq!(lag_of(&record, Some(30), None).detail, "highest 30 (30)");
    let finding = lag_of(&record, Some(29), None);
    assert_eq!((finding.outcome, finding.compared, finding.found), (Outcome::Fail, 100, 100));
    assert_eq!(finding.detail, "highest 30 (29!)");
}

#[test]
fn the_worst_look_is_told_with_the_partitions_furthest_behind() {
    let mut readings = steady();
    poison(&mut readings, 1, 4_000, 8_000);
    let finding = lag_of(&record(readings), Some(100), None);
    assert_eq!((finding.outcome, finding.found), (Outcome::Fail, 32));
    assert_eq!(finding.detail, "highest 420 (100!)");
    let [story] = finding.evidence.as_slice() else { panic!("one story, not {:?}", finding.evidence) };
    assert_eq!(story.title, "group order-tracker on orders: 420 behind while the load lasted");
    let furthest = "group order-tracker has committed 390 at orders/1, which ends at 790: 400 behind";
    assert_eq!(told(story)[0], (7_901, furthest));
}

#[test]
fn what_is_left_after_the_load_has_its_own_limit() {
    let mut readings = steady();
    for look in 101..=160_u64 {
        let left = i64::try_from(130 - look.min(130)).expect("few");
        readings.extend((0..3).map(|partition| reading(partition, 1_000 - left, 1_000, look * LOOK_MS)));
    }
    let record = record(readings);
    assert_eq!(lag_of(&record, None, Some(3_000)).outcome, Outcome::Inconclusive, "between the looks at 2.9 and 3 s");
    assert_eq!(lag_of(&record, None, Some(3_001)).detail, "drained after 3.001 s (3.001)");
    let finding = lag_of(&record, Some(30), Some(1_000));
    assert_eq!((finding.outcome, finding.found), (Outcome::Fail, 1));
    assert_eq!(finding.detail, "highest 30 (30)  3 left 2.9 s after the load (1!)");
    let title = &finding.evidence[0].title;
    assert_eq!(title, "group order-tracker on orders: 3 behind 2.9 s after the load");
}

#[test]
fn a_group_that_was_drained_before_the_load_ended_took_no_time() {
    let mut readings = steady();
    readings.extend((0..3).map(|partition| reading(partition, 1_000, 1_000, 9_999)));
    readings.extend((0..3).map(|partition| reading(partition, 1_000, 1_000, 10_100)));
    readings.sort_by_key(|reading| reading.asked_ns);
    readings.retain(|reading| reading.asked_ns != watched::at(10_000));
    assert_eq!(lag_of(&record(readings), None, Some(1)).detail, "drained after 0 s (0.001)");
}

#[test]
fn nobody_knows_of_a_drain_that_nobody_watched() {
    let mut record = record(steady());
    assert_eq!(lag_of(&record, None, Some(1_000)).outcome, Outcome::Inconclusive);
    record.course.load_ended_ns = None;
    assert_eq!(lag_of(&record, None, Some(1_000)).detail, "nobody looked 1 s after the load");
}

#[test]
fn a_hole_between_looks_is_bounded_by_what_is_known_on_both_sides() {
    let looked = |reading: &Reading| !(watched::at(3_000)..watched::at(5_500)).contains(&reading.asked_ns);
    let record = record(steady().into_iter().filter(looked).collect());
    // At 2.9 s 280 are committed, at 5.5 s the log ends at 550: it cannot have been more than 270 at each of the three.
    assert_eq!(lag_of(&record, Some(810), None).outcome, Outcome::Pass);
    let finding = lag_of(&record, Some(809), None);
    assert_eq!((finding.outcome, finding.found), (Outcome::Inconclusive, 0));
    assert_eq!(finding.detail, "highest 30 (809)  up to 810 while nobody looked");
}

#[test]
fn a_look_from_before_the_load_says_nothing_about_it() {
    let mut record = record(vec![reading(0, 0, 0, 100)]);
    record.course.load_began_ns = Some(watched::at(200));
    for ended_ms in [600, 9_200] {
        record.course.load_ended_ns = Some(watched::at(ended_ms));
        let finding = lag_of(&record, Some(1_000), None);
        let expected = (Outcome::Inconclusive, "nobody looked while the load lasted");
        assert_eq!((finding.outcome, finding.detail.as_str()), expected, "a load until {ended_ms} ms");
    }
}

#[test]
fn lag_that_nobody_could_see_until_the_load_was_over_is_not_bounded() {
    let seen_until = |ms: u64| steady().into_iter().filter(|reading| reading.asked_ns < watched::at(ms)).collect();
    assert_eq!(lag_of(&record(seen_until(9_200)), Some(1_000), None).detail, "highest 30 (1,000)");
    let finding = lag_of(&record(seen_until(9_000)), Some(1_000), None);
    assert_eq!((finding.outcome, finding.found), (Outcome::Inconclusive, 0));
    assert_eq!(finding.detail, "highest 30 (1,000)  nobody looked for the last 1.099 s of the load");
}

#[test]
fn deleted_messages_are_nobodys_lag() {
    let deleted = |look: u64| Reading { start: end(look) - 5, ..reading(0, -1, end(look), look * LOOK_MS) };
    assert_eq!(lag_of(&record((1..=100).map(deleted).collect()), Some(5), None).detail, "highest 5 (5)");
}
