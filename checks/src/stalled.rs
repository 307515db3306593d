//! Stalled: no progress for longer than allowed, though nothing is broken.
//!
//! Two things must go on at every partition, each for itself, so that a poisoned partition does not hide behind the others:
//!
//! - A *group* that has something to read must commit. It stands still while messages lie between its commit and the last
//!   stable offset (all that a reader of committed messages could get) and its commit does not change, neither forwards nor
//!   back. A group that handles the same messages again and again stands still, however busy it is.
//! - The *last stable offset* below the end of a log must move: an open transaction holds it, and with it every reader of
//!   committed messages.
//!
//! Readings tell: a standstill is as long as the time from the answer of the first reading that shows it to the question of
//! the last one, so that what convicts is certain. It counts only from the end of the last fault that touches it
//! ([`Course`]): what stands still while something is broken on purpose is no finding, and what does not go on after it is
//! healed is one. Recovery itself takes time, which the limit has to leave. Where nobody looked for longer than the limit
//! though nothing was broken, a standstill may have been missed, and the check cannot pass: neither where looks became
//! possible again, nor where they did not until the end of the load, or of all looks.

use crate::evidence::{self, STORIES_MAX, milliseconds, seconds};
use crate::tally;
use shakedown_reports::course::Course;
use shakedown_reports::expectation::{Bounds, StandstillLimit};
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use shakedown_reports::watch::{Reading, Watch, WatchId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "stalled";

/// One finding for each group and topic, and one for the last stable offset of each topic that was asked for it;
/// `compared` counts readings, `found` partitions that stood still for longer than allowed. How many of these there may be
/// is judged over all of them together.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, limit: &StandstillLimit) -> Result<Vec<Finding>, RecordError> {
    let course = record.course();
    let mut subjects = subjects(record.watches());
    let mut looked_until_ns = course.load_ended_ns.unwrap_or(0);
    record.readings(&mut |reading| {
        looked_until_ns = reading.asked_ns.max(looked_until_ns);
        for line in lines(record.watches(), reading) {
            subjects.entry((reading.watch, line)).or_default().read(line, reading, &course);
        }
    })?;
    subjects.values_mut().for_each(|subject| subject.close(looked_until_ns, &course));
    if subjects.is_empty() {
        let detail = "the run watches no group and no log, so nothing was compared";
        return Ok(vec![tally::without_data(NAME, "no group", detail)]);
    }
    let total = subjects.values().map(|subject| subject.found(limit.at_most)).sum();
    let findings = subjects.iter().map(|((id, line), subject)| {
        let place = Place { watch: &record.watches()[usize::from(*id)], id: *id, line: *line };
        finding(record, place, subject, limit, total)
    });
    findings.collect()
}

/// What has to be looked at: what nobody ever saw is no reason to pass. Whether a log with a group has a last stable offset is
/// known from its readings alone.
fn subjects(watches: &[Watch]) -> BTreeMap<(WatchId, Line), Subject> {
    let subject = |(id, watch): (WatchId, &Watch)| match watch.group {
        Some(_) => Some((id, Line::Commit)),
        None => is_first_of_its_topic(watches, id).then_some((id, Line::StableOffset)),
    };
    (0..).zip(watches).filter_map(subject).map(|place| (place, Subject::default())).collect()
}

/// Several groups may read one topic: its log is looked at once.
fn is_first_of_its_topic(watches: &[Watch], id: WatchId) -> bool {
    let topic = watches.get(usize::from(id)).map(|watch| &watch.topic);
    watches.iter().position(|other| Some(&other.topic) == topic) == Some(usize::from(id))
}

/// What a finding is about.
#[derive(Clone, Copy)]
struct Place<'a> {
    watch: &'a Watch,
    id: WatchId,
    line: Line,
}

/// What has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Commit,
    StableOffset,
}

impl Line {
    /// Where it is, and up to where there is something for it.
    fn measure(self, reading: &Reading) -> (i64, i64) {
        match self {
            Self::Commit if reading.stable >= 0 => (reading.committed, reading.stable),
            Self::Commit => (reading.committed, reading.end),
            Self::StableOffset => (reading.stable, reading.end),
        }
    }

