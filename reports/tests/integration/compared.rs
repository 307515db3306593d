//! Comparisons of run directories, from the files to every rendering; how often they are wrong is in [`calibrated`].

mod calibrated;

use crate::sample;
use hdrhistogram::Histogram;
use shakedown_reports::compare::comparison::Settings;
use shakedown_reports::compare::{Comparison, Judgement, RunSample, html, junit, markdown, paired, stored, text};
use shakedown_reports::resources::{Reading, ResourceWriter};
use shakedown_reports::verdict::{Finding, Outcome, Verdict};
use shakedown_reports::{Ending, RunDirectory, RunInfo, Summary};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// A run of four seconds, of which the first is warm-up: a thousand messages a second, most at `p50_us`, the last in a hundred
/// at `p99_us`, each for so much processor time.
#[derive(Clone, Copy)]
struct Made {
    p50_us: u64,
    p99_us: u64,
    cpu_ns: u64,
}

const USUAL: Made = Made { p50_us: 2_310, p99_us: 9_800, cpu_ns: 410 };

fn write(root: &Path, name: &str, made: Made, change: impl Fn(&mut RunInfo, &mut Ending, &mut Summary)) -> PathBuf {
    let mut info = RunInfo { scenario: "storefront".to_owned(), ..sample::info() };
    let mut ending = Ending { drained: true, lateness_p99_ns: Some(90_000), ..Ending::default() };
    let mut summary = Summary::default();
    change(&mut info, &mut ending, &mut summary);
    let run = RunDirectory::create(&root.join(name), &info).expect("a new run");
    let mut resources = ResourceWriter::create(run.path()).expect("a new file");
    for second in 0..4 {
        let (start_ns, end_ns) = (sample::STARTED_NS + second * SECOND, sample::STARTED_NS + (second + 1) * SECOND);
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
        // The first second is slow: nobody is warm yet.
        let slow = if second == 0 { 10 } else { 1 };
        histogram.record_n(made.p50_us * 1_000 * slow, 980).expect("it resizes");
        histogram.record_n(made.p99_us * 1_000 * slow, 20).expect("it resizes");
        run.interval_log().record("ack", start_ns, end_ns, &histogram).expect("written");
        let messages = 1_000 * (second + 1);
        let reading = Reading { at_ns: end_ns, brokers_cpu_ns: messages * made.cpu_ns, messages, ..Reading::default() };
        resources.write(&reading).expect("written");
    }
    let finding = Finding {
        check: "lost".to_owned(),
        subject: "load -> topic orders".to_owned(),
        outcome: Outcome::Pass,
        compared: 4_000,
        found: 0,
        detail: String::new(),
        evidence: Vec::new(),
    };
    run.write_summary(&summary).expect("written");
    run.write_ending(&ending).expect("written");
    run.write_verdict(&Verdict::new(vec![finding], Vec::new())).expect("written");
    run.path().to_owned()
}

fn read(path: &Path) -> RunSample {
    RunSample::read(path, Duration::from_secs(1)).expect("a good run")
}

/// Deviations in thousandths, from run to run.
const NOISE: [u64; 12] = [1_000, 1_006, 994, 1_012, 990, 1_003, 997, 1_009, 1_001, 988, 1_005, 996];

fn varied(made: Made, thousandths: u64) -> Made {
    let by = |value: u64| value * thousandths / 1_000;
    Made { p50_us: by(made.p50_us), p99_us: by(made.p99_us), cpu_ns: by(made.cpu_ns * 10) / 10 }
}

/// Twelve pairs, of which B is `b`.
fn pairs(root: &Path, b: Made) -> Vec<(RunSample, RunSample)> {
    let pair = |(number, noise): (usize, &u64)| {
        let other = NOISE[(number + 5) % NOISE.len()];
        let one = write(root, &format!("{number}/a"), varied(USUAL, *noise), |_, _, _| ());
        let two = write(root, &format!("{number}/b"), varied(b, other), |_, _, _| ());
        (read(&one), read(&two))
    };
    NOISE.iter().enumerate().map(pair).collect()
}

