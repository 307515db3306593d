//! A scenario as it will be run: every name resolved, every default filled in, every rule known to have its data.
//!
//! Reading order: [`files`] (finding and reading the files), [`merge`] (a scenario laid over its system), [`model`] (the
//! result, with what faults do in [`deed`] and what is compared in [`books`]), [`validate`] (how one becomes the other, and every error on the way).

pub mod books;
pub mod consumption;
pub mod deed;
pub mod files;
pub mod merge;
pub mod model;
pub mod operation;
pub mod validate;
