//! Arrays over the dense spaces of names, in pages, so that two spaces and a stray outlier cost no gap between them.

use std::collections::BTreeMap;

/// Small enough that an outlier is cheap, large enough that the tree of pages stays shallow.
const PAGE_LENGTH: u64 = 1024;

/// An array over all of `u64` that holds `fill` wherever nothing was written.
#[derive(Debug, Clone)]
pub(crate) struct Paged<T> {
    pages: BTreeMap<u64, Box<[T]>>,
    fill: T,
}

impl<T: Copy> Paged<T> {
    pub(crate) fn new(fill: T) -> Self {
        Self { pages: BTreeMap::new(), fill }
    }

    pub(crate) fn get(&self, index: u64) -> T {
        self.pages.get(&(index / PAGE_LENGTH)).map_or(self.fill, |page| page[place(index)])
    }

    pub(crate) fn slot(&mut self, index: u64) -> &mut T {
        let fresh = || vec![self.fill; place(PAGE_LENGTH - 1) + 1].into_boxed_slice();
        &mut self.pages.entry(index / PAGE_LENGTH).or_insert_with(fresh)[place(index)]
    }

    /// Everything on the pages that were written to, in order; `fill` where a page has gaps.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, T)> {
        self.pages.iter().flat_map(|(number, page)| (number * PAGE_LENGTH..).zip(page.iter().copied()))
    }
}

fn place(index: u64) -> usize {
    usize::try_from(index % PAGE_LENGTH).expect("a page is small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_outliers_do_not_meet() {
        let mut numbers = Paged::new(0_u32);
        for (value, index) in (1..).zip([0, 1, 1023, 1024, 1 << 63, u64::MAX]) {
            *numbers.slot(index) = value;
        }
        let indexes = [0, 1, 2, 1023, 1024, 1025, 1 << 63, u64::MAX - 1, u64::MAX];
        assert_eq!(indexes.map(|index| numbers.get(index)), [1, 2, 0, 3, 4, 0, 5, 0, 6]);
        assert_eq!(numbers.pages.len(), 4);
    }

    #[test]
    fn what_was_written_comes_in_order() {
        let mut numbers = Paged::new(0_u32);
        for index in [3, 1023, 5000, 5001] {
            *numbers.slot(index) = 1;
        }
        let written: Vec<u64> = numbers.entries().filter(|(_, value)| *value > 0).map(|(index, _)| index).collect();
        assert_eq!(written, [3, 1023, 5000, 5001]);
    }
}
