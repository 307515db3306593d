//! Who offers loads, how each is found, and how each is told what to do.

use crate::BYTES;
use crate::c_peer;
use crate::figures::{self, Figures};
use crate::ours::Said;
use crate::server::{self, Server};
use shakedown_cluster::apache::Jars;
use shakedown_loadgen::Driver;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// What is to be offered.
pub(crate) struct Task {
    /// Messages a second; as fast as it goes without.
    pub(crate) rate: Option<u64>,
    pub(crate) messages: u64,
    /// After how long the broker stands still, and for how long.
    pub(crate) stall: Option<(Duration, Duration)>,
}

impl Task {
    /// Everybody's producers are, but for those whose broker stands still: while five requests of an idempotent producer are
    /// out, librdkafka's sender spins, and on two processors it keeps the broker that goes on from answering for up to 40 ms.
    fn is_idempotent(&self) -> bool {
        self.stall.is_none()
    }
}

/// Somebody who offers loads.
#[derive(Debug)]
pub(crate) enum Peer {
    /// With so many producers of this kind.
    Ours(Driver, u32),
    RdkafkaPerformance(PathBuf),
    ProducerPerformance(PathBuf),
    EndToEndLatency(PathBuf),
}

/// What was seen of a load: what its sender says, and when the broker stood still.
pub(crate) struct Seen {
    pub(crate) figures: Figures,
    pub(crate) stall: Option<(u64, u64)>,
    /// Of ours alone.
    pub(crate) said: Option<Said>,
}

impl Peer {
    /// Ours, and all others that this machine has. Prints what is missing for the rest.
    pub(crate) fn find() -> Vec<Self> {
        let mut found =
            vec![Self::Ours(Driver::Direct, 1), Self::Ours(Driver::Direct, 2), Self::Ours(Driver::Librdkafka, 1)];
        match c_peer::find() {
            Ok(program) => found.push(Self::RdkafkaPerformance(program)),
            Err(reason) => println!("no rdkafka_performance: {reason}; {} names one", c_peer::VARIABLE),
        }
        match Jars::find() {
            Ok(jars) => {
                found.push(Self::ProducerPerformance(jars.folder().to_owned()));
                found.push(Self::EndToEndLatency(jars.folder().to_owned()));
            }
            Err(error) => println!("no ProducerPerformance and no EndToEndLatency: {error}"),
        }
        found
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(Driver::Direct, 1) => "ours, direct",
            Self::Ours(Driver::Direct, _) => "ours, direct, 2 producers",
            Self::Ours(Driver::Librdkafka, _) => "ours, by librdkafka",
            Self::RdkafkaPerformance(_) => "rdkafka_performance",
            Self::ProducerPerformance(_) => "ProducerPerformance",
            Self::EndToEndLatency(_) => "EndToEndLatency",
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(..))
    }

    /// Whether it sends without waiting for what it has sent.
    pub(crate) fn has_full_speed(&self) -> bool {
        !matches!(self, Self::EndToEndLatency(_))
    }

    /// Whether it can be told a rate.
    pub(crate) fn keeps_rates(&self) -> bool {
        self.has_full_speed()
    }

    pub(crate) fn run(&self, server: &Server, task: &Task) -> Figures {
        assert!(task.stall.is_none(), "nobody would make the broker stand still");
        self.finish(self.start(server, task), task).0
    }

    /// As [`Self::run`], with a broker that stands still meanwhile.
    pub(crate) fn run_stalled(&self, server: &mut Server, task: &Task) -> Seen {
        let (after, span) = task.stall.expect("a stall");
        let running = self.start(server, task);
        thread::sleep(after);
        let stall = server.pause(span);
        let (figures, said) = self.finish(running, task);
        Seen { figures, stall: Some(stall), said }
    }

    fn start(&self, server: &Server, task: &Task) -> Running {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load-peers");
        std::fs::create_dir_all(&scratch).expect("a folder");
        let latencies =
            (matches!(self, Self::RdkafkaPerformance(_)) && task.rate.is_some()).then(|| scratch.join("latencies.txt"));
        let mut command = match self {
            Self::Ours(driver, producers) => ours(*driver, *producers, server, task, &scratch),
            Self::RdkafkaPerformance(program) => rdkafka_performance(program, server, task, latencies.as_deref()),
            Self::ProducerPerformance(jars) => producer_performance(jars, server, task),
            Self::EndToEndLatency(jars) => end_to_end(jars, server, task, &scratch),
        };
        let cpu = figures::cpu_of_children();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), cpu, latencies }
    }

    fn finish(&self, running: Running, task: &Task) -> (Figures, Option<Said>) {
        let Running { child, cpu, latencies } = running;
        let output = child.wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}{errors}", self.name());
        let cpu = figures::cpu_of_children() - cpu;
        let mut said = None;
        let mut figures = match self {
            Self::Ours(..) => {
                let ours: Said = serde_json::from_str(text.lines().last().expect("a line")).expect("what ours prints");
                let figures = ours.figures(task.rate.is_none());
                if task.stall.is_none() {
                    // A gigabyte in a minute: nobody looks at it again.
                    std::fs::remove_dir_all(&ours.directory).expect("its run directory");
                }
                said = Some(ours);
                figures
            }
            Self::RdkafkaPerformance(_) => {
                let latencies = latencies.map(|path| std::fs::read_to_string(path).expect("its latencies"));
                Figures::of_rdkafka_performance(&text, latencies.as_deref())
            }
            Self::ProducerPerformance(_) => Figures::of_producer_performance(&text),
            Self::EndToEndLatency(_) => Figures::of_end_to_end(&text),
        };
        figures.cpu_us = Some(cpu.as_secs_f64() * 1e6 / task.messages as f64);
        (figures, said)
    }
}

