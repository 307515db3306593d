//! What a load promises: everything offered ends and is recorded, and nothing forgives arrears.

use crate::Test;
use crate::bench::{Bench, DRIVER, PARTITIONS, RUN, TOPIC, plan, wait_until};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use shakedown_loadgen::{Driver, Load, LoadError, Progress, StopFlag, TopicError};
use shakedown_reports::intervals;
use shakedown_reports::record::{Operation, Outcome};
use std::collections::HashSet;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("load::every_message_is_acknowledged_at_a_place_of_its_own", every_message_is_acknowledged_at_a_place_of_its_own),
    ("load::the_schedule_begins_when_the_client_can_send", the_schedule_begins_when_the_client_can_send),
    (
        "load::a_queue_full_of_messages_makes_them_late_and_not_the_generator",
        a_queue_full_of_messages_makes_them_late_and_not_the_generator,
    ),
    (
        "load::a_queue_full_of_bytes_makes_messages_late_and_not_the_generator",
        a_queue_full_of_bytes_makes_messages_late_and_not_the_generator,
    ),
    (
        "load::each_partition_is_measured_by_itself_where_that_is_asked_for",
        each_partition_is_measured_by_itself_where_that_is_asked_for,
    ),
    ("load::what_nobody_answers_is_unknown", what_nobody_answers_is_unknown),
    ("load::what_the_broker_refuses_for_good_has_failed", what_the_broker_refuses_for_good_has_failed),
    ("load::a_raised_flag_ends_the_offering_and_loses_nothing", a_raised_flag_ends_the_offering_and_loses_nothing),
    (
        "load::a_raised_flag_ends_the_wait_for_a_cluster_that_is_gone",
        a_raised_flag_ends_the_wait_for_a_cluster_that_is_gone,
    ),
    (
        "load::a_load_that_is_held_waits_behind_the_last_message_that_may_go",
        a_load_that_is_held_waits_behind_the_last_message_that_may_go,
    ),
    (
        "load::several_producers_share_a_plan_and_every_key_has_one",
        several_producers_share_a_plan_and_every_key_has_one,
    ),
    ("load::several_producers_stop_at_one_gate", several_producers_stop_at_one_gate),
    ("load::several_producers_share_one_cap", several_producers_share_one_cap),
    ("load::a_cap_makes_messages_late_and_drops_none", a_cap_makes_messages_late_and_drops_none),
    (
        "load::a_topic_that_is_not_there_is_an_error_and_not_a_new_topic",
        a_topic_that_is_not_there_is_an_error_and_not_a_new_topic,
    ),
    (
        "load::properties_that_librdkafka_does_not_know_are_an_error",
        properties_that_librdkafka_does_not_know_are_an_error,
    ),
];

fn dense(operations: &[Operation], count: u64) {
    let mut sequences: Vec<_> = operations.iter().map(|operation| operation.identity.index()).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (0..count).collect::<Vec<_>>(), "every message ends exactly once");
}

fn every_message_is_acknowledged_at_a_place_of_its_own() {
    let bench = Bench::new();
    let mut plan = plan("2000/s", Duration::from_millis(500));
    plan.arrivals.shape = shakedown_loadgen::Shape::Poisson;
    let summary = bench.run(&plan);
    let progress = summary.progress;
    assert_eq!((progress.planned, progress.offered, progress.acknowledged), (1_000, 1_000, 1_000));
    assert_eq!((progress.failed, progress.unknown, progress.in_flight), (0, 0, 0));
    assert!(!summary.stopped_early);
    assert!((0.5..=1.0).contains(&summary.achieved_ratio()), "{}", summary.achieved_ratio());
    for histogram in [&summary.ack, &summary.service, &summary.delay, &summary.lateness] {
        assert_eq!(histogram.len(), 1_000, "nothing is sampled");
    }

    let operations = bench.operations();
    dense(&operations, 1_000);
    let last_ns = operations.iter().map(|operation| operation.completed_ns).max();
    assert_eq!(Some(summary.finished_ns), last_ns);
    assert!((1_000.0..2_200.0).contains(&summary.offered_per_second()), "{}/s", summary.offered_per_second());
    let places: HashSet<_> = operations.iter().map(|operation| (operation.partition, operation.offset)).collect();
    assert_eq!(places.len(), 1_000);
    let schedule = plan.schedule().expect("valid");
    let workload = plan.workload().expect("valid");
    for operation in &operations {
        let sequence = operation.identity.index();
        assert_eq!(operation.outcome, Outcome::Ok);
        assert_eq!(operation.intended_ns, summary.started_ns + schedule.offset_ns(sequence));
        assert!(operation.intended_ns <= operation.sent_ns && operation.sent_ns <= operation.completed_ns);
        let message = workload.message_at(sequence);
        assert_eq!((operation.key.index(), operation.value), (message.key, message.value));
    }
    assert_eq!(bench.interval_tags(), ["ack", "delay", "lateness", "service"]);
}

