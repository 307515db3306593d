//! A load in transactions (KIP-98): a message counts as acknowledged when the transaction that it is in has been committed, and not
//! before.
//!
//! - [`plan`] says when transactions end, and which of them are aborted on purpose;
//! - [`door`] is what lets the pacer's messages into the open transaction, and stands closed while one is brought to its end;
//! - [`target`] is the pacer's side of it, [`held`] keeps what brokers said of each message until the transaction's end;
//! - [`committer`] is the client's thread: it begins, commits and aborts, and records what became of each message.
//!
//! The schedule stays open: what is due while the door is closed waits before it, and is late by the system's doing.

pub mod arguments;
mod committer;
mod door;
mod held;
mod plan;
mod target;

pub(crate) use committer::{Committer, CommitterParts};
pub(crate) use door::Door;
pub(crate) use held::HeldAnswers;
pub use plan::{EVERY_DEFAULT, TransactionError, TransactionPlan};
pub(crate) use target::TransactionalTarget;
