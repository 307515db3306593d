//! The thread that takes a producer's answers: it polls the client, and records how each message ended.

use crate::client::LoadProducer;
use crate::pacer::PacerState;
use crate::recorder::{End, Recorder};
use crate::slots::Slots;
use crate::stop::{Patience, StopFlag};
use rdkafka::producer::{Producer, PurgeConfig};
use shakedown_reports::record::Outcome;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long one poll of the client takes. The binding polls again for whatever is left of it, librdkafka counts whole
/// milliseconds and takes less than one for none, and both together spin: 20 ms, of which some microseconds have gone by,
/// are 19 ms of sleep and one of a busy processor. A little more than whole milliseconds is slept through.
const POLL: Duration = Duration::from_micros(20_200);
/// How often an idle stream of operations is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long the client may take to give back what it was told to drop.
const PURGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The delivery thread of one producer.
pub(crate) struct Answers {
    pub(crate) producer: Arc<LoadProducer>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<PacerState>,
    pub(crate) flush_timeout: Duration,
    pub(crate) stop: StopFlag,
}

impl Answers {
    pub(crate) fn run(self) {
        let mut flushed = Instant::now();
        while !self.state.done.load(Ordering::Acquire) {
            if !self.state.turn.lend(FLUSH_EVERY) {
                self.producer.poll(POLL);
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                self.recorder.flush();
                flushed = Instant::now();
            }
        }
        let mut patience = Patience::new(self.flush_timeout);
        while self.unanswered() && !patience.is_over(&self.stop) {
            // Flushing also sends at once what the client would let linger. Its only error is that time is up.
            drop(self.producer.flush(POLL));
            self.producer.poll(Duration::ZERO);
        }
        if self.unanswered() {
            // What is purged comes back with an error that leaves its outcome unknown.
            self.producer.purge(PurgeConfig::default().queue().inflight());
            let deadline = Instant::now() + PURGE_TIMEOUT;
            while self.unanswered() && Instant::now() < deadline {
                self.producer.poll(POLL);
            }
        }
        for slot in 0..self.slots.capacity() {
            if let Some(message) = self.slots.finish(slot) {
                self.recorder.record(&message, End::unacknowledged(Outcome::Unknown, 0));
            }
        }
    }

    fn unanswered(&self) -> bool {
        let ended = self.slots.finished() + self.state.refused.load(Ordering::Acquire);
        ended < self.state.offered.load(Ordering::Acquire)
    }
}
