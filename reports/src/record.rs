//! The record: everything a run saw, as streams of operations and deliveries.
//!
//! - An [`Operation`] is one message that the load generator offered, with its outcome.
//! - A [`Delivery`] is one message seen at a *sink*: read from a topic by a tap, or listed in a service's ledger.
//! - A [`Figure`] is one number that a service states about itself after the drain.
//! - What [`crate::watch`] has: how far logs reach, and how far consumer groups have come. [`crate::books`]: what services
//!   say they did for each order. [`crate::course`]: when the load lasted, and when something was broken on purpose.
//!
//! Streams are read in the order in which they were observed. All times are nanoseconds since the Unix epoch, derived
//! from one monotonic clock per run.

use crate::books::Fact;
use crate::course::Course;
use crate::identity::{Identity, Key, Namespace};
use crate::watch::{Commit, Reading, Watch};
use serde::{Deserialize, Serialize};

/// A stream's number within its run; the index into [`Record::streams`].
pub type StreamId = u16;

/// What a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    /// Operations of the load generator.
    Load,
    /// Messages of a topic, read by a tap.
    Topic,
    /// Entries of a ledger: what a service or an outside stand-in says it did.
    Ledger,
    /// Messages of a topic that was read once more from its beginning, under the name of that topic. No flow begins or
    /// ends here: these readings are compared with those of the topic's own tap.
    Reread,
}

/// One stream of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// `load`, a topic's name, or the name of the ledger's owner.
    pub name: String,
    /// What it is made of.
    pub kind: StreamKind,
}

impl StreamInfo {
    /// How reports name the stream: `load`, `topic orders`, `ledger tracker`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.kind {
            StreamKind::Load => self.name.clone(),
            StreamKind::Topic => format!("topic {}", self.name),
            StreamKind::Ledger => format!("ledger {}", self.name),
            StreamKind::Reread => format!("topic {}, read again", self.name),
        }
    }
}

/// A hop that messages must survive: everything in `from` has to arrive in `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The source stream: the load, or a topic.
    pub from: StreamId,
    /// The sink stream: a topic or a ledger.
    pub to: StreamId,
}

/// Which part of the load a flow carries, where the load is spread over several topics: of so many messages one after
/// another, the one at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The place, from 0.
    pub place: u64,
    /// Of so many; at least 1.
    pub of: u64,
}

impl Share {
    /// Whether this message belongs to it. What nobody planned does not.
    #[must_use]
    pub const fn has(self, identity: Identity) -> bool {
        matches!(identity.namespace(), Namespace::Planned) && self.of > 0 && identity.index() % self.of == self.place
    }
}

/// How an operation ended, in Jepsen's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Outcome {
    /// Acknowledged.
    Ok = 0,
    /// Certainly not applied.
    Fail = 1,
    /// Nobody knows: timeouts, lost connections, and whatever had no answer when the run ended.
    Unknown = 2,
}

/// One message that the load generator offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Who it is.
    pub identity: Identity,
    /// Its key.
    pub key: Key,
    /// Its place among the messages of its key, from 0.
    pub key_sequence: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// librdkafka's error code; of a request over HTTP the status of the last answer that was no acknowledgement. 0 where
    /// there is none.
    pub error: i16,
    /// The partition that acknowledged it, -1 unless [`Outcome::Ok`], and where a service did that has no partitions.
    pub partition: i32,
    /// The offset that was acknowledged, -1 where [`Self::partition`] is.
    pub offset: i64,
    /// The amount it carries, in minor units, for the checks of conservation.
    pub value: i64,
    /// When the schedule wanted it sent.
    pub intended_ns: u64,
    /// When it was handed to the client.
    pub sent_ns: u64,
    /// When its outcome was known.
    pub completed_ns: u64,
}

/// One message seen at a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Who it is.
    pub identity: Identity,
    /// Its key.
    pub key: Key,
    /// The partition it was read from; for a ledger, the one its owner read it from, or -1.
    pub partition: i32,
    /// The offset it was read at; for a ledger, the one its owner read it at, or -1.
    pub offset: i64,
    /// The record's timestamp in milliseconds, -1 where there is none.
    pub timestamp_ms: i64,
    /// The amount it carries, in minor units, 0 where there is none.
    pub value: i64,
    /// When the schedule wanted the message sent that started it, 0 where nobody knows.
    pub intended_ns: u64,
    /// When the tap or the ledger's owner saw it.
    pub received_ns: u64,
}

/// One number that a service states about itself, read after the drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// `service.field`, as in `analytics.revenue`.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("cannot read {file}: {source}")]
    Io {
        /// The file, relative to the run directory.
        file: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The bytes are not what this version writes.
    #[error("{file} is not a readable part of a run: {reason}")]
    Malformed {
        /// The file, relative to the run directory.
        file: String,
        /// What was expected and what was found.
        reason: String,
    },
}

/// Read access to everything a run saw. Checks see nothing else.
pub trait Record {
    /// All streams; a [`StreamId`] is an index into them.
    fn streams(&self) -> &[StreamInfo];
    /// The hops that messages must survive.
    fn flows(&self) -> &[Flow];
    /// The part of the load that this flow carries, where it is not all of it.
    fn share(&self, _flow: Flow) -> Option<Share> {
        None
    }
    /// What services stated about themselves.
    fn figures(&self) -> &[Figure];
    /// Visits every operation of the load, in order of completion.
    ///
    /// # Errors
    /// When the record cannot be read to its end.
    fn operations(&self, visit: &mut dyn FnMut(&Operation)) -> Result<(), RecordError>;
    /// Visits every delivery of a stream, in the order in which the sink saw them.
    ///
    /// # Errors
    /// When the record cannot be read to its end.
    fn deliveries(&self, stream: StreamId, visit: &mut dyn FnMut(&Delivery)) -> Result<(), RecordError>;
    /// What was watched beside the messages; a [`crate::watch::WatchId`] is an index into it.
    fn watches(&self) -> &[Watch] {
        &[]
    }
    /// Visits every commit of a watched group, in the order in which `__consumer_offsets` has those of each partition.
    ///
    /// # Errors
    /// When the record cannot be read to its end.
    fn commits(&self, _visit: &mut dyn FnMut(&Commit)) -> Result<(), RecordError> {
        Ok(())
    }
    /// Visits every reading of a watched topic, look by look.
    ///
    /// # Errors
    /// When the record cannot be read to its end.
    fn readings(&self, _visit: &mut dyn FnMut(&Reading)) -> Result<(), RecordError> {
        Ok(())
    }
    /// Visits every fact of a book, in order; `false` if the run has no such book.
    ///
    /// # Errors
    /// When the book cannot be read to its end.
    fn book(&self, _name: &str, _visit: &mut dyn FnMut(&Fact)) -> Result<bool, RecordError> {
        Ok(false)
    }
    /// When the load lasted, and when something was broken on purpose.
    fn course(&self) -> Course {
        Course::default()
    }
    /// What the record is known to lack, in words: streams that were never finished, torn tails. A run whose record is
    /// incomplete cannot pass.
    fn defects(&self) -> &[String] {
        &[]
    }
    /// What people call this message.
    fn identity_label(&self, identity: Identity) -> String;
    /// What people call this key.
    fn key_label(&self, key: Key) -> String;
}
