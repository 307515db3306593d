//! Numbers as people read them: thousands separators, three significant digits of a duration.

/// `12,344,321`, `-1,000`.
#[must_use]
pub fn grouped(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `640 ns`, `8.1 ms`, `190 ms`, `1.25 s`: three significant digits at most, in the largest unit that is not below one.
#[must_use]
pub fn duration(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    // What rounds to 1,000 of a unit is one of the next.
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| nanoseconds >= unit - unit / 2_000) else {
        return format!("{nanoseconds} ns");
    };
    let decimals = match nanoseconds / unit {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let scale = 10_u64.pow(decimals);
    let scaled = (u128::from(nanoseconds) * u128::from(scale) + u128::from(unit) / 2) / u128::from(unit);
    let (whole, fraction) = (scaled / u128::from(scale), scaled % u128::from(scale));
    let text = match decimals {
        0 => grouped(i128::try_from(whole).unwrap_or(i128::MAX)),
        _ => format!("{whole}.{fraction:0width$}", width = decimals as usize),
    };
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let cases: [(i128, &str); 6] =
            [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_000, "-1,000"), (12_344_321, "12,344,321"), (-7, "-7")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn durations_keep_three_digits() {
        let cases = [
            (0, "0 ns"),
            (640, "640 ns"),
            (8_100_000, "8.1 ms"),
            (8_126_000, "8.13 ms"),
            (20_000_000, "20 ms"),
            (100_000_000, "100 ms"),
            (190_400_000, "190 ms"),
            (999, "999 ns"),
            (999_499, "999 us"),
            (999_500, "1 ms"),
            (999_999_999, "1 s"),
            (610_000_000, "610 ms"),
            (1_250_000_000, "1.25 s"),
            (12_340_000_000, "12.3 s"),
            (3_600_000_000_000, "3,600 s"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
