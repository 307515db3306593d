//! What a run leaves behind, and how a person or a machine reads it.
//!
//! Reading order: [`identity`] (what a message is called), [`record`] (what happened to it), [`watch`] (how far groups and
//! logs were), [`books`] (what services say they did, and by which [`rules`] they are compared), [`course`] (what was going
//! on meanwhile), [`expectation`] (what must hold), [`verdict`] (what was found). Then how a run is written ([`directory`]
//! with [`info`], [`event`], [`summary`] with [`validity`], [`ending`], [`interner`], [`intervals`], [`resources`],
//! [`stream`]) and read again ([`run_record`], or [`memory`] in tests). Last, how it is shown: [`text`], [`snapshot`], and
//! what [`overview`] gathers as a page ([`html`]) or a document ([`json`]), and as results of tests ([`junit`]);
//! [`numbers`] is how figures are written. How runs are held against each other: [`compare`].
//!
//! This crate runs nothing: it never talks to a cluster, never offers load and never judges.

pub mod books;
pub mod compare;
pub mod course;
mod dictionary;
pub mod directory;
pub mod ending;
pub mod error_names;
pub mod event;
pub mod expectation;
pub mod html;
pub mod identity;
pub mod info;
pub mod interner;
pub mod intervals;
pub mod json;
pub mod junit;
pub mod memory;
pub mod numbers;
pub mod overview;
pub mod record;
pub mod resources;
pub mod rules;
pub mod run_record;
pub mod snapshot;
pub mod stream;
pub mod summary;
pub mod text;
pub mod utc;
pub mod validity;
pub mod verdict;
pub mod watch;

pub use course::Course;
pub use directory::{DirectoryError, RunDirectory};
pub use ending::Ending;
pub use event::{Event, EventKind};
pub use info::{Environment, RunInfo};
pub use interner::Interner;
pub use intervals::IntervalLog;
pub use memory::MemoryRecord;
pub use overview::Overview;
pub use resources::{ResourceWriter, Resources, Usage};
pub use run_record::RunRecord;
pub use stream::{BackgroundWriter, CommitWriter, DeliveryWriter, OperationWriter, ReadingWriter};
pub use summary::{Summary, SummaryLine};
pub use validity::Validity;
