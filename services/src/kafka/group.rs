//! A consumer's place in its group: which partitions it has, where it starts in them, and what happens to its offsets
//! when it has to give them up.
//!
//! Offsets wait in [`Commits`]. Before a partition is given up they are committed, and
//! the answer is awaited: the next member reads from what is committed then.

use super::batch::Offsets;
use super::client_log::ClientLog;
use super::commits::Commits;
use crate::error::WorkerError;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long giving up partitions may wait for their last commit. Well below the time that the group waits for its
/// members (`max.poll.interval.ms`).
const REVOKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a service that keeps its own offsets wants to start.
pub(crate) trait PositionSource: Send + Sync {
    /// The next offset of each partition; from the beginning where none is named. Called on the consumer's thread,
    /// which may block.
    fn positions(&self) -> Result<Offsets, Box<dyn Error + Send + Sync>>;
}

/// The context of a group's member. Its callbacks run on the thread that polls, between batches.
pub(crate) struct GroupContext {
    /// The readiness condition of the group.
    condition: &'static str,
    log: ClientLog,
    readiness: Readiness,
    positions: Option<Box<dyn PositionSource>>,
    pub(crate) commits: Arc<Commits>,
    failure: Mutex<Option<WorkerError>>,
}

impl GroupContext {
    pub(crate) fn new(
        condition: &'static str,
        metrics: Metrics,
        readiness: Readiness,
        positions: Option<Box<dyn PositionSource>>,
    ) -> Self {
        readiness.wait_for(condition, "not joined yet");
        let commits = Arc::new(Commits::new(metrics.commits_failed.clone()));
        Self { condition, log: ClientLog::new(metrics), readiness, positions, commits, failure: Mutex::new(None) }
    }

    /// What made it impossible to go on, if anything did.
    pub(crate) fn take_failure(&self) -> Option<WorkerError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> Result<(), WorkerError> {
        if let Some(source) = &self.positions {
            let positions = source.positions().map_err(WorkerError::Positions)?;
            for mut partition in partitions.elements() {
                let offset = match positions.get(partition.topic(), partition.partition()) {
                    Some(next) => Offset::Offset(next),
                    None => Offset::Beginning,
                };
                partition
                    .set_offset(offset)
                    .map_err(|source| WorkerError::Kafka { during: "set a start offset", source })?;
            }
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions),
        };
        assigned.map_err(|source| WorkerError::Kafka { during: "take assigned partitions", source })?;
        let assigned = self.commits.assigned(keys(partitions));
        info!(partitions = ?assigned, "joined the group");
        self.readiness.satisfied(self.condition);
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> Result<(), WorkerError> {
        if consumer.assignment_lost() {
            // Other members may have these partitions already, and may have come further.
            warn!("lost the assignment without being asked");
        } else if !self.commits.settle(Instant::now() + REVOKE_TIMEOUT) {
            warn!("giving up partitions before their last commit was answered: some events may be handled again");
        }
        if self.commits.revoked(&keys(partitions)) {
            self.readiness.wait_for(self.condition, "rebalancing");
        }
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        };
        unassigned.map_err(|source| WorkerError::Kafka { during: "give up revoked partitions", source })
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.log(level, facility, text);
    }

    fn error(&self, failure: KafkaError, reason: &str) {
        self.log.error(failure, reason);
    }
}

impl ConsumerContext for GroupContext {
    // Overridden as a whole, because only here can the start offsets be set before the client begins to fetch.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let result = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        };
        if let Err(failure) = result {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
    }
}

fn keys(partitions: &TopicPartitionList) -> Vec<(Arc<str>, i32)> {
    partitions.elements().iter().map(|element| (Arc::from(element.topic()), element.partition())).collect()
}
