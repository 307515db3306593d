//! The command line: `run`, `check`, `schema`, `cluster`, `service`, `load`, `dlq`, `doctor`.
//!
//! [`arguments`] is what may be typed; each command has a file of its own.

pub mod arguments;
mod check_command;
mod cluster_command;
mod dispatch;
pub mod dlq_arguments;
mod dlq_command;
mod doctor_command;
mod doing;
mod load_command;
mod output;
mod progress;
mod ready_command;
mod run_command;
mod scenario_files;
mod signals;

pub use dispatch::main;
