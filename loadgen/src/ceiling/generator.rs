//! What the generator can do at most: its throughput against a broker that only acknowledges.
//!
//! The generator is everything on our side of the socket: pacer, workload, the plan's client with its properties, the
//! thread that takes answers, the record. So the sink is a broker behind a real socket, and not a target that returns at
//! once: a client that was left out would be missing when it is the limit, which at high rates it is. That broker is
//! librdkafka's own mock cluster, on loopback in this process: it parses requests, and keeps or replicates next to nothing.
//! What it costs is taken off the generator's ceiling, so that is understated rather than overstated.
//!
//! More is due than anybody can send, so that the client's queue is always full, and acknowledgements are counted.

use crate::clock::RunClock;
use crate::load::{Load, LoadError};
use crate::plan::LoadPlan;
use crate::rate::Rate;
use crate::schedule::{Arrivals, Shape};
use crate::stop::StopFlag;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use shakedown_reports::RunDirectory;
use std::thread;
use std::time::{Duration, Instant};

/// Nobody sends as much from one process.
const TOO_MUCH: u64 = 20_000_000;
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// Longer than what is counted takes; the flag ends the load.
const SPARE: Duration = Duration::from_secs(10);
/// The mock cluster takes no more.
const BROKERS_MAX: u32 = 15;

/// Why nobody knows what the generator can do.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// There is no broker to offer to.
    #[error("the broker that only acknowledges cannot be started: {0}")]
    Sink(#[from] KafkaError),
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The load's rate is none.
    #[error(transparent)]
    Rate(#[from] crate::rate::RateError),
    /// Nothing was acknowledged.
    #[error("nothing was acknowledged by a broker that acknowledges everything: {last_error}")]
    Nothing {
        /// What the client complained about last.
        last_error: String,
    },
}

/// Messages a second that are acknowledged when as much as possible of a plan's messages are offered: to so many brokers,
/// and topics with so many partitions. It is recorded like any load.
///
/// # Errors
/// When the broker or the load cannot be started, the record cannot be written, or nothing is acknowledged.
pub fn measure(
    plan: &LoadPlan,
    (brokers, partitions): (u32, i32),
    length: Duration,
    clock: RunClock,
    directory: &RunDirectory,
    stop: &StopFlag,
) -> Result<u64, GeneratorError> {
    let brokers = i32::try_from(brokers.clamp(1, BROKERS_MAX)).unwrap_or(1);
    let cluster = MockCluster::new(brokers)?;
    for topic in plan.topics() {
        cluster.create_topic(topic, partitions, 1)?;
    }
    let rate = Rate::per_second(TOO_MUCH)?;
    let arrivals = Arrivals { shape: Shape::Constant, rate, duration: WARM_UP + length + SPARE };
    let plan = LoadPlan { arrivals, max_rate: None, ..plan.clone() };
    let enough = stop.for_part();
    let operations = directory.operation_writer().map_err(LoadError::from)?;
    let bootstrap = cluster.bootstrap_servers();
    let load = Load::start(&plan, &bootstrap, clock, operations, directory.interval_log(), enough.clone())?;
    let look = |load: &Load| (Instant::now(), load.progress().acknowledged);
    thread::sleep(WARM_UP);
    let (began, before) = look(&load);
    thread::sleep(length);
    let (ended, after) = look(&load);
    enough.stop();
    let summary = load.join()?;
    let per_second = (after - before) as f64 / (ended - began).as_secs_f64();
    if after == before {
        return Err(GeneratorError::Nothing { last_error: summary.last_error.unwrap_or_default() });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^53")]
    let per_second = per_second as u64;
    Ok(per_second)
}
