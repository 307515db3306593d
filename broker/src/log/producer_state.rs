//! Idempotent producers: which sequences a partition has seen, so that a retry is recognised and a gap refused.
//!
//! As Kafka's `ProducerStateManager`: five batches are remembered for each producer, which is why a producer may have
//! at most five requests in flight (KIP-98, KIP-360).

use crate::batch::header::{BatchHeader, add_sequence};
use crate::types::{Offset, ProducerId};
use kafka_protocol::error::ResponseError;
use std::collections::{BTreeMap, VecDeque};

/// Kafka's `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`.
const BATCHES_REMEMBERED: usize = 5;

/// What is remembered of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenBatch {
    /// First sequence of the batch.
    pub first_sequence: i32,
    /// Last sequence of the batch.
    pub last_sequence: i32,
    /// First offset of the batch.
    pub base: Offset,
    /// The largest timestamp of its records as they lie in the log; a retry is answered with it, as in Kafka.
    pub timestamp: i64,
}

#[derive(Debug, Clone)]
struct Producer {
    epoch: i16,
    batches: VecDeque<SeenBatch>,
}

/// All producers of one partition.
#[derive(Debug, Clone, Default)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, Producer>,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Append it.
    Append,
    /// It is in the log already: answer as the first time.
    Duplicate(SeenBatch),
}

impl ProducerStates {
    /// Decides about a batch of an idempotent producer, without changing anything.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for a fenced producer, `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap.
    pub fn admit(&self, header: &BatchHeader) -> Result<Admission, ResponseError> {
        let Some(producer) = self.producers.get(&header.producer_id) else {
            // Nothing is known of the producer: its state may have expired, so any sequence may be its next.
            return Ok(Admission::Append);
        };
        if header.producer_epoch < producer.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if header.producer_epoch > producer.epoch {
            return match header.base_sequence {
                0 => Ok(Admission::Append),
                _ => Err(ResponseError::OutOfOrderSequenceNumber),
            };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let seen = producer.batches.iter().find(|seen| (seen.first_sequence, seen.last_sequence) == (first, last));
        if let Some(seen) = seen {
            return Ok(Admission::Duplicate(*seen));
        }
        let expected = producer.batches.back().map(|seen| add_sequence(seen.last_sequence, 1));
        match expected {
            Some(expected) if expected != first => Err(ResponseError::OutOfOrderSequenceNumber),
            _ => Ok(Admission::Append),
        }
    }

    /// Every producer with its epoch, its last sequence and the timestamp of its last batch.
    pub fn active(&self) -> impl Iterator<Item = (ProducerId, i16, &SeenBatch)> {
        self.producers.iter().filter_map(|(id, producer)| Some((*id, producer.epoch, producer.batches.back()?)))
    }

    /// Whether this batch, which is in the log, is the last one of its producer.
    #[must_use]
    pub fn is_last(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id).and_then(|producer| producer.batches.back());
        header.has_producer() && last.is_some_and(|last| last.base == header.base_offset)
    }

    /// Forgets the producers whose last batch is so many milliseconds old, by its largest timestamp, or older
    /// (`producer.id.expiration.ms`). Whatever sequence they send next is their first one then.
    pub fn forget_idle(&mut self, now_ms: i64, idle_ms_max: i64) {
        self.producers.retain(|_, producer| {
            producer.batches.back().is_some_and(|last| now_ms.saturating_sub(last.timestamp) < idle_ms_max)
        });
    }

    /// Remembers a batch that was appended at `base`.
    pub fn appended(&mut self, header: &BatchHeader, base: Offset, timestamp: i64) {
        let epoch = header.producer_epoch;
        let producer =
            self.producers.entry(header.producer_id).or_insert_with(|| Producer { epoch, batches: VecDeque::new() });
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(SeenBatch {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base,
            timestamp,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::batch::build::BatchBuilder;
    use super::*;

    fn header(epoch: i16, first: i32, count: i32) -> BatchHeader {
        let batch = BatchBuilder::new(0).record(b"k", b"v").finish();
        BatchHeader {
            producer_id: ProducerId(9),
            producer_epoch: epoch,
            base_sequence: first,
            last_offset_delta: count - 1,
            count,
            ..BatchHeader::read(&batch).expect("a whole header")
        }
    }

    /// Ten batches of ten records each, from sequence 0.
    fn ten_batches() -> ProducerStates {
        let mut states = ProducerStates::default();
        for n in 0..10 {
            let header = header(0, n * 10, 10);
            assert_eq!(states.admit(&header), Ok(Admission::Append));
            states.appended(&header, Offset(1000 + i64::from(n)), 5);
        }
        states
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let states = ten_batches();
        for n in 5..10 {
            let seen = states.admit(&header(0, n * 10, 10));
            let base = Offset(1000 + i64::from(n));
            assert!(matches!(seen, Ok(Admission::Duplicate(seen)) if seen.base == base), "batch {n}: {seen:?}");
        }
        assert_eq!(states.admit(&header(0, 40, 10)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn gaps_and_overlaps_are_refused() {
        let states = ten_batches();
        assert_eq!(states.admit(&header(0, 100, 3)), Ok(Admission::Append));
        assert_eq!(states.admit(&header(0, 101, 3)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(states.admit(&header(0, 95, 10)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn epochs_fence_and_restart_the_sequence() {
        let mut states = ten_batches();
        assert_eq!(states.admit(&header(1, 100, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
        let bumped = header(1, 0, 1);
        assert_eq!(states.admit(&bumped), Ok(Admission::Append));
        states.appended(&bumped, Offset(2000), 5);
        assert_eq!(states.admit(&header(0, 100, 1)), Err(ResponseError::InvalidProducerEpoch));
    }

    #[test]
    fn a_producer_is_forgotten_a_while_after_its_last_batch() {
        let mut states = ten_batches();
        let later = BatchHeader { producer_id: ProducerId(10), ..header(0, 7, 1) };
        states.appended(&later, Offset(2000), 6);
        states.forget_idle(104, 100);
        assert_eq!(states.active().count(), 2);
        states.forget_idle(105, 100);
        let left: Vec<i64> = states.active().map(|(id, _, _)| id.0).collect();
        assert_eq!(left, [10], "the other one's last batch is of 5");
        assert_eq!(states.admit(&header(0, 1000, 1)), Ok(Admission::Append), "nobody knows what came before");
    }

    #[test]
    fn the_sequence_wraps_to_zero() {
        let mut states = ProducerStates::default();
        states.appended(&header(0, i32::MAX - 1, 2), Offset(0), 5);
        assert_eq!(states.admit(&header(0, 0, 4)), Ok(Admission::Append));
        assert_eq!(states.admit(&header(0, 1, 4)), Err(ResponseError::OutOfOrderSequenceNumber));
    }
}
