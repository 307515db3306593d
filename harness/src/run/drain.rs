//! Waiting until everything that was offered has arrived everywhere, or until it is clear that it will not.
//!
//! Drained means, all at the same time: every group has committed every topic it consumes to its end, every tap has
//! read its topic to its end (and none stands beyond it, where a log was cut), no service has a backlog, no topic has grown
//! since the last look, and every ledger, asked after that, had nothing new. Never that some count is reached: a message
//! that is lost for good would make that wait for ever.

use super::error::RunError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown_loadgen::{StopFlag, Tap};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// For one question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For asking it once.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// Before it is asked again: a broker that is down refuses at once.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(10);

/// Between two looks at the taps.
const READ_POLL: Duration = Duration::from_millis(10);

/// Asks the cluster how far everybody is.
pub struct Gauge {
    groups: Vec<WatchedGroup>,
    topics: Vec<String>,
    client: BaseConsumer,
}

/// High watermarks by topic, then partition.
pub type Ends = BTreeMap<String, Vec<i64>>;

/// A group, with what it consumes.
struct WatchedGroup {
    name: String,
    topics: Vec<String>,
    /// Its own client: committed offsets are asked for as a member of the group would.
    client: BaseConsumer,
}

/// How far everybody was at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// High watermarks by topic, then partition.
    pub ends: Ends,
    /// First offsets, likewise.
    pub starts: Ends,
    /// The offset that each group has committed, by group and topic, then partition; 0 where there is none.
    pub committed: BTreeMap<(String, String), Vec<i64>>,
}

impl Gauge {
    /// Prepares to ask about these groups with the topics they consume, and about these tapped topics.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(bootstrap: &str, groups: &BTreeMap<String, Vec<String>>, tapped: &[String]) -> Result<Self, RunError> {
        let client = |group: &str| -> Result<BaseConsumer, RunError> {
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", group)
                .set("enable.auto.commit", "false")
                // Where logs end, not where their last transaction that has ended does.
                .set("isolation.level", "read_uncommitted")
                // A broker that was dead for a while is not left alone for longer than that.
                .set("reconnect.backoff.ms", "10")
                .set("reconnect.backoff.max.ms", "100")
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
        let sizes = self.sizes()?;
        // Commits first: an end that is read afterwards can only be further, so a lag is never missed.
        let mut committed = Vec::new();
        for WatchedGroup { name, topics, client } in &self.groups {
            let mut list = TopicPartitionList::new();
            for topic in topics {
                for partition in 0..sizes.get(topic).copied().unwrap_or(0) {
                    list.add_partition(topic, partition);
                }
            }
            let doing = format!("read the committed offsets of group {name}");
            let offsets = patiently(|timeout| client.committed_offsets(list.clone(), timeout));
            committed.push((name, offsets.map_err(RunError::kafka(doing))?));
        }
        let (starts, ends) = self.extents(&sizes)?;
        let mut by_topic: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
        for (group, list) in committed {
            for element in list.elements() {
                let at = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => 0,
                };
                let offsets = by_topic.entry((group.clone(), element.topic().to_owned())).or_default();
                // In the order in which they were asked for, which is that of partitions.
                offsets.push(at);
            }
        }
        Ok(Look { ends, starts, committed: by_topic })
    }

    /// Where every topic ends now.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn ends(&self) -> Result<Ends, RunError> {
        Ok(self.extents(&self.sizes()?)?.1)
    }

    /// How many partitions each topic has by now: somebody may have added some, or deleted it.
    fn sizes(&self) -> Result<BTreeMap<String, i32>, RunError> {
        let size = |topic: &String| {
            let doing = format!("read the partitions of {topic}");
            let metadata = patiently(|timeout| self.client.fetch_metadata(Some(topic), timeout));
            let metadata = metadata.map_err(RunError::kafka(doing))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let partitions = found.map_or(0, |found| found.partitions().len());
            Ok((topic.clone(), i32::try_from(partitions).unwrap_or(i32::MAX)))
        };
        self.topics.iter().map(size).collect()
    }

    /// Where every topic begins and ends.
    fn extents(&self, sizes: &BTreeMap<String, i32>) -> Result<(Ends, Ends), RunError> {
        let (mut starts, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for (topic, partitions) in sizes {
            let mut of_topic = Vec::new();
            for partition in 0..*partitions {
                let doing = format!("read the end of {topic}/{partition}");
                let marks = patiently(|timeout| self.client.fetch_watermarks(topic, partition, timeout));
                of_topic.push(marks.map_err(RunError::kafka(doing))?);
            }
            let (first, last) = of_topic.into_iter().unzip();
            starts.insert(topic.clone(), first);
            ends.insert(topic.clone(), last);
        }
        Ok((starts, ends))
    }
}

