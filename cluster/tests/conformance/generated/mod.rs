//! Drawn sequences: random requests over a small world of topics, groups and producers, mostly valid, in every version. One
//! that differs is made small and printed with its seed; kept as a file in `regressions/` it is run ever after.

mod chance;
pub(crate) mod shrink;
mod step;
mod world;

use crate::arms::{Arms, With};
use crate::pair::Pair;
use chance::Chance;
use libtest_mimic::Trial;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use step::Step;
use world::World;

/// How many sequences are drawn where nobody says (`SHAKEDOWN_SEQUENCES`).
const SEQUENCES: u64 = 200;

/// Of two clusters of ours there is little to learn.
const SEQUENCES_OF_ITSELF: u64 = 40;

/// How many run at the same time; both sides wait for each other most of the time.
const LANES: usize = 4;

/// The sequences of one run stop being looked for after so many that differ.
const DIFFERING_MAX: usize = 5;

fn environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The first seed: `SHAKEDOWN_SEED`, a fresh one with `SHAKEDOWN_FRESH=1`, or always the same.
fn first_seed() -> u64 {
    // Seeds are typed by people: a few digits.
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 1_000_000_000;
    let fresh = || u64::try_from(fresh()).expect("it is below a thousand million");
    let is_fresh = environment("SHAKEDOWN_FRESH").is_some_and(|fresh| fresh > 0);
    environment("SHAKEDOWN_SEED").unwrap_or_else(|| if is_fresh { fresh() } else { 1 })
}

/// The tests of one pair of clusters.
pub(crate) fn trials(arms: &Arc<Arms>, with: With) -> Vec<Trial> {
    let shared = Arc::clone(arms);
    let mut trials = vec![Trial::test(format!("{}::generated", crate::arm(with)), move || Ok(drawn(&shared, with)?))];
    trials.extend(regressions().into_iter().map(|path| {
        let shared = Arc::clone(arms);
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Trial::test(format!("{}::regression::{name}", crate::arm(with)), move || Ok(kept(&shared, with, &path)?))
    }));
    trials
}

/// The files of `regressions/`, by name.
fn regressions() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/regressions");
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

/// A step a line.
fn kept(arms: &Arms, with: With, path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let steps: Result<Vec<Step>, _> = lines.map(serde_json::from_str).collect();
    let steps = steps.map_err(|error| format!("{}: {error}", path.display()))?;
    live(arms, with, &steps)
}

/// The steps of a seed.
fn sequence(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = step::first();
    let more = 8 + chance.index(16);
    steps.extend((0..more).map(|_| Step::draw(&mut chance)));
    steps
}

/// Runs a sequence up to its first difference, which is told.
fn live(arms: &Arms, with: With, steps: &[Step]) -> Result<(), String> {
    let mut pair: Pair<'_> = arms.pair(with, 1);
    let mut world = World::default();
    for step in steps {
        world.run(&mut pair, step);
        if !pair.found.is_empty() {
            break;
        }
    }
    world.clean(&mut pair);
    pair.verdict()
}

/// As [`live`]; a sequence that cannot go on, because one side does not answer any more, differs, too.
fn differs(arms: &Arms, with: With, steps: &[Step]) -> Result<(), String> {
    std::panic::catch_unwind(AssertUnwindSafe(|| live(arms, with, steps))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it cannot go on: {}", text.unwrap_or("nobody knows why")))
    })
}

fn drawn(arms: &Arms, with: With) -> Result<(), String> {
    let count = match with {
        With::Kafka => environment("SHAKEDOWN_SEQUENCES").unwrap_or(SEQUENCES),
        With::Itself => SEQUENCES_OF_ITSELF,
    };
    let first = first_seed();
    eprintln!("{count} sequences from seed {first} on ({})", crate::arm(with));
    let next = AtomicU64::new(first);
    let differing = Mutex::new(Vec::new());
    let lane = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_enough = differing.lock().expect("nobody panics with it").len() >= DIFFERING_MAX;
            if seed >= first + count || is_enough {
                break;
            }
            if let Err(told) = differs(arms, with, &sequence(seed)) {
                differing.lock().expect("nobody panics with it").push((seed, told));
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let differing = differing.into_inner().expect("nobody panics with it");
    if differing.is_empty() {
        eprintln!("{count} sequences from seed {first} on ({}): no difference", crate::arm(with));
        return Ok(());
    }
    let told = differing.iter().map(|(seed, told)| told_small(arms, with, *seed, told));
    Err(told.collect::<Vec<_>>().join("\n\n"))
}

/// The path of the first difference that is told.
fn path(told: &str) -> Option<&str> {
    told.lines().nth(2)
}

/// A sequence that differs, as small as it goes, for people and for `regressions/`.
fn told_small(arms: &Arms, with: With, seed: u64, told: &str) -> String {
    // What becomes small must not become another difference.
    let is_same = |again: String| path(&again) == path(told);
    let small = shrink::shrink(sequence(seed), |steps| differs(arms, with, steps).is_err_and(is_same));
    let lines: Vec<String> = small.iter().filter_map(|step| serde_json::to_string(step).ok()).collect();
    let again = differs(arms, with, &small).err().unwrap_or_else(|| format!("not any more; before: {told}"));
    format!("SHAKEDOWN_SEED={seed} SHAKEDOWN_SEQUENCES=1 differs:\n{again}\n{}", lines.join("\n"))
}
