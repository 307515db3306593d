//! A search for people: a line for each rate, and what it came to.

use super::settings::{LAG_SLOPE_MAX, Lengths, Settings};
use super::study::{Outcome, Study};
use super::trend::median;
use super::trial::{Phase, TrialResult, Verdict};
use shakedown_reports::numbers::{duration, grouped};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// So many lines of rates are shown; of more, those far from the ceiling are left out.
const LINES_MAX: usize = 24;
/// Far from the ceiling: by this part.
const FAR: f64 = 0.12;
/// The table fits this many columns.
const WIDTH: usize = 100;

/// What the search was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// `storefront on embedded`.
    pub subject: String,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// The table, with a line at its end that says what the search came to.
#[must_use]
pub fn render(title: &Title, study: &Study) -> String {
    let settings = study.settings();
    let left = format!("ceiling  {}, {}, lag bounded", title.subject, settings.service_level);
    let count = study.ends().count();
    let replicates = if count == 1 { "1 replicate".to_owned() } else { format!("{count} replicates") };
    let right = format!("{replicates}, {}", minutes(title.elapsed));
    let gap = WIDTH.saturating_sub(left.chars().count() + right.chars().count()).max(3);
    let mut text = format!("{left}{:gap$}{right}\n", "");
    let _ = writeln!(text, "  {:<11}{:<12}{:<10}{:<12}verdict", "rate/s", "delivered", "p99", "lag slope");
    let lines = lines(study.results());
    let around = outcome_rate(study);
    let mut hidden = false;
    for (place, line) in lines.iter().enumerate() {
        let is_far = around.is_some_and(|around| (line.rate as f64 / around as f64 - 1.0).abs() > FAR);
        if lines.len() > LINES_MAX && is_far && place > 0 && !line.is_confirmed() {
            hidden = true;
            continue;
        }
        if std::mem::take(&mut hidden) {
            text += "  ...\n";
        }
        text += &line.text();
    }
    if hidden {
        text += "  ...\n";
    }
    text += &conclusion(study);
    text
}

/// One line for a trial that was just carried out.
#[must_use]
pub fn line(result: &TrialResult) -> String {
    let phase = match result.trial.phase {
        Phase::Ramp => "ramp",
        Phase::Bisect => "bisect",
        Phase::ConfirmLower | Phase::ConfirmUpper => "confirm",
    };
    let Line { rate, delivered, p99_ns, growth, .. } = Line::of(result.trial.rate, &[result]);
    let told = match &result.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Fail { reasons } => format!("fail: {}", reasons.join(", ")),
        Verdict::GeneratorLimited { reason } => format!("generator-limited: {reason}"),
    };
    let near = if result.near { ", near a limit" } else { "" };
    let replicate = result.trial.replicate;
    format!("{replicate} {phase:<8}{}{told}{near}", columns(rate, delivered, p99_ns, growth))
}

fn columns(rate: u64, delivered: f64, p99_ns: u64, growth: f64) -> String {
    // Rounded down: 99.96 % is no 100.
    let delivered = format!("{:>5.1} %", (delivered * 1_000.0).floor() / 10.0);
    let percent = growth * 100.0;
    let slope = if percent.abs() < LAG_SLOPE_MAX * 10.0 { "0".to_owned() } else { format!("{percent:+.1} %") };
    format!("{:<11}{delivered:<12}{:<10}{slope:<12}", grouped(rate), duration(p99_ns))
}

/// Everything at one rate.
struct Line {
    rate: u64,
    delivered: f64,
    p99_ns: u64,
    growth: f64,
    pass: usize,
    fail: usize,
    limited: usize,
    /// Trials that confirmed an end, and those of them that were to be expected.
    confirming: usize,
    confirmed: usize,
    reason: Option<String>,
}

fn lines(results: &[TrialResult]) -> Vec<Line> {
    let mut by_rate: BTreeMap<u64, Vec<&TrialResult>> = BTreeMap::new();
    for result in results {
        by_rate.entry(result.trial.rate).or_default().push(result);
    }
    by_rate.into_iter().map(|(rate, results)| Line::of(rate, &results)).collect()
}

