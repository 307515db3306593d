//! A run directory as it is read: streaming, wherever it came from, also when the run was killed.

use crate::books::{self, Fact};
use crate::course::Course;
use crate::dictionary::Dictionary;
use crate::directory::{
    COMMITS_FILE, EVENTS_FILE, FIGURES_FILE, IDENTITIES_FILE, INFO_FILE, KEYS_FILE, OPERATIONS_FILE, READINGS_FILE,
    SUMMARY_FILE, VERDICT_FILE, deliveries_file,
};
use crate::ending::{self, Ending};
use crate::event::Event;
use crate::identity::{Identity, Key, Namespace};
use crate::info::{FORMAT_VERSION, RunInfo};
use crate::record::{Delivery, Figure, Flow, Operation, Record, RecordError, Share, StreamId, StreamInfo, StreamKind};
use crate::resources;
use crate::stream::{Entry, StreamFile};
use crate::summary::Summary;
use crate::verdict::Verdict;
use crate::watch::{Commit, Reading, Watch};
use serde::de::DeserializeOwned;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The record of a run directory. Entries are read from disk at each visit; nothing of a stream is held in memory.
#[derive(Debug)]
pub struct RunRecord {
    path: PathBuf,
    info: RunInfo,
    figures: Vec<Figure>,
    operations: Option<StreamFile<Operation>>,
    /// One for each stream; `None` for the load and for sinks that were never written.
    deliveries: Vec<Option<StreamFile<Delivery>>>,
    commits: Option<StreamFile<Commit>>,
    readings: Option<StreamFile<Reading>>,
    course: Course,
    identities: Dictionary,
    keys: Dictionary,
    defects: Vec<String>,
}

impl RunRecord {
    /// Opens a run directory. Torn tails of streams and missing streams are [`Record::defects`], not errors.
    ///
    /// # Errors
    /// When `run.json` is missing or of another version, or a file or the timeline is damaged before its end.
    pub fn open(directory: &Path) -> Result<Self, RecordError> {
        let info: RunInfo = read_json(directory, INFO_FILE)?
            .ok_or_else(|| RecordError::Io { file: INFO_FILE.to_owned(), source: io::ErrorKind::NotFound.into() })?;
        if info.format != FORMAT_VERSION {
            let reason = format!("its format is version {}, this program reads {FORMAT_VERSION}", info.format);
            return Err(RecordError::Malformed { file: INFO_FILE.to_owned(), reason });
        }
        let mut record = Self {
            path: directory.to_owned(),
            figures: read_json(directory, FIGURES_FILE)?.unwrap_or_default(),
            operations: None,
            deliveries: Vec::new(),
            commits: None,
            readings: None,
            course: Course::default(),
            identities: Dictionary::new(directory.join(IDENTITIES_FILE)),
            keys: Dictionary::new(directory.join(KEYS_FILE)),
            defects: Vec::new(),
            info,
        };
        record.open_streams()?;
        record.course = Course::of(&record.events()?);
        Ok(record)
    }

