//! `run.json`: what a run was, before it saw anything. Enough to judge and render it again on another machine.

use crate::expectation::Expectations;
use crate::record::{Flow, Share, StreamInfo};
use crate::watch::Watch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of the run directory's format that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that is fixed when a run starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// The scenario's name, as people write it.
    pub scenario: String,
    /// The path by which the scenario was given, for the command that runs it again; empty where there is none.
    pub scenario_file: String,
    /// What has to be typed beside that path and the seed for the same run, such as `--out` with its folder.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The scenario's text, so that the run explains itself after the file has changed.
    pub scenario_text: String,
    /// The seed of the plan.
    pub seed: u64,
    /// The digest of the plan: equal digests offered equal load.
    pub plan_digest: String,
    /// `embedded`, `apache`, `compose` or `external`.
    pub backend: String,
    /// Versions by name: `shakedown`, `librdkafka`, ...
    pub versions: BTreeMap<String, String>,
    /// Where it ran.
    pub environment: Environment,
    /// The streams; their place is their [`crate::record::StreamId`].
    pub streams: Vec<StreamInfo>,
    /// The hops that messages must survive.
    pub flows: Vec<Flow>,
    /// The part of the load that each flow carries, by the flow's place; nothing, or a flow that is not here, is all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Option<Share>>,
    /// What is watched beside the messages; their place is their [`crate::watch::WatchId`].
    #[serde(default)]
    pub watches: Vec<Watch>,
    /// What must hold.
    pub expectations: Expectations,
    /// What stands before the number of a planned key: `user-` for `user-17`.
    pub key_prefix: String,
    /// When the run started, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
}

impl RunInfo {
    /// A run of this scenario that starts now, on this machine, with everything else empty.
    #[must_use]
    pub fn new(scenario: &str, seed: u64) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            format: FORMAT_VERSION,
            scenario: scenario.to_owned(),
            scenario_file: String::new(),
            arguments: Vec::new(),
            scenario_text: String::new(),
            seed,
            plan_digest: String::new(),
            backend: "embedded".to_owned(),
            versions: BTreeMap::new(),
            environment: Environment::detect(),
            streams: Vec::new(),
            flows: Vec::new(),
            shares: Vec::new(),
            watches: Vec::new(),
            expectations: Expectations::default(),
            key_prefix: "user-".to_owned(),
            started_unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The machine, as far as results depend on it. Runs on different ones are not comparable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// `linux`, `macos`, ...
    pub os: String,
    /// `x86_64`, `aarch64`, ...
    pub arch: String,
    /// How many threads can run at once.
    pub cores: u64,
    /// Main memory, 0 where the system does not say.
    pub memory_bytes: u64,
    /// The processor's model, empty where the system does not say.
    #[serde(default)]
    pub processor: String,
    /// How the harness, and the embedded brokers with it, were built: `release` or `debug`.
    #[serde(default)]
    pub build: String,
}

impl Environment {
    /// The machine that this process runs on.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            memory_bytes: std::fs::read_to_string("/proc/meminfo").map_or(0, |text| total_memory_bytes(&text)),
            processor: std::fs::read_to_string("/proc/cpuinfo").map_or_else(|_| String::new(), |text| processor(&text)),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

/// The model of Linux's `/proc/cpuinfo`: `model name` on x86; ARM gives numbers alone, of the implementer and the part.
fn processor(cpuinfo: &str) -> String {
    let value = |wanted: &str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    match (value("model name"), value("CPU implementer"), value("CPU part")) {
        (Some(model), _, _) => model.to_owned(),
        (None, Some(implementer), Some(part)) => format!("implementer {implementer}, part {part}"),
        _ => String::new(),
    }
}

/// `MemTotal` of Linux's `/proc/meminfo`, which counts in KiB.
fn total_memory_bytes(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_total_and_not_from_what_is_free() {
        let meminfo = "MemFree:         1000 kB\nMemTotal:       16308772 kB\n";
        assert_eq!(total_memory_bytes(meminfo), 16_308_772 * 1024);
        assert_eq!(total_memory_bytes("nothing of the kind"), 0);
    }

    #[test]
    fn a_processor_is_known_by_its_model_or_by_its_numbers() {
        let x86 = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\nmodel name\t: another\n";
        assert_eq!(processor(x86), "AMD EPYC 7B13");
        assert_eq!(processor("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"), "implementer 0x41, part 0xd0c");
        assert_eq!(processor("nothing of the kind"), "");
    }
}
