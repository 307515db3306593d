//! What a load over HTTP promises: every request ends and is recorded as what its answers prove, keeps its key, and is late
//! by whoever made it late.

use crate::Test;
use crate::bench::{Bench, plan, wait_until};
use crate::shop::{Reaction, Shop};
use shakedown_loadgen::{Endpoints, HttpPlan, Load, LoadError, LoadPlan, LoadSummary, StopFlag, order_id};
use shakedown_reports::record::{Operation, Outcome};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("http::every_order_is_asked_for_once_under_its_planned_id", every_order_is_asked_for_once_under_its_planned_id),
    ("http::what_is_refused_has_failed_and_is_not_asked_again", what_is_refused_has_failed),
    ("http::what_broke_is_asked_again_with_the_same_key", what_broke_is_asked_again_with_the_same_key),
    ("http::what_nobody_answers_in_time_is_unknown", what_nobody_answers_in_time_is_unknown),
    ("http::what_never_had_a_connection_was_never_sent", what_never_had_a_connection_was_never_sent),
    ("http::a_bound_that_is_hit_makes_requests_late_and_not_the_generator", a_bound_that_is_hit),
    ("http::instances_have_their_turns_and_may_move", instances_have_their_turns_and_may_move),
    ("http::a_raised_flag_lets_nothing_be_asked_again", a_raised_flag_lets_nothing_be_asked_again),
    ("http::a_plan_for_a_service_is_none_for_a_topic", a_plan_for_a_service_is_none_for_a_topic),
];

fn http_plan(rate: &str, duration: Duration, change: impl FnOnce(&mut HttpPlan)) -> LoadPlan {
    let mut http = HttpPlan::new("/orders");
    change(&mut http);
    LoadPlan { http: Some(http), topic: "order".to_owned(), ..plan(rate, duration) }
}

fn start(bench: &Bench, plan: &LoadPlan, endpoints: &Endpoints, stop: &StopFlag) -> Load {
    let operations = bench.directory.operation_writer().expect("one load a run");
    let intervals = bench.directory.interval_log();
    Load::start_http(plan, endpoints.clone(), bench.clock, operations, intervals, stop.clone()).expect("it starts")
}

fn run(plan: &LoadPlan, shops: &[&Shop]) -> (LoadSummary, Vec<Operation>) {
    let bench = Bench::new();
    let endpoints = Endpoints::new(shops.iter().map(|shop| shop.address.clone()).collect());
    let summary = start(&bench, plan, &endpoints, &StopFlag::new()).join().expect("the load is recorded");
    (summary, bench.operations())
}

fn key(sequence: u64) -> String {
    String::from_utf8(order_id::encode(42, sequence).to_vec()).expect("ASCII")
}

fn every_order_is_asked_for_once_under_its_planned_id() {
    let shop = Shop::open(|_, _| Reaction::answer(201));
    // A few connections are enough for all of them, if they are kept.
    let plan = http_plan("1000/s", Duration::from_millis(300), |http| http.in_flight = 4);
    let (summary, operations) = run(&plan, &[&shop]);
    let progress = summary.progress;
    assert_eq!((progress.offered, progress.acknowledged, progress.asked_again), (300, 300, 0));
    for histogram in [&summary.ack, &summary.service, &summary.delay, &summary.lateness] {
        assert_eq!(histogram.len(), 300, "nothing is sampled");
    }
    let workload = plan.workload().expect("valid");
    let asked = shop.asked();
    let keys: HashSet<_> = asked.iter().map(|asked| asked.key.clone()).collect();
    assert_eq!(keys, (0..300).map(key).collect(), "each has its own, and it is the planned one");
    assert_eq!(operations.len(), 300);
    for operation in &operations {
        let sequence = operation.identity.index();
        let message = workload.message_at(sequence);
        assert_eq!((operation.outcome, operation.partition, operation.offset), (Outcome::Ok, -1, -1));
        assert_eq!((operation.key.index(), operation.value), (message.key, message.value));
        assert_eq!(operation.intended_ns, summary.started_ns + sequence * 1_000_000);
        assert!(operation.intended_ns <= operation.sent_ns && operation.sent_ns <= operation.completed_ns);
        let order = asked.iter().find(|asked| asked.key == key(sequence)).expect("it was asked for");
        assert_eq!(order.body["user_id"], format!("user-{}", message.key));
        assert_eq!((order.path.as_str(), order.content_type.as_str()), ("/orders", "application/json"));
    }
    let connections = shop.connections();
    assert!(connections < 100, "{connections} connections for 300 requests: they are not kept");
}

