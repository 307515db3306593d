//! A node behind its wire format: bytes in, bytes out, no socket.

mod client;
mod every_version;
mod groups;
mod produce_fetch;
mod topics;
