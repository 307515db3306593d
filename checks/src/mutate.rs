//! History mutators: each does to a clean record what one class of bug does to a system. Checks are trusted because
//! every mutation, anywhere in any clean history, is convicted by exactly the checks that [`Mutation::convicted_by`]
//! names.

use crate::{conserved, duplicated, latency, lost, phantom, reordered};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, StreamId};

/// One way to falsify a sink's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The sink never saw the message.
    Drop,
    /// The sink saw it once more, at an offset of its own, after everything else.
    Duplicate,
    /// It and the next message of its key arrived the other way round.
    Swap,
    /// It arrived with another amount.
    AlterAmount,
    /// It arrived under another key.
    MoveKey,
    /// It arrived this much later, though in the same order.
    Delay(
        /// Nanoseconds.
        u64,
    ),
    /// The sink saw a message that nobody offered.
    Invent,
}

impl Mutation {
    /// The checks that must convict it, where all are asked and the sink's amounts are in a rule of conservation with
    /// its source's; all others must not. To drop what no source vouches for (an operation of unknown outcome) convicts
    /// nobody.
    #[must_use]
    pub fn convicted_by(self) -> &'static [&'static str] {
        match self {
            Self::Drop => &[lost::NAME, conserved::NAME],
            Self::Duplicate => &[duplicated::NAME],
            Self::Swap | Self::MoveKey => &[reordered::NAME],
            Self::AlterAmount => &[conserved::NAME],
            Self::Delay(_) => &[latency::NAME],
            Self::Invent => &[phantom::NAME, conserved::NAME],
        }
    }

    /// Applies it to the delivery at `index` of a sink. `false`, with the record unchanged, where there is no such
    /// delivery or, for [`Mutation::Swap`], none of the same key behind it.
    pub fn apply(self, record: &mut MemoryRecord, sink: StreamId, index: usize) -> bool {
        let Some(deliveries) = record.deliveries.get_mut(usize::from(sink)) else {
            return false;
        };
        if index >= deliveries.len() {
            return false;
        }
        match self {
            Self::Drop => drop(deliveries.remove(index)),
            Self::Duplicate => duplicate(deliveries, index),
            Self::Swap => return swap(deliveries, index),
            Self::AlterAmount => deliveries[index].value += 1,
            Self::MoveKey => deliveries[index].key = another_key(deliveries[index].key),
            Self::Delay(nanoseconds) => deliveries[index].received_ns += nanoseconds,
            Self::Invent => invent(deliveries, index),
        }
        true
    }
}

fn duplicate(deliveries: &mut Vec<Delivery>, index: usize) {
    let copy = at_end_of_log(deliveries, deliveries[index]);
    deliveries.push(copy);
}

fn invent(deliveries: &mut Vec<Delivery>, index: usize) {
    let unused = deliveries.iter().map(|delivery| delivery.identity.index()).max().map_or(0, |last| last + 1);
    let invented = Delivery { identity: Identity::interned(unused), ..deliveries[index] };
    let invented = at_end_of_log(deliveries, invented);
    deliveries.push(invented);
}

/// The delivery at the next free offset of its partition. A ledger without offsets has none to give.
fn at_end_of_log(deliveries: &[Delivery], delivery: Delivery) -> Delivery {
    let log = deliveries.iter().filter(|other| other.partition == delivery.partition && other.offset >= 0);
    let offset = log.map(|other| other.offset + 1).max().unwrap_or(delivery.offset);
    Delivery { offset, ..delivery }
}

/// Two messages change places; times and offsets belong to the places and stay.
fn swap(deliveries: &mut [Delivery], index: usize) -> bool {
    let key = deliveries[index].key;
    let behind = deliveries.iter().skip(index + 1).position(|delivery| delivery.key == key);
    let Some(other) = behind.map(|distance| index + 1 + distance) else {
        return false;
    };
    deliveries.swap(index, other);
    let (first, second) = (deliveries[index], deliveries[other]);
    let place = |delivery: Delivery, of: Delivery| Delivery {
        partition: of.partition,
        offset: of.offset,
        received_ns: of.received_ns,
        ..delivery
    };
    deliveries[index] = place(first, second);
    deliveries[other] = place(second, first);
    true
}

fn another_key(key: Key) -> Key {
    Key::from_bits(key.to_bits() ^ 1)
}
