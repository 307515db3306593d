//! `ceiling.json`: all that a search knows. Written anew after every trial, whole or not at all, so that a search goes on
//! after Ctrl-C, a kill or a loss of power; and read by whoever wants figures.

use super::subject::CeilingError;
use super::topic_subject::TopicAt;
use super::{Outcome, Settings, Study, TrialResult};
use serde::{Deserialize, Serialize};
use shakedown_reports::Environment;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE: &str = "ceiling.json";
/// The version of the file that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// A search as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Whose ceiling.
    pub subject: SubjectAt,
    /// What was asked for.
    pub settings: Settings,
    /// What everything is drawn from, if not the scenario's seed.
    pub scenario_seed: Option<u64>,
    /// Whether the operations of trials are kept.
    pub keep_records: bool,
    /// Where it ran. A search that goes on elsewhere would compare two machines.
    pub environment: Environment,
    /// What the generator can do; nothing before that was measured.
    pub generator: Option<Generator>,
    /// Every trial, in the order in which they were carried out.
    pub trials: Vec<TrialResult>,
    /// How long all of it took, without what was in between.
    pub elapsed_ms: u64,
    /// What contradicted itself.
    pub flags: Vec<String>,
    /// What it came to; nothing while it is not over.
    pub outcome: Option<Outcome>,
}

/// Whose ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SubjectAt {
    /// That of a scenario's system.
    Scenario {
        /// The file.
        path: PathBuf,
        /// What tells its plan from any other.
        digest: String,
        /// What plays the cluster, if not what the scenario says.
        backend: Option<String>,
        /// Where the cluster is, if it is somebody else's.
        bootstrap: Option<String>,
    },
    /// That of a topic.
    Topic(TopicAt),
}

/// What the generator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generator {
    /// Messages a second; nothing where there is no sink to offer such messages to.
    pub rate: Option<u64>,
}

impl State {
    /// A search that has not begun.
    #[must_use]
    pub fn new(subject: SubjectAt, settings: Settings, keep_records: bool) -> Self {
        Self {
            format: FORMAT,
            subject,
            settings,
            scenario_seed: None,
            keep_records,
            environment: Environment::detect(),
            generator: None,
            trials: Vec::new(),
            elapsed_ms: 0,
            flags: Vec::new(),
            outcome: None,
        }
    }

    /// The search where it stood.
    #[must_use]
    pub fn study(&self) -> Study {
        let mut study = Study::new(self.settings.clone());
        match self.generator {
            None => return study,
            Some(Generator { rate: Some(rate) }) => study.take_generator(rate),
            Some(Generator { rate: None }) => study.skip_generator(),
        }
        self.trials.iter().cloned().for_each(|result| study.take(result));
        study
    }

    /// Notes where the search stands.
    pub fn note(&mut self, study: &Study, elapsed_ms: u64) {
        self.trials = study.results().to_vec();
        self.flags = study.flags().map(str::to_owned).collect();
        self.outcome = study.outcome();
        self.elapsed_ms = elapsed_ms;
    }

    /// Reads the search in a folder.
    ///
    /// # Errors
    /// When there is none, or not of this version.
    pub fn read(folder: &Path) -> Result<Self, CeilingError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|source| {
            CeilingError::Unsuitable(format!(
                "there is no search to go on with: cannot read {}: {source}",
                path.display()
            ))
        })?;
        let state: Self = serde_json::from_str(&text)
            .map_err(|error| CeilingError::Unsuitable(format!("{} is no search: {error}", path.display())))?;
        if state.format == FORMAT {
            Ok(state)
        } else {
            let text = format!("{} is of version {}, and this program reads {FORMAT}", path.display(), state.format);
            Err(CeilingError::Unsuitable(text))
        }
    }

    /// Whether this is the machine, and the build, with which it began: trials of two of them make no ceiling.
    ///
    /// # Errors
    /// When it is another one.
    pub fn belongs_here(&self, folder: &Path) -> Result<(), CeilingError> {
        // Of main memory a kernel tells some pages more or less from one boot to the next.
        let here = Environment { memory_bytes: self.environment.memory_bytes, ..Environment::detect() };
        if here == self.environment {
            return Ok(());
        }
        let told = |it: &Environment| {
            format!("{} {} with {} processors {:?}, a {} build", it.os, it.arch, it.cores, it.processor, it.build)
        };
        Err(CeilingError::Unsuitable(format!(
            "the search in {} began on {}, and this is {}: begin a new one",
            folder.display(),
            told(&self.environment),
            told(&here)
        )))
    }

    /// Writes it into its folder, in the place of what is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), CeilingError> {
        let text = self.to_json();
        let write = || -> std::io::Result<()> {
            let beside = folder.join(format!("{FILE}.new"));
            let mut file = File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, folder.join(FILE))
        };
        write().map_err(CeilingError::io(format!("write {}", folder.join(FILE).display())))
    }

    /// The text of the file.
    ///
    /// # Panics
    /// Never: plain data is always JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data is always JSON") + "\n"
    }
}
