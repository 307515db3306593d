//! A partition on one node: [`store`] keeps batches, [`producer_state`] decides about sequences, [`segments`] draws the
//! lines between old batches and new ones, [`partition`] is the replica with its role, [`replication`] what leader and
//! followers do with each other's messages, [`cleaning`] what becomes of old records.

pub mod cleaning;
pub mod partition;
pub mod producer_state;
pub mod replication;
pub mod segments;
pub mod store;
