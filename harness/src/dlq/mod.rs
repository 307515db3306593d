//! Dead letters: events that a service could not handle and laid aside, on topics called `TOPIC.dlq`, with the reason in headers.
//! `docs/dead-letters.md` says what they look like and how they are looked at and played again.
//!
//! Owns what the tool does with letters; that there are any is the services' affair. Works on any Kafka, and knows nothing of
//! scenarios and runs.
//!
//! - [`letter`]: one letter, and what its headers say; [`display`]: how it is shown.
//! - [`post`]: topics, bounds and letters, read from Kafka.
//! - [`listing`]: how many there are, by topic, service and reason.
//! - [`replay`]: sends them where they came from, by [`sender`], and remembers which, in [`memory`].

pub mod display;
mod error;
pub mod letter;
pub mod listing;
pub mod memory;
pub mod post;
pub mod replay;
mod sender;

pub use error::DlqError;

/// The end of the name of a topic of dead letters.
pub const SUFFIX: &str = ".dlq";
