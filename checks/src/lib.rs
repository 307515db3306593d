//! The verdicts. Each check is one file and a pure function of a [`Record`](shakedown_reports::record::Record): it talks
//! to no cluster, reads no clock, and says the same of the same record wherever it runs.
//!
//! [`judge()`] runs what a scenario expects. Each check tells its anomaly in prose before its code; they share `paged`
//! arrays, `tally` (what an exact count means), `gaps` (between acknowledgements), `groups` (what a consumer group had to
//! process, and where that shows), `concurrent` (what has no order) and `evidence` (the telling of what convicts). [`rules`]
//! compare what services and stand-ins say they did. [`mutate`], [`mutate_watched`] and [`mutate_books`] alter clean records
//! in the ways that checks must notice, and the tests use them to attack the checks.
//!
//! A check streams over the record and keeps at most 16 bytes for each message (20 for a request over HTTP), so that ten
//! million messages are judged in a few hundred megabytes (`examples/volume.rs` measures it). What it keeps of single
//! messages is only what a reader gets to see.
//!
//! ```
//! use shakedown_reports::expectation::Expectations;
//! use shakedown_reports::identity::{Identity, Key};
//! use shakedown_reports::memory::MemoryRecord;
//! use shakedown_reports::record::{Delivery, StreamKind};
//! use shakedown_reports::verdict::Outcome;
//!
//! let mut record = MemoryRecord::new();
//! let orders = record.add_stream("orders", StreamKind::Topic);
//! let emails = record.add_stream("emails", StreamKind::Ledger);
//! record.add_flow(orders, emails);
//! let order = Delivery {
//!     identity: Identity::interned(0),
//!     key: Key::planned(17),
//!     partition: 3,
//!     offset: 912,
//!     timestamp_ms: -1,
//!     value: 4_200,
//!     intended_ns: 0,
//!     received_ns: 1,
//! };
//! record.push_delivery(orders, order);
//!
//! let expectations = Expectations { lost: Some(0), ..Expectations::default() };
//! let verdict = shakedown_checks::judge(&record, &expectations)?;
//! assert_eq!(verdict.outcome, Outcome::Fail);
//! assert_eq!(verdict.findings[0].subject, "topic orders -> ledger emails");
//! assert_eq!(verdict.findings[0].evidence[0].title, "message m0 (key user-17)");
//!
//! record.push_delivery(emails, order);
//! assert_eq!(shakedown_checks::judge(&record, &expectations)?.outcome, Outcome::Pass);
//! # Ok::<(), shakedown_reports::record::RecordError>(())
//! ```

pub mod committed_too_far;
mod concurrent;
pub mod conserved;
pub mod duplicated;
mod evidence;
mod gaps;
mod groups;
pub mod hops;
pub mod inconsistent_offset;
mod judge;
pub mod lag;
pub mod latency;
pub mod lost;
pub mod mutate;
pub mod mutate_books;
pub mod mutate_watched;
pub mod offset_regressed;
mod paged;
pub mod phantom;
pub mod quantile;
pub mod reordered;
pub mod rules;
pub mod skipped;
pub mod stalled;
mod tally;
pub mod unacknowledged;
pub mod unavailable;

pub use judge::judge;
pub use quantile::Quantile;
