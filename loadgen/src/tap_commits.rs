//! The tap of `__consumer_offsets`: reads what groups commit, in the order in which their coordinators took it.
//!
//! It reads the topic as any consumer may: it joins no group, commits nothing, and sees commits of transactions only once
//! they are committed. Who wrote a commit is told from the group's own records, which lie in the same partition; see
//! [`CommitKind`].

use crate::clock::RunClock;
use crate::stop::StopFlag;
use crate::tap::{TapError, Unreadable, connect};
use crate::tap_commit_records::{self as records, Committed, OffsetRecord};
use crate::topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use shakedown_reports::CommitWriter;
use shakedown_reports::watch::{Commit, CommitKind, Watch, WatchId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The topic that it reads.
pub const TOPIC: &str = "__consumer_offsets";

/// How long the tap waits for a record before it looks at its flag.
const POLL: Duration = Duration::from_millis(20);
/// How often commits are handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// For the first question about a group, which makes the cluster create the topic.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(30);
/// Before it is asked again.
const COORDINATOR_PAUSE: Duration = Duration::from_millis(20);
/// Unreadable records that are kept; all are counted.
const SAMPLES_MAX: usize = 100;

/// What the tap saw.
#[derive(Debug, Clone, Default)]
pub struct CommitTapSummary {
    /// Commits of watched groups.
    pub count: u64,
    /// Records that are not what Kafka writes.
    pub unreadable: u64,
    /// The first hundred of them.
    pub unreadable_samples: Vec<Unreadable>,
    /// Errors that the client met and went on after.
    pub errors: u64,
}

/// The running tap.
#[derive(Debug)]
pub struct CommitTap {
    positions: Arc<Vec<AtomicI64>>,
    thread: JoinHandle<Result<CommitTapSummary, TapError>>,
}

impl CommitTap {
    /// Begins to read everything that `__consumer_offsets` has and gets, and records the commits of watched groups. Where
    /// nobody has used a group yet, the cluster is made to create the topic.
    ///
    /// # Errors
    /// When the cluster cannot be reached within 30 s, or has no such topic afterwards.
    pub fn start(
        watches: &[Watch],
        bootstrap: &str,
        clock: RunClock,
        commits: CommitWriter,
        stop: StopFlag,
    ) -> Result<Self, TapError> {
        let client_error = |source| TapError::Client { topic: TOPIC.to_owned(), source: Box::new(source) };
        let consumer = connect(bootstrap, TOPIC, &BTreeMap::new()).map_err(client_error)?;
        ask_a_coordinator(&consumer).map_err(client_error)?;
        let partitions = topic::partitions(consumer.client(), bootstrap, TOPIC)?;
        let mut assignment = TopicPartitionList::with_capacity(partitions);
        for partition in (0..).take(partitions) {
            assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).map_err(client_error)?;
        }
        consumer.assign(&assignment).map_err(client_error)?;
        let positions: Arc<Vec<_>> = Arc::new((0..partitions).map(|_| AtomicI64::new(0)).collect());
        let reader = Reader {
            clock,
            commits,
            groups: Groups::new(watches),
            positions: Arc::clone(&positions),
            summary: CommitTapSummary::default(),
        };
        let thread = thread::Builder::new()
            .name("tap-commits".to_owned())
            .spawn(move || reader.run(&consumer, &stop))
            .map_err(|source| TapError::Spawn { topic: TOPIC.to_owned(), source })?;
        Ok(Self { positions, thread })
    }

    /// Whether everything below these ends, one for each partition, was seen.
    #[must_use]
    pub fn drained(&self, ends: &[i64]) -> bool {
        self.positions.len() == ends.len()
            && self.positions.iter().zip(ends).all(|(position, end)| position.load(Ordering::Acquire) >= *end)
    }

    /// Whether the tap has ended: it was stopped, or its client gave up.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the tap's end, which the flag given to [`CommitTap::start`] brings about, and closes the record.
    ///
    /// # Errors
    /// When the client gave up, or the record could not be written.
    pub fn join(self) -> Result<CommitTapSummary, TapError> {
        self.thread.join().map_err(|_| TapError::Panicked { topic: TOPIC.to_owned() })?
    }
}

