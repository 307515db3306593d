//! Shards: several processes, perhaps on several machines, that offer disjoint parts of one plan from one instant on.
//!
//! They meet in a topic of one partition, whose log puts what they say into one order that all of them see: nobody leads,
//! nobody has to be started first. [`meeting`] is the protocol, pure; [`client`] carries it over Kafka; [`merge`] makes one
//! run directory of those that the shards have written. Who belongs to which shard is [`crate::part`]'s business.
//!
//! Clocks of several machines are believed: whoever measures below a millisecond keeps them in step (PTP, chrony).

pub mod arguments;
pub mod client;
pub mod meeting;
pub mod merge;
