//! Logarithm and exponential from basic arithmetic only.
//!
//! IEEE 754 fixes the last bit of `+ - * /` and nothing else: `ln` and `exp` are the platform's, and a plan that used
//! them would not be the same plan everywhere. Some 1e-15 of relative error is far below what a key's share needs.

use std::f64::consts::LN_2;

/// The natural logarithm of a whole number above zero.
pub(crate) fn ln(number: u32) -> f64 {
    assert!(number > 0, "the logarithm of zero");
    let exponent = number.ilog2();
    let mantissa = f64::from(number) / f64::from(1_u32 << exponent);
    // ln m = 2 atanh s with s = (m - 1) / (m + 1), at most 1/3.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..18_u32).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    f64::from(exponent) * LN_2 + 2.0 * s * series
}

/// e to the power of a number not above zero.
pub(crate) fn exp(power: f64) -> f64 {
    assert!(power <= 0.0, "only shares are computed here");
    let halvings = (-power / LN_2).floor();
    let rest = power + halvings * LN_2;
    let series = (1..22_u32).rev().fold(1.0, |sum, term| 1.0 + sum * rest / f64::from(term));
    if halvings > 1_000.0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000")]
    let halvings = halvings as u32;
    (0..halvings).fold(series, |value, _| value * 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_platform() {
        for number in (1..100_000).step_by(7).chain([u32::MAX, 1 << 31]) {
            let expected = f64::from(number).ln();
            assert!((ln(number) - expected).abs() <= 1e-14 * expected.max(1.0), "ln {number}");
        }
        for step in 0..5_000 {
            let power = -f64::from(step) * 0.01;
            let expected = power.exp();
            assert!((exp(power) - expected).abs() <= 1e-13 * expected, "exp {power}: {} {expected}", exp(power));
        }
        assert_eq!(exp(-1e6), 0.0);
    }
}
