//! `shakedown compare`: what is asked for, run or found, judged, and written.

use super::arguments::BackendArgument;
use super::compare_arguments::{CompareArguments, NOISE_FLOOR};
use super::output;
use super::run_command::{backend_of, complain};
use crate::compare::folder::ComparisonFolder;
use crate::compare::paired::{self, PairedOptions};
use crate::compare::plan::{ComparisonPlan, FORMAT_VERSION, SidePlan};
use crate::compare::render::{Format, write_all};
use crate::compare::{CompareError, stored};
use crate::exit::Exit;
use crate::run::options::OUTPUT;
use crate::runner::Runner;
use crate::scenario::settings::Override;
use shakedown_loadgen::{StopFlag, signals};
use shakedown_reports::compare::comparison::Settings;
use shakedown_reports::compare::{Comparison, Judgement, NoiseFloor, NoiseFloors, stored as stored_runs, text};
use shakedown_reports::utc;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Fewer pairs cannot promise 99 % of anything: all of n differences lie on one side with a probability of 2 / 2^n.
const FLOOR_PAIRS_LEAST: u16 = 8;

pub(super) fn run(arguments: &CompareArguments) -> Exit {
    let compared = if arguments.against.is_empty() { compare_scenarios(arguments) } else { compare_stored(arguments) };
    match compared {
        Ok(comparison) => conclude(&comparison, arguments),
        Err(exit) => exit,
    }
}

/// An error, told. It is never an exit code that could be taken for a verdict about B.
fn fail(error: &CompareError) -> Exit {
    eprintln!("error: {error}");
    if matches!(error, CompareError::Interrupted { .. }) { Exit::Inconclusive } else { Exit::Usage }
}

fn usage(text: &str) -> Exit {
    eprintln!("error: {text}");
    Exit::Usage
}

/// Writes the result where it was asked for.
fn conclude(comparison: &Comparison, arguments: &CompareArguments) -> Exit {
    let verdict = match (comparison.judgement, arguments.calibrate) {
        (Judgement::Invalid, _) => Exit::Inconclusive,
        // Whatever A against A came to, the floor is measured.
        (_, true) => Exit::Pass,
        (judgement, false) => match judgement.exit_code() {
            0 => Exit::Pass,
            1 => Exit::Fail,
            _ => Exit::Inconclusive,
        },
    };
    let text = match Format::from(arguments.format).render(comparison) {
        // What A is against A is no verdict about anything.
        Ok(text) if arguments.calibrate => text.replace(&text::last_line(comparison), &calibrated(comparison)),
        Ok(text) => text,
        Err(error) => return fail(&error),
    };
    let Some(file) = &arguments.output else {
        let printed = output::print(&text);
        return if printed == Exit::Pass { verdict } else { Exit::Usage };
    };
    if let Err(source) = std::fs::write(file, text) {
        return fail(&CompareError::Io { doing: "write", path: file.clone(), source });
    }
    tell(&format!("{}: {}", comparison.judgement.word(), file.display()));
    verdict
}

/// `noise floor: 2.1 % of p50, 8.4 % of p99`; why there is none, where the runs cannot be believed.
fn calibrated(comparison: &Comparison) -> String {
    match NoiseFloor::of(comparison).filter(|_| comparison.judgement != Judgement::Invalid) {
        Some(floor) => {
            let floors = floor.floors.iter().map(|(metric, share)| format!("{:.1} % of {metric}", share * 100.0));
            format!("noise floor: {}\n", floors.collect::<Vec<_>>().join(", "))
        }
        None => "no noise floor: INVALID\n".to_owned(),
    }
}

