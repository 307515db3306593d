//! The pairs: run, read, judged, and run on where noise hides the answer.

use super::error::CompareError;
use super::folder::ComparisonFolder;
use super::plan::ComparisonPlan;
use super::{reading, side};
use shakedown_loadgen::StopFlag;
use shakedown_reports::compare::comparison::Settings;
use shakedown_reports::compare::paired::{a_goes_first, compare, is_sound, may_set_aside};
use shakedown_reports::compare::{Comparison, Judgement, Metric, NoiseFloors, RunSample};
use std::path::PathBuf;
use std::time::Duration;

/// How pairs are run and judged.
#[derive(Debug, Clone)]
pub struct PairedOptions {
    /// How many pairs have to count.
    pub pairs: usize,
    /// Whether as many again are run where the first ones leave it open.
    pub extend: bool,
    /// What of each run's beginning is not looked at.
    pub warm_up: Duration,
    /// How it is judged. The looks are set here.
    pub settings: Settings,
    /// What the machine does by itself, with the file that it is from.
    pub noise_floors: Option<(PathBuf, NoiseFloors)>,
}

/// Runs pairs until the question is answered, or is not going to be.
///
/// # Errors
/// When a run comes to no verdict, or somebody interrupts.
pub fn run(
    plan: &ComparisonPlan,
    folder: &ComparisonFolder,
    options: &PairedOptions,
    stop: &StopFlag,
    tell: &dyn Fn(&str),
) -> Result<Comparison, CompareError> {
    let mut settings = options.settings.clone();
    settings.looks = if options.extend { 2 } else { 1 };
    let mut runs = Runs { plan, folder, options, stop, tell, pairs: Vec::new() };
    runs.until(options.pairs)?;
    let mut note = None;
    if let Some((file, floors)) = &options.noise_floors {
        let first = runs.pairs.first().and_then(|(a, _)| a.info.as_ref());
        settings.noise_floor = first.and_then(|info| floors.of(info)).cloned();
        note = settings.noise_floor.is_none().then(|| floors.note(file));
    }
    let mut comparison = compare(&runs.pairs, &settings);
    if options.extend && comparison.judgement == Judgement::TooNoisy {
        tell(&format!("too noisy after {} pairs: as many again", comparison.pairs));
        runs.until(2 * options.pairs)?;
        comparison = compare(&runs.pairs, &settings);
    }
    comparison.notes.extend(note);
    Ok(comparison)
}

/// The pairs so far.
struct Runs<'a> {
    plan: &'a ComparisonPlan,
    folder: &'a ComparisonFolder,
    options: &'a PairedOptions,
    stop: &'a StopFlag,
    tell: &'a dyn Fn(&str),
    pairs: Vec<(RunSample, RunSample)>,
}

impl Runs<'_> {
    /// Goes on until so many pairs count, or too many do not.
    fn until(&mut self, wanted: usize) -> Result<(), CompareError> {
        loop {
            let sound = self.pairs.iter().filter(|pair| is_sound(pair)).count();
            let aside = self.pairs.len() - sound;
            if sound >= wanted || !may_set_aside(wanted + aside, aside) {
                return Ok(());
            }
            if self.stop.is_stopped() {
                return Err(CompareError::Interrupted { folder: self.folder.path().to_owned() });
            }
            let pair = self.run_pair(self.pairs.len() + 1)?;
            self.report(&pair, sound, wanted);
            self.pairs.push(pair);
        }
    }

    fn run_pair(&self, pair: usize) -> Result<(RunSample, RunSample), CompareError> {
        let a_first = a_goes_first(self.plan.seed, pair as u64);
        let run = |is_a| side::run(self.folder, self.plan, pair, is_a, self.stop);
        let (first, second) = (run(a_first)?, run(!a_first)?);
        let (a, b) = if a_first { (first, second) } else { (second, first) };
        let read = |run: PathBuf| reading::read(&run, self.options.warm_up);
        Ok((read(a)?, read(b)?))
    }

    fn report(&self, pair: &(RunSample, RunSample), sound: usize, wanted: usize) {
        let (a, b) = pair;
        if let Some(objection) = a.objections.iter().chain(&b.objections).next() {
            (self.tell)(&format!("pair set aside: {objection}"));
            return;
        }
        let changes = Metric::of(&self.options.settings.tags).into_iter().filter_map(|metric| {
            let change = b.figure(&metric)? / a.figure(&metric)? - 1.0;
            Some(format!("  {metric} {:+.1} %", change * 100.0))
        });
        (self.tell)(&format!("pair {} of {wanted}:{}", sound + 1, changes.collect::<String>()));
    }
}
