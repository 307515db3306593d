//! How far apart two lots of the same thing lie on a machine: what nobody should take for a difference there.
//!
//! Kept in a file of JSON, an entry for each scenario, back end and machine.

use super::comparison::Comparison;
use super::environment::of_machines;
use crate::info::{Environment, RunInfo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The version of the file that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The noise of one scenario on one back end and machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// The scenario's name.
    pub scenario: String,
    /// What played the cluster: another one has a noise of its own.
    #[serde(default)]
    pub backend: String,
    /// The machine.
    pub environment: Environment,
    /// How many pairs it was measured with.
    pub pairs: u64,
    /// For each metric by its name: the farthest end of the interval of A against A, as a share: 0.05 is 5 %.
    pub floors: BTreeMap<String, f64>,
    /// When it was measured, in milliseconds since the Unix epoch.
    pub measured_unix_ms: u64,
}

impl NoiseFloor {
    /// Out of a comparison of a thing with itself; `None` where that has no runs or says nothing.
    #[must_use]
    pub fn of(comparison: &Comparison) -> Option<Self> {
        let farthest = |[low, high]: [f64; 2]| low.ln_1p().abs().max(high.ln_1p().abs()).exp_m1();
        let floors: BTreeMap<String, f64> = comparison
            .metrics
            .iter()
            .filter_map(|metric| Some((metric.name.clone(), farthest(metric.interval?))))
            .collect();
        (!floors.is_empty()).then(|| Self {
            scenario: comparison.scenario.clone(),
            backend: comparison.backend.clone(),
            environment: comparison.environment.clone(),
            pairs: comparison.pairs,
            floors,
            measured_unix_ms: comparison.started_unix_ms,
        })
    }

    fn is_of(&self, scenario: &str, backend: &str, environment: &Environment) -> bool {
        let is_same = self.scenario == scenario && self.backend == backend;
        is_same && of_machines(&self.environment, environment).is_empty()
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloors {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// One for each scenario, back end and machine.
    pub floors: Vec<NoiseFloor>,
}

impl Default for NoiseFloors {
    fn default() -> Self {
        Self { format: FORMAT_VERSION, floors: Vec::new() }
    }
}

impl NoiseFloors {
    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is no such file, or is of another version.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let floors: Self = serde_json::from_slice(&bytes)?;
        if floors.format != FORMAT_VERSION {
            let reason = format!("its format is version {}, this program reads {FORMAT_VERSION}", floors.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Some(floors))
    }

    /// Writes the file, and its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(path, text)
    }

    /// Keeps a measurement, instead of an earlier one of the same.
    pub fn keep(&mut self, floor: NoiseFloor) {
        self.floors.retain(|kept| !kept.is_of(&floor.scenario, &floor.backend, &floor.environment));
        self.floors.push(floor);
    }

    /// What a reader is told where this file has nothing for the runs that are compared.
    #[must_use]
    pub fn note(&self, file: &Path) -> String {
        format!(
            "{} has no noise floor of this scenario on this machine and back end; --calibrate measures it",
            file.display()
        )
    }

    /// What was measured for runs like this one.
    #[must_use]
    pub fn of(&self, run: &RunInfo) -> Option<&NoiseFloor> {
        self.floors.iter().find(|floor| floor.is_of(&run.scenario, &run.backend, &run.environment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_counts_for_its_scenario_on_its_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("noise/floor.json");
        assert_eq!(NoiseFloors::read(&path).expect("no file is no floor"), None);
        let run = RunInfo::new("storefront", 1);
        let floor = |p50: f64| NoiseFloor {
            scenario: "storefront".to_owned(),
            backend: run.backend.clone(),
            environment: run.environment.clone(),
            pairs: 12,
            floors: BTreeMap::from([("p50".to_owned(), p50)]),
            measured_unix_ms: 5,
        };
        let mut floors = NoiseFloors::default();
        floors.keep(floor(0.08));
        floors.keep(floor(0.06));
        floors.write(&path).expect("written");
        let read = NoiseFloors::read(&path).expect("read").expect("there");
        assert_eq!(read, floors);
        assert_eq!(read.of(&run), Some(&floor(0.06)), "the later one");
        let mut elsewhere = run.clone();
        elsewhere.environment.cores += 1;
        assert_eq!(read.of(&elsewhere), None);
        assert_eq!(read.of(&RunInfo::new("another", 1)), None);
        elsewhere.environment.cores -= 1;
        assert!(read.of(&elsewhere).is_some());
        elsewhere.backend = "apache".to_owned();
        assert_eq!(read.of(&elsewhere), None, "another back end has a noise of its own");

        std::fs::write(&path, "{\"format\": 9, \"floors\": []}").expect("written");
        let error = NoiseFloors::read(&path).expect_err("of another version").to_string();
        assert_eq!(error, "its format is version 9, this program reads 1");
    }
}