fn settings(arguments: &CompareArguments, labels: [String; 2]) -> Settings {
    let [a, b] = labels;
    // A tag that is given twice is one question, and pays for one.
    let mut tags: Vec<String> = Vec::new();
    for tag in &arguments.latencies {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    Settings { tags, margins: arguments.margins(), ..Settings::new(a, b) }
}

fn compare_stored(arguments: &CompareArguments) -> Result<Comparison, Exit> {
    let read = |folders: &[PathBuf]| stored::read(folders, arguments.warm_up).map_err(|error| fail(&error));
    let (a, b) = (read(&arguments.paths)?, read(&arguments.against)?);
    if let Some(twice) = stored::given_twice(a.iter().chain(&b)) {
        return Err(usage(&format!("{} is given twice: each run counts once, on one side", twice.display())));
    }
    let name = |folders: &[PathBuf]| file_name(&folders[0]);
    let labels = labels(
        arguments,
        [name(&arguments.paths), name(&arguments.against)],
        &arguments.paths[0],
        &arguments.against[0],
    );
    let mut settings = settings(arguments, labels);
    let mut note = None;
    if let Some((file, floors)) = noise_floors(arguments)? {
        let first = a.first().and_then(|run| run.info.as_ref());
        settings.noise_floor = first.and_then(|info| floors.of(info)).cloned();
        note = settings.noise_floor.is_none().then(|| floors.note(&file));
    }
    let mut comparison = stored_runs::compare(&a, &b, &settings, arguments.seed);
    comparison.notes.extend(note);
    Ok(comparison)
}

fn compare_scenarios(arguments: &CompareArguments) -> Result<Comparison, Exit> {
    if let Some(folder) = arguments.paths.iter().find(|path| path.is_dir()) {
        return Err(usage(&format!(
            "{} is a folder: runs are compared with --against, scenarios are files",
            folder.display()
        )));
    }
    if arguments.bootstrap.is_some() && arguments.backend != Some(BackendArgument::External) {
        return Err(usage("`--bootstrap` says where an external cluster is: write `--backend external` with it"));
    }
    if arguments.calibrate && arguments.pairs < FLOOR_PAIRS_LEAST {
        return Err(usage(&too_few_for_a_floor(arguments.pairs)));
    }
    let stop = StopFlag::new();
    let interrupted = || tell("\ninterrupted: the run that goes on ends in good order");
    if let Err(error) = signals::raise_on_signal(stop.clone(), interrupted) {
        return Err(usage(&format!("cannot handle signals: {error}")));
    }
    let plan = plan(arguments)?;
    let options = PairedOptions {
        pairs: usize::from(arguments.pairs),
        extend: extends(arguments),
        warm_up: arguments.warm_up,
        settings: settings(arguments, [plan.a.label.clone(), plan.b.label.clone()]),
        noise_floors: if arguments.calibrate { None } else { noise_floors(arguments)? },
    };
    let out = arguments.out.clone().unwrap_or_else(new_folder);
    let compare = || -> Result<Comparison, CompareError> {
        let folder = ComparisonFolder::open(&out, &plan)?;
        let comparison = paired::run(&plan, &folder, &options, &stop, &tell)?;
        write_all(&comparison, folder.path())?;
        Ok(comparison)
    };
    let comparison = compare().map_err(|error| fail(&error))?;
    if arguments.calibrate && comparison.judgement != Judgement::Invalid {
        keep_floor(&comparison, arguments)?;
    }
    tell(&format!("runs and reports: {}", out.display()));
    Ok(comparison)
}

/// Whether there may be a second look.
fn extends(arguments: &CompareArguments) -> bool {
    !arguments.no_extension && !arguments.calibrate
}

/// What is run against what. Scenarios are validated here, before the first run, unless another program is to read them.
fn plan(arguments: &CompareArguments) -> Result<ComparisonPlan, Exit> {
    let (first, second) = match arguments.paths.as_slice() {
        [one] => (one, one),
        [a, b] if !arguments.calibrate => (a, b),
        [..] if arguments.calibrate => return Err(usage("`--calibrate` runs one scenario against itself")),
        more => return Err(usage(&format!("one scenario or two are compared, and there are {}", more.len()))),
    };
    let (has_b, is_one) = (!arguments.b.is_empty() || arguments.b_program.is_some(), first == second);
    let has_a = !arguments.a.is_empty() || arguments.a_program.is_some();
    if arguments.calibrate && has_b {
        return Err(usage("`--calibrate` runs A against A: there is no B to set anything for"));
    }
    if is_one && !has_a && !has_b && !arguments.calibrate {
        return Err(usage(
            "both sides are the same: give a second scenario, or settings for one side by --a or --b, or --calibrate",
        ));
    }
    let names = if is_one { ["A".to_owned(), "B".to_owned()] } else { [file_name(first), file_name(second)] };
    let [label_a, label_b] = labels(arguments, names, first, second);
    let a = side(arguments, label_a, first, &arguments.a, arguments.a_program.as_deref())?;
    let b = if arguments.calibrate {
        SidePlan { label: format!("{} again", a.label), ..a.clone() }
    } else {
        side(arguments, label_b, second, &arguments.b, arguments.b_program.as_deref())?
    };
    let mut passed_on = Vec::new();
    if let Some(backend) = arguments.backend {
        passed_on.extend(["--backend".to_owned(), backend.name().to_owned()]);
    }
    if let Some(bootstrap) = &arguments.bootstrap {
        passed_on.extend(["--bootstrap".to_owned(), bootstrap.clone()]);
    }
    let (pairs, extend) = (arguments.pairs, extends(arguments));
    Ok(ComparisonPlan { format: FORMAT_VERSION, a, b, arguments: passed_on, seed: arguments.seed, pairs, extend })
}

fn side(
    arguments: &CompareArguments,
    label: String,
    scenario: &Path,
    settings: &[Override],
    program: Option<&Path>,
) -> Result<SidePlan, Exit> {
    if program.is_none() {
        let mut runner = Runner::new(scenario).settings(settings.iter().cloned());
        if let Some(backend) = arguments.backend {
            runner = backend_of(runner, backend, arguments.bootstrap.as_deref());
        }
        runner.plan().map_err(|error| {
            complain(&error);
            Exit::Usage
        })?;
    }
    let unreadable = |source| fail(&CompareError::Io { doing: "read", path: scenario.to_owned(), source });
    let program = match program {
        Some(program) => program.to_owned(),
        None => std::env::current_exe().map_err(|error| usage(&format!("cannot find this program itself: {error}")))?,
    };
    Ok(SidePlan {
        label,
        scenario: scenario.to_owned(),
        scenario_text: std::fs::read_to_string(scenario).map_err(unreadable)?,
        settings: settings.iter().map(Override::text).collect(),
        program_unix_ms: written_unix_ms(&program),
        program,
    })
}

/// When a file was written; 0 where nobody can say, as of a program that the system looks for by its name.
fn written_unix_ms(file: &Path) -> u64 {
    let written = std::fs::metadata(file).and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH);
    let since_epoch = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// What the sides are called: as was asked for; or these names, unless they are equal; or the paths.
fn labels(arguments: &CompareArguments, names: [String; 2], a: &Path, b: &Path) -> [String; 2] {
    let [name_a, name_b] =
        if names[0] == names[1] { [a.display().to_string(), b.display().to_string()] } else { names };
    [arguments.label_a.clone().unwrap_or(name_a), arguments.label_b.clone().unwrap_or(name_b)]
}

fn file_name(path: &Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The noise floors, if there are any, with the file they are from. One that was asked for has to be there.
fn noise_floors(arguments: &CompareArguments) -> Result<Option<(PathBuf, NoiseFloors)>, Exit> {
    let file = floor_file(arguments);
    let read = NoiseFloors::read(&file)
        .map_err(|source| fail(&CompareError::Io { doing: "read", path: file.clone(), source }))?;
    match read {
        Some(floors) => Ok(Some((file, floors))),
        None if arguments.noise_floor.is_some() => Err(fail(&CompareError::NoNoiseFloor { file })),
        None => Ok(None),
    }
}

fn floor_file(arguments: &CompareArguments) -> PathBuf {
    arguments.noise_floor.clone().unwrap_or_else(|| PathBuf::from(NOISE_FLOOR))
}

fn too_few_for_a_floor(pairs: u16) -> String {
    format!("--pairs {pairs} is too few for a noise floor: {FLOOR_PAIRS_LEAST} are the least")
}

fn keep_floor(comparison: &Comparison, arguments: &CompareArguments) -> Result<(), Exit> {
    let Some(floor) = NoiseFloor::of(comparison) else {
        return Err(usage("there is no noise floor in what was measured"));
    };
    let file = floor_file(arguments);
    let keep = || -> std::io::Result<()> {
        let mut floors = NoiseFloors::read(&file)?.unwrap_or_default();
        floors.keep(floor);
        floors.write(&file)
    };
    keep().map_err(|source| fail(&CompareError::Io { doing: "write", path: file.clone(), source }))?;
    tell(&format!("noise floor: {}", file.display()));
    Ok(())
}

/// A folder of its own for each comparison.
fn new_folder() -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = utc::compact(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    Path::new(OUTPUT).join("compare").join(time)
}

/// Progress goes to standard error; nobody has to listen.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
