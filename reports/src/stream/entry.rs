//! Operations and deliveries as fixed-size little-endian entries; commits and readings are in `watched`.

use crate::identity::{Identity, Key};
use crate::record::{Delivery, Operation, Outcome};
use crate::watch::{Commit, Reading};

/// What a stream file is made of. Sealed: a new entry is a new version of the format.
pub trait Entry: Copy + sealed::Entry {}

impl Entry for Operation {}
impl Entry for Delivery {}
impl Entry for Commit {}
impl Entry for Reading {}

pub(super) mod sealed {
    /// The form of an entry on disk.
    pub trait Entry: Sized {
        /// The first bytes of the file.
        const MAGIC: [u8; 8];
        /// Bytes of one entry.
        const SIZE: usize;
        /// When it became known, from which writers tell how old their buffers are.
        fn known_at_ns(&self) -> u64;
        /// Appends exactly [`Entry::SIZE`] bytes.
        fn encode(&self, buffer: &mut Vec<u8>);
        /// Reads exactly [`Entry::SIZE`] bytes; `None` if they are no entry.
        fn decode(bytes: &[u8]) -> Option<Self>;
    }
}

impl sealed::Entry for Operation {
    const MAGIC: [u8; 8] = *b"SHKDNOPS";
    const SIZE: usize = 64;

    fn known_at_ns(&self) -> u64 {
        self.completed_ns
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.identity.to_bits().to_le_bytes());
        buffer.extend_from_slice(&self.key.to_bits().to_le_bytes());
        buffer.extend_from_slice(&self.key_sequence.to_le_bytes());
        buffer.extend_from_slice(&[self.outcome as u8, 0]);
        buffer.extend_from_slice(&self.error.to_le_bytes());
        buffer.extend_from_slice(&self.partition.to_le_bytes());
        buffer.extend_from_slice(&self.offset.to_le_bytes());
        buffer.extend_from_slice(&self.value.to_le_bytes());
        buffer.extend_from_slice(&self.intended_ns.to_le_bytes());
        buffer.extend_from_slice(&self.sent_ns.to_le_bytes());
        buffer.extend_from_slice(&self.completed_ns.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let identity = Identity::from_bits(u64::from_le_bytes(fields.take()?));
        let key = Key::from_bits(u32::from_le_bytes(fields.take()?));
        let key_sequence = u32::from_le_bytes(fields.take()?);
        let [outcome, 0] = fields.take()? else { return None };
        Some(Self {
            identity,
            key,
            key_sequence,
            outcome: decode_outcome(outcome)?,
            error: i16::from_le_bytes(fields.take()?),
            partition: i32::from_le_bytes(fields.take()?),
            offset: i64::from_le_bytes(fields.take()?),
            value: i64::from_le_bytes(fields.take()?),
            intended_ns: u64::from_le_bytes(fields.take()?),
            sent_ns: u64::from_le_bytes(fields.take()?),
            completed_ns: u64::from_le_bytes(fields.take()?),
        })
    }
}

impl sealed::Entry for Delivery {
    const MAGIC: [u8; 8] = *b"SHKDNDEL";
    const SIZE: usize = 56;

    fn known_at_ns(&self) -> u64 {
        self.received_ns
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.identity.to_bits().to_le_bytes());
        buffer.extend_from_slice(&self.key.to_bits().to_le_bytes());
        buffer.extend_from_slice(&self.partition.to_le_bytes());
        buffer.extend_from_slice(&self.offset.to_le_bytes());
        buffer.extend_from_slice(&self.timestamp_ms.to_le_bytes());
        buffer.extend_from_slice(&self.value.to_le_bytes());
        buffer.extend_from_slice(&self.intended_ns.to_le_bytes());
        buffer.extend_from_slice(&self.received_ns.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            identity: Identity::from_bits(u64::from_le_bytes(fields.take()?)),
            key: Key::from_bits(u32::from_le_bytes(fields.take()?)),
            partition: i32::from_le_bytes(fields.take()?),
            offset: i64::from_le_bytes(fields.take()?),
            timestamp_ms: i64::from_le_bytes(fields.take()?),
            value: i64::from_le_bytes(fields.take()?),
            intended_ns: u64::from_le_bytes(fields.take()?),
            received_ns: u64::from_le_bytes(fields.take()?),
        })
    }
}

fn decode_outcome(byte: u8) -> Option<Outcome> {
    [Outcome::Ok, Outcome::Fail, Outcome::Unknown].into_iter().find(|outcome| *outcome as u8 == byte)
}

/// Takes fields off the front of an entry.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (field, rest) = self.0.split_first_chunk::<SIZE>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Entry as _;
    use super::*;
    use proptest::prelude::*;

    fn operations() -> impl Strategy<Value = Operation> {
        let outcome = prop_oneof![Just(Outcome::Ok), Just(Outcome::Fail), Just(Outcome::Unknown)];
        let names = (any::<u64>(), any::<u32>(), any::<u32>(), outcome, any::<i16>());
        let place = (any::<i32>(), any::<i64>(), any::<i64>(), any::<[u64; 3]>());
        (names, place).prop_map(|((identity, key, key_sequence, outcome, error), (partition, offset, value, times))| {
            Operation {
                identity: Identity::from_bits(identity),
                key: Key::from_bits(key),
                key_sequence,
                outcome,
                error,
                partition,
                offset,
                value,
                intended_ns: times[0],
                sent_ns: times[1],
                completed_ns: times[2],
            }
        })
    }

    fn deliveries() -> impl Strategy<Value = Delivery> {
        (any::<u64>(), any::<u32>(), any::<i32>(), any::<[i64; 3]>(), any::<[u64; 2]>()).prop_map(
            |(identity, key, partition, signed, times)| Delivery {
                identity: Identity::from_bits(identity),
                key: Key::from_bits(key),
                partition,
                offset: signed[0],
                timestamp_ms: signed[1],
                value: signed[2],
                intended_ns: times[0],
                received_ns: times[1],
            },
        )
    }

    proptest! {
        #[test]
        fn every_operation_survives_the_disk(operation in operations()) {
            let mut buffer = Vec::new();
            operation.encode(&mut buffer);
            prop_assert_eq!(buffer.len(), Operation::SIZE);
            prop_assert_eq!(Operation::decode(&buffer), Some(operation));
        }

        #[test]
        fn every_delivery_survives_the_disk(delivery in deliveries()) {
            let mut buffer = Vec::new();
            delivery.encode(&mut buffer);
            prop_assert_eq!(buffer.len(), Delivery::SIZE);
            prop_assert_eq!(Delivery::decode(&buffer), Some(delivery));
        }
    }

    #[test]
    fn an_outcome_that_does_not_exist_is_no_operation() {
        let mut bytes = [0; Operation::SIZE];
        assert!(Operation::decode(&bytes).is_some());
        bytes[16] = 3;
        assert_eq!(Operation::decode(&bytes), None);
    }
}
