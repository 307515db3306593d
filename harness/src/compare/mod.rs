//! Scenarios run against each other, and runs found on disk: what the comparison of [`shakedown_reports::compare`] needs.
//!
//! [`plan`] says what is compared, [`folder`] is where the runs of a comparison go and are found again, [`side`] is one run in
//! a process of its own, [`paired`] runs the pairs, [`stored`] finds runs that are there already, [`reading`] reads what
//! they recorded, [`render`] writes what came
//! of it. Statistics are not here.

pub mod error;
pub mod folder;
pub mod paired;
pub mod plan;
pub mod reading;
pub mod render;
pub mod side;
pub mod stored;

pub use error::CompareError;
