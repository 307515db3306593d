//! What a bare load has going on beside it: the sampler and the server of metrics, and what comes of both at its end.

use crate::clock::RunClock;
use crate::honesty::Conduct;
use crate::live::Live;
use crate::load::{Load, LoadSummary};
use crate::metrics_server::{MetricsAddress, MetricsError, MetricsServer};
use crate::sampler::{Bystanders, Sampler, SamplerError, Watched};
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::resources::{Resources, Usage};
use shakedown_reports::{Environment, RunDirectory, Summary, Validity};
use std::fmt;
use std::time::Duration;

/// How wide the report of a load is, and where its texts begin.
const WIDTH: usize = 100;
const INDENT: usize = 16;

/// What goes on beside a load.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) live: Live,
    bystanders: Bystanders,
    sampler: Option<Sampler>,
    _server: Option<MetricsServer>,
}

/// What it came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// What the load cost the machine; `None` where the system does not say.
    pub usage: Option<Usage>,
    /// Whether what was measured can be believed.
    pub validity: Validity,
}

impl Beside {
    /// Serves metrics, if somebody wants them.
    pub(crate) fn new(run: &str, metrics: Option<MetricsAddress>) -> Result<Self, MetricsError> {
        let live = Live::default();
        live.begin(run);
        let server = metrics.map(|address| MetricsServer::start(address, live.clone())).transpose()?;
        if let Some(server) = &server {
            eprintln!("metrics at http://{}/metrics", server.address());
        }
        Ok(Self { live, bystanders: Bystanders::default(), sampler: None, _server: server })
    }

    /// The load begins next: whoever has a client by now is not part of it.
    pub(crate) fn before_load(&mut self) {
        self.bystanders = Bystanders::now();
    }

    /// The load has begun.
    pub(crate) fn load_began(
        &mut self,
        load: &Load,
        clock: RunClock,
        directory: &RunDirectory,
    ) -> Result<(), SamplerError> {
        self.live.watch(load.gauges());
        let watched = Watched::load_alone(std::mem::take(&mut self.bystanders));
        self.sampler = match Sampler::start(watched, clock, directory.path(), self.live.clone()) {
            Ok(sampler) => Some(sampler),
            Err(SamplerError::Unknown(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// The load has ended, and its last progress is noted.
    pub(crate) fn load_ended(
        &mut self,
        load: &LoadSummary,
        bound_ns: Option<u64>,
        directory: &RunDirectory,
    ) -> Result<Conclusion, SamplerError> {
        self.live.note_progress(load.progress);
        if let Some(sampler) = self.sampler.take() {
            sampler.finish()?;
        }
        let readings = Resources::read(directory.path()).map_err(|error| SamplerError::Unknown(error.to_string()))?;
        let conduct = Conduct {
            bound_ns,
            lateness_p99_ns: Some(load.progress.lateness_p99_ns),
            readings: &readings,
            cores: Environment::detect().cores,
        };
        Ok(Conclusion { usage: Usage::over(&readings), validity: conduct.validity() })
    }
}

/// What a service level came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelOutcome {
    /// It held, in spite of whatever else went on.
    Held,
    /// It did not hold.
    Broken,
    /// It did not hold, and the generator was unfit to measure.
    Invalid,
}

impl fmt::Display for LevelOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Held => "held",
            Self::Broken => "BROKEN",
            Self::Invalid => "not held, and the run is invalid: nothing is said of the system",
        })
    }
}

impl Conclusion {
    /// What became of a p99 that must hold.
    pub(crate) fn level(&self, p99_ns: u64, slo_ns: u64) -> LevelOutcome {
        match p99_ns {
            p99_ns if p99_ns <= slo_ns => LevelOutcome::Held,
            _ if self.validity.is_valid() => LevelOutcome::Broken,
            _ => LevelOutcome::Invalid,
        }
    }

    /// What `summary.json` says of a bare load.
    pub(crate) fn summary(&self, load: &LoadSummary, took: Duration) -> Summary {
        let mut summary = Summary {
            elapsed_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            validity: self.validity.clone(),
            usage: self.usage,
            ..Summary::default()
        };
        let (offered, acknowledged) = (load.progress.offered, load.progress.acknowledged);
        summary.line("load", format!("{} messages offered, {} acknowledged", grouped(offered), grouped(acknowledged)));
        if let Some(usage) = &self.usage {
            summary.line("cpu", cost(usage));
        }
        for (name, total) in [("messages offered", offered), ("messages acknowledged", acknowledged)] {
            summary.totals.insert(name.to_owned(), i64::try_from(total).unwrap_or(i64::MAX));
        }
        summary
    }
}

