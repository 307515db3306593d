//! Whether what is drawn has the distribution that was asked for: tests of goodness of fit, at fixed seeds.
//!
//! Each statistic must lie between the quantiles of 0.05 % and 99.95 % of its distribution: too good a fit is no chance either.
//! Seeds are fixed, so nothing here fails by bad luck; that a wrong generator would fail is tested beside each.

use crate::byte_sizes::SizeSampler;
use crate::chance;
use crate::keys::{HotSet, KeyDraw, KeySampler, KeySpace};
use crate::portable_math::normal_quantile;
use crate::schedule::{Arrivals, Bursts, Process, Schedule, Shape, Step};
use rand_chacha::rand_core::Rng;
use std::time::Duration;

/// The probability of each side that is refused.
const TAIL: f64 = 0.000_5;
/// Kolmogorov's distribution at 0.05 % and 99.95 %.
const KOLMOGOROV: (f64, f64) = (0.354, 2.037);
const SECOND: u64 = 1_000_000_000;

/// Pearson's test. Wilson and Hilferty's approximation of the quantiles is good to a thousandth from 30 degrees of freedom.
fn chi_square(observed: &[u64], expected: &[f64]) -> Result<(), String> {
    assert_eq!(observed.len(), expected.len());
    assert!(expected.iter().all(|count| *count >= 5.0), "cells too small for the test: {expected:?}");
    let statistic: f64 =
        observed.iter().zip(expected).map(|(seen, count)| (*seen as f64 - count).powi(2) / count).sum();
    let freedom = observed.len() as f64 - 1.0;
    let quantile = |probability| {
        let part = 2.0 / (9.0 * freedom);
        freedom * (1.0 - part + normal_quantile(probability) * f64::sqrt(part)).powi(3)
    };
    let allowed = quantile(TAIL)..quantile(1.0 - TAIL);
    if allowed.contains(&statistic) { Ok(()) } else { Err(format!("chi-square {statistic}, allowed {allowed:?}")) }
}

/// Kolmogorov and Smirnov's test, against a distribution of which `share` tells how much lies below.
fn kolmogorov_smirnov(mut sample: Vec<f64>, share: impl Fn(f64) -> f64) -> Result<(), String> {
    sample.sort_by(f64::total_cmp);
    let count = sample.len() as f64;
    let distance = sample.iter().enumerate().fold(0.0_f64, |most, (place, value)| {
        let expected = share(*value);
        most.max(expected - place as f64 / count).max((place as f64 + 1.0) / count - expected)
    });
    let statistic = distance * count.sqrt();
    let (least, most) = KOLMOGOROV;
    if (least..most).contains(&statistic) { Ok(()) } else { Err(format!("Kolmogorov-Smirnov {statistic}")) }
}

fn walk(schedule: Schedule) -> Vec<u64> {
    let mut cursor = schedule.cursor();
    std::iter::from_fn(|| {
        let offset = cursor.peek()?;
        cursor.advance();
        Some(offset)
    })
    .collect()
}

/// Whether these arrivals are a Poisson process with this number of messages expected before each instant: by their counts in
/// windows, from a thousandth of the time to a fifth, and by the gaps in the time in which the rate is steady.
fn is_poisson(offsets: &[u64], duration_ns: u64, due: impl Fn(f64) -> f64) -> Result<(), String> {
    let whole = due(duration_ns as f64);
    for windows in [1_000_usize, 100, 40] {
        let mut counts = vec![0; windows];
        for offset in offsets {
            let window = u128::from(*offset) * windows as u128 / u128::from(duration_ns);
            counts[usize::try_from(window).expect("a window")] += 1;
        }
        let border = |window: usize| due(duration_ns as f64 * window as f64 / windows as f64);
        let expected = |window| (border(window + 1) - border(window)) * offsets.len() as f64 / whole;
        chi_square(&counts, &(0..windows).map(expected).collect::<Vec<_>>())
            .map_err(|error| format!("{windows} windows: {error}"))?;
    }
    let places: Vec<f64> = offsets.iter().map(|offset| due(*offset as f64) / whole).collect();
    let gaps = places.windows(2).map(|pair| (pair[1] - pair[0]) * offsets.len() as f64).collect();
    kolmogorov_smirnov(gaps, |gap| 1.0 - (-gap).exp()).map_err(|error| format!("gaps: {error}"))?;
    kolmogorov_smirnov(places, |place| place).map_err(|error| format!("instants: {error}"))
}

