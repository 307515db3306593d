//! How large a difference is, and between what it lies: the median of Walsh averages, and their order.
//!
//! The Hodges-Lehmann estimate belongs to the signed-rank test: it is the difference that, taken away from every pair, would
//! leave the test with nothing to say. The interval is made of all differences that the test would not reject, so that both
//! always tell the same story. One wild run moves neither far.
//!
//! J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34 (1963);
//! J. W. Tukey's use of the averages J. Walsh described in 1949.

use super::signed_rank::distribution;

/// The averages of all pairs of differences, each with itself, too; ascending.
fn averages(differences: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (place, one) in differences.iter().enumerate() {
        averages.extend(differences[..=place].iter().map(|other| f64::midpoint(*one, *other)));
    }
    averages.sort_by(f64::total_cmp);
    averages
}

/// The estimate; `None` without differences.
#[must_use]
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    median(&averages(differences))
}

/// The middle of ascending values.
pub(super) fn median(ascending: &[f64]) -> Option<f64> {
    let (half, is_odd) = (ascending.len() / 2, !ascending.len().is_multiple_of(2));
    let upper = ascending.get(half)?;
    Some(if is_odd { *upper } else { f64::midpoint(ascending[half - 1], *upper) })
}

/// Where the difference lies, but for a probability of `alpha` at most: lower and upper end. `None` where there are too few
/// differences to say so: five pairs cannot promise 99 %.
#[must_use]
pub fn interval(differences: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let ranks: Vec<usize> = (1..=differences.len()).collect();
    let mut below = 0.0;
    // How many sums are so unlikely that all of them together stay within half of alpha.
    let unlikely = distribution(&ranks)
        .iter()
        .take_while(|likely| {
            below += **likely;
            below <= alpha / 2.0
        })
        .count();
    let averages = averages(differences);
    let low = unlikely.checked_sub(1)?;
    let high = averages.len().checked_sub(unlikely)?;
    (low <= high).then(|| (averages[low], averages[high]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DARWIN: [f64; 15] =
        [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];

    #[test]
    fn averages_are_as_counted_by_hand() {
        assert_eq!(averages(&[1.0, 5.0, 2.0]), [1.0, 1.5, 2.0, 3.0, 3.5, 5.0]);
        assert_eq!(hodges_lehmann(&[1.0, 5.0, 2.0]), Some(2.5));
        assert_eq!(hodges_lehmann(&[7.0]), Some(7.0));
        assert_eq!(hodges_lehmann(&[]), None);
    }

    #[test]
    fn the_interval_is_that_of_tables() {
        // n = 15, T <= 25 has a probability of 0.0240 each way (Hollander and Wolfe, table A.4): the 26th and the 95th of
        // 120 averages.
        let all = averages(&DARWIN);
        assert_eq!(interval(&DARWIN, 0.05), Some((all[25], all[94])));
        assert_eq!(interval(&DARWIN, 0.05), Some((4.0, 41.5)));
        // At 1 %, T <= 15: 0.0042 each way.
        assert_eq!(interval(&DARWIN, 0.01), Some((all[15], all[104])));
        assert_eq!((all[15], all[104]), (-13.0, 49.0));
        assert_eq!(hodges_lehmann(&DARWIN), Some(25.0));
    }

    #[test]
    fn the_interval_and_the_test_tell_the_same_story() {
        use super::super::signed_rank::p_two_sided;
        let (low, high) = interval(&DARWIN, 0.01).expect("fifteen are enough");
        for (shift, rejected) in [(low - 0.1, true), (low + 0.1, false), (high - 0.1, false), (high + 0.1, true)] {
            let shifted: Vec<f64> = DARWIN.iter().map(|difference| difference - shift).collect();
            assert_eq!(p_two_sided(&shifted) <= 0.01, rejected, "shifted by {shift}");
        }
    }

    #[test]
    fn too_few_pairs_promise_nothing() {
        let seven = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        // 2 / 2^7 is more than 1 %, and 2 / 2^8 is less.
        assert_eq!(interval(&seven, 0.01), None);
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0.01), Some((1.0, 8.0)));
        assert_eq!(interval(&[], 0.01), None);
    }
}