/// An idempotent client that finds no broker connected at first begins half a second later. That is no latency of the
/// system, and a budget on a p99 would break by it.
fn the_schedule_begins_when_the_client_can_send() {
    for _ in 0..3 {
        let summary = Bench::new().run(&plan("1000/s", Duration::from_millis(50)));
        assert_eq!(summary.progress.acknowledged, 50);
        assert!(summary.ack.max() < 400_000_000, "{} ns", summary.ack.max());
    }
}

fn a_queue_full_of_messages_makes_them_late_and_not_the_generator() {
    a_full_queue_delays_messages_and_moves_no_intended_instant("queue.buffering.max.messages", "20");
}

/// Here there is room for more messages, but not for their bytes.
fn a_queue_full_of_bytes_makes_messages_late_and_not_the_generator() {
    a_full_queue_delays_messages_and_moves_no_intended_instant("queue.buffering.max.kbytes", "2");
}

/// 20 messages each 100 ms are 200/s, a fifth of the rate: the last of 300 waits for more than a second.
fn a_full_queue_delays_messages_and_moves_no_intended_instant(property: &str, bound: &str) {
    let bench = Bench::new();
    bench.cluster.broker_round_trip_time(-1, Duration::from_millis(100)).expect("a slow broker");
    let mut plan = plan("1000/s", Duration::from_millis(300));
    plan.client.insert(property.to_owned(), bound.to_owned());
    let summary = bench.run(&plan);
    assert!(summary.progress.queue_full > 0, "{:?}", summary.progress);
    assert!(summary.progress.blocked_ns > 100_000_000, "{:?}", summary.progress);
    assert_eq!(summary.progress.acknowledged, 300);
    let operations = bench.operations();
    dense(&operations, 300);
    for operation in &operations {
        assert_eq!(operation.intended_ns, summary.started_ns + operation.identity.index() * 1_000_000);
    }
    assert!(summary.delay.max() > 1_000_000_000, "{} ns", summary.delay.max());
    assert!(summary.ack.max() > summary.delay.max(), "latency counts from the intended instant");
    assert!(summary.service.max() < summary.delay.max(), "service time does not");
    // The broker made them late, and the generator must not take the blame.
    assert!(summary.progress.delay_p99_ns > 1_000_000_000, "{:?}", summary.progress);
    assert!(summary.progress.lateness_p99_ns < 250_000_000, "{:?}", summary.progress);
    assert_eq!(summary.lateness.len(), 300, "nothing is sampled");
    let ratio = summary.achieved_ratio();
    assert!(ratio < 0.5, "{ratio} of the planned rate at a fifth of it");
}

fn each_partition_is_measured_by_itself_where_that_is_asked_for() {
    let bench = Bench::new();
    let mut plan = plan("2000/s", Duration::from_millis(500));
    plan.measures_partitions = true;
    let summary = bench.run(&plan);
    let log = intervals::read(bench.directory.path()).expect("a good log");
    let mut all = intervals::total(&[], "ack");
    for partition in 0..PARTITIONS {
        let at = i32::try_from(partition).expect("a few");
        let measured = intervals::total(&log, &intervals::partition_tag("ack", at));
        let expected = bench.operations().iter().filter(|operation| operation.partition == at).count();
        assert_eq!(measured.len(), expected as u64, "partition {partition}");
        all.add(&measured).expect("the same precision");
    }
    assert_eq!(all, intervals::total(&log, "ack"), "partitions are all there is");
    assert_eq!(all, summary.ack, "the log has what the summary says");
}

fn what_nobody_answers_is_unknown() {
    let bench = Bench::new();
    let mut plan = plan("500/s", Duration::from_millis(600));
    plan.flush_timeout = Duration::from_millis(300);
    let load = bench.start(&plan, StopFlag::new());
    wait_until("something is acknowledged", || load.progress().acknowledged > 0);
    bench.cluster.broker_down(-1).expect("no broker left");
    let summary = load.join().expect("the load is recorded");
    let progress = summary.progress;
    assert_eq!(progress.offered, 300);
    assert!(given_up(progress) > 0, "{progress:?}");
    assert_eq!(progress.acknowledged + given_up(progress), 300, "{progress:?}");
    let operations = bench.operations();
    dense(&operations, 300);
    let lost = operations.iter().filter(|operation| operation.outcome != Outcome::Ok);
    assert!(lost.clone().all(|operation| (operation.partition, operation.offset) == (-1, -1)));
    // The client was told to give up, and its error says so (_PURGE_QUEUE, _PURGE_INFLIGHT).
    assert!(lost.clone().all(|operation| [-152, -151].contains(&operation.error)));
    assert_eq!(lost.count() as u64, given_up(progress));
}

