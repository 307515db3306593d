//! A scenario as it will be run: every name resolved, every default filled in, every rule known to have its data.
//!
//! Reading order: [`files`] (finding and reading the files), [`merge`] (a scenario laid over its system, with
//! the topics that it implies in `derived`), [`model`] (the result, with what faults do in [`deed`], to whom outside in
//! [`stand_in`], what services are equipped with in [`equipment`] and what is compared in [`books`]), [`validate`] (how one
//! becomes the other, and every error on the way).

pub mod books;
pub mod consumption;
pub mod deed;
mod derived;
pub mod equipment;
pub mod expected;
pub mod files;
pub mod http_load;
pub mod merge;
pub mod model;
pub mod operation;
pub mod settings;
pub mod stand_in;
pub mod validate;
