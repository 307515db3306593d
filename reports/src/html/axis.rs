//! Where the marks of an axis stand, and what is written at them.

use crate::numbers;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// What an axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Seconds since the origin of the chart.
    Seconds,
    /// Nanoseconds, by their logarithm.
    Duration,
    /// A number of anything.
    Number,
    /// A share of one processor.
    Processors,
    /// A quantile, by the number of its nines.
    Nines,
}

impl Scale {
    /// Where this value stands on the axis.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            // What took no time at all has no logarithm.
            Self::Duration => value.max(1.0).log10(),
            Self::Seconds | Self::Number | Self::Processors | Self::Nines => value,
        }
    }

    /// What is written at this place.
    pub(super) fn text(self, place: f64) -> String {
        match self {
            Self::Seconds => format!("{} s", plain(place)),
            Self::Duration => numbers::duration(whole(10_f64.powf(place))),
            Self::Number => short(place),
            Self::Processors => format!("{} %", plain(place * 100.0)),
            Self::Nines if place <= 0.0 => "0 %".to_owned(),
            Self::Nines if (place - MEDIAN).abs() < 1e-6 => "50 %".to_owned(),
            Self::Nines => {
                let nines = place.round();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of digits")]
                let decimals = (nines - 2.0).max(0.0) as usize;
                format!("{:.decimals$} %", 100.0 - 100.0 / 10_f64.powf(nines))
            }
        }
    }

    /// The ends of an axis that shows these places, and its marks: so many of them about.
    pub(super) fn marks(self, low: f64, high: f64, about: u32) -> (f64, f64, Vec<f64>) {
        match self {
            Self::Seconds => (low, high, steps(low, high, round_step((high - low) / f64::from(about)))),
            Self::Number => from_zero(high.max(4.0), about),
            Self::Processors => from_zero(high.max(0.04), about),
            Self::Nines => {
                let mut marks = vec![0.0, MEDIAN];
                marks.extend((1_u32..=6).map(f64::from).filter(|nines| *nines <= high + 1e-9));
                // On narrow charts the median would stand in the way of its neighbours.
                marks.retain(|mark| about > 5 || *mark != MEDIAN);
                (0.0, high.max(1.0), marks)
            }
            Self::Duration => decades(low, high),
        }
    }
}

/// An axis from one place to another, with marks exactly where they are wanted.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    marks: Vec<f64>,
}

impl Axis {
    pub(super) fn new((low, high, marks): (f64, f64, Vec<f64>)) -> Self {
        Self { low, high, marks }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "a place between two pixels of the chart")]
    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (place - self.low) / (self.high - self.low);
        (f64::from(from) + share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// The median as a number of nines: the decimal logarithm of 2.
const MEDIAN: f64 = std::f64::consts::LOG10_2;

fn from_zero(high: f64, about: u32) -> (f64, f64, Vec<f64>) {
    let step = round_step(high / f64::from(about));
    let top = (high * 1.02 / step).ceil() * step;
    (0.0, top, steps(0.0, top, step))
}

/// The decades around these places; in between 2 and 5 where there are few.
fn decades(low: f64, high: f64) -> (f64, f64, Vec<f64>) {
    let (bottom, top) = (low.floor(), (high - 1e-9).ceil().max(low.floor() + 1.0));
    let within: &[f64] = if top - bottom < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut marks = Vec::new();
    let mut decade = bottom;
    while decade <= top {
        marks.extend(within.iter().map(|factor| decade + factor.log10()).filter(|mark| *mark <= top + 1e-9));
        decade += 1.0;
    }
    (bottom, top, marks)
}

/// Whole multiples of a step from one place to another.
fn steps(low: f64, high: f64, step: f64) -> Vec<f64> {
    let mut marks = Vec::new();
    let mut number = (low / step).ceil();
    while number * step <= high + step * 1e-9 {
        marks.push(number * step);
        number += 1.0;
    }
    marks
}

/// The next of 1, 2, 5, 10, ... that is no smaller.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.max(1e-9).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * decade).find(|round| *round >= step * 0.999_999).unwrap_or(decade * 10.0)
}

/// `1,500`, `20 k`, `1.5 M`: as short as a narrow chart needs.
fn short(number: f64) -> String {
    let (scaled, unit) = match number {
        number if number >= 1e9 => (number / 1e9, " G"),
        number if number >= 1e6 => (number / 1e6, " M"),
        number if number >= 1e4 => (number / 1e3, " k"),
        number => (number, ""),
    };
    format!("{}{unit}", plain(scaled))
}

/// With as many decimals as it has, three at most.
fn plain(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (digits, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let grouped = digits.parse::<i64>().map_or_else(|_| digits.to_owned(), numbers::grouped);
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration of a chart, never negative")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scale: Scale, low: f64, high: f64) -> Vec<String> {
        scale.marks(low, high, 6).2.into_iter().map(|mark| scale.text(mark)).collect()
    }

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(written(Scale::Seconds, 0.0, 12.3), ["0 s", "5 s", "10 s"]);
        assert_eq!(written(Scale::Seconds, 0.0, 0.5), ["0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s"]);
        assert_eq!(written(Scale::Seconds, 0.0, 3_600.0), ["0 s", "1,000 s", "2,000 s", "3,000 s"]);
        assert_eq!(written(Scale::Number, 0.0, 19_876.0), ["0", "5,000", "10 k", "15 k", "20 k", "25 k"]);
        assert_eq!(written(Scale::Number, 0.0, 0.0), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(written(Scale::Processors, 0.0, 0.9), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(written(Scale::Nines, 0.0, 4.2), ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn durations_stand_at_decades_and_between_few_of_them() {
        let duration =
            |low: f64, high: f64| written(Scale::Duration, Scale::Duration.place(low), Scale::Duration.place(high));
        assert_eq!(duration(300_000.0, 8e9), ["100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!(duration(1.2e6, 8e6), ["1 ms", "2 ms", "5 ms", "10 ms"]);
        assert_eq!(duration(1e6, 1e6), ["1 ms", "2 ms", "5 ms", "10 ms"]);
        assert_eq!(duration(0.0, 0.0), ["1 ns", "2 ns", "5 ns", "10 ns"]);
    }
}