impl fmt::Display for Conclusion {
    /// The lines of the report that it makes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.usage {
            Some(usage) => line(formatter, "cpu", &cost(usage))?,
            None => line(formatter, "cpu", "not known: this system does not say")?,
        }
        self.validity.reasons().iter().try_for_each(|reason| line(formatter, "INVALID", reason))
    }
}

/// A line of the report, or as many as it takes.
pub(crate) fn line(formatter: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    write!(formatter, "  {label:<13}")?;
    let mut column = INDENT - 1;
    for word in text.split(' ') {
        if column + 1 + word.chars().count() > WIDTH {
            write!(formatter, "\n{:1$}", "", INDENT - 1)?;
            column = INDENT - 1;
        }
        write!(formatter, " {word}")?;
        column += 1 + word.chars().count();
    }
    writeln!(formatter)
}

/// What a load cost, in words: `for each message: load generator 1.20 us, brokers 3.40 us; ...`.
#[must_use]
pub fn cost(usage: &Usage) -> String {
    let parts = [
        ("load generator", usage.generator_cpu_ns),
        ("brokers", usage.brokers_cpu_ns),
        ("services", usage.services_cpu_ns),
    ];
    let each = parts.iter().filter_map(|(who, cpu_ns)| Some((who, usage.per_message_ns(*cpu_ns)?)));
    let each: Vec<String> = each.map(|(who, ns)| format!("{who} {}", micros(ns))).collect();
    if usage.generator_cpu_ns == 0 {
        // Somebody else offered the load.
        let each = if each.is_empty() { "not known".to_owned() } else { each.join(", ") };
        return format!("for each message: {each}{}", stolen(usage));
    }
    let busiest = usage.busiest_generator_thread_permille;
    let busiest = format!("the generator's busiest thread at {}.{} % of a processor", busiest / 10, busiest % 10);
    let stolen = stolen(usage);
    match each.as_slice() {
        [] => format!("{busiest}{stolen}"),
        each => format!("for each message: {}; {busiest}{stolen}", each.join(", ")),
    }
}

fn stolen(usage: &Usage) -> String {
    if usage.stolen_ns == 0 { String::new() } else { format!(", {} stolen", duration(usage.stolen_ns)) }
}

fn micros(nanoseconds: f64) -> String {
    format!("{:.2} us", nanoseconds / 1e3)
}

#[cfg(test)]
mod tests {
    use super::{Conclusion, LevelOutcome, cost};
    use shakedown_reports::Validity;
    use shakedown_reports::resources::Usage;

    #[test]
    fn a_long_reason_is_told_in_lines_that_fit() {
        let validity = Validity::of(vec!["word ".repeat(50).trim_end().to_owned()]);
        let text = Conclusion { usage: None, validity }.to_string();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].starts_with("  INVALID       word word") && lines[1].starts_with("                word"),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.len() <= 100), "{text}");
        assert_eq!(text.matches("word").count(), 50);
    }

    #[test]
    fn what_cost_something_is_told() {
        let usage = Usage {
            messages: 1_000_000,
            generator_cpu_ns: 4_100_000_000,
            brokers_cpu_ns: 412_000_000,
            busiest_generator_thread_permille: 314,
            ..Usage::default()
        };
        let expected = "for each message: load generator 4.10 us, brokers 0.41 us; the generator's busiest thread at 31.4 % of a processor";
        assert_eq!(cost(&usage), expected);
        let nothing = Usage { generator_cpu_ns: 1, stolen_ns: 30_000_000, ..Usage::default() };
        let by_service = Usage { generator_cpu_ns: 0, ..usage };
        assert_eq!(cost(&by_service), "for each message: brokers 0.41 us");
        assert_eq!(cost(&nothing), "the generator's busiest thread at 0.0 % of a processor, 30 ms stolen");
        let conclusion = Conclusion { usage: None, validity: Validity::of(vec!["it was late".to_owned()]) };
        assert_eq!(conclusion.level(5, 5), LevelOutcome::Held);
        assert_eq!(conclusion.level(6, 5), LevelOutcome::Invalid);
        assert_eq!(Conclusion::default().level(6, 5), LevelOutcome::Broken);
        let expected = "  cpu           not known: this system does not say\n  INVALID       it was late\n";
        assert_eq!(conclusion.to_string(), expected);
    }
}
