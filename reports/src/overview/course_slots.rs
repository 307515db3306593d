//! The course of something in time, in a bounded number of slots: when a run outgrows them, neighbours are merged, so that
//! nothing is dropped.

/// The width of a slot before anything was merged.
const WIDTH_AT_FIRST_NS: u64 = 100_000_000;

/// What can be merged with what came right after it.
pub(super) trait Merge: Default {
    /// Takes over what the later one has.
    fn merge(&mut self, later: Self);
}

/// Slots of equal width, from an origin on.
#[derive(Debug)]
pub(super) struct CourseSlots<T> {
    origin_ns: u64,
    width_ns: u64,
    slots_max: usize,
    slots: Vec<T>,
    merged_by_two: bool,
}

impl<T: Merge> CourseSlots<T> {
    /// At most so many slots, the first of which begins at the origin.
    pub(super) fn new(origin_ns: u64, slots_max: usize) -> Self {
        Self { origin_ns, width_ns: WIDTH_AT_FIRST_NS, slots_max, slots: Vec::new(), merged_by_two: false }
    }

    /// The slot of this instant. What came before the origin belongs to the first one.
    ///
    /// # Panics
    /// Never: there are as many slots as the instant needs.
    pub(super) fn at(&mut self, at_ns: u64) -> &mut T {
        let since_ns = at_ns.saturating_sub(self.origin_ns);
        while since_ns / self.width_ns >= self.slots_max as u64 {
            self.merge_neighbours();
        }
        let index = usize::try_from(since_ns / self.width_ns).unwrap_or(self.slots_max - 1);
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, T::default);
        }
        &mut self.slots[index]
    }

    /// How long a slot is: 100 ms, 200 ms, 1 s, 2 s, 10 s, ...
    pub(super) fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// Every slot with the instant at which it begins, in order of time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let (origin_ns, width_ns) = (self.origin_ns, self.width_ns);
        (0..).zip(&self.slots).map(move |(index, slot): (u64, &T)| (origin_ns + index * width_ns, slot))
    }

    /// By two and by five in turn, so that widths stay round.
    fn merge_neighbours(&mut self) {
        let factor = if self.merged_by_two { 5 } else { 2 };
        self.merged_by_two = !self.merged_by_two;
        self.width_ns = self.width_ns.saturating_mul(factor);
        let mut merged: Vec<T> = Vec::with_capacity(self.slots.len());
        for (index, slot) in (0_u64..).zip(self.slots.drain(..)) {
            match merged.last_mut() {
                Some(last) if index % factor != 0 => last.merge(slot),
                _ => merged.push(slot),
            }
        }
        self.slots = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Merge for u64 {
        fn merge(&mut self, later: Self) {
            *self += later;
        }
    }

    #[test]
    fn a_course_that_outgrows_its_slots_is_merged_and_nothing_is_dropped() {
        let mut course = CourseSlots::<u64>::new(5_000_000_000, 10);
        *course.at(1) += 1;
        // A message every 50 ms for ten minutes.
        (0..12_000).for_each(|n| *course.at(5_000_000_000 + n * 50_000_000) += 1);
        assert_eq!(course.width_ns(), 100_000_000_000);
        let slots: Vec<_> = course.iter().map(|(at_ns, count)| (at_ns / 1_000_000_000, *count)).collect();
        assert_eq!(slots, [(5, 2_001), (105, 2_000), (205, 2_000), (305, 2_000), (405, 2_000), (505, 2_000)]);
    }

    #[test]
    fn a_slot_in_which_nothing_happened_is_there_and_empty() {
        let mut course = CourseSlots::<u64>::new(0, 10);
        *course.at(0) += 1;
        *course.at(450_000_000) += 1;
        assert_eq!(course.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 0, 0, 0, 1]);
    }
}
