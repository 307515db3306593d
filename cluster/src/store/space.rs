//! Which bytes of a file are free: places are given out, taken back, and given out again.
//!
//! Where to look next goes round the file, as in a ring. What is forgotten was written at about the same time, so that
//! free places grow together; of those that are too small a look passes over a bounded number, and then the file grows.

use std::collections::BTreeMap;

/// How many free places are looked at for one that is large enough.
const LOOKS: usize = 16;

/// The places of a file.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Free places by where they begin, none of which touch, nor touch the end.
    free: BTreeMap<u64, u64>,
    /// Where the last place that is taken ends.
    end: u64,
    /// Where the last look ended.
    next: u64,
}

impl Space {
    /// A place with so many bytes, of which there is at least one.
    pub(super) fn take(&mut self, size: u64) -> u64 {
        let ring = self.free.range(self.next..).chain(self.free.range(..self.next)).take(LOOKS);
        let mut looked_at = None;
        let found = ring.map(|(at, length)| (*at, *length)).find(|(at, length)| {
            looked_at = Some(*at);
            *length >= size
        });
        let Some((at, length)) = found else {
            // The next look is at others, or a row of small places would hide the large ones behind it for ever.
            self.next = looked_at.map_or(self.next, |at| at + 1);
            self.end += size;
            return self.end - size;
        };
        self.free.remove(&at);
        if length > size {
            self.free.insert(at + size, length - size);
        }
        self.next = at + size;
        at
    }

    /// Nobody needs this place any more.
    pub(super) fn give(&mut self, at: u64, size: u64) {
        let (mut from, mut to) = (at, at + size);
        if let Some((before, length)) = self.free.range(..at).next_back().map(|(at, length)| (*at, *length))
            && before + length == from
        {
            self.free.remove(&before);
            from = before;
        }
        if let Some(length) = self.free.remove(&to) {
            to += length;
        }
        if to == self.end {
            self.end = from;
        } else {
            self.free.insert(from, to - from);
        }
    }

    /// Where the file may end.
    pub(super) fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_given_out_again() {
        let mut space = Space::default();
        assert_eq!([10, 20, 30, 40].map(|size| space.take(size)), [0, 10, 30, 60]);
        space.give(10, 20);
        space.give(30, 30);
        assert_eq!((space.take(45), space.take(6), space.take(5)), (10, 100, 55), "neighbours are one place");
        space.give(100, 6);
        assert_eq!(space.end(), 100, "the file ends with the last place");
        for (at, size) in [(0, 10), (10, 45), (60, 40), (55, 5)] {
            space.give(at, size);
        }
        assert_eq!((space.end(), space.free.len()), (0, 0));
    }

    #[test]
    fn small_places_do_not_hide_a_large_one_for_ever() {
        let mut space = Space::default();
        let small: Vec<u64> = (0..100).map(|_| space.take(1)).collect();
        let large = space.take(10);
        space.take(1);
        small.iter().step_by(2).for_each(|at| space.give(*at, 1));
        space.give(large, 10);
        let looks = (0..5).position(|_| space.take(10) == large);
        assert_eq!(looks, Some(3), "after 16 places each");
        assert_eq!(small.iter().step_by(2).filter(|_| space.take(1) < large).count(), 50, "all of them are of use");
    }

    #[test]
    fn a_queue_needs_little_more_than_what_it_holds() {
        let mut space = Space::default();
        let mut held = std::collections::VecDeque::new();
        for n in 0..20_000_u64 {
            let size = 1 + n * 7919 % 100;
            held.push_back((space.take(size), size));
            if held.len() > 100 {
                let (at, size) = held.pop_front().expect("there are many");
                space.give(at, size);
            }
            // About 5,050 bytes are held.
            assert!(space.end() <= 8_000, "the file has {} bytes after {n} steps", space.end());
        }
    }
}