fn what_is_refused_has_failed() {
    let shop = Shop::open(|number, _| Reaction::answer(if number % 2 == 0 { 422 } else { 200 }));
    let (summary, operations) = run(&http_plan("500/s", Duration::from_millis(100), |_| ()), &[&shop]);
    assert_eq!((summary.progress.acknowledged, summary.progress.failed, summary.progress.asked_again), (25, 25, 0));
    assert_eq!(shop.asked().len(), 50);
    let failed = operations.iter().filter(|operation| operation.outcome == Outcome::Fail);
    assert_eq!(failed.map(|operation| operation.error).collect::<BTreeSet<_>>(), BTreeSet::from([422]));
    let complaint = summary.last_error.expect("it says what was refused");
    assert!(complaint.starts_with("POST /orders at") && complaint.contains("answers 422: number "), "{complaint}");
}

fn what_broke_is_asked_again_with_the_same_key() {
    let shop = Shop::open(|_, before| match before {
        0 => Reaction::answer(503),
        1 => Reaction::hang_up(),
        _ => Reaction::answer(200),
    });
    let (summary, operations) = run(&http_plan("500/s", Duration::from_millis(100), |_| ()), &[&shop]);
    assert_eq!((summary.progress.acknowledged, summary.progress.asked_again), (50, 100));
    assert!(operations.iter().all(|operation| operation.outcome == Outcome::Ok && operation.error == 0));
    for sequence in 0..50 {
        let asked: Vec<_> = shop.asked().into_iter().filter(|asked| asked.key == key(sequence)).collect();
        assert_eq!(asked.len(), 3, "request {sequence}");
        assert!(asked.iter().all(|again| again.body == asked[0].body), "request {sequence} changed its words");
    }
    // Two pauses, of half of 50 ms and half of 100 ms at least, are part of what the customer waited.
    assert!(summary.service.min() >= 70_000_000, "{} ns", summary.service.min());
}

fn what_nobody_answers_in_time_is_unknown() {
    let shop = Shop::open(|_, _| Reaction::answer(201).after(Duration::from_secs(60)));
    let plan = http_plan("100/s", Duration::from_millis(100), |http| {
        http.timeout = Duration::from_millis(100);
        http.retry_for = Duration::from_millis(300);
    });
    let (summary, operations) = run(&plan, &[&shop]);
    assert_eq!((summary.progress.acknowledged, summary.progress.unknown), (0, 10));
    assert!(summary.progress.asked_again >= 10, "{:?}", summary.progress);
    for operation in &operations {
        assert_eq!((operation.outcome, operation.error), (Outcome::Unknown, 0));
        let took_ns = operation.completed_ns - operation.sent_ns;
        assert!((200_000_000..5_000_000_000).contains(&took_ns), "{took_ns} ns");
    }
    let complaint = summary.last_error.expect("it says what is missing");
    assert!(complaint.ends_with("has no answer within 100ms"), "{complaint}");
}

fn what_never_had_a_connection_was_never_sent() {
    let closed = Shop::open(|_, _| Reaction::answer(201)).close();
    let bench = Bench::new();
    let plan = http_plan("100/s", Duration::from_millis(100), |http| http.retry_for = Duration::from_millis(200));
    let endpoints = Endpoints::new(vec![closed.clone()]);
    let summary = start(&bench, &plan, &endpoints, &StopFlag::new()).join().expect("the load is recorded");
    assert_eq!((summary.progress.failed, summary.progress.unknown), (10, 0));
    assert_eq!(summary.last_error, Some(format!("no connection to {closed}")));

    // With a second instance that listens nobody has to wait for a pause.
    let shop = Shop::open(|_, _| Reaction::answer(201));
    let bench = Bench::new();
    let plan = http_plan("100/s", Duration::from_millis(100), |http| http.retry_for = Duration::from_secs(10));
    let endpoints = Endpoints::new(vec![closed, shop.address]);
    let summary = start(&bench, &plan, &endpoints, &StopFlag::new()).join().expect("the load is recorded");
    assert_eq!((summary.progress.acknowledged, summary.progress.asked_again), (10, 5));
}