/// A process that offers.
struct Running {
    child: Child,
    /// Of all children before it.
    cpu: Duration,
    latencies: Option<PathBuf>,
}

fn ours(driver: Driver, producers: u32, server: &Server, task: &Task, scratch: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    // Full speed is a rate that nobody reaches; the plan's length is the number of messages all the same.
    let rate = task.rate.unwrap_or(task.messages * 10);
    let span_ms = task.messages * 1_000 / rate;
    command
        .args(["ours", "--bootstrap", &server.bootstrap, "--topic", server::TOPIC])
        .args(["--rate", &format!("{rate}/s"), "--for", &format!("{span_ms}ms")])
        .args([
            "--driver",
            driver.word(),
            "--bytes",
            &BYTES.to_string(),
            "--producers",
            &producers.to_string(),
            "--out",
        ])
        .arg(scratch);
    if !task.is_idempotent() {
        command.args(["--client", "enable.idempotence=false"]);
    }
    command
}

fn rdkafka_performance(program: &Path, server: &Server, task: &Task, latencies: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-P", "-q", "-t", server::TOPIC, "-b", &server.bootstrap, "-s", &BYTES.to_string(), "-a", "-1"])
        .args(["-c", &task.messages.to_string(), "-X", "linger.ms=5"])
        .args(["-X", &format!("enable.idempotence={}", task.is_idempotent())])
        .args(["-X", "queue.buffering.max.messages=262144"]);
    if let Some(rate) = task.rate {
        command.args(["-r", &rate.to_string()]);
    }
    if let Some(path) = latencies {
        command.args(["-l", "-A"]).arg(path);
    }
    command
}

fn java(jars: &Path, class: &str) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(jars.join("*")).arg(format!("org.apache.kafka.tools.{class}"));
    command
}

fn producer_performance(jars: &Path, server: &Server, task: &Task) -> Command {
    let mut command = java(jars, "ProducerPerformance");
    command
        .args(["--topic", server::TOPIC, "--num-records", &task.messages.to_string()])
        .args(["--record-size", &BYTES.to_string()])
        .args(["--throughput", &task.rate.map_or("-1".to_owned(), |rate| rate.to_string())])
        .args(["--producer-props", &format!("bootstrap.servers={}", server.bootstrap), "acks=all", "linger.ms=5"])
        .arg(format!("enable.idempotence={}", task.is_idempotent()));
    command
}

/// One message at a time: as many as take about as long as the others', at a millisecond each.
fn end_to_end(jars: &Path, server: &Server, task: &Task, scratch: &Path) -> Command {
    let mut command = java(jars, "EndToEndLatency");
    let span_ms = task.messages * 1_000 / task.rate.expect("it has no full speed");
    // Its own properties, because it has a linger of none anyway; the file has to be there.
    let properties = scratch.join("end-to-end.properties");
    std::fs::write(&properties, "").expect("a file");
    let numbers: [OsString; 3] = [span_ms.to_string().into(), "all".into(), BYTES.to_string().into()];
    command.arg(&server.bootstrap).arg(server::TOPIC).args(numbers).arg(properties);
    command
}