fn settings() -> Settings {
    Settings { looks: 2, ..Settings::new("main", "this branch") }
}

/// Folders of tests have other names each time.
fn settled(mut comparison: Comparison, root: &Path) -> Comparison {
    let root = root.display().to_string();
    for text in comparison.reasons.iter_mut().chain(&mut comparison.notes) {
        *text = text.replace(&root, "RUNS");
    }
    comparison
}

fn words(comparison: &Comparison) -> Vec<(&str, Judgement)> {
    comparison.metrics.iter().map(|metric| (metric.name.as_str(), metric.judgement)).collect()
}

#[test]
fn what_is_slower_beyond_doubt_and_margin_is_slower() {
    let root = tempfile::tempdir().expect("a folder");
    let slow = Made { p99_us: 11_900, ..USUAL };
    let pairs = pairs(root.path(), slow);
    assert_eq!(pairs[0].0.per_second("ack"), Some(1_000.0));
    let comparison = paired::compare(&pairs, &settings());
    assert_eq!(comparison.judgement, Judgement::Slower);
    assert_eq!(comparison.judgement.exit_code(), 1);
    let expected = [("p50", Judgement::Same), ("p99", Judgement::Slower), ("cpu/message", Judgement::Same)];
    assert_eq!(words(&comparison), expected);
    assert!((comparison.metrics[0].a_ns - 2_310_000.0).abs() < 10_000.0, "the slow first second is left out");
    insta::assert_snapshot!("compared_text", text::render(&comparison));
    insta::assert_snapshot!("compared_markdown", markdown::render(&comparison));
    insta::assert_snapshot!("compared_junit", junit::render(&comparison).expect("XML"));
    insta::assert_snapshot!("compared_html", html::render(&comparison));
    assert!(text::render(&comparison).lines().all(|line| line.chars().count() <= 100));
    let json = serde_json::to_string(&comparison).expect("JSON");
    // Numbers lose their last binary digit in JSON, and nothing else is lost.
    let read_again: Comparison = serde_json::from_str(&json).expect("JSON");
    assert_eq!(html::render(&read_again), html::render(&comparison));
}

#[test]
fn the_same_is_the_same_and_the_other_way_round_is_faster() {
    let root = tempfile::tempdir().expect("a folder");
    let same = pairs(&root.path().join("same"), USUAL);
    assert_eq!(paired::compare(&same, &settings()).judgement, Judgement::Same);
    let fast = Made { cpu_ns: 300, ..USUAL };
    let fast = paired::compare(&pairs(&root.path().join("fast"), fast), &settings());
    assert_eq!((fast.judgement, fast.metrics[2].judgement), (Judgement::Faster, Judgement::Faster));
    assert_eq!(fast.judgement.exit_code(), 0);
}

#[test]
fn few_pairs_and_a_high_noise_floor_settle_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let slow = Made { p50_us: 2_900, p99_us: 12_300, ..USUAL };
    let pairs = pairs(root.path(), slow);
    let few = paired::compare(&pairs[..5], &settings());
    assert_eq!(few.judgement, Judgement::TooNoisy, "five pairs cannot be certain of anything");
    assert_eq!(few.metrics[0].interval, None);
    let mut noisy = settings();
    let floor = |share| [("p50".to_owned(), share), ("p99".to_owned(), share)].into();
    noisy.noise_floor = Some(shakedown_reports::compare::NoiseFloor {
        scenario: "storefront".to_owned(),
        backend: few.backend,
        environment: few.environment,
        pairs: 12,
        floors: floor(0.4),
        measured_unix_ms: 0,
    });
    let within = paired::compare(&pairs, &noisy);
    assert_eq!(within.judgement, Judgement::Same, "the machine makes as much of a difference by itself");
    insta::assert_snapshot!("compared_within_noise", text::render(&within));
}