/// 4 requests each 100 ms are 40/s, a fifth of the rate: the last of 40 waits for most of a second.
fn a_bound_that_is_hit() {
    let shop = Shop::open(|_, _| Reaction::answer(201).after(Duration::from_millis(100)));
    let plan = http_plan("200/s", Duration::from_millis(200), |http| http.in_flight = 4);
    let (summary, operations) = run(&plan, &[&shop]);
    assert_eq!((summary.progress.acknowledged, shop.at_once()), (40, 4));
    assert!(summary.progress.queue_full > 0 && summary.progress.blocked_ns > 100_000_000, "{:?}", summary.progress);
    for operation in &operations {
        assert_eq!(operation.intended_ns, summary.started_ns + operation.identity.index() * 5_000_000);
    }
    assert!(summary.delay.max() > 500_000_000, "{} ns", summary.delay.max());
    assert!(summary.ack.max() > summary.delay.max(), "latency counts from the intended instant");
    // The service made them late, and the generator must not take the blame.
    assert!(summary.progress.lateness_p99_ns < 250_000_000, "{:?}", summary.progress);
}

fn instances_have_their_turns_and_may_move() {
    let [first, second, third] = [(); 3].map(|()| Shop::open(|_, _| Reaction::answer(201)));
    let bench = Bench::new();
    let endpoints = Endpoints::new(vec![first.address.clone(), second.address.clone()]);
    let plan = http_plan("100/s", Duration::from_secs(1), |_| ());
    let load = start(&bench, &plan, &endpoints, &StopFlag::new());
    wait_until("twenty are acknowledged", || load.progress().acknowledged >= 20);
    endpoints.set(vec![third.address.clone()]);
    let summary = load.join().expect("the load is recorded");
    assert_eq!(summary.progress.acknowledged, 100);
    let [first, second, third] = [&first, &second, &third].map(|shop| shop.asked().len());
    assert!(first.abs_diff(second) <= 1 && first + second >= 20, "{first} and {second}");
    assert_eq!(first + second + third, 100);
    assert!(third > 0, "nobody went to the new place");
}

fn a_raised_flag_lets_nothing_be_asked_again() {
    let shop = Shop::open(|_, _| Reaction::answer(503));
    let bench = Bench::new();
    let stop = StopFlag::new();
    let plan = http_plan("100/s", Duration::from_secs(30), |http| http.retry_for = Duration::from_secs(600));
    let load = start(&bench, &plan, &Endpoints::new(vec![shop.address]), &stop);
    wait_until("something was asked again", || load.progress().asked_again > 0);
    stop.stop();
    let summary = load.join().expect("the load is recorded");
    assert!(summary.stopped_early);
    assert_eq!(summary.progress.unknown, summary.progress.offered, "a 503 leaves open what became of it");
    assert!(bench.operations().iter().all(|operation| operation.error == 503));
}

fn a_plan_for_a_service_is_none_for_a_topic() {
    let bench = Bench::new();
    let writer = || (bench.directory.operation_writer().expect("one load a run"), bench.directory.interval_log());
    let (operations, intervals) = writer();
    let plan = http_plan("100/s", Duration::from_millis(10), |_| ());
    let error = Load::start(&plan, &bench.bootstrap, bench.clock, operations, intervals, StopFlag::new());
    let error = error.expect_err("it is for a service");
    assert!(matches!(error, LoadError::Target { .. }), "{error}");
    assert_eq!(error.to_string(), "the plan is for a service, and was started as a load on a topic");
}