    fn waits(self, reading: &Reading) -> bool {
        let (at, to) = self.measure(reading);
        // What was deleted waits for nobody.
        at.max(reading.start) < to
    }
}

/// What a reading says something about.
fn lines(watches: &[Watch], reading: &Reading) -> Vec<Line> {
    let Some(watch) = watches.get(usize::from(reading.watch)) else { return Vec::new() };
    let mut lines = Vec::new();
    if watch.group.is_some() {
        lines.push(Line::Commit);
    }
    if reading.stable >= 0 && is_first_of_its_topic(watches, reading.watch) {
        lines.push(Line::StableOffset);
    }
    lines
}

/// A group at a topic, or a topic's last stable offset.
#[derive(Default)]
struct Subject {
    compared: u64,
    /// The longest time in which nobody looked though nothing was broken.
    unseen_ns: u64,
    partitions: BTreeMap<i32, Standing>,
}

/// One partition.
struct Standing {
    before: Reading,
    /// Since when it has stood still.
    since: Option<Reading>,
    longest: Option<Standstill>,
}

/// From one reading to another, nothing moved.
#[derive(Clone, Copy)]
struct Standstill {
    length_ns: u64,
    since: Reading,
    until: Reading,
}

impl Subject {
    fn read(&mut self, line: Line, reading: &Reading, course: &Course) {
        self.compared += 1;
        let fresh = Standing { before: *reading, since: None, longest: None };
        let standing = self.partitions.entry(reading.partition).or_insert(fresh);
        let before = std::mem::replace(&mut standing.before, *reading);
        let sound_ns = |since_ns| {
            let since_ns = course.sound_since(since_ns, reading.asked_ns);
            since_ns.map_or(0, |since_ns| reading.asked_ns.saturating_sub(since_ns))
        };
        self.unseen_ns = course.longest_sound(before.answered_ns, reading.asked_ns).max(self.unseen_ns);
        let moved = line.measure(&before).0 != line.measure(reading).0;
        let since = match standing.since {
            _ if !line.waits(reading) => {
                standing.since = None;
                return;
            }
            Some(since) if !moved => since,
            _ => {
                standing.since = Some(*reading);
                return;
            }
        };
        let length_ns = sound_ns(since.answered_ns);
        if standing.longest.is_none_or(|longest| longest.length_ns < length_ns) {
            standing.longest = Some(Standstill { length_ns, since, until: *reading });
        }
    }

    /// What nobody saw until looks ended is unseen, as what nobody saw between two of them.
    fn close(&mut self, looked_until_ns: u64, course: &Course) {
        let last = self.partitions.values().map(|standing| standing.before.answered_ns);
        let unseen = last.map(|answered_ns| course.longest_sound(answered_ns, looked_until_ns));
        self.unseen_ns = unseen.max().unwrap_or(0).max(self.unseen_ns);
    }

    /// How many partitions stood still for longer than this.
    fn found(&self, at_most_ns: u64) -> u64 {
        let longest = self.partitions.values().filter_map(|standing| standing.longest);
        longest.filter(|longest| longest.length_ns > at_most_ns).count() as u64
    }

    /// The longest standstill of each partition, the longest of all first.
    fn longest(&self) -> Vec<Standstill> {
        let mut longest: Vec<Standstill> = self.partitions.values().filter_map(|standing| standing.longest).collect();
        longest.sort_by_key(|standstill| Reverse(standstill.length_ns));
        longest
    }
}

