//! Latency against rate as a picture: `curve.svg` beside `ceiling.json`.
//!
//! Both axes are logarithmic: the ramp doubles, and latency rises by powers of ten where a queue fills. Points are single
//! trials; the lines are their medians at each rate.

use super::state::State;
use super::{Outcome, TrialResult, Verdict};
use plotters::prelude::*;
use shakedown_reports::numbers::{duration, grouped};
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "curve.svg";

const SIZE: (u32, u32) = (900, 520);
const BACKGROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(51, 65, 85);
const GRID: RGBColor = RGBColor(226, 232, 240);
const P99: RGBColor = RGBColor(29, 78, 216);
const P50: RGBColor = RGBColor(96, 165, 250);
const PASS: RGBColor = RGBColor(21, 128, 61);
const FAIL: RGBColor = RGBColor(190, 18, 60);
const LIMITED: RGBColor = RGBColor(180, 83, 9);

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// It could not be drawn.
    #[error("cannot draw {FILE}: {0}")]
    Draw(String),
    /// It could not be written.
    #[error("cannot write {FILE}: {0}")]
    Write(#[from] std::io::Error),
}

/// Draws the picture into the search's folder. Without a trial there is none.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn write(folder: &Path, subject: &str, state: &State) -> Result<(), CurveError> {
    if state.trials.is_empty() {
        return Ok(());
    }
    Ok(std::fs::write(folder.join(FILE), draw(subject, state)?)?)
}

/// The picture, as SVG.
///
/// # Errors
/// When it cannot be drawn.
pub fn draw(subject: &str, state: &State) -> Result<String, CurveError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        chart(&area, subject, state).map_err(|error| CurveError::Draw(error.to_string()))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn chart(area: &Area<'_>, subject: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
    let trials = &state.trials;
    let limit_ms = state.settings.service_level.p99.as_secs_f64() * 1e3;
    let rates = trials.iter().map(|it| it.trial.rate as f64);
    let (slowest, fastest) = rates.fold((f64::MAX, 1.0_f64), |(low, high), rate| (low.min(rate), high.max(rate)));
    let latencies = trials.iter().flat_map(|it| [ms(it.measured.p50_ns), ms(it.measured.p99_ns)]).chain([limit_ms]);
    let (least, most) = latencies.fold((f64::MAX, 0.0_f64), |(low, high), it| (low.min(it), high.max(it)));

    area.fill(&BACKGROUND)?;
    let title = format!("{subject}: latency against rate, {}", conclusion(state));
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .caption(title, ("sans-serif", 17).into_font().color(&INK))
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (slowest / 1.15..fastest * 1.15).log_scale(),
            (least.max(0.001) / 1.5..most * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(GRID.mix(0.4))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_desc("messages a second")
        .y_desc("from intended to acknowledged")
        .x_label_formatter(&|rate| grouped(whole(*rate)))
        .y_label_formatter(&|it| duration(whole(it * 1e6)))
        .draw()?;
    let level = [(slowest / 1.15, limit_ms), (fastest * 1.15, limit_ms)];
    chart
        .draw_series(LineSeries::new(level, FAIL.stroke_width(1)))?
        .label(state.settings.service_level.to_string())
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], FAIL));
    type Pick = fn(&TrialResult) -> u64;
    let lines: [(&str, RGBColor, Pick); 2] =
        [("p99", P99, |it| it.measured.p99_ns), ("p50", P50, |it| it.measured.p50_ns)];
    for (name, colour, pick) in lines {
        chart
            .draw_series(LineSeries::new(medians(trials, pick), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    for (name, colour, is) in groups() {
        let points: Vec<_> = trials.iter().filter(|it| is(&it.verdict)).collect();
        if points.is_empty() {
            continue;
        }
        let circles =
            points.iter().map(|it| Circle::new((it.trial.rate as f64, ms(it.measured.p99_ns)), 4, colour.filled()));
        chart.draw_series(circles)?.label(name).legend(move |(x, y)| Circle::new((x + 9, y), 4, colour.filled()));
    }
    if let Some(rate) = ceiling(state) {
        let line = [(rate, least.max(0.001) / 1.5), (rate, most * 1.5)];
        chart.draw_series(DashedLineSeries::new(line, 6, 4, INK.stroke_width(1)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(BACKGROUND.mix(0.9))
        .border_style(GRID)
        .label_font(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    area.present()?;
    Ok(())
}

type IsOf = fn(&Verdict) -> bool;

fn groups() -> [(&'static str, RGBColor, IsOf); 3] {
    [
        ("passed", PASS, |verdict| verdict.is_pass()),
        ("failed", FAIL, |verdict| matches!(verdict, Verdict::Fail { .. })),
        ("generator-limited", LIMITED, |verdict| matches!(verdict, Verdict::GeneratorLimited { .. })),
    ]
}

fn medians(trials: &[TrialResult], pick: fn(&TrialResult) -> u64) -> Vec<(f64, f64)> {
    let mut by_rate: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for trial in trials {
        by_rate.entry(trial.trial.rate).or_default().push(pick(trial));
    }
    let middle = |(rate, mut values): (u64, Vec<u64>)| {
        values.sort_unstable();
        (rate as f64, ms(values[values.len() / 2]))
    };
    by_rate.into_iter().map(middle).collect()
}

fn ceiling(state: &State) -> Option<f64> {
    match state.outcome.as_ref()? {
        Outcome::Found { rate, .. } => Some(*rate as f64),
        Outcome::Unstable { around: Some((median, ..)), .. } => Some(*median as f64),
        Outcome::GeneratorLimited { .. } | Outcome::Unstable { .. } | Outcome::Nothing { .. } => None,
    }
}

fn conclusion(state: &State) -> String {
    match &state.outcome {
        None => "not finished".to_owned(),
        Some(Outcome::Found { rate, .. }) => format!("ceiling {}/s", grouped(*rate)),
        Some(Outcome::GeneratorLimited { at_least }) => {
            format!("ceiling at least {}/s, limited by the generator", grouped(*at_least))
        }
        Some(Outcome::Unstable { .. }) => "UNSTABLE".to_owned(),
        Some(Outcome::Nothing { .. }) => "no ceiling".to_owned(),
    }
}

fn ms(nanoseconds: u64) -> f64 {
    nanoseconds.max(1_000) as f64 / 1e6
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a label of an axis")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
