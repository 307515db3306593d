//! Operations and deliveries as rows of numbers; commits and readings are in `watched`.

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
    use crate::stream::deltas::Row;

    /// The form of an entry on disk.
    pub trait Entry: Sized {
        /// The first bytes of the file.
        const MAGIC: [u8; 8];
        /// Its numbers.
        type Row: Row;
        /// When it became known, from which writers tell how old their buffers are.
        fn known_at_ns(&self) -> u64;
        /// All that it says, in numbers.
        fn row(&self) -> Self::Row;
        /// What these numbers say; `None` if they are no entry.
        fn of(row: &Self::Row) -> Option<Self>;
    }
}

impl sealed::Entry for Operation {
    const MAGIC: [u8; 8] = *b"SHKDNOPS";
    type Row = [i64; 11];

    fn known_at_ns(&self) -> u64 {
        self.completed_ns
    }

    fn row(&self) -> Self::Row {
        [
            self.identity.to_bits().cast_signed(),
            self.key.to_bits().into(),
            self.key_sequence.into(),
            (self.outcome as u8).into(),
            self.error.into(),
            self.partition.into(),
            self.offset,
            self.value,
            self.intended_ns.cast_signed(),
            self.sent_ns.cast_signed(),
            self.completed_ns.cast_signed(),
        ]
    }

    fn of(row: &Self::Row) -> Option<Self> {
        let [identity, key, key_sequence, outcome, error, partition, offset, value, intended, sent, completed] = *row;
        Some(Self {
            identity: Identity::from_bits(identity.cast_unsigned()),
            key: Key::from_bits(key.try_into().ok()?),
            key_sequence: key_sequence.try_into().ok()?,
            outcome: outcome_of(outcome)?,
            error: error.try_into().ok()?,
            partition: partition.try_into().ok()?,
            offset,
            value,
            intended_ns: intended.cast_unsigned(),
            sent_ns: sent.cast_unsigned(),
            completed_ns: completed.cast_unsigned(),
        })
    }
}

impl sealed::Entry for Delivery {
    const MAGIC: [u8; 8] = *b"SHKDNDEL";
    type Row = [i64; 8];

    fn known_at_ns(&self) -> u64 {
        self.received_ns
    }

    fn row(&self) -> Self::Row {
        [
            self.identity.to_bits().cast_signed(),
            self.key.to_bits().into(),
            self.partition.into(),
            self.offset,
            self.timestamp_ms,
            self.value,
            self.intended_ns.cast_signed(),
            self.received_ns.cast_signed(),
        ]
    }

    fn of(row: &Self::Row) -> Option<Self> {
        let [identity, key, partition, offset, timestamp_ms, value, intended, received] = *row;
        Some(Self {
            identity: Identity::from_bits(identity.cast_unsigned()),
            key: Key::from_bits(key.try_into().ok()?),
            partition: partition.try_into().ok()?,
            offset,
            timestamp_ms,
            value,
            intended_ns: intended.cast_unsigned(),
            received_ns: received.cast_unsigned(),
        })
    }
}

fn outcome_of(number: i64) -> Option<Outcome> {
    [Outcome::Ok, Outcome::Fail, Outcome::Unknown].into_iter().find(|outcome| i64::from(*outcome as u8) == number)
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
            prop_assert_eq!(Operation::of(&operation.row()), Some(operation));
        }

        #[test]
        fn every_delivery_survives_the_disk(delivery in deliveries()) {
            prop_assert_eq!(Delivery::of(&delivery.row()), Some(delivery));
        }
    }

    #[test]
    fn numbers_that_say_nothing_are_no_operation() {
        assert!(Operation::of(&[0; 11]).is_some());
        for (place, number) in [(1, -1), (1, 1 << 32), (2, -1), (3, 3), (3, -1), (4, 1 << 15), (5, 1 << 31)] {
            let mut row = [0; 11];
            row[place] = number;
            assert_eq!(Operation::of(&row), None, "{number} in place {place}");
        }
    }
}
