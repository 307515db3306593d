//! Wilcoxon's signed-rank test, exact.
//!
//! Under the hypothesis that neither side is slower, each difference is as likely to be positive as negative, whatever its
//! size: the order within each pair was drawn. So the distribution of the sum of the ranks of the positive ones is that of
//! flipping a coin for each rank, and it is counted, not approximated. Equal sizes share the mean of their ranks; doubled
//! ranks are whole numbers even then, which keeps the count exact where tables of the distribution are not.
//!
//! F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945); differences of nothing at all are
//! left out, as there.

/// How likely it is that differences are at least as lopsided as these, one way or the other, when nothing is behind them:
/// 1 where all of them are zero, or there are none.
#[must_use]
pub fn p_two_sided(differences: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    sizes.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    let ranks = doubled_ranks(&sizes);
    let positive: usize = sizes.iter().zip(&ranks).filter(|(size, _)| **size > 0.0).map(|(_, rank)| rank).sum();
    let total: usize = ranks.iter().sum();
    let distribution = distribution(&ranks);
    let at_most: f64 = distribution[..=positive.min(total - positive)].iter().sum();
    (2.0 * at_most).min(1.0)
}

/// The ranks of sizes in ascending order, twice as large as usual.
fn doubled_ranks(ascending: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(ascending.len());
    while ranks.len() < ascending.len() {
        let first = ranks.len();
        let size = ascending[first].abs();
        // What is no number is tied with nothing, not even with itself.
        let tied = ascending[first..].iter().take_while(|other| other.abs() <= size).count().max(1);
        // The mean of first + 1 to first + tied, twice.
        ranks.extend(std::iter::repeat_n(2 * first + tied + 1, tied));
    }
    ranks
}

/// How likely each sum is when every one of these ranks is in it or not, with even odds.
pub(super) fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut likely = vec![0.0; ranks.iter().sum::<usize>() + 1];
    likely[0] = 1.0;
    let mut highest = 0;
    for rank in ranks {
        highest += rank;
        for sum in (0..=highest).rev() {
            let with = if sum >= *rank { likely[sum - rank] } else { 0.0 };
            likely[sum] = 0.5 * (likely[sum] + with);
        }
    }
    likely
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heights of cross- and self-fertilised maize in eighths of an inch: Darwin's data, as Fisher tells them (The Design
    /// of Experiments, 1935, chapter 3).
    const DARWIN: [f64; 15] =
        [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];

    fn is(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn published_data_have_their_published_probability() {
        // T- = 24 of 120; scipy 1.17: wilcoxon(d, method="exact").pvalue.
        is(p_two_sided(&DARWIN), 0.041_259_765_625);
    }

    #[test]
    fn small_cases_are_as_counted_by_hand() {
        is(p_two_sided(&[]), 1.0);
        is(p_two_sided(&[0.0, 0.0]), 1.0);
        is(p_two_sided(&[1.0]), 1.0);
        assert!(p_two_sided(&[f64::NAN, 1.0, f64::NAN]) <= 1.0, "it ends");
        // All of n positive: one of 2^n outcomes each way.
        is(p_two_sided(&[1.0, 2.0, 3.0, 4.0, 5.0]), 2.0 / 32.0);
        // Only rank 1 is negative: sums 0 and 1, each way.
        is(p_two_sided(&[-1.0, 2.0, 3.0, 4.0, 5.0]), 4.0 / 32.0);
        is(p_two_sided(&[1.0, -2.0, -3.0, -4.0, -5.0]), 4.0 / 32.0);
        // 2^-11 for twelve pairs: the least that the gate can see.
        let twelve: Vec<f64> = (1..=12).map(f64::from).collect();
        is(p_two_sided(&twelve), 2.0 / 4096.0);
    }

    #[test]
    fn ties_are_exact_and_zeros_are_left_out() {
        // Ranks 1.5, 1.5, 3: the sums 0, 1.5, 1.5, 3, 3, 4.5, 4.5, 6 are equally likely, and -1 makes it 4.5.
        is(p_two_sided(&[-1.0, 1.0, 2.0]), 2.0 * 3.0 / 8.0);
        is(p_two_sided(&[1.0, 1.0, 2.0]), 2.0 / 8.0);
        is(p_two_sided(&[0.0, 1.0, 1.0, 0.0, 2.0]), 2.0 / 8.0);
        // scipy 1.17: wilcoxon(d, zero_method="wilcox", method=PermutationMethod(n_resamples=inf)).pvalue.
        is(p_two_sided(&[3.0, 3.0, 3.0, -3.0, 1.0, -1.0, 2.0, 2.0, 5.0, 0.0, -4.0, 6.0]), 0.164_062_5);
    }

    #[test]
    fn the_distribution_is_one_in_all() {
        for n in [0_usize, 1, 12, 24, 60] {
            let ranks: Vec<usize> = (1..=n).collect();
            is(distribution(&ranks).iter().sum(), 1.0);
        }
    }
}