/// Has the cluster create the topic, if need be. Whoever is to coordinate first has to make itself at home there.
fn ask_a_coordinator(consumer: &BaseConsumer) -> KafkaResult<()> {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let deadline = Instant::now() + COORDINATOR_TIMEOUT;
    loop {
        let mut question = TopicPartitionList::new();
        question.add_partition(TOPIC, 0);
        let answer = consumer.committed_offsets(question, deadline.saturating_duration_since(Instant::now()));
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        let is_on_its_way = matches!(code, Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator));
        if !is_on_its_way || Instant::now() >= deadline {
            return answer.map(drop);
        }
        thread::sleep(COORDINATOR_PAUSE);
    }
}

struct Reader {
    clock: RunClock,
    commits: CommitWriter,
    groups: Groups,
    positions: Arc<Vec<AtomicI64>>,
    summary: CommitTapSummary,
}

impl Reader {
    fn run(mut self, consumer: &BaseConsumer, stop: &StopFlag) -> Result<CommitTapSummary, TapError> {
        let mut flushed = Instant::now();
        let mut fatal = None;
        while !stop.is_stopped() && fatal.is_none() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.see(&message),
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => fatal = Some(error),
                Some(Err(_)) => self.summary.errors += 1,
                None => {}
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                self.commits.flush();
                flushed = Instant::now();
            }
        }
        self.commits.finish()?;
        match fatal {
            Some(source) => {
                let count = self.summary.count;
                Err(TapError::Fatal { topic: TOPIC.to_owned(), count, source: Box::new(source) })
            }
            None => Ok(self.summary),
        }
    }

    fn see(&mut self, message: &impl Message) {
        let seen_ns = self.clock.now_ns();
        match records::read(message.key().unwrap_or_default(), message.payload()) {
            Ok(record) => {
                if let Some(commit) = self.groups.note(record, message.offset(), seen_ns) {
                    self.commits.push(&commit);
                    self.summary.count += 1;
                }
            }
            Err(reason) => {
                self.summary.unreadable += 1;
                if self.summary.unreadable_samples.len() < SAMPLES_MAX {
                    let (partition, offset) = (message.partition(), message.offset());
                    self.summary.unreadable_samples.push(Unreadable { partition, offset, reason: reason.to_owned() });
                }
            }
        }
        // Last: whoever sees the position may count on everything below it being recorded.
        let partition = usize::try_from(message.partition()).ok();
        if let Some(position) = partition.and_then(|partition| self.positions.get(partition)) {
            position.store(message.offset() + 1, Ordering::Release);
        }
    }
}

/// The watched groups, as far as the log has told of them.
struct Groups(BTreeMap<String, Group>);

#[derive(Default)]
struct Group {
    watches: BTreeMap<String, WatchId>,
    generation: Option<i32>,
    /// Members of a classic group.
    classic: i32,
    /// Members of a group of the consumer protocol.
    members: BTreeSet<String>,
    had_members: bool,
}

impl Groups {
    fn new(watches: &[Watch]) -> Self {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (id, watch) in (0..).zip(watches) {
            if let Some(group) = &watch.group {
                groups.entry(group.clone()).or_default().watches.insert(watch.topic.clone(), id);
            }
        }
        Self(groups)
    }

    /// Takes a record in; the commit that it is, if it is one of a watched group.
    fn note(&mut self, record: OffsetRecord, log_offset: i64, seen_ns: u64) -> Option<Commit> {
        match record {
            OffsetRecord::Commit { group, topic, partition, committed } => {
                let group = self.0.get(&group)?;
                let watch = *group.watches.get(&topic)?;
                let kind = group.author(committed.as_ref());
                let nothing = Committed { offset: -1, leader_epoch: -1, committed_ms: -1 };
                let Committed { offset, leader_epoch, committed_ms } = committed.unwrap_or(nothing);
                let generation = group.generation.unwrap_or(-1);
                return Some(Commit {
                    watch,
                    kind,
                    partition,
                    offset,
                    leader_epoch,
                    generation,
                    log_offset,
                    committed_ms,
                    seen_ns,
                });
            }
            OffsetRecord::Group { group, generation } => {
                let group = self.0.get_mut(&group)?;
                group.generation = generation.map(|group| group.generation).or(group.generation);
                group.classic = generation.map_or(0, |group| group.members);
                group.had_members |= group.classic > 0;
            }
            OffsetRecord::Epoch { group, epoch } => {
                let group = self.0.get_mut(&group)?;
                group.generation = epoch.or(group.generation);
            }
            OffsetRecord::Member { group, member, joined } => {
                let group = self.0.get_mut(&group)?;
                if joined {
                    group.members.insert(member);
                    group.had_members = true;
                } else {
                    group.members.remove(&member);
                }
            }
            OffsetRecord::Other => {}
        }
        None
    }
}

