//! When the load's messages are due: which keys each shape needs, and which have no effect.
//!
//! What the load generator cannot schedule is its own arithmetic's to say, and told where the whole load is checked.

use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::quantity::Frequency;
use crate::language::raw_arrivals::{ProcessChoice, RawArrivals, RawReplay, RawStep, ShapeChoice};
use crate::scenario::merge::Merged;
use shakedown_loadgen::{Arrivals, Bursts, Process, Rate, Recording, Shape, Speed, Step};
use std::path::Path;

/// The load's arrivals, if they can be said. A recording is looked for from this folder.
pub(super) fn arrivals(merged: &Merged, folder: &Path, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let raw = &merged.load.as_ref()?.value.arrivals;
    refuse_unused(&raw.value, problems);
    let process = match raw.value.process.as_ref().map(|process| process.value) {
        None | Some(ProcessChoice::Even) => Process::Even,
        Some(ProcessChoice::Poisson) => Process::Poisson,
    };
    match raw.value.shape.value {
        ShapeChoice::Steps => {
            let steps = needed(&raw.value.steps, ("steps", raw), "[{ rate = \"100/s\", for = \"10s\" }]", problems)?;
            self::steps(steps, process, problems)
        }
        ShapeChoice::Replay => {
            let replay = needed(&raw.value.replay, ("replay", raw), "{ from = \"arrivals.txt\" }", problems)?;
            self::replay(&replay.value, folder, problems)
        }
        shape => {
            let shape = self::shape(shape, process, raw, problems);
            let rate = needed(&raw.value.rate, ("rate", raw), "...", problems);
            let duration = needed(&raw.value.duration, ("for", raw), "...", problems);
            Some(Arrivals { shape: shape?, rate: self::rate(rate?.value)?, duration: duration?.value.0 })
        }
    }
}

/// The shape at one rate, or around it.
fn shape(
    shape: ShapeChoice,
    process: Process,
    raw: &Spanned<RawArrivals>,
    problems: &mut Problems<'_>,
) -> Option<Shape> {
    let RawArrivals { from, burst, .. } = &raw.value;
    match shape {
        ShapeChoice::Ramp => {
            let Some(from) = from else {
                let help = "add the rate at its beginning, such as `from = \"50/s\"`; `rate` is that at its end";
                let place = raw.value.shape.place;
                problems.add(place, "a ramp needs `load.arrivals.from`", "from which rate?", help);
                return None;
            };
            Some(Shape::Ramp { from: rate(from.value)?, process })
        }
        ShapeChoice::Burst => {
            let example = "{ rate = \"1000/s\", every = \"5s\", for = \"500ms\" }";
            let burst = &needed(burst, ("burst", raw), example, problems)?.value;
            let (every, duration) = (burst.every.value.0, burst.duration.value.0);
            Some(Shape::Burst { bursts: Bursts { rate: rate(burst.rate.value)?, every, duration }, process })
        }
        ShapeChoice::Poisson => Some(Shape::Poisson),
        ShapeChoice::Constant | ShapeChoice::Steps | ShapeChoice::Replay => Some(Shape::Constant),
    }
}

fn steps(raw: &Spanned<Vec<Spanned<RawStep>>>, process: Process, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let steps = raw.value.iter().map(|Spanned { value: step, .. }| {
        Some(Step { rate: rate(step.rate.value)?, duration: step.duration.value.0 })
    });
    match Arrivals::steps(steps.collect::<Option<_>>()?, process) {
        Ok(arrivals) => Some(arrivals),
        Err(error) => {
            let help = "write rates with the time that each holds, such as { rate = \"100/s\", for = \"10s\" }";
            problems.add(raw.place, error.to_string(), "cannot be offered", help);
            None
        }
    }
}

fn replay(raw: &RawReplay, folder: &Path, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let speed = raw.speed.as_ref().map_or(Speed::RECORDED, |speed| speed.value.0);
    let recording = Recording::read(&folder.join(&raw.from.value)).map_err(|error| error.to_string());
    let arrivals =
        recording.and_then(|recording| Arrivals::replay(recording, speed).map_err(|error| error.to_string()));
    match arrivals {
        Ok(arrivals) => Some(arrivals),
        Err(error) => {
            let help =
                "name a file with a nanosecond a line, or the directory of an earlier run, from this file's folder";
            problems.add(raw.from.place, error, "cannot be replayed", help);
            None
        }
    }
}

/// A rate as the load generator has it. The language takes none that does not exist.
fn rate(frequency: Frequency) -> Option<Rate> {
    Rate::new(frequency.messages, frequency.per).ok()
}

/// The value of a key without which the shape is none.
fn needed<'a, T>(
    value: &'a Option<Spanned<T>>,
    (key, table): (&str, &Spanned<RawArrivals>),
    example: &str,
    problems: &mut Problems<'_>,
) -> Option<&'a Spanned<T>> {
    if value.is_none() {
        let help = format!("add `{key} = {example}`");
        problems.add(table.place, format!("`load.arrivals` has no `{key}`"), "in this table", help);
    }
    value.as_ref()
}

/// Notes the keys that the shape has no use for.
fn refuse_unused(arrivals: &RawArrivals, problems: &mut Problems<'_>) {
    fn place<T>(value: &Option<Spanned<T>>) -> Option<Place> {
        value.as_ref().map(|value| value.place)
    }
    let RawArrivals { shape, rate, from, duration, steps, burst, replay, process } = arrivals;
    let used: &[&str] = match shape.value {
        ShapeChoice::Constant | ShapeChoice::Poisson => &["rate", "for"],
        ShapeChoice::Ramp => &["rate", "for", "from", "process"],
        ShapeChoice::Steps => &["steps", "process"],
        ShapeChoice::Burst => &["rate", "for", "burst", "process"],
        ShapeChoice::Replay => &["replay"],
    };
    let said = [
        ("rate", place(rate), "steps and recordings have their own rates"),
        ("from", place(from), "the rate stays as it is"),
        ("for", place(duration), "steps and recordings have their own time"),
        ("steps", place(steps), "this shape has none"),
        ("burst", place(burst), "this shape has none"),
        ("replay", place(replay), "this shape replays nothing"),
        ("process", place(process), "the shape says it all"),
    ];
    for (key, place, why) in said {
        if let Some(place) = place.filter(|_| !used.contains(&key)) {
            let help = match key {
                "from" => "leave it out, or write `shape = \"ramp\"`",
                "steps" => "leave it out, or write `shape = \"steps\"`",
                "burst" => "leave it out, or write `shape = \"burst\"`",
                "replay" => "leave it out, or write `shape = \"replay\"`",
                "process" => "leave it out; a steady rate has `shape = \"constant\"` or `shape = \"poisson\"`",
                _ => "leave it out",
            };
            problems.add(place, format!("`load.arrivals.{key}` has no effect: {why}"), "never used", help);
        }
    }
}
