//! The pacer's end of the producer: writes each message into its batch.

use super::accumulator::{Accumulator, Pushed};
use super::batch::Record;
use super::layout::Layout;
use super::partitioner::Partitioner;
use crate::identity_header::{self, IdentityHeader};
use crate::recorder::{End, Recorder};
use crate::slots::InFlight;
use crate::target::{Handed, Target};
use crate::workload::{PlannedMessage, Workload, write_key};
use shakedown_reports::record::Outcome;
use std::sync::Arc;

/// `RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE`, and Kafka's `MESSAGE_TOO_LARGE`.
const TOO_LARGE: i16 = 10;
/// Of so many messages at most lateness is not recorded yet: a lock each is what others wait for, too.
const LATE_MAX: usize = 64;
const NANOSECONDS_OF_A_MILLISECOND: u64 = 1_000_000;

/// Topics that take turns, with buffers that every message reuses.
pub(crate) struct DirectTarget {
    accumulator: Arc<Accumulator>,
    layout: Arc<Layout>,
    partitioner: Partitioner,
    recorder: Arc<Recorder>,
    run: u32,
    /// This producer's number within the run.
    number: u16,
    key: Vec<u8>,
    payload: Vec<u8>,
    /// The payload begins with room for the identity.
    raw: bool,
    /// By how much the generator was late, of messages of which that is not recorded yet.
    late_ns: Vec<u64>,
}

impl DirectTarget {
    pub(super) fn new(
        accumulator: Arc<Accumulator>,
        layout: Arc<Layout>,
        partitioner: Partitioner,
        recorder: Arc<Recorder>,
    ) -> Self {
        let (key, payload) = (Vec::with_capacity(32), Vec::with_capacity(256));
        let late_ns = Vec::with_capacity(LATE_MAX);
        Self { accumulator, layout, partitioner, recorder, run: 0, number: 0, key, payload, raw: false, late_ns }
    }

    /// What its messages say of where they come from.
    pub(crate) fn named(mut self, run: u32, number: u16) -> Self {
        (self.run, self.number) = (run, number);
        self
    }
}

impl Target for DirectTarget {
    fn prepare(&mut self, workload: &Workload, message: &PlannedMessage) {
        write_key(message.key, &mut self.key);
        workload.write_payload(message, &mut self.payload);
        self.raw = workload.is_raw();
    }

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        let identity = IdentityHeader::of(message, self.run, self.number).encode();
        let header = match self.raw {
            true => {
                self.payload[..identity_header::LENGTH].copy_from_slice(&identity);
                None
            }
            false => Some((identity_header::NAME, &identity[..])),
        };
        let topic = self.layout.topic_of(message.sequence);
        let place = topic.first + self.partitioner.partition(&self.key, topic.partitions);
        let record = Record {
            timestamp_ms: i64::try_from(message.sent_ns / NANOSECONDS_OF_A_MILLISECOND)
                .expect("this side of the year 2500"),
            key: &self.key,
            value: &self.payload,
            header,
        };
        let handed = match self.accumulator.push(place, record, *message) {
            Pushed::Taken => Handed::Taken,
            Pushed::Full => return Handed::Full,
            Pushed::TooLarge => {
                let length = self.payload.len();
                self.recorder.complain(format!("a message of {length} bytes is larger than message.max.bytes allows"));
                Handed::Refused(End::unacknowledged(Outcome::Fail, TOO_LARGE))
            }
        };
        self.late_ns.push(own_ns);
        if self.late_ns.len() >= LATE_MAX {
            self.rest();
        }
        handed
    }

    fn rest(&mut self) {
        if !self.late_ns.is_empty() {
            self.recorder.lateness.record_all(self.late_ns.drain(..));
        }
    }
}

impl Drop for DirectTarget {
    fn drop(&mut self) {
        self.rest();
    }
}