fn finding(
    record: &dyn Record,
    place: Place<'_>,
    subject: &Subject,
    limit: &StandstillLimit,
    total: u64,
) -> Result<Finding, RecordError> {
    let (watch, longest, found) = (place.watch, subject.longest(), subject.found(limit.at_most));
    let guilty = found > 0 || total == 0;
    let outcome = match limit.partitions.allow(total) {
        _ if subject.compared == 0 => Outcome::Inconclusive,
        false if guilty && (found > 0 || subject.unseen_ns <= limit.at_most) => Outcome::Fail,
        _ if found == 0 && subject.unseen_ns > limit.at_most => Outcome::Inconclusive,
        _ => Outcome::Pass,
    };
    let mut evidence = Vec::new();
    let too_long = longest.iter().filter(|longest| longest.length_ns > limit.at_most);
    for standstill in too_long.filter(|_| outcome == Outcome::Fail).take(STORIES_MAX) {
        evidence.push(tell(record, place, standstill)?);
    }
    Ok(Finding {
        check: NAME.to_owned(),
        subject: match place.line {
            Line::Commit => watch.label(),
            Line::StableOffset => format!("last stable offset of {}", watch.topic),
        },
        outcome,
        compared: subject.compared,
        found,
        detail: detail(watch, subject, longest.first(), limit),
        evidence,
    })
}

/// `longest 0.31 s (2)`; `longest 9.2 s (2!) at orders/3`.
fn detail(watch: &Watch, subject: &Subject, longest: Option<&Standstill>, limit: &StandstillLimit) -> String {
    if subject.compared == 0 {
        return "nobody could look how far it was".to_owned();
    }
    let (at_most_ns, allowed) = (limit.at_most, seconds(limit.at_most));
    let mut text = match longest {
        Some(longest) if longest.length_ns > at_most_ns => {
            let place = format!("{}/{}", watch.topic, longest.until.partition);
            format!("longest {} s ({allowed}!) at {place}", milliseconds(longest.length_ns))
        }
        longest => format!("longest {} s ({allowed})", milliseconds(longest.map_or(0, |longest| longest.length_ns))),
    };
    if limit.partitions != Bounds::exactly(0) {
        let found = subject.found(at_most_ns);
        let noun = if found == 1 { "partition" } else { "partitions" };
        text.push_str(&format!("  {found} {noun}, {} expected over all", limit.partitions));
    }
    if subject.unseen_ns > at_most_ns {
        text.push_str(&format!("  nobody looked for {} s", milliseconds(subject.unseen_ns)));
    }
    text
}

fn tell(record: &dyn Record, place: Place<'_>, standstill: &Standstill) -> Result<Story, RecordError> {
    let Place { watch, id, line } = place;
    let Standstill { length_ns, since, until } = *standstill;
    let mut others: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    record.readings(&mut |reading| {
        let meanwhile = since.asked_ns <= reading.asked_ns && reading.asked_ns <= until.asked_ns;
        if reading.watch == id && reading.partition != until.partition && meanwhile {
            let at = line.measure(reading).0;
            others.entry(reading.partition).or_insert((at, at)).1 = at;
        }
    })?;
    let moved: Vec<i64> = others.values().map(|(from, to)| to - from).filter(|moved| *moved > 0).collect();
    let meanwhile = match (moved.len(), others.len()) {
        (_, 0) => "it is the topic's only partition".to_owned(),
        (0, _) => "no other partition of the topic moved either".to_owned(),
        (some, all) => {
            let offsets = grouped(moved.iter().sum::<i64>());
            format!("meanwhile {some} of the {all} other partitions moved on, by {offsets} offsets together")
        }
    };
    let place = format!("{}/{}", watch.topic, until.partition);
    let group = watch.group.as_deref().unwrap_or_default();
    let is_at = |reading: &Reading| match (line, line.measure(reading).0) {
        (Line::Commit, ..0) => format!("group {group} has committed nothing"),
        (Line::Commit, at) => format!("group {group} has committed {}", grouped(at)),
        (Line::StableOffset, at) => format!("the last stable offset is {}", grouped(at)),
    };
    let reach = |reading: &Reading| grouped(line.measure(reading).1);
    let event = |at_ns, text| StoryEvent { at_ns: Some(at_ns), text };
    let events = vec![
        event(since.answered_ns, format!("{}, and could go on to {}", is_at(&since), reach(&since))),
        event(until.asked_ns, format!("still {}, and could go on to {}", is_at(&until), reach(&until))),
        StoryEvent { at_ns: None, text: meanwhile },
    ];
    Ok(evidence::story(format!("{place} stands still for {} s", milliseconds(length_ns)), events))
}
