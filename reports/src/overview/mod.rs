//! What pages and documents show of a run, gathered from its directory in one pass over each stream: constant memory,
//! however long the run was, and whatever it left behind when it was killed.
//!
//! [`Overview`] is all of it. Its parts: how far the run came ([`RunState`]), percentiles of each metric ([`Metric`]), what
//! happened in each slot of time ([`Slot`]), lag of groups ([`LagCourse`]), partitions ([`PartitionMap`]) and
//! when faults had struck ([`Band`]). Nothing here judges, and nothing here draws.

mod bands;
mod course_slots;
mod gather;
mod lag;
mod metrics;
mod partitions;
mod slots;
mod state;

pub use bands::Band;
pub use gather::{Overview, gather};
pub use lag::{LagCourse, LagPoint};
pub use metrics::{CurvePoint, HopCourse, HopPoint, Metric, Percentile};
pub use partitions::{PartitionMap, PartitionRow};
pub use slots::{Slot, SlotLatency};
pub use state::RunState;