/// How many arrivals are expected before an instant.
type Expected = Box<dyn Fn(f64) -> f64>;

/// A hundred thousand arrivals and more in 10 s, with the number expected before each instant.
fn examples(process: Process) -> Vec<(Arrivals, Expected)> {
    let rate = |text: &str| text.parse().expect("a rate");
    let duration = Duration::from_secs(10);
    let steady = if process == Process::Poisson { Shape::Poisson } else { Shape::Constant };
    let step = |text, seconds| Step { rate: rate(text), duration: Duration::from_secs(seconds) };
    let steps = Arrivals::steps(vec![step("5000/s", 4), step("40000/s", 1), step("10000/s", 5)], process);
    let (every, length) = (Duration::from_secs(2), Duration::from_millis(500));
    let bursts = Bursts { rate: rate("50000/s"), every, duration: length };
    let seconds = |at: f64| at / SECOND as f64;
    vec![
        (Arrivals { shape: steady, rate: rate("20000/s"), duration }, Box::new(move |at| 20_000.0 * seconds(at))),
        (
            Arrivals { shape: Shape::Ramp { from: rate("5000/s"), process }, rate: rate("25000/s"), duration },
            Box::new(move |at| 5_000.0 * seconds(at) + 1_000.0 * seconds(at).powi(2)),
        ),
        (
            steps.expect("steps"),
            Box::new(move |at| {
                let at = seconds(at);
                5_000.0 * at.min(4.0) + 40_000.0 * (at - 4.0).clamp(0.0, 1.0) + 10_000.0 * (at - 5.0).max(0.0)
            }),
        ),
        (
            Arrivals { shape: Shape::Burst { bursts, process }, rate: rate("10000/s"), duration },
            Box::new(move |at| {
                let at = seconds(at);
                let within: f64 = (1..5).map(|burst| (at - 2.0 * f64::from(burst)).clamp(0.0, 0.5)).sum();
                10_000.0 * at + 40_000.0 * within
            }),
        ),
    ]
}

#[test]
fn poisson_arrivals_are_a_poisson_process_at_every_rate() {
    for (arrivals, due) in examples(Process::Poisson) {
        for seed in [1, 42] {
            let schedule = arrivals.schedule(seed).expect("valid");
            let (offsets, duration_ns) = (walk(schedule.clone()), schedule.duration_ns());
            assert!(offsets.len() >= 100_000 && (due(duration_ns as f64) - offsets.len() as f64).abs() <= 1.0);
            let fit = is_poisson(&offsets, duration_ns, &due);
            assert_eq!(fit, Ok(()), "{} with seed {seed}", arrivals.shape.word());
        }
    }
}

#[test]
fn what_is_no_poisson_process_is_told() {
    // Evenly spread arrivals have the right rate at every instant, and nothing else.
    for (arrivals, due) in examples(Process::Even) {
        let offsets = walk(arrivals.schedule(1).expect("valid"));
        let fit = is_poisson(&offsets, 10 * SECOND, &due);
        assert!(fit.is_err(), "{}", arrivals.shape.word());
    }
    // The arrivals of each shape are none of another's.
    let examples = examples(Process::Poisson);
    for (place, (arrivals, _)) in examples.iter().enumerate() {
        let offsets = walk(arrivals.schedule(1).expect("valid"));
        for (other, (_, due)) in examples.iter().enumerate().filter(|(other, _)| *other != place) {
            assert!(is_poisson(&offsets, 10 * SECOND, due).is_err(), "example {place} as {other}");
        }
    }
    // One in a hundred in the place of the one before it.
    let (arrivals, due) = &examples[0];
    let mut offsets = walk(arrivals.schedule(1).expect("valid"));
    (1..offsets.len()).step_by(100).for_each(|place| offsets[place] = offsets[place - 1]);
    assert!(is_poisson(&offsets, 10 * SECOND, due).is_err());
}

/// Draws of so many messages by key.
fn draws(users: u32, draw: KeyDraw) -> Vec<u64> {
    let sampler = KeySampler::new(&KeySpace { users, draw }).expect("valid");
    let mut generator = chance::generator(42, chance::WORKLOAD);
    let mut counts = vec![0; users as usize];
    (0..500_000).for_each(|sequence| counts[sampler.key(sequence, generator.next_u64()) as usize] += 1);
    counts
}

