//! A node behind its wire format: bytes in, bytes out, no socket.

mod admin;
mod client;
mod delete_records;
mod every_version;
mod groups;
mod hostile;
mod old_records;
mod produce_fetch;
mod replication;
mod rules;
mod topics;
