//! Bytes to requests and responses to bytes: everything between a socket and [`crate::Node`], without the socket.
//!
//! - [`schema`]: the guard that no hostile length passes.
//! - [`request`]: frame to [`request::Frame`], checked and decoded.
//! - [`response`]: a response to the pieces of a frame.
//! - [`fetch`]: the one response that is encoded here by hand, because its records must not be copied.

pub mod fetch;
pub mod request;
pub mod response;
pub mod schema;
