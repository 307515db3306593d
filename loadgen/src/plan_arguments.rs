//! The part of `loadgen`'s command line that says how arrivals, keys and payloads differ from the usual.
//!
//! Owns the words and what is said about wrong ones. What they mean is for [`crate::arrivals`], [`crate::keys`] and
//! [`crate::payload`].

use crate::byte_sizes::ByteSizes;
use crate::duration_text;
use crate::keys::{HotSet, KeyDraw};
use crate::payload::PayloadPlan;
use crate::rate::Rate;
use crate::replay::{Recording, RecordingError, Speed};
use crate::schedule::{Arrivals, Bursts, Process, ScheduleError, Shape, Step};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// How arrivals, keys and payloads differ from the usual.
#[derive(Debug, Clone, Args)]
pub struct PlanArguments {
    /// Rate at the beginning: a ramp from there to --rate.
    #[arg(long, value_name = "RATE", conflicts_with_all = ["steps", "burst", "replay"])]
    pub from: Option<Rate>,
    /// Rates one after another, each with its time, as in "100/s:10s,500/s:5s", instead of --rate and --for.
    #[arg(long, value_name = "RATE:TIME,...", value_delimiter = ',', value_parser = parse_step,
          conflicts_with_all = ["rate", "duration", "burst", "replay"])]
    pub steps: Vec<Step>,
    /// Bursts over --rate, each with its length, and how far apart, as in "1000/s:500ms:5s"; the first begins after 5 s.
    #[arg(long, value_name = "RATE:LENGTH:EVERY", value_parser = parse_bursts, conflicts_with = "replay")]
    pub burst: Option<Bursts>,
    /// Offer as it came once before: a file with a nanosecond a line, or the directory of an earlier run.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["rate", "duration", "arrivals"])]
    pub replay: Option<PathBuf>,
    /// How fast to replay: 2 is twice as fast.
    #[arg(long, value_name = "FACTOR", default_value = "1", requires = "replay")]
    pub speed: Option<Speed>,
    /// Who is next: "uniform", "sequential", "zipf:EXPONENT", or "hot:KEYS:SHARE", as in "hot:10:0.8", where 10 keys have 80 %.
    #[arg(long, value_name = "DRAW", value_parser = parse_draw, conflicts_with = "zipf")]
    pub keys: Option<KeyDraw>,
    /// Raw payloads of so many bytes instead of orders: "200", "100..2000", "lognormal(MEDIAN, P99)", or sizes with weights as
    /// in "100:9, 10000:1". Each begins with 43 bytes that say which message it is.
    #[arg(long, value_name = "SIZES")]
    pub bytes: Option<ByteSizes>,
    /// How many times shorter a compressor makes raw payloads; without it they are random.
    #[arg(long, value_name = "RATIO", default_value_t = 1.0, requires = "bytes")]
    pub compression_ratio: f64,
}

/// Arguments that do not make a plan together.
#[derive(Debug, thiserror::Error)]
pub enum PlanArgumentsError {
    /// The recording cannot be replayed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The arrivals cannot be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl PlanArguments {
    /// The arrivals at this rate for so long, or what is said here instead.
    ///
    /// # Errors
    /// When a recording cannot be read, or steps make no arrivals.
    pub fn arrivals(&self, rate: Rate, duration: Duration, process: Process) -> Result<Arrivals, PlanArgumentsError> {
        if let Some(path) = &self.replay {
            return Ok(Arrivals::replay(Recording::read(path)?, self.speed.unwrap_or(Speed::RECORDED))?);
        }
        if !self.steps.is_empty() {
            return Ok(Arrivals::steps(self.steps.clone(), process)?);
        }
        let shape = match (self.from, self.burst, process) {
            (Some(from), _, process) => Shape::Ramp { from, process },
            (None, Some(bursts), process) => Shape::Burst { bursts, process },
            (None, None, Process::Even) => Shape::Constant,
            (None, None, Process::Poisson) => Shape::Poisson,
        };
        Ok(Arrivals { shape, rate, duration })
    }

    /// The payloads, if they are no orders.
    #[must_use]
    pub fn payload(&self) -> Option<PayloadPlan> {
        let bytes = self.bytes.clone()?;
        Some(PayloadPlan { bytes, compression_ratio: self.compression_ratio })
    }
}

/// A text of several parts that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no {what}: write {form}")]
struct PartsError {
    text: String,
    what: &'static str,
    form: &'static str,
}

fn parse_step(text: &str) -> Result<Step, PartsError> {
    let step = text.split_once(':').and_then(|(rate, duration)| {
        Some(Step { rate: rate.trim().parse().ok()?, duration: duration_text::parse(duration.trim()).ok()? })
    });
    step.ok_or_else(|| PartsError { text: text.to_owned(), what: "step", form: "RATE:TIME, as in \"100/s:10s\"" })
}

fn parse_bursts(text: &str) -> Result<Bursts, PartsError> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let bursts = match parts[..] {
        [rate, length, every] => rate.parse().ok().and_then(|rate| {
            let (duration, every) = (duration_text::parse(length).ok()?, duration_text::parse(every).ok()?);
            Some(Bursts { rate, every, duration })
        }),
        _ => None,
    };
    let form = "RATE:LENGTH:EVERY, as in \"1000/s:500ms:5s\"";
    bursts.ok_or_else(|| PartsError { text: text.to_owned(), what: "burst", form })
}

fn parse_draw(text: &str) -> Result<KeyDraw, PartsError> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let draw = match parts[..] {
        ["uniform"] => Some(KeyDraw::Uniform),
        ["sequential"] => Some(KeyDraw::Sequential),
        ["zipf", exponent] => exponent.parse().ok().map(KeyDraw::Zipf),
        ["hot", keys, share] => {
            keys.parse().ok().and_then(|keys| Some(KeyDraw::Hot(HotSet { keys, share: share.parse().ok()? })))
        }
        _ => None,
    };
    let form = "uniform, sequential, zipf:EXPONENT or hot:KEYS:SHARE, as in \"hot:10:0.8\"";
    draw.ok_or_else(|| PartsError { text: text.to_owned(), what: "draw of keys", form })
}
