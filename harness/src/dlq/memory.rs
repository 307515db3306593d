//! Which letters of a partition were played again, as a group of the tool's own remembers it: in its committed offset and, for
//! those that were picked out behind it, in the metadata of that commit.
//!
//! So a second replay, also from another machine, knows what a first one did, and Kafka's own tools show how far it came.

use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// How the metadata begins, so that somebody else's is not taken for ours.
const MARK: &str = "shakedown-dlq";

/// The longest metadata that brokers take unless they are told otherwise (`offset.metadata.max.bytes`).
const METADATA_BYTES_MAX: usize = 4096;

/// What was played again of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Everything before this offset.
    next: i64,
    /// And these stretches behind it: from the first offset to the one that is no longer part. They never touch.
    beyond: BTreeMap<i64, i64>,
}

/// The group has committed something that the tool did not write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("its metadata is {0:?}")]
pub struct Foreign(pub String);

impl Memory {
    /// Reads what is committed; nothing was, if there is no offset.
    ///
    /// # Errors
    /// When the metadata is somebody else's. None at all is ours, too: `kafka-consumer-groups --reset-offsets` leaves none.
    pub fn read(next: Option<i64>, metadata: &str) -> Result<Self, Foreign> {
        let mut memory = Self { next: next.unwrap_or(0), beyond: BTreeMap::new() };
        if metadata.is_empty() {
            return Ok(memory);
        }
        let foreign = || Foreign(metadata.to_owned());
        let mut words = metadata.split(' ');
        if words.next() != Some(MARK) {
            return Err(foreign());
        }
        for word in words {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (first.parse().map_err(|_| foreign())?, last.parse::<i64>().map_err(|_| foreign())?);
            if first > last {
                return Err(foreign());
            }
            memory.add(first, last + 1);
        }
        Ok(memory)
    }

    /// Everything before this offset was played again.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Whether the letter at this offset was.
    #[must_use]
    pub fn has(&self, offset: i64) -> bool {
        let stretch = self.beyond.range(..=offset).next_back();
        offset < self.next || stretch.is_some_and(|(_, end)| offset < *end)
    }

    /// The letter at this offset was played again.
    pub fn insert(&mut self, offset: i64) {
        self.add(offset, offset + 1);
    }

    /// Every letter before this offset was, or is gone.
    pub fn pass(&mut self, end: i64) {
        self.add(self.next.min(end), end);
    }

    fn add(&mut self, first: i64, end: i64) {
        let (mut first, mut end) = (first, end);
        // Whatever touches the new stretch becomes part of it.
        while let Some((start, stop)) = self
            .beyond
            .range(..=end)
            .next_back()
            .map(|(start, stop)| (*start, *stop))
            .filter(|(_, stop)| *stop >= first)
        {
            self.beyond.remove(&start);
            (first, end) = (first.min(start), end.max(stop));
        }
        if first <= self.next {
            self.next = self.next.max(end);
        } else {
            self.beyond.insert(first, end);
        }
    }

    /// Whether a commit can hold it: its text becomes the metadata of [`Memory::next`].
    #[must_use]
    pub fn fits(&self) -> bool {
        self.to_string().len() <= METADATA_BYTES_MAX
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        for (first, end) in &self.beyond {
            match end - first {
                1 => write!(f, " {first}")?,
                _ => write!(f, " {first}-{}", end - 1)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(offsets: &[i64]) -> Memory {
        let mut memory = Memory::default();
        offsets.iter().for_each(|offset| memory.insert(*offset));
        memory
    }

    #[test]
    fn letters_that_are_picked_out_are_remembered_until_the_rest_reaches_them() {
        let mut memory = memory(&[5, 9, 6, 7]);
        assert_eq!((memory.next(), memory.to_string().as_str()), (0, "shakedown-dlq 5-7 9"));
        assert_eq!((0..11).filter(|offset| memory.has(*offset)).collect::<Vec<i64>>(), [5, 6, 7, 9]);
        memory.insert(8);
        assert_eq!(memory.to_string(), "shakedown-dlq 5-9");
        memory.pass(5);
        assert_eq!((memory.next(), memory.to_string().as_str()), (10, "shakedown-dlq"));
        memory.pass(3);
        assert_eq!(memory.next(), 10, "it never goes back");
    }

    #[test]
    fn it_agrees_with_a_set_whatever_the_order() {
        for seed in 0_i64..500 {
            let offsets: Vec<i64> = (0..12).map(|n| (seed * 7 + n * (seed % 11 + 3) * 5) % 23).collect();
            let memory = memory(&offsets);
            let again = Memory::read(Some(memory.next()), &memory.to_string()).expect("its own words");
            assert_eq!(again, memory);
            for offset in 0..25 {
                assert_eq!(memory.has(offset), offsets.contains(&offset), "{offset} of {offsets:?}: {memory}");
            }
        }
    }

    #[test]
    fn what_somebody_else_committed_is_refused() {
        assert_eq!(Memory::read(Some(4), "").expect("an offset alone").next(), 4);
        for metadata in ["consumer-7", "shakedown-dlq seven", "shakedown-dlq 9-7", "shakedown-dlq  7"] {
            assert_eq!(Memory::read(Some(4), metadata), Err(Foreign(metadata.to_owned())));
        }
    }

    #[test]
    fn there_is_an_end_to_what_a_commit_can_hold() {
        let every_second: Vec<i64> = (0..2000).map(|n| 1_000_000 + 2 * n).collect();
        assert!(!memory(&every_second).fits());
        assert!(memory(&every_second[..400]).fits());
    }
}
