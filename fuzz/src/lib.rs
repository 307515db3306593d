//! What the fuzz targets share: an allocator with an allowance, and a broker behind its wire format.

pub mod allowance;
pub mod broker;
