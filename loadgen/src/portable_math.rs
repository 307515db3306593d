//! Logarithm and exponential from basic arithmetic only.
//!
//! IEEE 754 fixes the last bit of `+ - * /` and nothing else: `ln` and `exp` are the platform's, and a plan that used
//! them would not be the same plan everywhere. Some 1e-15 of relative error is far below what a key's share needs.

use std::f64::consts::LN_2;

/// The natural logarithm of a whole number above zero.
pub(crate) fn ln(number: u32) -> f64 {
    assert!(number > 0, "the logarithm of zero");
    ln_of(f64::from(number))
}

/// The natural logarithm of a number from 1.
pub(crate) fn ln_of(number: f64) -> f64 {
    assert!(number >= 1.0 && number.is_finite(), "the logarithm of {number}");
    let mut exponent = 0.0;
    let mut mantissa = number;
    // Halving is exact, so this is the mantissa to the last bit.
    while mantissa >= 2.0 {
        mantissa *= 0.5;
        exponent += 1.0;
    }
    // ln m = 2 atanh s with s = (m - 1) / (m + 1), at most 1/3.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..18_u32).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    exponent * LN_2 + 2.0 * s * series
}

/// Below what a standard normal variable lies with this probability, which is between 0 and 1.
///
/// Algorithm AS 241, PPND7 (Wichura, "The percentage points of the normal distribution", Applied Statistics 37, 1988): to
/// 1 in 10^7, by rational functions and the square root, which IEEE 754 fixes too.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    let q = probability - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = ((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let below = ((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return q * above / below;
    }
    let tail = if q < 0.0 { probability } else { 1.0 - probability };
    let r = ln_of(1.0 / tail).sqrt();
    let value = if r <= 5.0 {
        let r = r - 1.6;
        let above = ((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_390_0) * r + 1.423_437_277_7;
        let below = (0.120_211_329_75 * r + 0.737_001_642_50) * r + 1.0;
        above / below
    } else {
        let r = r - 5.0;
        let above = ((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386_0) * r + 6.657_905_115_0;
        let below = (0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0;
        above / below
    };
    if q < 0.0 { -value } else { value }
}

/// e to the power of a number, which is below 700.
pub(crate) fn exp(power: f64) -> f64 {
    if power > 0.0 {
        return 1.0 / exp(-power);
    }
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
        for step in 0..2_000 {
            let number = f64::from(step).mul_add(0.03, 1.0);
            assert!((ln_of(number) - number.ln()).abs() <= 1e-14 * number.ln().max(1.0), "ln {number}");
            assert!((exp(number) - number.exp()).abs() <= 1e-13 * number.exp(), "exp {number}");
        }
    }

    /// Values of tables of the normal distribution.
    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (probability, expected) in [
            (0.5, 0.0),
            (0.75, 0.674_489_8),
            (0.9, 1.281_551_6),
            (0.975, 1.959_964_0),
            (0.99, 2.326_347_9),
            (0.999, 3.090_232_3),
            (0.999_999_9, 5.199_337_6),
            (1e-12, -7.034_483_8),
        ] {
            let quantile = normal_quantile(probability);
            assert!((quantile - expected).abs() < 2e-6, "{probability}: {quantile}, not {expected}");
            let other = normal_quantile(1.0 - probability);
            assert!((quantile + other).abs() < 1e-4, "{probability}: {quantile} and {other}");
        }
    }
}