/// What nobody answered. librdkafka does not tell what it has sent from what it has not; the direct driver does, and what never left
/// it has failed.
fn given_up(progress: Progress) -> u64 {
    match DRIVER.get() {
        Driver::Librdkafka => progress.unknown,
        Driver::Direct => progress.unknown + progress.failed,
    }
}

fn what_the_broker_refuses_for_good_has_failed() {
    let bench = Bench::new();
    let mut plan = plan("1000/s", Duration::from_millis(100));
    plan.client.insert("enable.idempotence".to_owned(), "false".to_owned());
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let summary = bench.run(&plan);
    let progress = summary.progress;
    assert!(progress.failed > 0, "{progress:?}");
    assert_eq!(progress.failed + progress.acknowledged, 100, "{progress:?}");
    let complaint = summary.last_error.expect("the client complained");
    // Each in its own words.
    assert!(["size too large", "MessageTooLarge"].iter().any(|words| complaint.contains(words)), "{complaint}");
    let operations = bench.operations();
    dense(&operations, 100);
    let failed: Vec<_> = operations.iter().filter(|operation| operation.outcome == Outcome::Fail).collect();
    assert_eq!(failed.len() as u64, progress.failed);
    assert!(failed.iter().all(|operation| operation.error == 10 && operation.offset == -1), "{failed:?}");
}

fn a_raised_flag_ends_the_offering_and_loses_nothing() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let load = bench.start(&plan("500/s", Duration::from_secs(3_600)), stop.clone());
    wait_until("fifty are acknowledged", || load.progress().acknowledged >= 50);
    stop.stop();
    let summary = load.join().expect("the load is recorded");
    assert!(summary.stopped_early);
    let progress = summary.progress;
    assert_eq!(progress.planned, 1_800_000);
    assert_eq!(progress.acknowledged, progress.offered);
    assert_eq!(summary.lateness.len(), progress.offered, "nothing of it is put off for ever");
    assert!(progress.offered < 10_000, "{progress:?}");
    dense(&bench.operations(), progress.offered);
}

/// The flag is raised while everything has been offered, and the plan would have the load wait for half a minute.
fn a_raised_flag_ends_the_wait_for_a_cluster_that_is_gone() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let plan = plan("500/s", Duration::from_millis(400));
    assert_eq!(plan.flush_timeout, Duration::from_secs(30));
    let load = bench.start(&plan, stop.for_part());
    wait_until("something is acknowledged", || load.progress().acknowledged > 0);
    bench.cluster.broker_down(-1).expect("no broker left");
    wait_until("everything is offered", || load.progress().offered == 200);
    let began = Instant::now();
    stop.stop();
    let summary = load.join().expect("the load is recorded");
    // Its 3 s, and the 2 s at most in which the client gives back what it holds.
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    let progress = summary.progress;
    assert!(given_up(progress) > 0 && progress.in_flight == 0, "{progress:?}");
    assert_eq!((progress.offered, progress.acknowledged + given_up(progress)), (200, 200), "{progress:?}");
    dense(&bench.operations(), 200);
}

fn a_load_that_is_held_waits_behind_the_last_message_that_may_go() {
    let bench = Bench::new();
    let plan = plan("500/s", Duration::from_millis(400));
    let load = bench.start(&plan, StopFlag::new());
    load.hold_at(Some(100));
    wait_until("it gets there", || load.progress().acknowledged == 100);
    // As much again would be due by then, and nothing more comes.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(load.progress().offered, 100);
    load.hold_at(None);
    let summary = load.join().expect("the load is recorded");
    assert_eq!(summary.progress.acknowledged, 200);
    let operations = bench.operations();
    dense(&operations, 200);
    let planned_ns = |operation: &Operation| summary.started_ns + operation.identity.index() * 2_000_000;
    let shifts =
        operations.iter().map(|operation| (operation.identity.index(), operation.intended_ns - planned_ns(operation)));
    let (before, behind): (Vec<_>, Vec<_>) = shifts.partition(|(index, _)| *index < 100);
    assert!(before.iter().all(|(_, shift_ns)| *shift_ns == 0), "{before:?}");
    assert!(behind.iter().all(|(_, shift_ns)| *shift_ns == behind[0].1 && *shift_ns > 100_000_000), "{behind:?}");
    assert!(summary.delay.max() < 150_000_000, "the schedule stood still, too: {} ns", summary.delay.max());
}