#[test]
fn a_run_that_cannot_be_believed_takes_its_pair_along() {
    let root = tempfile::tempdir().expect("a folder");
    let mut pairs = pairs(root.path(), USUAL);
    let late = |number: usize| {
        let path = write(root.path(), &format!("{number}/late"), Made { p50_us: 90_000, ..USUAL }, |_, ending, _| {
            ending.lateness_p99_ns = Some(7_000_000);
        });
        read(&path)
    };
    for (number, pair) in pairs.iter_mut().enumerate().take(3) {
        pair.1 = late(number);
    }
    let some = settled(paired::compare(&pairs, &settings()), root.path());
    assert_eq!((some.judgement, some.pairs), (Judgement::Same, 9), "what is left agrees");
    assert_eq!(some.notes[0], "3 of 12 pairs set aside: a run of each cannot be believed");
    let mut one_sided = pairs.clone();
    one_sided[3].1 = late(4);
    let one_sided = paired::compare(&one_sided, &settings());
    assert_eq!(one_sided.judgement, Judgement::Invalid);
    let hint =
        "all of them runs of B: if it does not carry this rate, compare at a lower one, or search for its ceiling";
    assert_eq!(one_sided.reasons.last().map(String::as_str), Some(hint));
    pairs[3].0 = late(3);
    let many = settled(paired::compare(&pairs, &settings()), root.path());
    assert_eq!((many.judgement, many.judgement.exit_code()), (Judgement::Invalid, 3));
    insta::assert_snapshot!("compared_invalid", text::render(&many));
    insta::assert_snapshot!("compared_invalid_junit", junit::render(&many).expect("XML"));
    let mut slower = many;
    slower.metrics[0].judgement = Judgement::Slower;
    let results = junit::render(&slower).expect("XML");
    assert!(!results.contains("<failure"), "runs that cannot be believed convict nobody: {results}");
}

#[test]
fn other_machines_and_other_rates_are_not_compared() {
    let root = tempfile::tempdir().expect("a folder");
    let mut pairs = pairs(root.path(), USUAL);
    pairs[4].1.info.as_mut().expect("it has one").environment.cores = 64;
    pairs[4].1.info.as_mut().expect("it has one").versions.insert("shakedown".to_owned(), "0.2.0".to_owned());
    let elsewhere = paired::compare(&pairs, &settings());
    assert_eq!(elsewhere.judgement, Judgement::Invalid);
    assert_eq!(elsewhere.reasons, ["different cores: 2 and 64"]);
    assert_eq!(elsewhere.notes, ["different shakedown: unknown and 0.2.0"], "a version may be what is compared");

    let mut unknown = settings();
    unknown.tags = vec!["deliver:orders".to_owned()];
    let comparison = paired::compare(&pairs[..4], &unknown);
    assert_eq!(comparison.reasons, ["no run has latencies tagged `deliver:orders`; there are: ack"]);
    assert_eq!(paired::compare(&[], &settings()).judgement, Judgement::Invalid, "nothing is no comparison");
}

#[test]
fn stored_runs_need_five_a_side() {
    let root = tempfile::tempdir().expect("a folder");
    let slow = Made { p50_us: 3_000, p99_us: 12_700, ..USUAL };
    let (a, b): (Vec<RunSample>, Vec<RunSample>) = pairs(root.path(), slow).into_iter().unzip();
    let one_look = Settings::new("last week", "today");
    let comparison = stored::compare(&a[..6], &b[..5], &one_look, 1);
    let expected = [("p50", Judgement::Slower), ("p99", Judgement::Slower), ("cpu/message", Judgement::Same)];
    assert_eq!(words(&comparison), expected);
    assert_eq!(stored::compare(&a[..6], &b[..5], &one_look, 1), comparison, "the same seed draws the same");
    insta::assert_snapshot!("compared_stored", text::render(&comparison));
    let few = stored::compare(&a[..6], &b[..4], &one_look, 1);
    assert_eq!(few.judgement, Judgement::TooNoisy);
    assert_eq!(few.reasons, ["6 and 4 runs are too few without pairs: 5 a side are the least"]);
    let same = stored::compare(&a[..6], &a[6..], &one_look, 1);
    assert_eq!(same.judgement, Judgement::Same);
}
