//! A partition on one node: [`store`] keeps batches, [`producer_state`] decides about sequences, [`partition`] is the
//! replica with its role, [`replication`] what leader and followers do with each other's messages.

pub mod partition;
pub mod producer_state;
pub mod replication;
pub mod store;
