//! How far each group was behind, from the readings of the watch.

use super::course_slots::{CourseSlots, Merge};
use crate::record::{Record, RecordError};
use crate::watch::WatchId;
use serde::Serialize;
use std::collections::BTreeMap;

/// One group at one topic, in the course of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LagCourse {
    /// `group tracker on orders`.
    pub label: String,
    /// The most that was left to commit in each slot in which somebody looked, over all partitions.
    pub points: Vec<LagPoint>,
    /// The most of all.
    pub max: u64,
    /// What was left at the last look.
    pub last: u64,
}

/// One slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LagPoint {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Messages that were left to commit.
    pub messages: u64,
}

/// The most of a slot; nothing where nobody looked.
#[derive(Debug, Default)]
struct Most(Option<u64>);

impl Merge for Most {
    fn merge(&mut self, later: Self) {
        self.0 = self.0.max(later.0);
    }
}

/// One look at one group: its partitions come one after another.
struct Look {
    watch: WatchId,
    asked_ns: u64,
    lag: u64,
}

/// The lag of every group that was watched.
pub(super) fn courses(record: &dyn Record, origin_ns: u64, slots_max: usize) -> Result<Vec<LagCourse>, RecordError> {
    let mut groups: BTreeMap<WatchId, (CourseSlots<Most>, u64, u64)> = BTreeMap::new();
    let mut note = |look: Look| {
        let new = || (CourseSlots::new(origin_ns, slots_max), 0, 0);
        let (slots, max, last) = groups.entry(look.watch).or_insert_with(new);
        let most = slots.at(look.asked_ns);
        most.0 = most.0.max(Some(look.lag));
        *max = look.lag.max(*max);
        *last = look.lag;
    };
    let mut open: Option<Look> = None;
    record.readings(&mut |reading| match &mut open {
        Some(look) if (look.watch, look.asked_ns) == (reading.watch, reading.asked_ns) => {
            look.lag = look.lag.saturating_add(reading.lag());
        }
        _ => {
            let next = Look { watch: reading.watch, asked_ns: reading.asked_ns, lag: reading.lag() };
            if let Some(look) = open.replace(next) {
                note(look);
            }
        }
    })?;
    if let Some(look) = open {
        note(look);
    }
    let watches = (0..).zip(record.watches()).filter(|(_, watch)| watch.group.is_some());
    let course = watches.filter_map(|(id, watch): (WatchId, _)| {
        let (slots, max, last) = groups.remove(&id)?;
        let points = slots.iter().filter_map(|(at_ns, most)| Some(LagPoint { at_ns, messages: most.0? })).collect();
        Some(LagCourse { label: watch.label(), points, max, last })
    });
    Ok(course.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryRecord;
    use crate::watch::{Reading, Watch};

    #[test]
    fn partitions_of_a_look_are_added_up_and_looks_of_a_slot_are_not() {
        let mut record = MemoryRecord::default();
        let watch = |group: Option<&str>| Watch {
            topic: "orders".to_owned(),
            group: group.map(str::to_owned),
            source: None,
            sinks: Vec::new(),
        };
        record.watches = vec![watch(None), watch(Some("tracker"))];
        let reading = |watch, partition, asked_ms: u64, committed| Reading {
            watch,
            partition,
            start: 0,
            stable: -1,
            end: 10,
            committed,
            asked_ns: asked_ms * 1_000_000,
            answered_ns: asked_ms * 1_000_000 + 1,
        };
        record.readings = vec![
            reading(0, 0, 10, -1),
            reading(1, 0, 10, 4),
            reading(1, 1, 10, 9),
            reading(1, 0, 60, 8),
            reading(1, 0, 250, 10),
        ];
        let courses = courses(&record, 0, 300).expect("readable");
        let [course] = courses.as_slice() else { panic!("one group, not {courses:?}") };
        assert_eq!((course.label.as_str(), course.max, course.last), ("group tracker on orders", 7, 0));
        let points: Vec<_> = course.points.iter().map(|point| (point.at_ns / 1_000_000, point.messages)).collect();
        assert_eq!(points, [(0, 7), (200, 0)]);
    }
}
