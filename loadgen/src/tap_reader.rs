//! The thread of a tap: polls, reads identities, records deliveries.

use crate::clock::RunClock;
use crate::names::Names;
use crate::stop::StopFlag;
use crate::tap::{Measured, Shared, TapError, TapPlan, Unreadable};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use shakedown_reports::BackgroundWriter;
use shakedown_reports::identity::{Identity, Namespace};
use shakedown_reports::record::Delivery;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the tap waits for a message before it looks at its flag.
const POLL: Duration = Duration::from_millis(20);
/// How often it is asked whether the client has passed something that is no message.
const PASS_EVERY: Duration = Duration::from_millis(20);
/// How often an idle stream of deliveries is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Unreadable messages that are kept; all are counted.
const SAMPLES_MAX: usize = 100;

/// What only the thread knows until its end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) unreadable_samples: Vec<Unreadable>,
    pub(crate) foreign: u64,
    pub(crate) rewinds: u64,
    pub(crate) early: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
}

/// Everything of the thread but its consumer, whose messages are borrowed while they are recorded.
pub(crate) struct Reader {
    plan: TapPlan,
    names: Names,
    clock: RunClock,
    deliveries: BackgroundWriter<Delivery>,
    shared: Arc<Shared>,
    measured: Measured,
    planned: PlannedSet,
    seen: Seen,
}

/// Which messages of the load's plan were seen: a bit each.
#[derive(Default)]
struct PlannedSet(Vec<u64>);

impl PlannedSet {
    /// Whether this one is of the plan, and new.
    fn insert(&mut self, identity: Identity) -> bool {
        if identity.namespace() != Namespace::Planned {
            return false;
        }
        let Ok(word) = usize::try_from(identity.index() / 64) else { return false };
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let bit = 1 << (identity.index() % 64);
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

impl Reader {
    pub(crate) fn new(
        plan: TapPlan,
        names: Names,
        clock: RunClock,
        deliveries: BackgroundWriter<Delivery>,
        shared: Arc<Shared>,
        measured: Measured,
    ) -> Self {
        Self { plan, names, clock, deliveries, shared, measured, planned: PlannedSet::default(), seen: Seen::default() }
    }

    pub(crate) fn run(mut self, consumer: &BaseConsumer, stop: &StopFlag) -> Result<Seen, TapError> {
        let (mut flushed, mut passed) = (Instant::now(), Instant::now());
        let mut fatal = None;
        while !stop.is_stopped() && fatal.is_none() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let received_ns = self.clock.now_ns();
                    self.see(&message, received_ns);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => fatal = Some(error),
                Some(Err(error)) => {
                    self.seen.errors += 1;
                    self.seen.last_error = Some(error.to_string());
                }
                None => {}
            }
            if passed.elapsed() >= PASS_EVERY {
                self.pass_markers(consumer);
                passed = Instant::now();
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                self.deliveries.flush();
                flushed = Instant::now();
            }
        }
        self.deliveries.finish()?;
        match fatal {
            Some(source) => {
                let count = self.shared.count.load(Ordering::Acquire);
                Err(TapError::Fatal { topic: self.plan.topic, count, source: Box::new(source) })
            }
            None => Ok(self.seen),
        }
    }

    /// What ends a transaction lies in the log, and is no message: only the client's own position passes it.
    fn pass_markers(&self, consumer: &BaseConsumer) {
        let Ok(positions) = consumer.position() else { return };
        for element in positions.elements_for_topic(&self.plan.topic) {
            let Offset::Offset(next) = element.offset() else { continue };
            let partition = usize::try_from(element.partition()).ok();
            if let Some(position) = partition.and_then(|partition| self.shared.positions.get(partition)) {
                position.fetch_max(next, Ordering::Release);
            }
        }
    }

    fn see(&mut self, message: &impl Message, received_ns: u64) {
        match self.plan.identity.read(message, &self.names) {
            Ok(reading) if reading.run.is_some() && self.plan.run.is_some() && reading.run != self.plan.run => {
                self.seen.foreign += 1;
            }
            Ok(reading) => {
                if reading.intended_ns != 0 && !self.plan.again {
                    self.seen.early += u64::from(received_ns < reading.intended_ns);
                    self.measured.record(message.partition(), received_ns.saturating_sub(reading.intended_ns));
                }
                self.deliveries.push(&Delivery {
                    identity: reading.identity,
                    key: reading.key,
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
                    value: reading.value,
                    intended_ns: reading.intended_ns,
                    received_ns,
                });
                if self.plan.counts_planned && self.planned.insert(reading.identity) {
                    self.shared.planned.fetch_add(1, Ordering::Release);
                }
                self.shared.count.fetch_add(1, Ordering::Release);
            }
            Err(reason) => {
                self.shared.unreadable.fetch_add(1, Ordering::Release);
                if self.seen.unreadable_samples.len() < SAMPLES_MAX {
                    self.seen.unreadable_samples.push(Unreadable {
                        partition: message.partition(),
                        offset: message.offset(),
                        reason: reason.to_string(),
                    });
                }
            }
        }
        let partition = usize::try_from(message.partition()).ok();
        if let Some(end) = partition.and_then(|partition| self.shared.message_ends.get(partition)) {
            end.store(message.offset() + 1, Ordering::Release);
        }
        // Last: whoever sees the position may count on everything below it being recorded.
        if let Some(position) = partition.and_then(|partition| self.shared.positions.get(partition)) {
            self.seen.rewinds += u64::from(message.offset() < position.load(Ordering::Relaxed));
            position.store(message.offset() + 1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_plan_is_counted_once() {
        let mut planned = PlannedSet::default();
        for sequence in [0, 63, 64, 1_000_000] {
            assert!(planned.insert(Identity::planned(sequence)), "{sequence} is new");
            assert!(!planned.insert(Identity::planned(sequence)), "{sequence} is not");
        }
        assert!(!planned.insert(Identity::interned(5)), "nobody planned it");
        assert!(planned.insert(Identity::planned(5)));
    }
}
