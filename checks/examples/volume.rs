//! How long the checks take, and how much memory, on a run of any length:
//! `cargo run --release -p shakedown-checks --example volume -- 10000000`.
//!
//! A group has processed everything, committed after every thousandth message, and was looked at after every ten thousandth;
//! the topic was read twice. The record is computed, not stored, so the memory that is reported is what the checks need.

use shakedown_checks::judge;
use shakedown_reports::expectation::{
    Bounds, ConservationRule, Expectations, LagBudget, LatencyBudget, StandstillLimit, Term,
};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{
    Delivery, Figure, Flow, Operation, Outcome, Record, RecordError, StreamId, StreamInfo, StreamKind,
};
use shakedown_reports::watch::{Commit, CommitKind, Reading, Watch};
use std::collections::BTreeMap;
use std::time::Instant;

const KEYS: u64 = 100_000;
const PARTITIONS: u64 = 12;
const STARTED_NS: u64 = 1_700_000_000_000_000_000;

/// A load, a topic that has everything, and a ledger that has everything twice over the last thousandth.
struct Computed {
    messages: u64,
    streams: Vec<StreamInfo>,
    flows: Vec<Flow>,
    watches: Vec<Watch>,
}

impl Computed {
    fn new(messages: u64) -> Self {
        let stream = |name: &str, kind| StreamInfo { name: name.to_owned(), kind };
        let streams = vec![
            stream("load", StreamKind::Load),
            stream("orders", StreamKind::Topic),
            stream("tracker", StreamKind::Ledger),
            stream("orders", StreamKind::Reread),
        ];
        let (topic, group) = ("orders".to_owned(), Some("order-tracker".to_owned()));
        let watches = vec![Watch { topic, group, source: Some(1), sinks: vec![2] }];
        Self { messages, streams, flows: vec![Flow { from: 0, to: 1 }, Flow { from: 1, to: 2 }], watches }
    }

    fn copies(&self) -> u64 {
        self.messages / 1_000
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a run has fewer than 2^31 messages")]
fn operation(sequence: u64) -> Operation {
    let key = sequence % KEYS;
    let intended_ns = STARTED_NS + sequence * 1_000;
    Operation {
        identity: Identity::planned(sequence),
        key: Key::planned(key as u32),
        key_sequence: (sequence / KEYS) as u32,
        outcome: Outcome::Ok,
        error: 0,
        partition: (key % PARTITIONS) as i32,
        offset: (sequence / PARTITIONS) as i64,
        value: sequence as i64,
        intended_ns,
        sent_ns: intended_ns,
        completed_ns: intended_ns + 2_000_000,
    }
}

fn delivery(sequence: u64) -> Delivery {
    let operation = operation(sequence);
    Delivery {
        identity: operation.identity,
        key: operation.key,
        partition: operation.partition,
        offset: operation.offset,
        timestamp_ms: -1,
        value: operation.value,
        intended_ns: operation.intended_ns,
        received_ns: operation.intended_ns + 3_000_000 + sequence % 1_000_000,
    }
}

impl Record for Computed {
    fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    fn flows(&self) -> &[Flow] {
        &self.flows
    }

    fn figures(&self) -> &[Figure] {
        &[]
    }

    fn operations(&self, visit: &mut dyn FnMut(&Operation)) -> Result<(), RecordError> {
        (0..self.messages).for_each(|sequence| visit(&operation(sequence)));
        Ok(())
    }

    fn deliveries(&self, stream: StreamId, visit: &mut dyn FnMut(&Delivery)) -> Result<(), RecordError> {
        (0..self.messages).for_each(|sequence| visit(&delivery(sequence)));
        if stream == 2 {
            (self.messages - self.copies()..self.messages).for_each(|sequence| visit(&delivery(sequence)));
        }
        Ok(())
    }

    fn watches(&self) -> &[Watch] {
        &self.watches
    }

    fn commits(&self, visit: &mut dyn FnMut(&Commit)) -> Result<(), RecordError> {
        for (log_offset, last) in (0..).zip((999..self.messages).step_by(1_000)) {
            let delivery = delivery(last);
            visit(&Commit {
                watch: 0,
                kind: CommitKind::Member,
                partition: delivery.partition,
                offset: delivery.offset + 1,
                leader_epoch: 0,
                generation: 1,
                log_offset,
                committed_ms: 0,
                seen_ns: delivery.received_ns + 2_000_000_000,
            });
        }
        Ok(())
    }

    fn readings(&self, visit: &mut dyn FnMut(&Reading)) -> Result<(), RecordError> {
        for last in (9_999..self.messages).step_by(10_000) {
            let asked_ns = delivery(last).received_ns;
            for partition in 0..PARTITIONS {
                let delivery = delivery(last - last % PARTITIONS + partition);
                visit(&Reading {
                    watch: 0,
                    partition: delivery.partition,
                    start: 0,
                    stable: delivery.offset + 1,
                    end: delivery.offset + 1,
                    committed: delivery.offset,
                    asked_ns,
                    answered_ns: asked_ns + 1_000_000,
                });
            }
        }
        Ok(())
    }

    fn identity_label(&self, identity: Identity) -> String {
        identity.index().to_string()
    }

    fn key_label(&self, key: Key) -> String {
        format!("user-{}", key.index())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let record = Computed::new(messages);
    let terms = ["load", "topic orders", "ledger tracker"].map(|name| Term::Sum(name.to_owned()));
    let at_most = BTreeMap::from([("p99".to_owned(), 5_000_000)]);
    let budget = LatencyBudget { flow: Some(Flow { from: 0, to: 1 }), at_most, partitions: None };
    let expectations = Expectations {
        lost: Some(0),
        duplicated: Some(record.copies().into()),
        order_per_key: true,
        reordered: None,
        conserved: vec![ConservationRule { name: "money".to_owned(), equal: terms.to_vec() }],
        latency: BTreeMap::from([("end-to-end".to_owned(), budget)]),
        unavailable: Some(1_000_000_000),
        skipped: Some(Bounds::exactly(0)),
        committed_too_far: Some(Bounds::exactly(0)),
        offset_regressed: Some(Bounds::exactly(0)),
        inconsistent_offset: Some(Bounds::exactly(0)),
        rules: Vec::new(),
        stalled: Some(StandstillLimit::everywhere(1_000_000_000)),
        unacknowledged: None,
        lag: Some(LagBudget { at_most: Some(1_000), drained_in: None }),
        lag_groups: Vec::new(),
    };
    let started = Instant::now();
    let verdict = judge(&record, &expectations)?;
    println!("{} messages, {:?}: {:?}", grouped(messages), verdict.outcome, started.elapsed());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}
