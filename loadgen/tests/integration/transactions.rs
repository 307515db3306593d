//! What a load in transactions promises: acknowledged is what was committed, and every message ends as its transaction did.
//!
//! librdkafka's mock cluster coordinates transactions and hides nothing of those that were aborted; Apache Kafka does, in
//! `harness/tests/apache.rs`.

use crate::Test;
use crate::bench::{Bench, plan, wait_until};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use shakedown_loadgen::identity_rule::IdentityRule;
use shakedown_loadgen::{Load, LoadError, LoadPlan, StopFlag, TransactionPlan};
use shakedown_reports::record::{Operation, Outcome};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("transactions::acknowledged_is_what_was_committed", acknowledged_is_what_was_committed),
    ("transactions::a_full_one_is_committed_at_once", a_full_one_is_committed_at_once),
    ("transactions::one_with_every_slot_there_is_is_full", one_with_every_slot_there_is_is_full),
    ("transactions::the_seed_says_which_are_aborted", the_seed_says_which_are_aborted),
    ("transactions::every_producer_has_its_own", every_producer_has_its_own),
    ("transactions::a_message_that_is_refused_aborts_its_own", a_message_that_is_refused_aborts_its_own),
    ("transactions::a_coordinator_that_moves_is_asked_again", a_coordinator_that_moves_is_asked_again),
    ("transactions::nobody_knows_of_a_commit_that_was_fenced", nobody_knows_of_a_commit_that_was_fenced),
    ("transactions::a_cluster_that_refuses_says_so_at_once", a_cluster_that_refuses_says_so_at_once),
    ("transactions::a_raised_flag_commits_what_was_offered", a_raised_flag_commits_what_was_offered),
    ("transactions::a_producer_that_is_lost_gives_its_messages_back", a_producer_that_is_lost_gives_its_messages_back),
    ("transactions::a_cluster_that_is_gone_is_waited_for_no_longer_than_planned", a_cluster_that_is_gone),
];

fn in_transactions(rate: &str, duration: Duration, transactions: TransactionPlan) -> LoadPlan {
    LoadPlan { transactions: Some(transactions), ..plan(rate, duration) }
}

fn every(every: Duration) -> TransactionPlan {
    TransactionPlan { every, ..TransactionPlan::default() }
}

/// Operations by the instant at which they ended, and a transaction ends at one.
fn by_end(operations: &[Operation]) -> Vec<Vec<Operation>> {
    let mut ended: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        ended.entry(operation.completed_ns).or_default().push(*operation);
    }
    ended.into_values().collect()
}

fn dense(operations: &[Operation], count: u64) {
    let sequences: HashSet<u64> = operations.iter().map(|operation| operation.identity.index()).collect();
    assert_eq!((operations.len() as u64, sequences), (count, (0..count).collect()), "every message ends exactly once");
}

fn acknowledged_is_what_was_committed() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let tap = bench.tap(IdentityRule::Header, 500, &stop);
    let summary = bench.run(&in_transactions("1000/s", Duration::from_millis(500), every(Duration::from_millis(100))));
    assert_eq!((summary.progress.acknowledged, summary.progress.in_flight), (500, 0), "{:?}", summary.progress);
    let operations = bench.operations();
    dense(&operations, 500);
    let transactions = by_end(&operations);
    assert_eq!(transactions.len() as u64, summary.progress.committed);
    assert!((2..=6).contains(&transactions.len()), "half a second in transactions of 100 ms: {}", transactions.len());
    for transaction in &transactions[..transactions.len() - 1] {
        let first = transaction.iter().map(|operation| operation.sent_ns).min().expect("at least one");
        let open = Duration::from_nanos(transaction[0].completed_ns - first);
        assert!(open >= Duration::from_millis(100), "committed after {open:?}");
    }
    let places: HashSet<_> = operations.iter().map(|operation| (operation.partition, operation.offset)).collect();
    assert_eq!(places.len(), 500, "each has the place that it was written to");
    assert_eq!(summary.commit.expect("commits are measured").len(), summary.progress.committed);
    assert!(bench.interval_tags().contains(&"commit".to_owned()), "{:?}", bench.interval_tags());
    assert_eq!(bench.drain(tap, &stop).count, 500);
}

fn a_full_one_is_committed_at_once() {
    let bench = Bench::new();
    let transactions = TransactionPlan { messages: Some(10), ..every(Duration::from_secs(30)) };
    let summary = bench.run(&in_transactions("1000/s", Duration::from_millis(205), transactions));
    let sizes: Vec<usize> = by_end(&bench.operations()).iter().map(Vec::len).collect();
    assert_eq!(sizes[..20], [10; 20], "by number and not by time");
    assert_eq!(sizes[20..], [5], "the last one ends with the load");
    assert_eq!((summary.progress.acknowledged, summary.progress.committed), (205, 21));
    // 5 ms of linger and two answers. (The binding's own flush would sleep on until 100 ms are over.)
    let commit = Duration::from_nanos(summary.commit.expect("commits are measured").value_at_quantile(0.5));
    assert!(commit < Duration::from_millis(60), "half of the commits took {commit:?} and longer");
}