/// Asks until there is an answer, or nobody has given one for too long. Brokers come and go under a scenario: librdkafka
/// takes a question to the broker that it thinks is right, and stays with it until the time is up; asked anew, it looks who
/// leads by now.
fn patiently<T>(ask: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask(ATTEMPT) {
            Err(error) if is_passing(&error) && Instant::now() < deadline => {
                std::thread::sleep(ATTEMPT_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| matches!(code, AllBrokersDown | BrokerTransportFailure | OperationTimedOut))
}

/// What is still missing at this look, in words; empty if nothing is.
#[must_use]
pub fn missing(look: &Look, taps: &[(String, Tap)]) -> String {
    let mut text = String::new();
    for ((group, topic), committed) in &look.committed {
        let Some(ends) = look.ends.get(topic) else { continue };
        let tap = taps.iter().find(|(tapped, _)| tapped == topic).map(|(_, tap)| tap);
        let lag = match tap {
            Some(tap) => lag(committed, ends, &tap.positions(), &tap.message_ends()),
            None => lag(committed, ends, &[], &[]),
        };
        if lag > 0 {
            let _ = write!(text, "group {group} is {lag} behind on {topic}; ");
        }
    }
    text += &unread(&look.ends, taps);
    for (topic, tap) in taps {
        if let (Some(starts), Some(ends)) = (look.starts.get(topic), look.ends.get(topic)) {
            let beyond = beyond(&tap.positions(), starts, ends);
            if beyond > 0 {
                let _ = write!(text, "the tap of {topic} is {beyond} beyond the end of its log; ");
            }
        }
    }
    text.trim_end_matches("; ").to_owned()
}

/// What a group has still to commit. A log may end with the end of a transaction, which is no message, and which most consumers
/// never commit: behind the last message that a tap has seen there is nothing for anybody, provided that the tap has read all.
fn lag(committed: &[i64], ends: &[i64], tapped: &[i64], message_ends: &[i64]) -> i64 {
    let behind = |(partition, (at, end)): (usize, (&i64, &i64))| {
        let is_read = tapped.get(partition).is_some_and(|position| position >= end);
        let message_end = message_ends.get(partition).copied().filter(|_| is_read).unwrap_or(*end);
        (message_end.min(*end) - at).max(0)
    };
    committed.iter().zip(ends).enumerate().map(behind).sum()
}

/// How far a tap stands beyond where the log ends: it was cut, and the tap has still to find out, and to read what was written
/// in place of what is gone. (Or the leader is new, and its high watermark has still to follow.) Where nothing was written
/// there is nothing to read, and the tap stays where it is.
fn beyond(positions: &[i64], starts: &[i64], ends: &[i64]) -> i64 {
    let marks = positions.iter().zip(starts.iter().zip(ends));
    marks.filter(|(_, (start, end))| start < end).map(|(at, (_, end))| (at - end).max(0)).sum()
}

/// What the taps have not read below these ends, in words; empty if nothing.
#[must_use]
pub fn unread(ends: &Ends, taps: &[(String, Tap)]) -> String {
    let mut text = String::new();
    for (topic, tap) in taps {
        if let Some(ends) = ends.get(topic).filter(|ends| !tap.drained(ends)) {
            let behind: i64 = ends.iter().zip(tap.positions()).map(|(end, at)| (end - at).max(0)).sum();
            let _ = write!(text, "the tap of {topic} is {behind} behind; ");
        }
    }
    text
}

/// Waits until the taps have read everything below these ends, or until somebody interrupts.
///
/// # Errors
/// What is unread when the limit has passed or waiting is of no use, in words.
pub fn read_to(ends: &Ends, taps: &[(String, Tap)], limit: Duration, interrupt: &StopFlag) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(reason) = hopeless(ends, taps) {
            return Err(reason);
        }
        let unread = unread(ends, taps);
        if unread.is_empty() || interrupt.is_stopped() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(unread.trim_end_matches("; ").to_owned());
        }
        std::thread::sleep(READ_POLL);
    }
}

