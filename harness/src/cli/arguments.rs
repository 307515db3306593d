//! What may be typed.

use super::ceiling_arguments::CeilingArguments;
use super::compare_arguments::CompareArguments;
use super::dlq_arguments::DlqArguments;
use crate::language::size;
use crate::run::options::OUTPUT;
use crate::scenario::settings::Override;
use clap::{Args, Parser, Subcommand, ValueEnum};
use shakedown_loadgen::MetricsAddress;
use shakedown_loadgen::cli::LoadArguments;
use shakedown_loadgen::shards::merge::MergeArguments;
use shakedown_loadgen::stop::STOPPED_PATIENCE;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes:
  0  pass: everything that was expected holds
  1  fail: something that was expected does not hold
  2  a bad scenario, or wrong usage
  3  inconclusive: nothing was compared, the drain did not finish, the run was interrupted
  4  the harness itself, or what it needs, broke";

/// Boots Kafka, launches your services, drives load and faults, and proves what survived.
#[derive(Debug, Parser)]
#[command(name = "shakedown", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios and judge them
    Run(RunArguments),
    /// Judge a run directory again
    Check(CheckArguments),
    /// Show a run directory again, as text, page, document or results of tests
    Report(ReportArguments),
    /// Say whether one version is slower than another
    ///
    /// Runs both in pairs, in an order that is drawn within each pair, and judges the differences of p50, p99 and
    /// processor time for each message. Or compares runs that are there already.
    Compare(CompareArguments),
    /// Print the JSON Schema of scenario files
    ///
    /// Editors complete and validate by it: put `#:schema path/to/schema.json` into the first line of a scenario.
    Schema,
    /// Run a cluster until it is told to stop
    ///
    /// Prints one line of JSON with its addresses, and ends on SIGTERM, on Ctrl-C, or when the pipe at its standard
    /// input closes, so that it never outlives the program that started it.
    Cluster(ClusterArguments),
    /// Run one of the built-in services
    ///
    /// Configured by environment variables, as in production: KAFKA_BOOTSTRAP_SERVERS, HTTP_ADDR, DATABASE_URL, ...
    Service(ServiceArguments),
    /// Offer load to any Kafka, open-loop
    Load(Box<LoadArguments>),
    /// Make one run directory of those of a load's shards
    ///
    /// Every operation and delivery is there, and histograms are those of the union, second by second.
    Merge(MergeArguments),
    /// Find the highest rate that holds a service level
    ///
    /// Doubles the rate until it does not hold, narrows that down to 3 %, confirms both ends, and does so several times.
    Ceiling(CeilingArguments),
    /// Look at dead letters, and play them again
    Dlq(DlqArguments),
    /// Say what this machine has for `--backend apache` and for tests, and how to get the rest
    Doctor(DoctorArguments),
}

/// What `run` says below its options.
fn run_notes() -> String {
    let seconds = STOPPED_PATIENCE.as_secs();
    format!(
        "{EXIT_CODES}

Interrupts:
  The first Ctrl-C (or SIGTERM) ends the run in good order: acknowledgements are waited for {seconds} s at most,
  services stop, and the report tells what was seen until then, as inconclusive (3).
  The second ends at once, without a report, with exit code 130."
    )
}

/// `shakedown run`.
#[derive(Debug, Args)]
#[command(after_help = run_notes())]
pub struct RunArguments {
    /// Scenario files, or folders of them; all are validated before the first one runs
    ///
    /// A folder is every file beneath it that ends in .toml, in the order of names, but for those in folders called `systems`.
    /// Several run one after another, and a table at the end tells what each came to.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Draw everything from this seed instead of the scenarios'
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=9_223_372_036_854_775_807))]
    pub seed: Option<u64>,
    /// A setting laid over the scenario, as in load.arrivals.rate=500/s; may be repeated
    ///
    /// The key is what leads to the value in the file, with dots between; an entry of a list is its number from 0, as in
    /// fault.0.at=2s. The value is TOML, or else text. The system's settings are changed by the same keys.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    pub settings: Vec<Override>,
    /// What plays the cluster, instead of what the scenario says
    #[arg(long, value_enum)]
    pub backend: Option<BackendArgument>,
    /// The servers of the external cluster, with commas between them
    #[arg(long, value_name = "HOST:PORT,...", required_if_eq("backend", "external"), requires = "backend", value_parser = servers)]
    pub bootstrap: Option<String>,
    /// Listen on the ports that the system is known by: brokers from 9092, services as their system says; for one scenario
    #[arg(long)]
    pub fixed_ports: bool,
    /// Keep everything up after the report until Ctrl-C, and the services' stores after that; for one scenario
    #[arg(long)]
    pub keep: bool,
    /// Serve metrics for Prometheus here while scenarios run, at /metrics; a port alone is for this machine only
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_addr: Option<MetricsAddress>,
    /// Where run directories go: each run has a folder of its own there, named after its scenario and its time
    #[arg(long, value_name = "FOLDER", default_value = OUTPUT)]
    pub out: PathBuf,
}

/// `--backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendArgument {
    /// Shakedown's own brokers, in this process
    Embedded,
    /// Apache Kafka itself, as JVM processes; `shakedown doctor` says what that needs
    Apache,
    /// A cluster that runs already: `--bootstrap` says where. Nothing is done to its brokers; topics are made if missing,
    /// and those go with the run
    External,
}

impl BackendArgument {
    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Apache => "apache",
            Self::External => "external",
        }
    }
}

