//! Calendar time in UTC, from milliseconds since the Unix epoch.

/// `20261121T120314`.
#[must_use]
pub fn compact(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / 86_400_000);
    let (hour, minute, second) = time(unix_ms);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
}

/// `2026-11-21 12:03:14.999 UTC`.
#[must_use]
pub fn readable(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / 86_400_000);
    let (hour, minute, second) = time(unix_ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", unix_ms % 1000)
}

/// Hour, minute and second of the day.
fn time(unix_ms: u64) -> (u64, u64, u64) {
    let seconds = unix_ms / 1000;
    (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar: days are counted from a first of March,
/// because then the leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_knows_its_leap_years() {
        assert_eq!(compact(0), "19700101T000000");
        assert_eq!(compact(951_782_400_000), "20000229T000000");
        assert_eq!(compact(1_795_262_594_999), "20261121T120314");
        assert_eq!(compact(4_107_542_399_000), "21000228T235959");
        assert_eq!(compact(4_107_542_400_000), "21000301T000000");
        assert_eq!(readable(1_795_262_594_999), "2026-11-21 12:03:14.999 UTC");
    }
}
