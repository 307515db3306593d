//! Offset regressed: what a group has committed at a partition goes back.
//!
//! - Commits are compared in the order in which `__consumer_offsets` has them, which is the order in which the coordinator
//!   took them: a commit below the one before it has gone back. A member that was thrown out and did not notice does that,
//!   and so does one that seeks back and commits.
//! - What the coordinator *answers* is compared in the order in which it was asked: one that recovers badly, such as by
//!   replaying plain and transactional commits in the wrong order, gives out less than was given out before, whatever its
//!   log says.
//!
//! Going back on purpose is told apart. A *reset* (`kafka-consumer-groups --reset-offsets`, an admin client) is taken by
//! Kafka only while the group has no member, and the group's own records in the same partition tell when that was; see
//! [`CommitKind::Reset`]. A commit that was *removed* (expired, deleted) ends the story: what is committed afterwards begins
//! a new one. Both explain what the coordinator answers about their partition, as does a commit that was convicted already,
//! so that nothing counts twice. A consumer without a group's members, which assigns partitions to itself, is judged like a
//! member: nobody can tell its commits from a reset, so it must not go back.

use crate::evidence::{self, STORIES_MAX};
use crate::groups;
use crate::tally::{self, Tally};
use shakedown_reports::expectation::Bounds;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};
use shakedown_reports::watch::{Commit, CommitKind, Reading, Watch, WatchId};
use std::collections::{BTreeMap, BTreeSet};

/// The check's name in findings.
pub const NAME: &str = "offset-regressed";

/// A partition of a watched topic.
type Place = (WatchId, i32);

/// One finding for each group and topic.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: Bounds) -> Result<Vec<Finding>, RecordError> {
    let groups = groups::groups(record);
    if groups.is_empty() {
        return Ok(vec![groups::no_group(NAME)]);
    }
    let mut history = History::default();
    record.commits(&mut |commit| history.committed(commit))?;
    record.readings(&mut |reading| history.answered(reading))?;
    let tallies = groups.into_iter().map(|(id, watch)| history.tally(id, watch)).collect();
    Ok(tally::findings(NAME, allowed, tallies))
}

/// What was said of a group, in order: first by its log, then by its coordinator.
#[derive(Default)]
struct History {
    /// The last commit of each partition; `None` after a removal.
    last: BTreeMap<Place, Option<Commit>>,
    /// How far each partition of the log was read: a tap that goes back reads the same again.
    log_offset: BTreeMap<Place, i64>,
    /// Partitions whose commits went back for a reason that the log tells.
    explained: BTreeSet<Place>,
    answers: BTreeMap<Place, Reading>,
    counts: BTreeMap<WatchId, Count>,
}

#[derive(Default)]
struct Count {
    compared: u64,
    found: u64,
    stories: Vec<Regress>,
}

/// Two words on one partition, in order, the second below the first.
#[derive(Clone, Copy)]
enum Regress {
    Logged(Commit, Commit),
    Answered(Reading, Reading),
}

impl History {
    fn committed(&mut self, commit: &Commit) {
        let place = (commit.watch, commit.partition);
        let log_offset = self.log_offset.entry(place).or_insert(-1);
        if commit.log_offset <= *log_offset {
            return;
        }
        *log_offset = commit.log_offset;
        let before = self.last.entry(place).or_default();
        let before = std::mem::replace(before, Some(*commit).filter(|commit| commit.kind != CommitKind::Removed));
        match (commit.kind, before) {
            (CommitKind::Member, Some(before)) => {
                let count = self.counts.entry(commit.watch).or_default();
                if count.compare(commit.offset < before.offset, Regress::Logged(before, *commit)) {
                    self.explained.insert(place);
                }
            }
            (CommitKind::Member, None) => {}
            (CommitKind::Reset | CommitKind::Removed, _) => _ = self.explained.insert(place),
        }
    }

    fn answered(&mut self, reading: &Reading) {
        let place = (reading.watch, reading.partition);
        if let Some(before) = self.answers.insert(place, *reading)
            && before.committed >= 0
            && !self.explained.contains(&place)
        {
            let count = self.counts.entry(reading.watch).or_default();
            count.compare(reading.committed < before.committed, Regress::Answered(before, *reading));
        }
    }

    fn tally(&mut self, id: WatchId, watch: &Watch) -> Tally {
        let Count { compared, found, stories } = self.counts.remove(&id).unwrap_or_default();
        let evidence = stories.iter().map(|regress| regress.story(watch)).collect();
        Tally { subject: watch.label(), compared, found, evidence }
    }
}

impl Count {
    fn compare(&mut self, goes_back: bool, regress: Regress) -> bool {
        self.compared += 1;
        if goes_back {
            self.found += 1;
            if self.stories.len() < STORIES_MAX {
                self.stories.push(regress);
            }
        }
        goes_back
    }
}

impl Regress {
    fn story(self, watch: &Watch) -> Story {
        let group = watch.group.as_deref().unwrap_or_default();
        let (partition, from, to, events) = match self {
            Self::Logged(before, after) => {
                let logged = |commit: &Commit| {
                    let event = groups::commit_event(watch, commit);
                    let text = format!("{}, offset {} of its log", event.text, commit.log_offset);
                    StoryEvent { text, ..event }
                };
                (before.partition, before.offset, after.offset, vec![logged(&before), logged(&after)])
            }
            Self::Answered(before, after) => {
                let answered = |reading: &Reading| {
                    let text = match reading.committed {
                        0.. => format!("the coordinator of group {group} answered {}", grouped(reading.committed)),
                        _ => format!("the coordinator of group {group} answered that nothing is committed"),
                    };
                    StoryEvent { at_ns: Some(reading.answered_ns), text }
                };
                (before.partition, before.committed, after.committed, vec![answered(&before), answered(&after)])
            }
        };
        let to = if to < 0 { "nothing".to_owned() } else { grouped(to) };
        let title = format!("{}/{partition}: from {} back to {to}", watch.topic, grouped(from));
        evidence::story(title, events)
    }
}
