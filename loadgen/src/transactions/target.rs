//! Topics as the target of a load in transactions: a message is handed over while a transaction is open.

use super::door::{Door, Entry};
use crate::recorder::Recorder;
use crate::slots::InFlight;
use crate::target::{Handed, Target};
use crate::topic_target::TopicTarget;
use crate::workload::{PlannedMessage, Workload};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long the pacer waits before a closed door until it looks whether somebody has stopped it. It is told when the door opens.
const CLOSED_PAUSE: Duration = Duration::from_millis(20);

/// [`TopicTarget`] behind a [`Door`]. The pacer never takes answers itself: they are no acknowledgements yet.
pub(crate) struct TransactionalTarget {
    topics: TopicTarget,
    door: Arc<Door>,
    recorder: Arc<Recorder>,
}

impl TransactionalTarget {
    pub(crate) fn new(topics: TopicTarget, door: Arc<Door>, recorder: Arc<Recorder>) -> Self {
        Self { topics, door, recorder }
    }
}

impl Target for TransactionalTarget {
    fn wait_for_room(&mut self, pause: Duration) {
        if !self.door.wait_until_open(CLOSED_PAUSE) {
            thread::sleep(pause);
        }
    }

    fn prepare(&mut self, workload: &Workload, message: &PlannedMessage) {
        self.topics.prepare(workload, message);
    }

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        let topics = &mut self.topics;
        let handed = self.door.enter(message.sent_ns, || match topics.send(message) {
            Ok(()) => Entry::In(Handed::Taken),
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => Entry::In(Handed::Full),
            // Another message could not be written: the client takes no more into this transaction, which can only be aborted.
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::State)) => Entry::Broken,
            Err(error) => Entry::In(topics.refused(&error)),
        });
        if !matches!(handed, Handed::Full) {
            self.recorder.lateness.record(own_ns);
        }
        handed
    }
}

/// The pacer has ended: what is in the open transaction need not wait for its time.
impl Drop for TransactionalTarget {
    fn drop(&mut self) {
        self.door.over();
    }
}
