//! Loads and taps against librdkafka's mock cluster.

mod bench;
mod command;
mod load;
mod tap;