impl Line {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds of a latency")]
    fn of(rate: u64, results: &[&TrialResult]) -> Self {
        let middle = |value: &dyn Fn(&TrialResult) -> f64| {
            median(&mut results.iter().map(|result| value(result)).collect::<Vec<_>>())
        };
        let count = |is: &dyn Fn(&TrialResult) -> bool| results.iter().filter(|result| is(result)).count();
        let confirming = |result: &TrialResult| matches!(result.trial.phase, Phase::ConfirmLower | Phase::ConfirmUpper);
        let expected = |result: &TrialResult| match result.trial.phase {
            Phase::ConfirmLower => result.verdict.is_pass(),
            Phase::ConfirmUpper => matches!(result.verdict, Verdict::Fail { .. }),
            Phase::Ramp | Phase::Bisect => false,
        };
        let reason = results.iter().find_map(|result| match &result.verdict {
            Verdict::GeneratorLimited { reason } => Some(reason.clone()),
            Verdict::Pass | Verdict::Fail { .. } => None,
        });
        Self {
            rate,
            delivered: middle(&|result| result.measured.delivered_share()),
            p99_ns: middle(&|result| result.measured.p99_ns as f64) as u64,
            growth: middle(&|result| result.measured.lag_growth_share(rate)),
            pass: count(&|result| result.verdict.is_pass()),
            fail: count(&|result| matches!(result.verdict, Verdict::Fail { .. })),
            limited: count(&|result| matches!(result.verdict, Verdict::GeneratorLimited { .. })),
            confirming: count(&confirming),
            confirmed: count(&expected),
            reason,
        }
    }

    const fn is_confirmed(&self) -> bool {
        self.confirming > 0
    }

    fn text(&self) -> String {
        let all = self.pass + self.fail + self.limited;
        let (word, votes) = [("pass", self.pass), ("fail", self.fail), ("generator-limited", self.limited)]
            .into_iter()
            .rev()
            .max_by_key(|(_, votes)| *votes)
            .unwrap_or_default();
        let mut told = word.to_owned();
        if self.confirming > 0 {
            let _ = write!(told, ", confirmed {} of {}", self.confirmed, self.confirming);
        } else if votes < all {
            let _ = write!(told, " {votes} of {all}");
        }
        if let Some(reason) = self.reason.as_ref().filter(|_| word == "generator-limited") {
            let _ = write!(told, ": {reason}");
        }
        format!("  {}{told}\n", columns(self.rate, self.delivered, self.p99_ns, self.growth))
    }
}

fn outcome_rate(study: &Study) -> Option<u64> {
    match study.outcome()? {
        Outcome::Found { rate, .. } => Some(rate),
        Outcome::GeneratorLimited { at_least } => Some(at_least.max(1)),
        Outcome::Unstable { around, .. } => around.map(|(median, ..)| median),
        Outcome::Nothing { .. } => None,
    }
}

/// What the search came to, and what has to be known about it.
fn conclusion(study: &Study) -> String {
    let mut text = match study.outcome() {
        None => "not finished\n".to_owned(),
        Some(Outcome::Found { rate, interval }) => {
            let interval = interval
                .map_or(" (one replicate: nobody knows how far it can be trusted)".to_owned(), |(low, high)| {
                    format!(" ({} to {})", grouped(low), grouped(high))
                });
            format!("CEILING {}/s{interval}{}\n", grouped(rate), used(study, rate))
        }
        Some(Outcome::GeneratorLimited { at_least }) => {
            format!("CEILING >= {}/s, limited by the generator{}\n", grouped(at_least), used(study, at_least))
        }
        Some(Outcome::Unstable { reason, around }) => {
            let around = around.map_or(String::new(), |(median, low, high)| {
                format!(" around {}/s ({} to {})", grouped(median), grouped(low), grouped(high))
            });
            format!("UNSTABLE{around}: {reason}\n")
        }
        Some(Outcome::Nothing { rate }) => {
            let level = study.settings().service_level;
            format!("NO CEILING: not even {}/s holds {level}\n", grouped(rate))
        }
    };
    for note in notes(study.settings()).into_iter().chain(study.flags().map(|flag| format!("contradiction: {flag}"))) {
        let _ = writeln!(text, "  {note}");
    }
    text
}

