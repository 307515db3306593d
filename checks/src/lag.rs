//! Lag: how many messages a group has not committed yet, over all partitions of a topic.
//!
//! - *Bounded* while the load lasts: at no look more than so many.
//! - *Drained* in time: when so much time has passed since the end of the load (with everything healed), nothing is left.
//!
//! A reading asks for the commit first and for the end of the log last, so that what arrives in between counts as lag: the
//! figure may be a few milliseconds of load too high, never too low. What was committed is what counts, not what was
//! processed: that is what would have to be read again. A group that has committed nothing is behind by the whole log.
//!
//! Where nobody could look for a second or longer while the load lasted, the lag in between cannot have been higher than the
//! end of the log after that time less the commits before it; if that is more than allowed, the check cannot pass. Where
//! nobody could look until the load was over, or ever again, there is no such bound.

use crate::evidence::{self, milliseconds, seconds};
use crate::groups;
use shakedown_reports::course::Course;
use shakedown_reports::expectation::LagBudget;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use shakedown_reports::watch::{Reading, Watch, WatchId};
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "lag";

/// Looks further apart than this have a hole between them.
const HOLE_NS: u64 = 1_000_000_000;

/// How many partitions of a look are told, the furthest behind first.
const PARTITIONS_TOLD: usize = 3;

/// One finding for each group and topic; `compared` counts looks, `found` those at which it was too far behind, and one more
/// for a group that had not drained in time.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, budget: &LagBudget) -> Result<Vec<Finding>, RecordError> {
    check_of(record, budget, &[])
}

/// As [`check`], of these groups alone; without any, of all.
///
/// # Errors
/// As for [`check`].
pub fn check_of(record: &dyn Record, budget: &LagBudget, only: &[String]) -> Result<Vec<Finding>, RecordError> {
    let mut groups = groups::groups(record);
    groups.retain(|(_, watch)| only.is_empty() || watch.group.as_ref().is_some_and(|group| only.contains(group)));
    if groups.is_empty() {
        return Ok(vec![groups::no_group(NAME)]);
    }
    let course = record.course();
    let mut courses: BTreeMap<WatchId, Behind> = groups.iter().map(|(id, _)| (*id, Behind::default())).collect();
    record.readings(&mut |reading| {
        if let Some(behind) = courses.get_mut(&reading.watch) {
            behind.read(reading, &course, budget);
        }
    })?;
    for behind in courses.values_mut() {
        behind.look_is_complete(&course, budget);
        behind.close(&course);
    }
    Ok(groups.iter().map(|(id, watch)| finding(watch, &courses[id], &course, budget)).collect())
}

/// All partitions at one look.
#[derive(Debug, Clone, Default)]
struct Look {
    readings: Vec<Reading>,
}

impl Look {
    fn asked_ns(&self) -> u64 {
        self.readings.first().map_or(0, |reading| reading.asked_ns)
    }

    fn answered_ns(&self) -> u64 {
        self.readings.last().map_or(0, |reading| reading.answered_ns)
    }

    fn lag(&self) -> u64 {
        self.readings.iter().map(Reading::lag).sum()
    }

    /// What the lag cannot have exceeded between an earlier look and this one.
    fn most_since(&self, before: &Self) -> u64 {
        let most = |after: &Reading| {
            let before = before.readings.iter().find(|before| before.partition == after.partition);
            Reading { committed: before.map_or(-1, |before| before.committed), ..*after }.lag()
        };
        self.readings.iter().map(most).sum()
    }
}

/// One group's lag over the run.
#[derive(Debug, Default)]
struct Behind {
    look: Look,
    before: Look,
    compared: u64,
    exceeding: u64,
    highest: Option<Look>,
    /// The most that may have gone unseen in a hole between two looks.
    unseen: u64,
    /// For how long nobody looked any more until the load ended; 0 where that is no hole.
    blind_ns: u64,
    /// The last look at which something was left.
    last_left: Option<Look>,
    /// When the first look after that had its answer.
    drained_ns: Option<u64>,
}

impl Behind {
    fn read(&mut self, reading: &Reading, course: &Course, budget: &LagBudget) {
        if self.look.readings.first().is_some_and(|first| first.asked_ns != reading.asked_ns) {
            self.look_is_complete(course, budget);
        }
        self.look.readings.push(*reading);
    }

    fn look_is_complete(&mut self, course: &Course, budget: &LagBudget) {
        let look = std::mem::take(&mut self.look);
        if look.readings.is_empty() {
            return;
        }
        self.compared += 1;
        let lag = look.lag();
        let ended_ns = course.load_ended_ns.unwrap_or(u64::MAX);
        // Whoever looks before the load sees none of it.
        let lasts = course.load_began_ns.is_none_or(|began_ns| look.asked_ns() >= began_ns);
        if lasts && look.asked_ns() <= ended_ns {
            self.exceeding += u64::from(budget.at_most.is_some_and(|at_most| lag > at_most));
            if self.highest.as_ref().is_none_or(|highest| highest.lag() < lag) {
                self.highest = Some(look.clone());
            }
        }
        let began = course.load_began_ns.is_none_or(|began_ns| look.asked_ns() > began_ns);
        let hole = !self.before.readings.is_empty() && look.asked_ns() - self.before.answered_ns() >= HOLE_NS;
        if hole && began && self.before.asked_ns() <= ended_ns {
            self.unseen = look.most_since(&self.before).max(self.unseen);
        }
        if lag > 0 {
            (self.last_left, self.drained_ns) = (Some(look.clone()), None);
        } else if self.drained_ns.is_none() {
            self.drained_ns = Some(look.answered_ns());
        }
        self.before = look;
    }

