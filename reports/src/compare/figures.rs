//! Figures as comparisons write them: three significant digits, and no more of a percentage than it is worth.

/// `2.31 ms`, `9.80 ms`, `410 ns`: three significant digits, zeros kept, so that a column of them lines up.
pub(super) fn time(nanoseconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];
    // What rounds to 1000 of a unit is one of the next.
    let fits = |(unit, _): &&(f64, &str)| nanoseconds / unit < 999.5;
    let (unit, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[3]);
    let value = nanoseconds / unit;
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {name}")
}

/// `+21`, `-0.9`: a share as percent, without its sign of percent.
pub(super) fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let text = if percent.abs() < 9.95 { format!("{percent:+.1}") } else { format!("{percent:+.0}") };
    // Nothing has no direction.
    if text == "+0.0" || text == "-0.0" { "0.0".to_owned() } else { text }
}

/// `+21 %  [+17, +26]`.
pub(super) fn change(change: f64, interval: Option<[f64; 2]>) -> String {
    let change = format!("{} %", signed(change));
    match interval {
        Some([low, high]) => format!("{change:<6} [{}, {}]", signed(low), signed(high)),
        None => change,
    }
}

/// `10 %`, `2.5 %`: a margin.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_whole = (percent - percent.round()).abs() < 0.05;
    if is_whole || percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_zeros() {
        let cases = [
            (0.4, "0.40 ns"),
            (410.0, "410 ns"),
            (999.6, "1.00 us"),
            (2.31e6, "2.31 ms"),
            (9.8e6, "9.80 ms"),
            (9.996e6, "10.0 ms"),
            (11.9e6, "11.9 ms"),
            (99.96e6, "100 ms"),
            (1.25e9, "1.25 s"),
            (3_600e9, "3600 s"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(time(nanoseconds), text);
        }
    }

    #[test]
    fn changes_are_no_more_precise_than_they_are_worth() {
        assert_eq!(change(-0.009, Some([-0.024, 0.007])), "-0.9 % [-2.4, +0.7]");
        assert_eq!(change(0.21, Some([0.17, 0.26])), "+21 %  [+17, +26]");
        assert_eq!(change(0.0004, Some([-0.1, 0.0996])), "0.0 %  [-10, +10]");
        assert_eq!(change(0.05, None), "+5.0 %");
        assert_eq!(
            (percent(0.1), percent(0.05), percent(0.123), percent(0.025)),
            ("10 %".into(), "5 %".into(), "12 %".into(), "2.5 %".into())
        );
    }
}