    /// What the run was.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The timeline. The last line of a killed run may be torn; it is left out.
    ///
    /// # Errors
    /// When the timeline cannot be read, or a line before the last is no event.
    pub fn events(&self) -> Result<Vec<Event>, RecordError> {
        let Some(bytes) = read(&self.path, EVENTS_FILE)? else {
            return Ok(Vec::new());
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|error| malformed(EVENTS_FILE, &error))).collect()
    }

    /// What the run said of itself; `None` if it was killed before.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn summary(&self) -> Result<Option<Summary>, RecordError> {
        read_json(&self.path, SUMMARY_FILE)
    }

    /// How the run ended; `None` if it was killed before.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn ending(&self) -> Result<Option<Ending>, RecordError> {
        read_json(&self.path, ending::FILE)
    }

    /// The judgement that was written with the run; `None` if it was killed before.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn verdict(&self) -> Result<Option<Verdict>, RecordError> {
        read_json(&self.path, VERDICT_FILE)
    }

    /// Whether somebody is still writing the directory: the timeline is locked for as long.
    #[must_use]
    pub fn is_under_way(directory: &Path) -> bool {
        let events = File::open(directory.join(EVENTS_FILE));
        events.is_ok_and(|events| matches!(events.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// What the run cost, second by second; nothing where the system did not say.
    ///
    /// # Errors
    /// When the file is damaged before its end.
    pub fn resources(&self) -> io::Result<Vec<resources::Reading>> {
        resources::Resources::read(&self.path)
    }

    fn open_streams(&mut self) -> Result<(), RecordError> {
        for (id, stream) in (0..).zip(&self.info.streams) {
            if stream.kind == StreamKind::Load {
                self.operations = open_stream(&self.path, OPERATIONS_FILE, &stream.label(), &mut self.defects)?;
                self.deliveries.push(None);
            } else {
                let file = open_stream(&self.path, &deliveries_file(id), &stream.label(), &mut self.defects)?;
                self.deliveries.push(file);
            }
        }
        if !self.info.watches.is_empty() {
            self.commits = open_stream(&self.path, COMMITS_FILE, "commits of groups", &mut self.defects)?;
            self.readings = open_stream(&self.path, READINGS_FILE, "readings of groups and logs", &mut self.defects)?;
        }
        Ok(())
    }
}

impl Record for RunRecord {
    fn streams(&self) -> &[StreamInfo] {
        &self.info.streams
    }

    fn flows(&self) -> &[Flow] {
        &self.info.flows
    }

    fn share(&self, flow: Flow) -> Option<Share> {
        let place = self.info.flows.iter().position(|known| *known == flow)?;
        self.info.shares.get(place).copied().flatten()
    }

    fn figures(&self) -> &[Figure] {
        &self.figures
    }

    fn operations(&self, visit: &mut dyn FnMut(&Operation)) -> Result<(), RecordError> {
        self.operations.as_ref().map_or(Ok(()), |operations| operations.visit(visit))
    }

    fn deliveries(&self, stream: StreamId, visit: &mut dyn FnMut(&Delivery)) -> Result<(), RecordError> {
        let deliveries = self.deliveries.get(usize::from(stream)).and_then(Option::as_ref);
        deliveries.map_or(Ok(()), |deliveries| deliveries.visit(visit))
    }

    fn watches(&self) -> &[Watch] {
        &self.info.watches
    }

    fn commits(&self, visit: &mut dyn FnMut(&Commit)) -> Result<(), RecordError> {
        self.commits.as_ref().map_or(Ok(()), |commits| commits.visit(visit))
    }

    fn readings(&self, visit: &mut dyn FnMut(&Reading)) -> Result<(), RecordError> {
        self.readings.as_ref().map_or(Ok(()), |readings| readings.visit(visit))
    }

    fn book(&self, name: &str, visit: &mut dyn FnMut(&Fact)) -> Result<bool, RecordError> {
        match books::read(&self.path, name, &mut |fact| visit(&fact)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Err(RecordError::Malformed { file: books::file_name(name), reason: error.to_string() })
            }
            Err(source) => Err(RecordError::Io { file: books::file_name(name), source }),
        }
    }

    fn course(&self) -> Course {
        self.course.clone()
    }

    fn defects(&self) -> &[String] {
        &self.defects
    }

    fn identity_label(&self, identity: Identity) -> String {
        let index = identity.index();
        match identity.namespace() {
            Namespace::Planned => index.to_string(),
            Namespace::Interned => self.identities.text(index).unwrap_or_else(|| format!("(unnamed, no. {index})")),
        }
    }

    fn key_label(&self, key: Key) -> String {
        let index = key.index();
        match key.namespace() {
            _ if key == Key::ABSENT => "(none)".to_owned(),
            Namespace::Planned => format!("{}{index}", self.info.key_prefix),
            Namespace::Interned => self.keys.text(index.into()).unwrap_or_else(|| format!("(unnamed, no. {index})")),
        }
    }
}

fn open_stream<E: Entry>(
    directory: &Path,
    file: &str,
    label: &str,
    defects: &mut Vec<String>,
) -> Result<Option<StreamFile<E>>, RecordError> {
    match StreamFile::open(directory, file) {
        Ok(opened) => {
            defects.extend(opened.defect().map(|defect| format!("{label}: {defect}")));
            Ok(Some(opened))
        }
        Err(RecordError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            defects.push(format!("{label}: {file} was never written"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The file's bytes, `None` if there is no such file.
fn read(directory: &Path, file: &str) -> Result<Option<Vec<u8>>, RecordError> {
    match fs::read(directory.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::Io { file: file.to_owned(), source }),
    }
}

fn read_json<T: DeserializeOwned>(directory: &Path, file: &str) -> Result<Option<T>, RecordError> {
    let Some(bytes) = read(directory, file)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| malformed(file, &error))
}

fn malformed(file: &str, error: &serde_json::Error) -> RecordError {
    RecordError::Malformed { file: file.to_owned(), reason: error.to_string() }
}
