//! Rates over one denominator, so that their sums are exact.

use crate::rate::Rate;

/// How many messages each of the rates has in so many nanoseconds, their least common unit, and that unit.
///
/// `None` where that leaves 128 bits: units that have next to nothing in common.
pub(crate) fn common(rates: &[Rate]) -> Option<(Vec<u128>, u128)> {
    let fractions: Vec<Fraction> = rates.iter().copied().map(Fraction::of).collect();
    let unit_ns = fractions
        .iter()
        .try_fold(1_u128, |unit, fraction| (fraction.below / gcd(unit, fraction.below)).checked_mul(unit))?;
    let scaled = fractions.iter().map(|fraction| fraction.above.checked_mul(unit_ns / fraction.below));
    Some((scaled.collect::<Option<_>>()?, unit_ns))
}

/// A rate in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Fraction {
    above: u128,
    below: u128,
}

impl Fraction {
    fn of(rate: Rate) -> Self {
        let (above, below) = (u128::from(rate.messages()), u128::from(rate.per_ns()));
        let common = gcd(above, below);
        Self { above: above / common, below: below / common }
    }
}

/// The greatest common divisor, by Euclid's algorithm; both are above zero.
fn gcd(mut one: u128, mut other: u128) -> u128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_least_that_all_rates_have_in_common() {
        let rates = ["3/s", "500/s", "7/250ms"].map(|text| text.parse::<Rate>().expect("a rate"));
        assert_eq!(common(&rates), Some((vec![3, 500, 28], 1_000_000_000)));
        let odd = [u64::MAX, u64::MAX - 1, u64::MAX - 2]
            .map(|per_ns| Rate::new(1, std::time::Duration::from_nanos(per_ns)).expect("a rate"));
        assert_eq!(common(&odd), None);
    }
}
