//! The command line: `run`, `check`, `report`, `compare`, `ceiling`, `schema`, `cluster`, `service`, `load`, `merge`,
//! `dlq`, `doctor`.
//!
//! [`arguments`] is what may be typed; each command has a file of its own.

pub mod arguments;
pub mod ceiling_arguments;
mod ceiling_command;
mod check_command;
mod cluster_command;
pub mod compare_arguments;
mod compare_command;
mod dispatch;
pub mod dlq_arguments;
mod dlq_command;
mod doctor_command;
mod doing;
mod load_command;
mod merge_command;
mod output;
mod progress;
mod ready_command;
mod report_command;
mod run_command;
mod scenario_files;

pub use dispatch::main;