pub(super) fn servers(text: &str) -> Result<String, String> {
    let is_server = |server: &str| {
        server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if text.split(',').map(str::trim).all(is_server) {
        return Ok(text.to_owned());
    }
    Err("write HOST:PORT, such as 127.0.0.1:9092; more of them with commas between".to_owned())
}

/// `shakedown check`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CheckArguments {
    /// A run directory, named after the scenario's name and the run's time, such as
    /// target/shakedown/every-order-is-tracked/20261121T120314
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

/// `shakedown report`.
#[derive(Debug, Args)]
#[command(
    after_help = "What was judged is not judged again: `shakedown check` does that. A run that was killed is judged by what it left.

Exit codes:
  0  it was rendered, whatever its verdict
  2  no run directory, or wrong usage
  4  the record is damaged, or the output cannot be written"
)]
pub struct ReportArguments {
    /// A run directory, as for `shakedown check`
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// What it becomes
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Where it goes, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// What `shakedown run` prints
    Text,
    /// A page that needs nothing else: what `report.html` of the run directory is
    Html,
    /// A document for programs; docs/report.md describes it
    Json,
    /// Results of tests in JUnit's XML, a test case for each finding
    Junit,
}

/// `shakedown cluster`.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// How many brokers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    pub brokers: u32,
    /// How many dedicated controllers; without any, every broker is a controller, too
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=7))]
    pub controllers: u32,
    /// The first broker's port, with the others behind it; free ports without it
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How much of the log is kept in memory, such as 64MiB; the rest goes to a temporary file
    #[arg(long, value_name = "SIZE", value_parser = size::from_argument)]
    pub memory: Option<u64>,
    /// Keep everything in files under this folder, and find what an earlier cluster has left there
    #[arg(long, value_name = "FOLDER", conflicts_with = "memory")]
    pub data_dir: Option<PathBuf>,
    /// Kafka's broker configuration, such as num.partitions=3; may be repeated
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = property)]
    pub config: Vec<(String, String)>,
    /// Serves faults over HTTP here, such as 127.0.0.1:0 for a free port; GET /openapi.json describes them
    #[arg(long, value_name = "HOST:PORT")]
    pub control: Option<std::net::SocketAddr>,
}

pub(super) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as num.partitions=3".to_owned()),
    }
}

/// `shakedown doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:
  0  what is required is there
  4  something required is missing")]
pub struct DoctorArguments {
    /// Get Apache Kafka's jars by Maven into the user's cache folder
    #[arg(long)]
    pub fetch: bool,
}

/// `shakedown service`.
#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// Which one
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(shakedown_services::NAMES))]
    #[arg(required_unless_present = "is_ready")]
    pub name: Option<String>,
    /// Ask the one that runs already, at HTTP_ADDR, whether it is ready, and end with 0 if it is: a health check
    #[arg(long, conflicts_with = "name")]
    pub is_ready: bool,
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        let mut help = String::new();
        for mut command in [Arguments::command()].into_iter().chain(Arguments::command().get_subcommands().cloned()) {
            help.push_str(&format!("## {}\n\n{}\n", command.get_name().to_owned(), command.render_long_help()));
        }
        insta::assert_snapshot!(help);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            vec!["shakedown", "run"],
            vec!["shakedown", "service", "trakcer"],
            vec!["shakedown", "service"],
            vec!["shakedown", "cluster", "--brokers", "0"],
            vec!["shakedown", "cluster", "--config", "nonsense"],
            vec!["shakedown", "run", "--backend", "compose", "x.toml"],
            vec!["shakedown", "run", "--backend", "external", "x.toml"],
            vec!["shakedown", "run", "--backend", "external", "--bootstrap", "localhost", "x.toml"],
            vec!["shakedown", "run", "--bootstrap", "localhost:9092", "x.toml"],
            vec!["shakedown", "report"],
            vec!["shakedown", "report", "runs/x", "--format", "pdf"],
            vec!["shakedown", "run", "--set", "rate", "x.toml"],
            vec!["shakedown", "compare"],
            vec!["shakedown", "compare", "--pairs", "1", "a.toml", "b.toml"],
            vec!["shakedown", "compare", "--margin", "p95=3%", "a.toml", "b.toml"],
            vec!["shakedown", "compare", "--margin", "p99=-3%", "a.toml", "b.toml"],
            vec!["shakedown", "compare", "--b", "rate", "a.toml"],
            vec!["shakedown", "compare", "--calibrate", "--against", "runs", "more"],
            vec!["shakedown", "doctor", "--fix"],
            vec!["shakedown", "ceiling"],
            vec!["shakedown", "ceiling", "x.toml", "--slo", "p99=fast"],
            vec!["shakedown", "ceiling", "x.toml", "--slo", "p50=20ms"],
            vec!["shakedown", "ceiling", "x.toml", "--topic", "orders", "--bootstrap", "localhost:9092"],
            vec!["shakedown", "ceiling", "--topic", "orders"],
            vec!["shakedown", "ceiling", "--resume", "x", "--quick"],
            vec!["shakedown", "ceiling", "x.toml", "--backend", "external"],
            vec!["shakedown", "ceiling", "x.toml", "--replicates", "0"],
            vec!["shakedown", "dlq"],
            vec!["shakedown", "dlq", "list"],
            vec!["shakedown", "dlq", "show", "--bootstrap", "localhost:9092"],
            vec!["shakedown", "dlq", "replay", "--bootstrap", "localhost:9092", "--topic", "orders.dlq"],
            vec!["shakedown", "dlq", "replay", "--bootstrap", "x:1", "--topic", "a.dlq", "--all", "--offset", "1"],
            vec!["shakedown", "dlq", "replay", "--bootstrap", "x:1", "--topic", "a.dlq", "--offset", "-1"],
        ] {
            let error = Arguments::try_parse_from(&line).expect_err("refused");
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
