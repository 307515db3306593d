//! `shakedown run PATH...`: one run after another, a report behind each, and a table behind several.

use super::arguments::{BackendArgument, RunArguments};
use super::doing::Doing;
use super::output;
use super::progress::{KEPT, Progress};
use super::scenario_files;
use crate::backend::{Apache, Embedded, External};
use crate::exit::Exit;
use crate::run::error::RunError;
use crate::runner::Runner;
use shakedown_loadgen::stop::STOPPED_PATIENCE;
use shakedown_loadgen::{Live, MetricsServer, StopFlag, signals};
use shakedown_reports::text::{self, RunEnd, RunLine};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn run(arguments: &RunArguments) -> Exit {
    let (interrupt, doing) = (StopFlag::new(), Doing::default());
    let interrupted = doing.clone();
    if let Err(error) = signals::raise_on_signal(interrupt.clone(), move || tell_interrupted(&interrupted)) {
        eprintln!("error: cannot handle signals: {error}");
        return Exit::Broken;
    }
    if arguments.bootstrap.is_some() && arguments.backend != Some(BackendArgument::External) {
        eprintln!("error: `--bootstrap` says where an external cluster is: write `--backend external` with it");
        return Exit::Usage;
    }
    let files = match scenario_files::find(&arguments.paths) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Usage;
        }
    };
    let for_one = [("--fixed-ports", arguments.fixed_ports), ("--keep", arguments.keep)];
    if let Some((flag, _)) = for_one.iter().find(|(_, given)| *given && files.len() > 1) {
        eprintln!("error: `{flag}` is for one scenario, and there are {}", files.len());
        return Exit::Usage;
    }
    let live = Live::default();
    let runner = |file| runner(file, arguments, &interrupt).live(live.clone());
    let runners: Vec<(&Path, Runner)> = files.iter().map(|file| (file.as_path(), runner(file))).collect();
    let mut exit = Exit::Pass;
    for (_, runner) in &runners {
        if let Err(error) = runner.plan() {
            exit = exit.worst(complain(&error));
        }
    }
    if exit != Exit::Pass {
        return exit;
    }
    // It serves for as long as scenarios run, one after another.
    let _server = match arguments.metrics_addr.map(|address| MetricsServer::start(address, live)).transpose() {
        Ok(server) => server.inspect(|server| eprintln!("metrics at http://{}/metrics", server.address())),
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Broken;
        }
    };
    run_all(&runners, &interrupt, &doing)
}

/// Says at once that the interrupt was heard, what comes now, and how not to wait for it.
fn tell_interrupted(doing: &Doing) {
    let (doing, seconds) = (doing.text(), STOPPED_PATIENCE.as_secs());
    if doing == KEPT {
        // Whoever has closed standard error does not want to know.
        let _ = writeln!(std::io::stderr(), "\nending: services stop, and the cluster behind them");
        return;
    }
    let doing = if doing.is_empty() { "nothing had begun".to_owned() } else { doing };
    let text = format!(
        "\ninterrupted: {doing}\n\
         ending in good order: {seconds} s at most for acknowledgements, then services stop, and the report follows\n\
         interrupt once more to end at once, without a report"
    );
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs one after another until somebody interrupts, and tells behind them what each came to.
fn run_all(runners: &[(&Path, Runner)], interrupt: &StopFlag, doing: &Doing) -> Exit {
    let mut exit = Exit::Pass;
    let mut lines = Vec::new();
    for (file, runner) in runners {
        let began = Instant::now();
        let (end, warnings, ended) = if interrupt.is_stopped() {
            (RunEnd::NotRun, 0, Exit::Inconclusive)
        } else {
            if !lines.is_empty() {
                exit = exit.worst(output::print("\n"));
            }
            run_one(file, runner, doing)
        };
        exit = exit.worst(ended);
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        lines.push(RunLine { file: (*file).to_owned(), end, warnings, elapsed_ms });
    }
    if lines.len() > 1 {
        let table = text::roundup(&lines, std::io::stdout().is_terminal());
        exit = exit.worst(output::print(&format!("\n{table}")));
    }
    exit
}

fn runner(file: &Path, arguments: &RunArguments, interrupt: &StopFlag) -> Runner {
    let mut runner = Runner::new(file)
        .output(&arguments.out)
        .fixed_ports(arguments.fixed_ports)
        .keep(arguments.keep)
        .settings(arguments.settings.iter().cloned())
        .interrupt(interrupt.clone());
    if let Some(seed) = arguments.seed {
        runner = runner.seed(seed);
    }
    if let Some(backend) = arguments.backend {
        runner = backend_of(runner, backend, arguments.bootstrap.as_deref());
    }
    // The tool is its own service launcher.
    match std::env::current_exe() {
        Ok(executable) => runner.executable(executable),
        Err(_) => runner,
    }
}

/// The runner with the back end of the command line.
pub(super) fn backend_of(runner: Runner, backend: BackendArgument, bootstrap: Option<&str>) -> Runner {
    match (backend, bootstrap) {
        (BackendArgument::Embedded, _) => runner.backend(Embedded),
        (BackendArgument::Apache, _) => runner.backend(Apache),
        (BackendArgument::External, Some(bootstrap)) => runner.backend(External::new(bootstrap)),
        // Without `--bootstrap` there is no `external`.
        (BackendArgument::External, None) => runner,
    }
}

/// Runs it and prints its report; what became of it, for people and for whoever called.
fn run_one(file: &Path, runner: &Runner, doing: &Doing) -> (RunEnd, usize, Exit) {
    let progress = Arc::new(Progress::new(&file.display().to_string(), doing));
    let result = runner.clone().observer(Arc::<Progress>::clone(&progress)).run();
    progress.clear();
    match result {
        Ok(report) => {
            let print = || output::print(&report.text(std::io::stdout().is_terminal()));
            let printed = progress.printed().unwrap_or_else(print);
            (RunEnd::Judged(report.verdict().clone()), report.warnings(), report.exit().worst(printed))
        }
        Err(error) => (RunEnd::BrokeOff, 0, complain(&error)),
    }
}

/// Prints the error; what it means for the exit code.
pub(super) fn complain(error: &RunError) -> Exit {
    match error.cause() {
        RunError::Scenario(problem) => {
            eprint!("{}", problem.render(std::io::stderr().is_terminal()));
            Exit::Usage
        }
        RunError::UnknownService { .. } | RunError::Plan(_) | RunError::Setting(_) => {
            eprintln!("error: {error}");
            Exit::Usage
        }
        _ => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}
