//! A small run to write, read and render.

use shakedown_reports::expectation::{Expectations, LatencyBudget};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, Record, RecordError, StreamInfo, StreamKind};
use shakedown_reports::{Environment, RunInfo};
use std::collections::BTreeMap;

pub(crate) const STARTED_MS: u64 = 1_795_262_594_000;
pub(crate) const STARTED_NS: u64 = STARTED_MS * 1_000_000;

/// Load, one topic, one ledger.
pub(crate) fn info() -> RunInfo {
    let stream = |name: &str, kind| StreamInfo { name: name.to_owned(), kind };
    let flow = Flow { from: 0, to: 1 };
    let at_most = BTreeMap::from([("p50".to_owned(), 20_000_000), ("p99".to_owned(), 250_000_000)]);
    RunInfo {
        scenario_file: "scenarios/failures/04-acks1-failover.toml".to_owned(),
        arguments: vec!["--out".to_owned(), "my runs".to_owned()],
        scenario_text: "name = \"a leader dies while orders flow\"\n".to_owned(),
        plan_digest: "9f3c21d07ab4".to_owned(),
        environment: Environment {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            cores: 2,
            memory_bytes: 8 << 30,
            ..Environment::default()
        },
        streams: vec![
            stream("load", StreamKind::Load),
            stream("orders", StreamKind::Topic),
            stream("tracker", StreamKind::Ledger),
        ],
        flows: vec![flow, Flow { from: 1, to: 2 }],
        expectations: Expectations {
            lost: Some(0),
            duplicated: Some(0.into()),
            unavailable: Some(1_500_000_000),
            order_per_key: true,
            conserved: Vec::new(),
            latency: BTreeMap::from([(
                "end-to-end".to_owned(),
                LatencyBudget { flow: Some(flow), at_most, partitions: None },
            )]),
            ..Expectations::default()
        },
        started_unix_ms: STARTED_MS,
        ..RunInfo::new("a leader dies while orders flow", 42)
    }
}

/// The `n`-th operation, a millisecond after the one before.
pub(crate) fn operation(n: u32) -> Operation {
    let intended_ns = STARTED_NS + u64::from(n) * 1_000_000;
    Operation {
        identity: Identity::planned(n.into()),
        key: Key::planned(n % 7),
        key_sequence: n / 7,
        outcome: Outcome::Ok,
        error: 0,
        partition: 3,
        offset: n.into(),
        value: 100 + i64::from(n),
        intended_ns,
        sent_ns: intended_ns + 10,
        completed_ns: intended_ns + 500,
    }
}

/// The delivery of the `n`-th operation.
pub(crate) fn delivery(n: u32) -> Delivery {
    let operation = operation(n);
    Delivery {
        identity: operation.identity,
        key: operation.key,
        partition: operation.partition,
        offset: operation.offset,
        timestamp_ms: 17,
        value: operation.value,
        intended_ns: operation.intended_ns,
        received_ns: operation.intended_ns + 900,
    }
}

/// All operations of a record.
pub(crate) fn operations(record: &dyn Record) -> Result<Vec<Operation>, RecordError> {
    let mut operations = Vec::new();
    record.operations(&mut |operation| operations.push(*operation))?;
    Ok(operations)
}
