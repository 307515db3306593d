//! What may be expected of consumer groups and logs: how many anomalies, how long a standstill, how much lag.

use super::document::{Content, Node, Spanned};
use super::problem::Problems;
use super::quantity::Span;
use super::setting::{Setting, Whole, settings, wrong_type};
use serde_json::{Value as Json, json};

/// The largest number that the language has.
const MOST: u64 = 9_223_372_036_854_775_807;

/// How many there may be: a whole number means exactly so many.
#[derive(Debug, Clone)]
pub enum RawCount {
    /// Neither more nor fewer.
    Exactly(Whole<0, MOST>),
    /// From so many to so many.
    Between(RawBounds),
}

settings! {
    /// From so many to so many; one of the two at least.
    pub struct RawBounds {
        /// No fewer. Default 0.
        "at_least" => at_least: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// No more. Default: any number.
        "at_most" => at_most: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
    }
}

impl Setting for RawCount {
    fn schema() -> Json {
        json!({ "oneOf": [Whole::<0, MOST>::schema(), RawBounds::schema()] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        match node.content {
            Content::Integer(_) => Whole::read(node, path, problems).map(Self::Exactly),
            Content::Table(_) => RawBounds::read(node, path, problems).map(Self::Between),
            _ => {
                let expected = "a whole number, which means exactly so many, or a table { at_least = 1, at_most = 10 }";
                wrong_type(node, path, expected, problems);
                None
            }
        }
    }
}

/// How long the messages of a flow may take: bounds by percentile, whose names the author chooses; and at how many partitions
/// these may, or have to, break, if they are those of each partition.
#[derive(Debug, Clone)]
pub struct RawLatency {
    /// By percentile.
    pub at_most: Vec<(Spanned<String>, Spanned<Span>)>,
    /// At how many partitions some bound does not hold.
    pub partitions: Option<Spanned<RawCount>>,
}

/// The one key of a budget that is no percentile.
const PARTITIONS: &str = "partitions";

impl Setting for RawLatency {
    fn schema() -> Json {
        let mut partitions = RawCount::schema();
        partitions["description"] =
            "The bounds are those of each partition of the sink, a topic, and do not hold at so many of them.".into();
        let percentile = r"^(p[0-9]+(\.[0-9]+)?|max)$";
        json!({
            "type": "object",
            "properties": { PARTITIONS: partitions },
            "patternProperties": { percentile: Span::schema() },
            "additionalProperties": false
        })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Table(entries) = &node.content else {
            wrong_type(node, path, "a table", problems);
            return None;
        };
        let (mut read, mut complete) = (Self { at_most: Vec::new(), partitions: None }, true);
        for entry in entries {
            let (path, place) = (format!("{path}.{}", entry.name.value), entry.node.place);
            if entry.name.value == PARTITIONS {
                let value = RawCount::read(&entry.node, &path, problems);
                complete &= value.is_some();
                read.partitions = value.map(|value| Spanned { value, place });
            } else if let Some(value) = Span::read(&entry.node, &path, problems) {
                read.at_most.push((entry.name.clone(), Spanned { value, place }));
            } else {
                complete = false;
            }
        }
        complete.then_some(read)
    }
}

settings! {
    /// For how long there may be no progress though nothing is broken.
    pub struct RawStalled {
        /// The longest standstill of a partition, counted from the end of the last fault.
        "at_most" => at_most: Spanned<Span>,
        /// How many partitions may, or have to, stand still for longer. Default 0.
        "partitions" => partitions: Option<Spanned<RawCount>>,
    }
}

settings! {
    /// How far groups may be behind; one of the two at least.
    pub struct RawLag {
        /// Messages that a group may have left to commit while the load lasts, over all partitions of a topic.
        "at_most" => at_most: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// How long after the end of the load nothing may be left.
        "drained_in" => drained_in: Option<Spanned<Span>>,
        /// Only these groups. Default: all.
        "groups" => groups: Option<Spanned<Vec<Spanned<String>>>>,
    }
}
