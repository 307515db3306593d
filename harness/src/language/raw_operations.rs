//! The keys of what operators do: changes of the cluster that are no fault by themselves, and stay.

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
    /// A topic gets more partitions, as by `kafka-topics --alter`.
    pub struct RawAddPartitions {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// How many it has then; more than before.
        "to" => to: Spanned<Whole<2, 10_000>>,
    }
}