/// Its messages keep their slots until its end, so nobody could ever come to fill it otherwise.
fn one_with_every_slot_there_is_is_full() {
    let bench = Bench::new();
    let mut plan = in_transactions("1000/s", Duration::from_millis(100), every(Duration::from_secs(30)));
    plan.client.insert("queue.buffering.max.messages".to_owned(), "20".to_owned());
    let began = Instant::now();
    let summary = bench.run(&plan);
    assert_eq!((summary.progress.acknowledged, summary.progress.committed), (100, 5));
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

fn the_seed_says_which_are_aborted() {
    let aborted = || {
        let bench = Bench::new();
        let transactions = TransactionPlan { messages: Some(5), abort: 0.3, ..every(Duration::from_secs(30)) };
        let summary = bench.run(&in_transactions("2000/s", Duration::from_millis(200), transactions));
        let operations = bench.operations();
        dense(&operations, 400);
        let transactions = by_end(&operations);
        let aborted = |transaction: &Vec<Operation>| transaction[0].outcome == Outcome::Fail;
        for transaction in &transactions {
            assert!(transaction.iter().all(|operation| operation.outcome == transaction[0].outcome), "{transaction:?}");
            let place = if aborted(transaction) { -1 } else { transaction[0].offset };
            assert_eq!((transaction[0].offset, transaction[0].error), (place, 0));
        }
        let numbers: Vec<usize> = (0..).zip(&transactions).filter(|(_, one)| aborted(one)).map(|(n, _)| n).collect();
        let progress = summary.progress;
        assert_eq!((progress.committed, progress.aborted), (80 - numbers.len() as u64, numbers.len() as u64));
        assert_eq!((progress.failed, progress.aborted_on_purpose), (5 * progress.aborted, 5 * progress.aborted));
        numbers
    };
    let numbers = aborted();
    assert!((12..=36).contains(&numbers.len()), "24 of 80 on average: {numbers:?}");
    assert_eq!(numbers, aborted(), "the same seed, the same transactions");
}

fn every_producer_has_its_own() {
    let bench = Bench::new();
    let mut plan = in_transactions("1000/s", Duration::from_millis(300), every(Duration::from_millis(50)));
    plan.producers = 3;
    let summary = bench.run(&plan);
    assert_eq!(summary.progress.acknowledged, 300, "{:?}", summary.last_error);
    dense(&bench.operations(), 300);
    assert!(summary.progress.committed >= 3, "{:?}", summary.progress);
}

fn a_message_that_is_refused_aborts_its_own() {
    let bench = Bench::new();
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let transactions = TransactionPlan { messages: Some(20), ..every(Duration::from_secs(30)) };
    let summary = bench.run(&in_transactions("1000/s", Duration::from_millis(200), transactions));
    let operations = bench.operations();
    dense(&operations, 200);
    let transactions = by_end(&operations);
    for transaction in &transactions {
        let outcomes = transaction.iter().map(|operation| operation.outcome);
        assert!(outcomes.clone().all(|outcome| outcome == transaction[0].outcome), "all of it, or nothing");
    }
    let of_the_first: HashSet<i16> = transactions[0].iter().map(|operation| operation.error).collect();
    assert!(of_the_first.contains(&10), "who was refused says so: {of_the_first:?}");
    // librdkafka skips the sequence of what was refused, for which it has to abort the next one, too.
    let progress = summary.progress;
    assert!((1..=2).contains(&progress.aborted) && progress.aborted_on_purpose == 0, "{progress:?}");
    assert_eq!((progress.acknowledged + progress.failed, progress.unknown), (200, 0), "{progress:?}");
    assert_eq!(transactions.last().expect("some")[0].outcome, Outcome::Ok, "then it goes on");
}

fn a_coordinator_that_moves_is_asked_again() {
    let bench = Bench::new();
    let gone = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    bench.cluster.request_errors(RDKafkaApiKey::EndTxn, &[gone, gone]);
    let summary = bench.run(&in_transactions("500/s", Duration::from_millis(400), every(Duration::from_millis(50))));
    let progress = summary.progress;
    assert_eq!((progress.acknowledged, progress.failed, progress.unknown), (200, 0, 0), "{:?}", summary.last_error);
    let commit = summary.commit.expect("commits are measured");
    let [usual, longest] = [commit.value_at_quantile(0.2), commit.max()].map(Duration::from_nanos);
    assert!(longest > usual * 10, "who looks for its coordinator needs more than {usual:?}: {longest:?}");
    let lateness = Duration::from_nanos(summary.lateness.max());
    assert!(lateness < longest / 2, "{lateness:?} of the wait are booked as the generator's");
    dense(&bench.operations(), 200);
}

fn nobody_knows_of_a_commit_that_was_fenced() {
    let bench = Bench::new();
    bench.cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    let transactions = TransactionPlan { messages: Some(20), ..every(Duration::from_secs(30)) };
    let summary = bench.run(&in_transactions("1000/s", Duration::from_millis(200), transactions));
    let operations = bench.operations();
    dense(&operations, 200);
    let ended = |outcome: Outcome| operations.iter().filter(move |operation| operation.outcome == outcome);
    assert_eq!((ended(Outcome::Ok).count(), ended(Outcome::Unknown).count()), (0, 20), "the commit was on its way");
    assert_eq!(ended(Outcome::Fail).count(), 180, "a producer that is fenced sends nothing");
    // librdkafka's own word for it, _FENCED.
    assert!(operations.iter().all(|operation| operation.error == -144), "{operations:?}");
    let complaint = summary.last_error.expect("the client complained");
    assert!(complaint.contains("fenced"), "{complaint}");
}

fn a_cluster_that_refuses_says_so_at_once() {
    let bench = Bench::new();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    bench.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
    let began = Instant::now();
    let operations = bench.directory.operation_writer().expect("one load a run");
    let plan = in_transactions("500/s", Duration::from_millis(100), TransactionPlan::default());
    let intervals = bench.directory.interval_log();
    let started = Load::start(&plan, &bench.bootstrap, bench.clock, operations, intervals, StopFlag::new());
    let Err(LoadError::Transactions { reason, .. }) = &started else {
        panic!("{:?}", started.map(|load| load.progress()))
    };
    assert!(reason.contains("Transactional Id authorization failed"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

fn a_raised_flag_commits_what_was_offered() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let hour = Duration::from_secs(3_600);
    let load = bench.start(&in_transactions("500/s", hour, every(Duration::from_millis(20))), stop.clone());
    wait_until("a transaction is committed", || load.progress().committed > 0);
    stop.stop();
    let summary = load.join().expect("the load is recorded");
    let progress = summary.progress;
    assert_eq!((progress.acknowledged, progress.failed, progress.unknown), (progress.offered, 0, 0), "{progress:?}");
    dense(&bench.operations(), progress.offered);
}

/// The queue is full of messages that no broker answers any more: the client gives them back with what became of them, and nothing is
/// left over at the end of which nobody can say why.
fn a_producer_that_is_lost_gives_its_messages_back() {
    let bench = Bench::new();
    let mut plan = in_transactions("500/s", Duration::from_secs(1), every(Duration::from_millis(40)));
    plan.client.insert("queue.buffering.max.messages".to_owned(), "10".to_owned());
    plan.flush_timeout = Duration::from_millis(300);
    let load = bench.start(&plan, StopFlag::new());
    wait_until("a transaction is committed", || load.progress().committed > 0);
    bench.cluster.broker_down(-1).expect("no broker left");
    let summary = load.join().expect("the load is recorded");
    let progress = summary.progress;
    assert_eq!((progress.offered, progress.in_flight), (500, 0), "{progress:?}");
    assert!(progress.failed >= 10, "{progress:?}");
    let operations = bench.operations();
    dense(&operations, 500);
    let unexplained = operations.iter().filter(|operation| operation.outcome != Outcome::Ok && operation.error == 0);
    assert_eq!(unexplained.count(), 0, "{progress:?}");
}

fn a_cluster_that_is_gone() {
    let bench = Bench::new();
    let mut plan = in_transactions("500/s", Duration::from_secs(2), every(Duration::from_millis(40)));
    plan.flush_timeout = Duration::from_millis(300);
    let load = bench.start(&plan, StopFlag::new());
    wait_until("a transaction is committed", || load.progress().committed > 0);
    bench.cluster.broker_down(-1).expect("no broker left");
    let began = Instant::now();
    let summary = load.join().expect("the load is recorded");
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let progress = summary.progress;
    assert!(progress.failed + progress.unknown > 0 && progress.in_flight == 0, "{progress:?}");
    // While the pacer waits before a closed door for a commit that never comes, the schedule ends: what is due is still offered.
    assert_eq!(progress.offered, 1_000, "{progress:?}");
    assert_eq!(progress.acknowledged + progress.failed + progress.unknown, 1_000, "{progress:?}");
    dense(&bench.operations(), 1_000);
    let lateness = Duration::from_nanos(summary.lateness.max());
    assert!(lateness < Duration::from_secs(1), "{lateness:?} of the wait are booked as the generator's");
}
