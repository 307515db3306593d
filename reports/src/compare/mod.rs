//! Whether one version is slower than another: runs held against runs.
//!
//! The run is the sample. A test over millions of single latencies finds every drift of a machine "significant"; a few
//! dozen numbers, one for each run, do not.
//!
//! Reading order: [`sample`] (what one run contributes, from [`latencies`] and readings of resources), [`metric`] (what is
//! compared, and what difference is allowed), [`signed_rank`], [`walsh`], [`holm`] and [`bootstrap`] (the statistics, each
//! for itself), [`judgement`] (from an estimate and its interval to a verdict), [`paired`] and [`stored`] (the two designs),
//! [`noise_floor`], [`environment`]. Then the result ([`comparison`]), and how it is shown ([`text`], [`markdown`],
//! [`junit`], [`html`]).
//!
//! Nothing here runs anything, and nothing depends on a clock: equal runs and an equal seed give equal results.

pub mod bootstrap;
pub mod comparison;
pub mod environment;
mod figures;
pub mod holm;
pub mod html;
pub mod judgement;
pub mod junit;
pub mod latencies;
pub mod markdown;
pub mod metric;
pub mod noise_floor;
mod objections;
pub mod paired;
pub mod sample;
pub mod signed_rank;
pub mod stored;
pub mod text;
pub mod walsh;

pub use comparison::{Comparison, Design, MetricResult, Side};
pub use judgement::Judgement;
pub use metric::{Margins, Metric};
pub use noise_floor::{NoiseFloor, NoiseFloors};
pub use sample::{RunSample, SampleError};