impl Group {
    fn author(&self, committed: Option<&Committed>) -> CommitKind {
        let has_members = self.classic > 0 || !self.members.is_empty();
        match committed {
            None => CommitKind::Removed,
            Some(_) if self.had_members && !has_members => CommitKind::Reset,
            Some(_) => CommitKind::Member,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap_commit_records::ClassicGroup;

    fn groups() -> Groups {
        let watch = |topic: &str, group: Option<&str>| Watch {
            topic: topic.to_owned(),
            group: group.map(str::to_owned),
            source: None,
            sinks: Vec::new(),
        };
        Groups::new(&[watch("orders", None), watch("orders", Some("a")), watch("payments", Some("a"))])
    }

    fn commit(group: &str, topic: &str, offset: Option<i64>) -> OffsetRecord {
        let committed = offset.map(|offset| Committed { offset, leader_epoch: 2, committed_ms: 99 });
        OffsetRecord::Commit { group: group.to_owned(), topic: topic.to_owned(), partition: 3, committed }
    }

    fn group(members: Option<i32>) -> OffsetRecord {
        let generation = members.map(|members| ClassicGroup { generation: 7, members });
        OffsetRecord::Group { group: "a".to_owned(), generation }
    }

    fn member(joined: bool) -> OffsetRecord {
        OffsetRecord::Member { group: "a".to_owned(), member: "m".to_owned(), joined }
    }

    #[test]
    fn commits_of_watched_groups_on_watched_topics_are_kept() {
        let mut groups = groups();
        let kept = groups.note(commit("a", "payments", Some(12)), 5, 77).expect("a watched group");
        let expected = Commit {
            watch: 2,
            kind: CommitKind::Member,
            partition: 3,
            offset: 12,
            leader_epoch: 2,
            generation: -1,
            log_offset: 5,
            committed_ms: 99,
            seen_ns: 77,
        };
        assert_eq!(kept, expected);
        assert_eq!(groups.note(commit("b", "orders", Some(1)), 6, 78), None);
        assert_eq!(groups.note(commit("a", "shipping", Some(1)), 7, 79), None);
    }

    #[test]
    fn who_commits_for_a_group_without_its_members_resets_it() {
        let mut groups = groups();
        let mut kind = |records: &[OffsetRecord]| {
            records.iter().for_each(|record| assert_eq!(groups.note(record.clone(), 0, 0), None));
            let commit = groups.note(commit("a", "orders", Some(1)), 0, 0).expect("a watched group");
            (commit.kind, commit.generation)
        };
        assert_eq!(kind(&[]), (CommitKind::Member, -1), "a consumer that assigns partitions to itself");
        assert_eq!(kind(&[group(Some(0))]), (CommitKind::Member, 7), "nobody was ever a member");
        assert_eq!(kind(&[group(Some(2))]), (CommitKind::Member, 7));
        assert_eq!(kind(&[group(Some(0))]), (CommitKind::Reset, 7));
        assert_eq!(kind(&[member(true)]), (CommitKind::Member, 7));
        assert_eq!(kind(&[member(false)]), (CommitKind::Reset, 7));
        let epoch = OffsetRecord::Epoch { group: "a".to_owned(), epoch: Some(9) };
        assert_eq!(kind(&[epoch, group(None)]), (CommitKind::Reset, 9));
    }

    #[test]
    fn a_tombstone_removes_what_was_committed() {
        let removed = groups().note(commit("a", "orders", None), 4, 5).expect("a watched group");
        assert_eq!((removed.kind, removed.offset, removed.committed_ms), (CommitKind::Removed, -1, -1));
    }
}
