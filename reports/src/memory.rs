//! A record that lives in memory: for tests of checks, for mutators, for examples.

use crate::books::Fact;
use crate::course::Course;
use crate::identity::{Identity, Key, Namespace};
use crate::record::{Delivery, Figure, Flow, Operation, Record, RecordError, Share, StreamId, StreamInfo, StreamKind};
use crate::watch::{Commit, Reading, Watch, WatchId};
use std::collections::BTreeMap;

/// A record to build by hand and to take apart. Everything is open: whoever attacks the checks alters it freely.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryRecord {
    /// See [`Record::streams`].
    pub streams: Vec<StreamInfo>,
    /// See [`Record::flows`].
    pub flows: Vec<Flow>,
    /// See [`Record::share`].
    pub shares: Vec<(Flow, Share)>,
    /// See [`Record::figures`].
    pub figures: Vec<Figure>,
    /// See [`Record::operations`].
    pub operations: Vec<Operation>,
    /// See [`Record::deliveries`]; one list for each stream, empty for the load.
    pub deliveries: Vec<Vec<Delivery>>,
    /// See [`Record::watches`].
    pub watches: Vec<Watch>,
    /// See [`Record::commits`].
    pub commits: Vec<Commit>,
    /// See [`Record::readings`].
    pub readings: Vec<Reading>,
    /// See [`Record::book`].
    pub books: BTreeMap<String, Vec<Fact>>,
    /// See [`Record::course`].
    pub course: Course,
    /// See [`Record::defects`].
    pub defects: Vec<String>,
}

impl MemoryRecord {
    /// A record of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream and returns its number.
    ///
    /// # Panics
    /// When there are more than 65,535 streams.
    pub fn add_stream(&mut self, name: &str, kind: StreamKind) -> StreamId {
        let id = StreamId::try_from(self.streams.len()).expect("a run has fewer than 65,536 streams");
        self.streams.push(StreamInfo { name: name.to_owned(), kind });
        self.deliveries.push(Vec::new());
        id
    }

    /// Adds a hop.
    pub fn add_flow(&mut self, from: StreamId, to: StreamId) -> Flow {
        let flow = Flow { from, to };
        self.flows.push(flow);
        flow
    }

    /// Adds a group that consumes a topic, with the streams in which its work shows, and returns its number.
    ///
    /// # Panics
    /// When there are more than 65,535 watches, or no such stream.
    pub fn add_group(&mut self, group: &str, source: StreamId, sinks: &[StreamId]) -> WatchId {
        let id = WatchId::try_from(self.watches.len()).expect("a run has fewer than 65,536 watches");
        self.watches.push(Watch {
            topic: self.streams[usize::from(source)].name.clone(),
            group: Some(group.to_owned()),
            source: Some(source),
            sinks: sinks.to_vec(),
        });
        id
    }

    /// Adds a figure.
    pub fn add_figure(&mut self, name: &str, value: i64) {
        self.figures.push(Figure { name: name.to_owned(), value });
    }

    /// Appends an operation of the load.
    pub fn push_operation(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    /// Appends a delivery to a sink.
    ///
    /// # Panics
    /// When there is no such stream.
    pub fn push_delivery(&mut self, stream: StreamId, delivery: Delivery) {
        self.deliveries[usize::from(stream)].push(delivery);
    }
}

impl Record for MemoryRecord {
    fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    fn flows(&self) -> &[Flow] {
        &self.flows
    }

    fn share(&self, flow: Flow) -> Option<Share> {
        self.shares.iter().find(|(known, _)| *known == flow).map(|(_, share)| *share)
    }

    fn figures(&self) -> &[Figure] {
        &self.figures
    }

    fn operations(&self, visit: &mut dyn FnMut(&Operation)) -> Result<(), RecordError> {
        self.operations.iter().for_each(visit);
        Ok(())
    }

    fn deliveries(&self, stream: StreamId, visit: &mut dyn FnMut(&Delivery)) -> Result<(), RecordError> {
        self.deliveries.get(usize::from(stream)).into_iter().flatten().for_each(visit);
        Ok(())
    }

    fn watches(&self) -> &[Watch] {
        &self.watches
    }

    fn commits(&self, visit: &mut dyn FnMut(&Commit)) -> Result<(), RecordError> {
        self.commits.iter().for_each(visit);
        Ok(())
    }

    fn readings(&self, visit: &mut dyn FnMut(&Reading)) -> Result<(), RecordError> {
        self.readings.iter().for_each(visit);
        Ok(())
    }

    fn book(&self, name: &str, visit: &mut dyn FnMut(&Fact)) -> Result<bool, RecordError> {
        let book = self.books.get(name);
        book.into_iter().flatten().for_each(visit);
        Ok(book.is_some())
    }

    fn course(&self) -> Course {
        self.course.clone()
    }

    fn defects(&self) -> &[String] {
        &self.defects
    }

    fn identity_label(&self, identity: Identity) -> String {
        match identity.namespace() {
            Namespace::Planned => identity.index().to_string(),
            Namespace::Interned => format!("m{}", identity.index()),
        }
    }

    fn key_label(&self, key: Key) -> String {
        match key.namespace() {
            _ if key == Key::ABSENT => "(none)".to_owned(),
            Namespace::Planned => format!("user-{}", key.index()),
            Namespace::Interned => format!("k{}", key.index()),
        }
    }
}
