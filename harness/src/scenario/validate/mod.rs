//! From what the files say to a scenario that can be run; every dangling name and missing datum is an error here.
//!
//! Each part has its file: [`topics`], [`services`], [`flows`], [`load`], [`faults`] with their [`triggers`], those on
//! [`requests`], other [`disturbances`] and [`interventions`], [`expect`] with those on [`groups`].

mod disturbances;
mod expect;
mod faults;
mod flows;
mod groups;
mod interventions;
mod load;
mod requests;
mod scope;
mod services;
mod topics;
mod triggers;

mod scenario;

pub use scenario::{Capabilities, scenario};

#[cfg(test)]
mod messages;
