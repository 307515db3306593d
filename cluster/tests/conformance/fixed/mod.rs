//! Fixed sequences: each is one test, and goes through what one part of the protocol can say.

mod admin;
mod configs;
mod epochs;
mod group_errors;
mod groups;
mod idempotence;
mod list_offsets;
mod malformed;
mod metadata;
mod offsets;
mod produce_fetch;
mod topics;
mod versions;

use crate::pair::Pair;

/// A test: its name, and what it asks.
pub(crate) type Sequence = (&'static str, fn(&mut Pair<'_>));

/// Sequences for clusters of one node.
pub(crate) fn one_node() -> Vec<Sequence> {
    let all = [
        versions::ALL,
        produce_fetch::ALL,
        malformed::ALL,
        idempotence::ALL,
        list_offsets::ALL,
        metadata::ALL,
        topics::ALL,
        configs::ALL,
        groups::ALL,
        group_errors::ALL,
        offsets::ALL,
        admin::ALL,
    ];
    all.concat()
}

/// Sequences for clusters of three nodes, which they may kill and have to restart.
pub(crate) fn three_nodes() -> Vec<Sequence> {
    epochs::ALL.to_vec()
}
