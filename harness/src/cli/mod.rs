//! The command line: `run`, `check`, `schema`, `cluster`, `service`, `load`, `doctor`.
//!
//! [`arguments`] is what may be typed; each command has a file of its own.

pub mod arguments;
mod check_command;
mod cluster_command;
mod dispatch;
mod doctor_command;
mod doing;
mod load_command;
mod output;
mod progress;
mod run_command;
mod scenario_files;
mod signals;

pub use dispatch::main;
