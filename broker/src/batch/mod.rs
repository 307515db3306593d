//! Record batches, magic 2: the unit that producers send, logs keep and consumers read.
//!
//! Batches stay opaque bytes. [`header`] reads and patches the fixed 61 bytes in front; [`validate`] decides whether a
//! producer's batch may be appended; [`records`] walks the records of a batch where their timestamps are asked for;
//! [`build`] writes the small batches that coordinators append themselves; [`filter`] writes a batch again with fewer
//! records.

pub mod build;
mod compress;
pub mod filter;
pub mod header;
pub mod records;
pub mod validate;
