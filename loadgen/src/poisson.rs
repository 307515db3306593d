//! A Poisson process conditioned on its total, with random access.
//!
//! Given how many arrivals there are, those of a Poisson process are independent and uniform over the span. So the span
//! is halved again and again; each half's share is binomial with p = 1/2, which is exactly the number of ones among as
//! many random bits. Cells of some thousand arrivals remain, each with a generator of its own. Everything is integer
//! arithmetic: no logarithm, whose last bit differs between machines, and no sum of gaps, which would have to be walked
//! from the start to find the n-th arrival.
//!
//! Memory is 8 bytes a cell, that is 1/128 byte for each arrival.

use crate::chance;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Arrivals that a cell holds on average, at most.
const CELL_ARRIVALS: u64 = 1024;

/// Where the cells' arrivals lie.
#[derive(Debug, Clone)]
pub(crate) struct PoissonCells {
    seed: u64,
    duration_ns: u64,
    /// Arrivals before each cell; one more than there are cells.
    before: Vec<u64>,
}

impl PoissonCells {
    pub(crate) fn new(seed: u64, total: u64, duration_ns: u64) -> Self {
        let cells = usize::try_from(total.div_ceil(CELL_ARRIVALS).next_power_of_two())
            .expect("a schedule's total is below 2^32, so its cells are below 2^22");
        // A binary heap of counts: node n splits into 2n and 2n + 1, the cells are the last level.
        let mut counts = vec![0_u64; 2 * cells];
        counts[1] = total;
        for node in 1..cells {
            let left = ones(counts[node], &mut node_generator(seed, node));
            counts[2 * node] = left;
            counts[2 * node + 1] = counts[node] - left;
        }
        let mut before = Vec::with_capacity(cells + 1);
        let mut sum = 0;
        before.push(sum);
        for count in &counts[cells..] {
            sum += count;
            before.push(sum);
        }
        Self { seed, duration_ns, before }
    }

    pub(crate) fn cells(&self) -> usize {
        self.before.len() - 1
    }

    /// The cell that holds the `n`-th arrival.
    pub(crate) fn cell_of(&self, n: u64) -> usize {
        self.before.partition_point(|before| *before <= n) - 1
    }

    /// How many arrivals come before this cell.
    pub(crate) fn before(&self, cell: usize) -> u64 {
        self.before[cell]
    }

    /// The most that any cell holds.
    pub(crate) fn largest_cell(&self) -> usize {
        let largest = self.before.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        usize::try_from(largest).expect("a cell holds some thousand arrivals")
    }

    /// Puts the cell's arrivals into `offsets`, in order of time.
    pub(crate) fn fill(&self, cell: usize, offsets: &mut Vec<u64>) {
        let start = self.start(cell);
        let width = self.start(cell + 1) - start;
        let mut generator = node_generator(self.seed, self.cells() + cell);
        offsets.clear();
        offsets.extend(
            (self.before[cell]..self.before[cell + 1]).map(|_| start + chance::below(generator.next_u64(), width)),
        );
        offsets.sort_unstable();
    }

    /// How many arrivals are due at this instant, which must lie within the span.
    pub(crate) fn due(&self, elapsed_ns: u64) -> u64 {
        // start(cell) <= elapsed  <=>  cell < (elapsed + 1) * cells / duration, so that many cells have begun.
        let cells = self.cells() as u128;
        let begun = ((u128::from(elapsed_ns) + 1) * cells).div_ceil(u128::from(self.duration_ns));
        let cell = usize::try_from(begun.min(cells)).expect("no more than there are cells") - 1;
        let mut offsets = Vec::new();
        self.fill(cell, &mut offsets);
        self.before[cell] + offsets.partition_point(|offset| *offset <= elapsed_ns) as u64
    }

    fn start(&self, cell: usize) -> u64 {
        let start = u128::from(self.duration_ns) * cell as u128 / self.cells() as u128;
        u64::try_from(start).expect("not after the span's end")
    }
}

fn node_generator(seed: u64, node: usize) -> ChaCha8Rng {
    let mut generator = chance::generator(seed, chance::ARRIVALS);
    generator.set_stream(node as u64);
    generator
}

/// The number of ones among so many random bits.
fn ones(bits: u64, generator: &mut ChaCha8Rng) -> u64 {
    let words = (0..bits / 64).map(|_| u64::from(generator.next_u64().count_ones())).sum::<u64>();
    let rest = bits % 64;
    if rest == 0 { words } else { words + u64::from((generator.next_u64() >> (64 - rest)).count_ones()) }
}