fn several_producers_share_a_plan_and_every_key_has_one() {
    let bench = Bench::new();
    let mut plan = plan("4000/s", Duration::from_millis(500));
    plan.producers = 3;
    let summary = bench.run(&plan);
    let progress = summary.progress;
    assert_eq!((progress.planned, progress.offered, progress.acknowledged), (2_000, 2_000, 2_000));
    for histogram in [&summary.ack, &summary.service, &summary.delay, &summary.lateness] {
        assert_eq!(histogram.len(), 2_000, "nothing is sampled, and nothing counted twice");
    }
    let mut operations = bench.operations();
    dense(&operations, 2_000);
    let (schedule, workload) = (plan.schedule().expect("valid"), plan.workload().expect("valid"));
    for operation in &operations {
        let sequence = operation.identity.index();
        assert_eq!(operation.intended_ns, summary.started_ns + schedule.offset_ns(sequence), "one start for all");
        assert_eq!(operation.key.index(), workload.message_at(sequence).key);
    }
    operations.sort_by_key(|operation| (operation.partition, operation.offset));
    let mut next = [0; 50];
    for operation in &operations {
        let next = &mut next[operation.key.index() as usize];
        assert_eq!(operation.key_sequence, *next, "the log has a key's messages in the order of the plan");
        *next += 1;
    }
    let headers = bench.headers(2_000);
    let producers: HashSet<_> = headers.iter().map(|header| header.producer).collect();
    assert_eq!(producers, HashSet::from([0, 1, 2]));
    assert!(headers.iter().all(|header| u32::from(header.producer) == header.key % 3), "a key has one producer");
}

fn several_producers_stop_at_one_gate() {
    let bench = Bench::new();
    let mut plan = plan("2000/s", Duration::from_millis(200));
    plan.producers = 4;
    let load = bench.start(&plan, StopFlag::new());
    load.hold_at(Some(100));
    wait_until("they get there", || load.progress().acknowledged == 100);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(load.progress().offered, 100, "as much again was due, and nothing more came");
    load.hold_at(None);
    assert_eq!(load.join().expect("the load is recorded").progress.acknowledged, 400);
    dense(&bench.operations(), 400);
}

fn several_producers_share_one_cap() {
    let bench = Bench::new();
    let mut plan = plan("10000/s", Duration::from_millis(100));
    plan.producers = 4;
    plan.max_rate = Some("2000/s".parse().expect("a rate"));
    let summary = bench.run(&plan);
    assert_eq!(summary.progress.acknowledged, 1_000);
    let took_ns = summary.last_sent_ns - summary.started_ns;
    assert!(took_ns >= 490_000_000, "{took_ns} ns: each has a cap of its own");
}

fn a_cap_makes_messages_late_and_drops_none() {
    let bench = Bench::new();
    let mut plan = plan("10000/s", Duration::from_millis(100));
    plan.max_rate = Some("2000/s".parse().expect("a rate"));
    let summary = bench.run(&plan);
    assert_eq!(summary.progress.acknowledged, 1_000);
    let took_ns = summary.last_sent_ns - summary.started_ns;
    // 1,000 messages at 2,000/s less the burst of ten.
    assert!(took_ns >= 490_000_000, "{took_ns} ns");
    assert!(summary.delay.max() >= 390_000_000, "{} ns", summary.delay.max());
    assert!(summary.lateness.max() >= 390_000_000, "the cap is the generator's own: {} ns", summary.lateness.max());
}

fn a_topic_that_is_not_there_is_an_error_and_not_a_new_topic() {
    let bench = Bench::new();
    let mut plan = plan("10/s", Duration::from_millis(100));
    plan.topic = "misspelt".to_owned();
    let operations = bench.directory.operation_writer().expect("one load a run");
    let intervals = bench.directory.interval_log();
    let error = Load::start(&plan, &bench.bootstrap, bench.clock, operations, intervals, StopFlag::new())
        .expect_err("there is no such topic");
    assert!(matches!(&error, LoadError::Topic(TopicError::Missing { topic, .. }) if topic == "misspelt"), "{error}");
    assert!(error.to_string().contains("\"misspelt\" does not exist"), "{error}");
}

fn properties_that_librdkafka_does_not_know_are_an_error() {
    let bench = Bench::new();
    let mut plan = plan("10/s", Duration::from_millis(100));
    plan.client.insert("linger.mz".to_owned(), "5".to_owned());
    let operations = bench.directory.operation_writer().expect("one load a run");
    let intervals = bench.directory.interval_log();
    let error = Load::start(&plan, &bench.bootstrap, bench.clock, operations, intervals, StopFlag::new())
        .expect_err("there is no such property");
    assert!(error.to_string().contains("linger.mz"), "{error}");
    assert_eq!((plan.run, plan.topic.as_str()), (RUN, TOPIC));
}
