//! The report of a run as text: what a terminal shows, at most 100 columns wide, the same without colour.
//!
//! [`render`] puts together the head (what ran), the timeline (what became of the cluster), the table (what was judged,
//! with the stories of what failed) and the foot (the verdict, how to run it again, where the rest lies). [`roundup`] is
//! the table behind several runs.

mod paint;
mod report;
mod roundup;
mod rows;
mod shell;
mod timeline;
mod wrap;

pub(crate) use paint::word as outcome_word;
pub use report::{Report, render};
pub use roundup::{RunEnd, RunLine, roundup};
pub(crate) use rows::seconds;
pub(crate) use wrap::{append, cut};

pub(crate) use shell::word as shell_word;
pub(crate) use timeline::lines as timeline;

/// How wide a line may be.
pub(crate) const WIDTH: usize = 100;