    /// There are no looks any more.
    fn close(&mut self, course: &Course) {
        let (began_ns, ended_ns) = (course.load_began_ns.unwrap_or(0), course.load_ended_ns.unwrap_or(0));
        let blind_ns = ended_ns.saturating_sub(self.before.answered_ns().max(began_ns));
        self.blind_ns = if blind_ns >= HOLE_NS { blind_ns } else { 0 };
    }
}

/// What became of the backlog after the load.
enum Drain {
    NotAsked,
    /// So long after the end of the load; 0 where nothing was left by then.
    Done(u64),
    /// Something was left at this look, so long after.
    TooLate(u64, Look),
    /// Nobody knows: the load did not end, or nobody looked when the time was up.
    Unknown,
}

fn drain(behind: &Behind, course: &Course, budget: &LagBudget) -> Drain {
    let Some(limit_ns) = budget.drained_in else { return Drain::NotAsked };
    let Some(ended_ns) = course.load_ended_ns else { return Drain::Unknown };
    if let Some(look) = behind.last_left.as_ref().filter(|look| look.asked_ns() > ended_ns.saturating_add(limit_ns)) {
        return Drain::TooLate(look.asked_ns() - ended_ns, look.clone());
    }
    match behind.drained_ns {
        // A load that ended after the last look may have left anything.
        Some(_) if behind.before.asked_ns() < ended_ns => Drain::Unknown,
        Some(drained_ns) if drained_ns.saturating_sub(ended_ns) <= limit_ns => {
            Drain::Done(drained_ns.saturating_sub(ended_ns))
        }
        // Drained somewhere between two looks, one of them in time.
        Some(_) | None => Drain::Unknown,
    }
}

fn finding(watch: &Watch, behind: &Behind, course: &Course, budget: &LagBudget) -> Finding {
    let drain = drain(behind, course, budget);
    let late = matches!(drain, Drain::TooLate(..));
    let unseen = budget.at_most.is_some_and(|at_most| behind.unseen > at_most || behind.blind_ns > 0);
    let bounded = budget.at_most.is_none() || behind.highest.is_some();
    let outcome = match behind.compared {
        _ if behind.exceeding > 0 || late => Outcome::Fail,
        0 => Outcome::Inconclusive,
        _ if unseen || !bounded || matches!(drain, Drain::Unknown) => Outcome::Inconclusive,
        _ => Outcome::Pass,
    };
    let mut evidence = Vec::new();
    if let Some(highest) = behind.highest.as_ref().filter(|_| behind.exceeding > 0) {
        evidence.push(tell(watch, highest, "while the load lasted"));
    }
    if let Drain::TooLate(after_ns, look) = &drain {
        evidence.push(tell(watch, look, &format!("{} s after the load", milliseconds(*after_ns))));
    }
    Finding {
        check: NAME.to_owned(),
        subject: watch.label(),
        outcome,
        compared: behind.compared,
        found: behind.exceeding + u64::from(late),
        detail: detail(behind, &drain, budget),
        evidence,
    }
}

/// `highest 420 (1,000)  drained after 0.8 s (5)`.
fn detail(behind: &Behind, drain: &Drain, budget: &LagBudget) -> String {
    let mut parts = Vec::new();
    match (&behind.highest, budget.at_most) {
        (_, None) => {}
        (Some(highest), Some(at_most)) => {
            let mark = if highest.lag() > at_most { "!" } else { "" };
            parts.push(format!("highest {} ({}{mark})", grouped(highest.lag()), grouped(at_most)));
            if behind.unseen > at_most {
                parts.push(format!("up to {} while nobody looked", grouped(behind.unseen)));
            }
            if behind.blind_ns > 0 {
                let blind = milliseconds(behind.blind_ns);
                parts.push(format!("nobody looked for the last {blind} s of the load"));
            }
        }
        (None, Some(_)) => parts.push("nobody looked while the load lasted".to_owned()),
    }
    let limit = budget.drained_in.map(seconds).unwrap_or_default();
    match drain {
        Drain::NotAsked => {}
        Drain::Done(after_ns) => parts.push(format!("drained after {} s ({limit})", milliseconds(*after_ns))),
        Drain::TooLate(after_ns, look) => {
            let left = grouped(look.lag());
            parts.push(format!("{left} left {} s after the load ({limit}!)", milliseconds(*after_ns)));
        }
        Drain::Unknown => parts.push(format!("nobody looked {limit} s after the load")),
    }
    parts.join("  ")
}

fn tell(watch: &Watch, look: &Look, when: &str) -> Story {
    let group = watch.group.as_deref().unwrap_or_default();
    let mut furthest: Vec<&Reading> = look.readings.iter().filter(|reading| reading.lag() > 0).collect();
    furthest.sort_by_key(|reading| std::cmp::Reverse(reading.lag()));
    let event = |reading: &&Reading| {
        let committed = match reading.committed {
            ..0 => "nothing".to_owned(),
            offset => grouped(offset),
        };
        let place = format!("{}/{}", watch.topic, reading.partition);
        let (end, lag) = (grouped(reading.end), grouped(reading.lag()));
        let text = format!("group {group} has committed {committed} at {place}, which ends at {end}: {lag} behind");
        StoryEvent { at_ns: Some(reading.answered_ns), text }
    };
    let mut events: Vec<StoryEvent> = furthest.iter().take(PARTITIONS_TOLD).map(event).collect();
    if furthest.len() > PARTITIONS_TOLD {
        let text = format!("and at {} other partitions", furthest.len() - PARTITIONS_TOLD);
        events.push(StoryEvent { at_ns: None, text });
    }
    let title = format!("{}: {} behind {when}", watch.label(), grouped(look.lag()));
    evidence::story(title, events)
}