fn fits(counts: &[u64], weight: impl Fn(usize) -> f64) -> Result<(), String> {
    let weights: Vec<f64> = (0..counts.len()).map(weight).collect();
    let (all, whole) = (counts.iter().sum::<u64>() as f64, weights.iter().sum::<f64>());
    chi_square(counts, &weights.iter().map(|weight| weight * all / whole).collect::<Vec<_>>())
}

#[test]
fn keys_have_the_shares_of_their_law() {
    let zipf = |exponent: f64| move |rank: usize| (rank as f64 + 1.0).powf(-exponent);
    for (users, exponent) in [(1_000, 0.9), (1_000, 1.0), (100, 1.5), (500, 0.5)] {
        let counts = draws(users, KeyDraw::Zipf(exponent));
        assert_eq!(fits(&counts, zipf(exponent)), Ok(()), "{users} users at {exponent}");
        for other in [exponent - 0.02, exponent + 0.02] {
            assert!(fits(&counts, zipf(other)).is_err(), "{users} users at {exponent} as {other}");
        }
    }
    let hot = |share: f64| move |key: usize| if key < 10 { share / 10.0 } else { (1.0 - share) / 990.0 };
    let counts = draws(1_000, KeyDraw::Hot(HotSet { keys: 10, share: 0.8 }));
    assert_eq!(fits(&counts, hot(0.8)), Ok(()));
    assert!(fits(&counts, hot(0.81)).is_err() && fits(&counts, hot(0.79)).is_err());
    assert_eq!(fits(&draws(1_000, KeyDraw::Uniform), |_| 1.0), Ok(()));
    assert!(fits(&draws(1_000, KeyDraw::Sequential), |_| 1.0).is_err(), "taking turns is no chance");
}

/// Sizes of so many payloads.
fn sizes(text: &str) -> Vec<usize> {
    let sampler = SizeSampler::new(&text.parse().expect(text));
    let mut generator = chance::generator(42, chance::WORKLOAD);
    (0..200_000).map(|_| sampler.size(generator.next_u64())).collect()
}

#[test]
fn sizes_have_the_distribution_asked_for() {
    let mut counts = vec![0; 501];
    sizes("100..600").into_iter().for_each(|size| counts[size - 100] += 1);
    assert_eq!(fits(&counts, |_| 1.0), Ok(()));

    let mut counts = [0; 3];
    for size in sizes("100:9, 1000:5, 10000:1") {
        counts[[100, 1_000, 10_000].iter().position(|other| *other == size).expect("of the table")] += 1;
    }
    for (weights, good) in [([9.0, 5.0, 1.0], true), ([9.0, 5.1, 1.0], false), ([9.0, 5.0, 1.1], false)] {
        assert_eq!(fits(&counts, |place| weights[place]).is_ok(), good, "{weights:?}");
    }

    // By its quantiles, in forty parts of equal weight; a size stands for all that is rounded to it.
    let lognormal = |median: f64, p99: f64| {
        let scale = (p99 / median).ln() / normal_quantile(0.99);
        let border = |part: u32| median * (scale * normal_quantile(f64::from(part) / 40.0)).exp();
        let borders: Vec<f64> = (1..40).map(|part| border(part).round() + 0.5).collect();
        let mut counts = vec![0; 40];
        for size in sizes("lognormal(2000, 20000)") {
            counts[borders.partition_point(|border| *border < size as f64)] += 1;
        }
        let below = |border: f64| normal_share((border / median).ln() / scale);
        let shares: Vec<f64> = std::iter::once(0.0).chain(borders.iter().map(|b| below(*b))).chain([1.0]).collect();
        fits(&counts, |part| shares[part + 1] - shares[part])
    };
    assert_eq!(lognormal(2_000.0, 20_000.0), Ok(()));
    assert!(lognormal(2_030.0, 20_000.0).is_err() && lognormal(2_000.0, 20_800.0).is_err());
}

/// How much of a standard normal distribution lies below, by halving the interval of its quantile.
fn normal_share(value: f64) -> f64 {
    let (mut low, mut high) = (1e-9, 1.0 - 1e-9);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_quantile(middle) < value { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}
