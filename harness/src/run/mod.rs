//! A run: from a plan to a verdict.
//!
//! Reading order: [`conductor`] (the phases, in order), then what it conducts: [`fleet`] of [`process`]es under a
//! [reaper](shakedown_cluster::apache::reaper), [`topics`], [`stand_ins`], [`servers`] and what else services are
//! equipped with (`equipping`), [`ledger`] pollers and readers of [`books`], [`nemesis`] and what its faults
//! wait for, the clients and rolling restarts that it has under way, services on their way back, [`watching`] of groups and
//! logs by [`look`]s, [`drain`], [`figures`]; [`journal`] is where all of them write down what happened, with what the
//! cluster tells of itself in [`chronicle`]; what the run costs meanwhile is read by [`measuring`], and how long hops took
//! is written by [`hops`]; [`judgement`] is what comes after.

mod answers;
mod backlog;
pub mod books;
pub mod chronicle;
pub mod conductor;
pub mod drain;
mod equipping;
pub mod error;
pub mod executable;
pub mod figures;
pub mod fleet;
pub mod hops;
pub mod http;
mod intervening;
pub mod journal;
pub mod judgement;
pub mod ledger;
pub mod look;
pub mod measuring;
pub mod nemesis;
pub mod offering;
mod operator;
pub mod options;
pub mod parts;
mod pending;
pub mod process;
pub mod readiness;
mod recovery;
mod rolling;
pub mod servers;
pub mod service_log;
pub mod session;
pub mod stand_ins;
mod telling;
mod topic_books;
pub mod topics;
pub mod watching;
