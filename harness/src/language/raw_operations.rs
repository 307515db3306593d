//! The keys of what people do to a cluster: operators, whose changes are no fault by themselves, and whoever produces what
//! nobody can read. All of it stays.

use super::document::Spanned;
use super::setting::{Whole, settings};

settings! {
    /// Records of a partition are deleted, as by `kafka-delete-records` (KIP-107): up to exactly one of `before` and `past`.
    pub struct RawDeleteRecords {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// The partition. Default 0.
        "partition" => partition: Option<Spanned<Whole<0, 2_147_483_647>>>,
        /// Those in front of this offset.
        "before" => before: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// Those in front of what this consumer group has committed by then.
        "past" => past: Option<Spanned<String>>,
        /// With `past`: and so many more. Default: none.
        "by" => by: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
    }
}

settings! {
    /// Somebody produces a message that none of those who read the topic can decode.
    pub struct RawPoison {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// The partition. Default: that of the key, as Java's clients choose it; without a key 0.
        "partition" => partition: Option<Spanned<Whole<0, 2_147_483_647>>>,
        /// The message's key. Default: none.
        "key" => key: Option<Spanned<String>>,
        /// Its value. Default `{"poison": `, JSON that breaks off.
        "value" => value: Option<Spanned<String>>,
    }
}

settings! {
    /// A topic gets more partitions, as by `kafka-topics --alter`.
    pub struct RawAddPartitions {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// How many it has then; more than before.
        "to" => to: Spanned<Whole<2, 10_000>>,
    }
}
