//! Messages in flight with somebody who gives back no more than a number: a slab of them, allocated once.
//!
//! Each message handed over carries the index of its slot. Exactly one thread claims slots (the pacer, by its [`Claims`]) and
//! one at a time gives them back (who takes the answers, see [`crate::turn`]), so the list of free ones is a ring with one
//! writer at each end, without a lock. A slab without a free slot is a full queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

/// What is known of a message before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) sequence: u64,
    pub(crate) key: u32,
    pub(crate) key_sequence: u32,
    pub(crate) value: i64,
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Guards the rest: raised after it is written, lowered before it is read.
    occupied: AtomicBool,
    key: AtomicU32,
    key_sequence: AtomicU32,
    sequence: AtomicU64,
    value: AtomicI64,
    intended_ns: AtomicU64,
    sent_ns: AtomicU64,
}

/// The slab.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<AtomicU32>,
    /// Slots ever claimed; written by the pacer only.
    claimed: AtomicU64,
    /// Slots ever given back, those free at the start included; written by who takes the answers.
    returned: AtomicU64,
}

impl Slots {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            free: (0..capacity).map(AtomicU32::new).collect(),
            claimed: AtomicU64::new(0),
            returned: AtomicU64::new(u64::from(capacity)),
        }
    }

    /// A free slot, for the pacer; `None` while all are in flight.
    fn claim(&self) -> Option<usize> {
        let claimed = self.claimed.load(Ordering::Relaxed);
        if claimed == self.returned.load(Ordering::Acquire) {
            return None;
        }
        let slot = self.free[self.place(claimed)].load(Ordering::Relaxed);
        self.claimed.store(claimed + 1, Ordering::Release);
        Some(slot as usize)
    }

    /// Describes the message that a claimed slot is about to carry.
    fn occupy(&self, slot: usize, message: &InFlight) {
        let slot = &self.slots[slot];
        slot.sequence.store(message.sequence, Ordering::Relaxed);
        slot.key.store(message.key, Ordering::Relaxed);
        slot.key_sequence.store(message.key_sequence, Ordering::Relaxed);
        slot.value.store(message.value, Ordering::Relaxed);
        slot.intended_ns.store(message.intended_ns, Ordering::Relaxed);
        slot.sent_ns.store(message.sent_ns, Ordering::Relaxed);
        slot.occupied.store(true, Ordering::Release);
    }

    /// Takes back what [`Self::occupy`] said, for the pacer, which keeps the slot.
    fn vacate(&self, slot: usize) {
        self.slots[slot].occupied.store(false, Ordering::Relaxed);
    }

    /// Ends a message's flight and gives its slot back, for who takes the answers. `None` when nothing is in flight there.
    pub(crate) fn finish(&self, slot: usize) -> Option<InFlight> {
        let entry = self.slots.get(slot)?;
        if !entry.occupied.load(Ordering::Acquire) {
            return None;
        }
        // Only who takes answers comes here, one at a time: to swap would be to wait for the memory of a cold slot.
        entry.occupied.store(false, Ordering::Relaxed);
        let message = InFlight {
            sequence: entry.sequence.load(Ordering::Relaxed),
            key: entry.key.load(Ordering::Relaxed),
            key_sequence: entry.key_sequence.load(Ordering::Relaxed),
            value: entry.value.load(Ordering::Relaxed),
            intended_ns: entry.intended_ns.load(Ordering::Relaxed),
            sent_ns: entry.sent_ns.load(Ordering::Relaxed),
        };
        let returned = self.returned.load(Ordering::Relaxed);
        self.free[self.place(returned)].store(u32::try_from(slot).expect("capacities have 32 bits"), Ordering::Relaxed);
        self.returned.store(returned + 1, Ordering::Release);
        Some(message)
    }

    /// How many messages have ended so far; exact for who takes the answers.
    pub(crate) fn finished(&self) -> u64 {
        self.returned.load(Ordering::Acquire) - self.free.len() as u64
    }

    /// How many slots there are.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn place(&self, turn: u64) -> usize {
        usize::try_from(turn % self.free.len() as u64).expect("below the capacity")
    }
}

/// The pacer's end of a slab, of which there is one.
pub(crate) struct Claims {
    slots: Arc<Slots>,
    /// A claimed slot that no message took.
    held: Option<usize>,
}

impl Claims {
    pub(crate) fn new(slots: Arc<Slots>) -> Self {
        Self { slots, held: None }
    }

    /// Puts a message into a free slot, before it is handed over: its answer may come before that returns. `None` while all
    /// are in flight.
    pub(crate) fn occupy(&mut self, message: &InFlight) -> Option<usize> {
        let slot = self.held.take().or_else(|| self.slots.claim())?;
        self.slots.occupy(slot, message);
        Some(slot)
    }

    /// See [`Slots::finished`].
    pub(crate) fn finished(&self) -> u64 {
        self.slots.finished()
    }

    /// Nobody took the message: the next one has its slot.
    pub(crate) fn vacate(&mut self, slot: usize) {
        self.slots.vacate(slot);
        self.held = Some(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64) -> InFlight {
        InFlight {
            sequence,
            key: 7,
            key_sequence: 3,
            value: -5,
            intended_ns: sequence * 10,
            sent_ns: sequence * 10 + 1,
        }
    }

    #[test]
    fn a_full_slab_has_no_slot_until_one_comes_back() {
        let slots = Slots::new(2);
        let first = slots.claim().expect("free");
        let second = slots.claim().expect("free");
        assert_ne!(first, second);
        assert_eq!(slots.claim(), None);
        slots.occupy(first, &message(1));
        assert_eq!(slots.finish(first), Some(message(1)));
        assert_eq!(slots.finish(first), None, "answered twice");
        assert_eq!(slots.finish(99), None, "no such slot");
        assert_eq!(slots.claim(), Some(first));
        assert_eq!(slots.claim(), None);
    }

    #[test]
    fn a_refused_message_was_never_in_flight_and_leaves_its_slot_to_the_next() {
        let slots = Arc::new(Slots::new(1));
        let mut claims = Claims::new(Arc::clone(&slots));
        let slot = claims.occupy(&message(1)).expect("free");
        claims.vacate(slot);
        assert_eq!(slots.finish(slot), None);
        assert_eq!(claims.occupy(&message(2)), Some(slot));
        assert_eq!(claims.occupy(&message(3)), None, "it is taken");
        assert_eq!(slots.finish(slot), Some(message(2)));
        assert_eq!(claims.occupy(&message(3)), Some(slot));
    }

    #[test]
    fn two_threads_lose_and_mix_nothing() {
        const MESSAGES: u64 = 200_000;
        let slots = Slots::new(64);
        let (hand_over, handed) = std::sync::mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for sequence in 0..MESSAGES {
                    let slot = loop {
                        match slots.claim() {
                            Some(slot) => break slot,
                            None => std::thread::yield_now(),
                        }
                    };
                    slots.occupy(slot, &message(sequence));
                    hand_over.send(slot).expect("the other thread lives");
                }
                drop(hand_over);
            });
            scope.spawn(|| {
                let mut expected = 0;
                for slot in handed {
                    assert_eq!(slots.finish(slot), Some(message(expected)));
                    expected += 1;
                }
                assert_eq!(expected, MESSAGES);
            });
        });
    }
}
