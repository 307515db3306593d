//! Scenarios for event-driven services on Kafka: boot, launch, load, break, prove.
//!
//! [`run`] runs a scenario file and hands back a [`Report`]; [`Runner`] does the same with a replaced command, seed or
//! folder. The tool of the same name is [`cli`].
//!
//! Reading order, which is that of the data: [`language`] (what a file may say), [`scenario`] (what it means), [`plan`]
//! (what its seed decides), [`backend`] (what plays the cluster), [`run`](mod@run) (the phases), [`report`]. Beside it,
//! [`compare`] runs scenarios against each other, [`ceiling`] searches for the highest rate that holds, [`doctor`] says what a
//! machine lacks, and [`dlq`] looks after dead letters on any Kafka.

pub mod backend;
pub mod ceiling;
pub mod cli;
pub mod compare;
pub mod dlq;
pub mod doctor;
pub mod exit;
pub mod language;
pub mod plan;
pub mod report;
pub mod run;
mod runner;
pub mod scenario;
mod shares;
mod watched;

pub use exit::Exit;
pub use report::Report;
pub use run::error::RunError;
pub use runner::{Runner, run};
pub use shakedown_loadgen::StopFlag;