fn used(study: &Study, rate: u64) -> String {
    study.generator().filter(|generator| *generator > 0).map_or(String::new(), |generator| {
        let percent = 100.0 * rate as f64 / generator as f64;
        format!("   generator used {percent:.0} % of its own ceiling")
    })
}

fn notes(settings: &Settings) -> Vec<String> {
    let seconds =
        |lengths: &Lengths| [lengths.ramp, lengths.bisect, lengths.confirm].map(|length| length.as_secs_f64());
    let ([ramp, bisect, confirm], [full_ramp, full_bisect, full_confirm]) =
        (seconds(&settings.lengths), seconds(&Lengths::full()));
    let is_short = settings.lengths != Lengths::full();
    let note = format!(
        "trials of {ramp}, {bisect} and {confirm} s instead of {full_ramp}, {full_bisect} and {full_confirm} s: rare stalls fall between them"
    );
    is_short.then_some(note).into_iter().collect()
}

/// `14 min`, `40 s`.
fn minutes(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::super::study::Step;
    use super::super::trend::Trend;
    use super::super::trial::Measured;
    use super::*;

    fn study(ceiling: u64) -> Study {
        let level = "p99=20ms".parse().expect("allowed");
        let mut study = Study::new(Settings { from: 10_000, ..Settings::new(level, 7) });
        study.take_generator(280_000);
        while let Step::Trial(trial) = study.step() {
            let over = trial.rate > ceiling;
            let p99_ns = if over { 41_000_000 } else { 3_100_000 + trial.rate.min(86_400) * 180 };
            let slope = if over { trial.rate as f64 * 0.022 } else { 0.0 };
            let lag = Trend { of: "acknowledgements".to_owned(), slope, slope_upper: slope, last: 10.0 };
            let delivered = if over { 99_100 } else { 100_000 };
            let measured = Measured {
                due: 100_000,
                delivered,
                p99_ns,
                service_p99_ns: p99_ns,
                lags: vec![lag],
                ..Measured::default()
            };
            study.take(TrialResult::new(trial, measured, level, String::new()));
        }
        study
    }

    #[test]
    fn a_ceiling_is_shown_with_its_neighbours() {
        let title = Title { subject: "storefront on embedded".to_owned(), elapsed: Duration::from_secs(840) };
        let text = render(&title, &study(86_400));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("ceiling  storefront on embedded, p99 <= 20 ms, lag bounded   "), "{text}");
        assert!(lines[0].ends_with("   3 replicates, 14 min") && lines[0].len() == WIDTH, "{text}");
        assert_eq!(lines[1], "  rate/s     delivered   p99       lag slope   verdict");
        assert_eq!(lines[2], "  10,000     100.0 %     4.9 ms    0           pass");
        assert!(text.contains("   41 ms     +2.2 %      fail, confirmed 2 of 2\n"), "{text}");
        assert!(text.contains("pass, confirmed 1 of 1\n"), "{text}");
        let last = lines.last().expect("a conclusion");
        assert!(
            last.starts_with("CEILING 8") && last.ends_with("/s   generator used 30 % of its own ceiling")
                || last.contains(" to "),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn a_bound_and_a_failure_are_no_ceilings() {
        let text = render(&Title { subject: "x".to_owned(), elapsed: Duration::from_secs(9) }, &study(u64::MAX));
        assert!(
            text.ends_with("CEILING >= 196,000/s, limited by the generator   generator used 70 % of its own ceiling\n"),
            "{text}"
        );
        let text = render(&Title { subject: "x".to_owned(), elapsed: Duration::from_secs(9) }, &study(0));
        assert!(text.contains("NO CEILING: not even 2/s holds p99 <= 20 ms\n"), "{text}");
    }

    #[test]
    fn lines_as_they_come_tell_why() {
        let study = study(86_400);
        let failed = study.results().iter().find(|it| !it.verdict.is_pass()).expect("one failed");
        assert_eq!(
            line(failed),
            "1 ramp    160,000     99.1 %     41 ms     +2.2 %      fail: 99.10 % were delivered in time, p99 was 41 ms, \
             a lag grew by 2.20 % of the rate"
        );
    }
}
