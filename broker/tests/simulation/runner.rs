//! Many lifetimes, spread over the cores, and how they are reported.

use crate::chance::Chance;
use crate::invariants::Violation;
use crate::lifetime::{self, Report};
use crate::trace::Detail;
use shakedown_broker::config::Defect;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lifetimes of a run where nobody says how many: few enough for a test run of a few seconds.
const SEEDS_DEFAULT: u64 = if cfg!(debug_assertions) { 120 } else { 500 };
/// The first seed where nobody says which: a test run that passed once passes again.
const SEED_DEFAULT: u64 = 1;

/// The first seed: `SHAKEDOWN_SEED`, a fresh one with `SHAKEDOWN_FRESH=1`, or always the same.
fn first_seed() -> u64 {
    let fresh = || from_environment("SHAKEDOWN_FRESH").is_some_and(|fresh| fresh > 0).then(fresh_seed);
    from_environment("SHAKEDOWN_SEED").or_else(fresh).unwrap_or(SEED_DEFAULT)
}

/// How a run of many lifetimes ended.
pub(crate) struct Outcome {
    /// How many were lived.
    pub(crate) lived: u64,
    pub(crate) steps: u64,
    pub(crate) acknowledgements: u64,
    pub(crate) took: Duration,
    /// Violations by seed: the first, or all of them where the run goes on.
    pub(crate) convicted: BTreeMap<u64, Violation>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many and which lifetimes is the caller's choice, by the environment"
)]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[expect(clippy::disallowed_methods, reason = "fresh seeds have to come from somewhere; they are printed")]
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Seeds are typed by people: a few digits of a number that looks random.
    Chance::new(u64::from(since.subsec_nanos()) ^ since.as_secs()).below(1_000_000_000_000)
}

#[expect(clippy::disallowed_methods, reason = "how fast lifetimes are is measured, not simulated")]
fn clock() -> Instant {
    Instant::now()
}

/// Lives the lifetimes of seeds that follow each other, until one is convicted or to the end.
pub(crate) fn live_many(first: u64, count: u64, defect: Option<Defect>, goes_on: bool) -> Outcome {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (steps, acknowledgements, lived) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let convicted: Mutex<BTreeMap<u64, Violation>> = Mutex::default();
    let begun = clock();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    lived.fetch_add(1, Ordering::Relaxed);
                    match lifetime::live(seed, defect, Detail::Nothing) {
                        Ok(Report { steps: some, acknowledgements: told, .. }) => {
                            steps.fetch_add(some, Ordering::Relaxed);
                            acknowledgements.fetch_add(told, Ordering::Relaxed);
                        }
                        Err(violation) => {
                            stop.store(!goes_on, Ordering::Relaxed);
                            convicted.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, violation);
                        }
                    }
                }
            });
        }
    });
    Outcome {
        lived: lived.into_inner(),
        steps: steps.into_inner(),
        acknowledgements: acknowledgements.into_inner(),
        took: begun.elapsed(),
        convicted: convicted.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

#[test]
fn random_lifetimes() {
    let first = first_seed();
    let count = from_environment("SHAKEDOWN_SEEDS").unwrap_or(SEEDS_DEFAULT);
    // `SHAKEDOWN_GO_ON=1` lives all lifetimes and tells of every conviction, for a survey of what is broken.
    let goes_on = from_environment("SHAKEDOWN_GO_ON").is_some();
    let outcome = live_many(first, count, None, goes_on);
    let seconds = outcome.took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = outcome.lived as f64 * 60.0 / seconds;
    println!(
        "{} lifetimes from seed {first} in {seconds:.1} s, {rate:.0} a minute; {} steps, {} batches acknowledged",
        outcome.lived, outcome.steps, outcome.acknowledgements
    );
    if goes_on {
        outcome.convicted.iter().for_each(|(seed, violation)| println!("seed {seed} {violation}"));
    }
    if let Some((seed, violation)) = outcome.convicted.first_key_value() {
        let profile = if cfg!(debug_assertions) { "" } else { "--release " };
        panic!(
            "seed {seed} {violation}\nreplay with its trace: SHAKEDOWN_SEED={seed} cargo test {profile}-p shakedown-broker \
             --test simulation -- one_seed --nocapture"
        );
    }
}

/// Replays one seed with its trace; `SHAKEDOWN_TRACE=2` shows the messages between nodes, too.
#[test]
fn one_seed() {
    let Some(seed) = from_environment("SHAKEDOWN_SEED") else { return };
    let detail = match from_environment("SHAKEDOWN_TRACE") {
        Some(0) => Detail::Nothing,
        Some(2..) => Detail::Everything,
        _ => Detail::Story,
    };
    let defect = from_environment("SHAKEDOWN_DEFECT").map(|number| {
        *crate::defects::ALL.get(usize::try_from(number).unwrap_or(usize::MAX)).expect("the number of a defect, from 0")
    });
    match lifetime::live(seed, defect, detail) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(violation) => panic!("seed {seed} {violation}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    let seed = first_seed();
    for seed in seed..seed + 3 {
        let [once, twice] = [0, 1].map(|_| lifetime::live(seed, None, Detail::Nothing));
        assert_eq!(once, twice, "seed {seed}");
    }
}
