//! Waiting until everything that was offered has arrived everywhere, or until it is clear that it will not.
//!
//! Drained means, all at the same time: every group has committed every topic it consumes to its end, every tap has
//! read its topic to its end, no topic has grown since the last look, and every ledger, asked after that, had nothing
//! new. Never that some count is reached: a message that is lost for good would make that wait for ever.

use super::error::RunError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown_loadgen::Tap;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// For one question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A topic, with how many partitions it has.
pub type SizedTopic = (String, i32);

/// Asks the cluster how far everybody is.
pub struct Gauge {
    groups: Vec<WatchedGroup>,
    topics: Vec<SizedTopic>,
    client: BaseConsumer,
}

/// A group, with what it consumes.
struct WatchedGroup {
    name: String,
    topics: Vec<SizedTopic>,
    /// Its own client: committed offsets are asked for as a member of the group would.
    client: BaseConsumer,
}

/// How far everybody was at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// High watermarks by topic, then partition.
    pub ends: BTreeMap<String, Vec<i64>>,
    /// What each group still has to commit, by group and topic; only where there is something.
    pub lags: BTreeMap<(String, String), i64>,
}

impl Gauge {
    /// Prepares to ask about these groups with the topics they consume, and about these tapped topics.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        bootstrap: &str,
        groups: &BTreeMap<String, Vec<SizedTopic>>,
        tapped: &[SizedTopic],
    ) -> Result<Self, RunError> {
        let client = |group: &str| -> Result<BaseConsumer, RunError> {
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", group)
                .set("enable.auto.commit", "false")
                .create()
                .map_err(RunError::kafka("make a client to watch the groups"))
        };
        let groups = groups
            .iter()
            .map(|(name, topics)| {
                Ok(WatchedGroup { name: name.clone(), topics: topics.clone(), client: client(name)? })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let mut topics: Vec<_> = groups.iter().flat_map(|group| &group.topics).chain(tapped).cloned().collect();
        topics.sort();
        topics.dedup();
        Ok(Self { groups, topics, client: client("shakedown-gauge")? })
    }

    /// Looks at everything once.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn look(&self) -> Result<Look, RunError> {
        // Commits first: an end that is read afterwards can only be further, so a lag is never missed.
        let mut committed = Vec::new();
        for WatchedGroup { name, topics, client } in &self.groups {
            let mut list = TopicPartitionList::new();
            for (topic, partitions) in topics {
                list.add_partition_range(topic, 0, partitions - 1);
            }
            let doing = format!("read the committed offsets of group {name}");
            committed.push((name, client.committed_offsets(list, TIMEOUT).map_err(RunError::kafka(doing))?));
        }
        let mut ends = BTreeMap::new();
        for (topic, partitions) in &self.topics {
            let mut of_topic = Vec::new();
            for partition in 0..*partitions {
                let doing = format!("read the end of {topic}/{partition}");
                let marks = self.client.fetch_watermarks(topic, partition, TIMEOUT).map_err(RunError::kafka(doing))?;
                of_topic.push(marks.1);
            }
            ends.insert(topic.clone(), of_topic);
        }
        let mut lags = BTreeMap::new();
        for (group, list) in committed {
            for element in list.elements() {
                let at = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => 0,
                };
                let end = usize::try_from(element.partition()).ok().and_then(|p| ends.get(element.topic())?.get(p));
                let lag = end.map_or(0, |end| (end - at).max(0));
                if lag > 0 {
                    *lags.entry((group.clone(), element.topic().to_owned())).or_insert(0) += lag;
                }
            }
        }
        Ok(Look { ends, lags })
    }
}

/// What is still missing at this look, in words; empty if nothing is.
#[must_use]
pub fn missing(look: &Look, taps: &[(String, Tap)]) -> String {
    let mut text = String::new();
    for ((group, topic), lag) in &look.lags {
        let _ = write!(text, "group {group} is {lag} behind on {topic}; ");
    }
    for (topic, tap) in taps {
        if let Some(ends) = look.ends.get(topic).filter(|ends| !tap.drained(ends)) {
            let behind: i64 = ends.iter().zip(tap.positions()).map(|(end, at)| (end - at).max(0)).sum();
            let _ = write!(text, "the tap of {topic} is {behind} behind; ");
        }
    }
    text.trim_end_matches("; ").to_owned()
}