/// Why waiting for the taps is of no use, if so.
#[must_use]
pub fn hopeless(ends: &Ends, taps: &[(String, Tap)]) -> Option<String> {
    taps.iter().find_map(|(topic, tap)| {
        let partitions = ends.get(topic).map_or(0, Vec::len);
        if tap.is_finished() {
            Some(format!("the tap of {topic} ended before the drain"))
        } else if tap.partitions() != partitions {
            let read = tap.partitions();
            Some(format!(
                "topic {topic} now has {partitions} partitions, and its tap reads the {read} that it began with"
            ))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Gauge, beyond, hopeless, lag, read_to, unread};
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use shakedown_loadgen::{IdentityRule, RunClock, StopFlag, Tap, TapPlan};
    use shakedown_reports::record::{StreamInfo, StreamKind};
    use shakedown_reports::{RunDirectory, RunInfo};
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    #[test]
    fn a_tap_whose_place_was_cut_off_is_not_at_the_end() {
        assert_eq!(beyond(&[150, 7], &[0, 0], &[150, 9]), 0, "at the end, or before it");
        assert_eq!(beyond(&[200, 7], &[0, 0], &[150, 4]), 53);
        assert_eq!(beyond(&[200, 200], &[0, 30], &[0, 30]), 0, "there is nothing to read instead");
    }

    #[test]
    fn nobody_is_waited_for_to_commit_the_end_of_a_transaction() {
        assert_eq!(lag(&[7, 3], &[10, 3], &[], &[]), 3, "nobody has looked what lies there");
        assert_eq!(lag(&[9, 3], &[10, 3], &[10, 3], &[9, 3]), 0, "all messages are committed");
        assert_eq!(lag(&[7, 3], &[10, 3], &[10, 3], &[9, 3]), 2);
        assert_eq!(
            lag(&[9, 3], &[10, 3], &[9, 3], &[9, 3]),
            1,
            "the last one may be a message that the tap has not seen"
        );
        assert_eq!(lag(&[10, 3], &[10, 3], &[10, 3], &[9, 3]), 0, "some consumers commit it all the same");
        assert_eq!(lag(&[0, 0], &[0, 5], &[0, 5], &[0, 5]), 5);
    }

    #[test]
    fn taps_are_waited_for_unless_they_have_ended() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("orders", 3, 1).expect("a topic");
        let bootstrap = cluster.bootstrap_servers();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut info = RunInfo::new("a tap ends", 1);
        info.streams = vec![StreamInfo { name: "orders".to_owned(), kind: StreamKind::Topic }];
        let directory = RunDirectory::create(folder.path(), &info).expect("a run directory");
        let stop = StopFlag::new();
        let tap = Tap::start(
            TapPlan::new(0, "orders", IdentityRule::Header, 1, 0),
            &bootstrap,
            RunClock::start(),
            directory.delivery_writer(0).expect("a writer"),
            directory.interner(),
            directory.interval_log(),
            stop.clone(),
        )
        .expect("a tap");
        let taps = [("orders".to_owned(), tap)];
        let gauge = Gauge::new(&bootstrap, &BTreeMap::new(), &["orders".to_owned()]).expect("a gauge");
        let mut ends = gauge.ends().expect("an answer");
        assert_eq!(ends["orders"], [0, 0, 0], "as many as the cluster says");
        assert_eq!((hopeless(&ends, &taps), unread(&ends, &taps)), (None, String::new()));

        // A message that is produced only after the wait for it has begun.
        ends.insert("orders".to_owned(), vec![0, 0, 1]);
        let (never, limit) = (StopFlag::new(), Duration::from_millis(50));
        assert_eq!(read_to(&ends, &taps, limit, &never), Err("the tap of orders is 1 behind".to_owned()));
        let late = std::thread::spawn(move || {
            let producer: BaseProducer =
                ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a producer");
            let record: BaseRecord<'_, (), str> = BaseRecord::to("orders").partition(2).payload("late");
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
            producer.flush(Duration::from_secs(10)).expect("an acknowledgement");
        });
        assert_eq!(read_to(&ends, &taps, Duration::from_secs(10), &never), Ok(()));
        assert_eq!(taps[0].1.positions(), [0, 0, 1], "it has been read when the wait is over");
        late.join().expect("it is produced");

        stop.stop();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !taps[0].1.is_finished() {
            assert!(Instant::now() < deadline, "the tap does not end");
            std::thread::yield_now();
        }
        assert_eq!(hopeless(&ends, &taps).as_deref(), Some("the tap of orders ended before the drain"));
        assert_eq!(read_to(&ends, &taps, limit, &never), Err("the tap of orders ended before the drain".to_owned()));
    }
}
