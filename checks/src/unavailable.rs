//! Unavailable: acknowledgements were due, and for longer than allowed none came.
//!
//! A message is *due* from its intended instant, and *waits* until it is answered: acknowledged, failed or given up. A
//! *gap* begins when the first message is due while nothing waits, or, where messages still wait, with the
//! acknowledgement before; only the next acknowledgement ends it. Its length is in nanoseconds, shown in seconds.
//!
//! - While nothing waits, nothing is due: slow arrivals are no outage, however far apart they are.
//! - A failed message is no acknowledgement and ends no gap, nor does giving one up: nothing shows yet that the target is
//!   back. A target that refuses everything at once is as unavailable as one that stays silent.
//! - A gap that no acknowledgement ends lasts until the last answer of the load.
//!
//! One partition in an outage must not hide behind the others, nor may the others' acknowledgements end its gap: gaps are
//! counted for each partition, and the longest is judged. A message that was never acknowledged belongs to the partition
//! at which others of its key were. Where there is none, or several, it has no place: its gap is one over all such
//! messages, and ends when none of them waits any more, as no acknowledgement can ever end it; and the load as a whole
//! counts as one more place, so that nothing escapes by having none. What this cannot see is a partition that refuses
//! everything at once from the first message to the last.
//!
//! A service that takes requests over HTTP has no partitions: the load as a whole is then the one place there is.

use crate::concurrent;
use crate::evidence::{self, STORIES_MAX, milliseconds, seconds};
use crate::gaps::{Acknowledged, Gap, Gaps};
use crate::paged::Paged;
use shakedown_reports::identity::Key;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Operation, Outcome as OperationOutcome, Record, RecordError, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// The check's name in findings.
pub const NAME: &str = "unavailable";

/// A key that was not acknowledged anywhere, or not at one partition only.
const NOWHERE: i32 = -1;
const SEVERAL: i32 = -2;

/// Where gaps are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Partition(i32),
    /// The messages that no acknowledgement places.
    Unplaced,
    /// All of them.
    Load,
}

/// One finding for the load; `compared` counts its messages, `found` the gaps longer than allowed.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, at_most: Duration) -> Result<Finding, RecordError> {
    let at_most_ns = u64::try_from(at_most.as_nanos()).unwrap_or(u64::MAX);
    let survey = survey(record)?;
    let mut places: BTreeMap<Place, Gaps> = BTreeMap::new();
    record.operations(&mut |operation| {
        if operation.intended_ns != 0 {
            for place in survey.places(operation) {
                let gaps = places.entry(place).or_insert_with(|| Gaps::new(at_most_ns, place == Place::Unplaced));
                gaps.due(operation.intended_ns);
            }
        }
    })?;
    if !survey.placeless && !places.contains_key(&Place::Unplaced) {
        // Every gap of the load is then one of a partition's, too.
        places.remove(&Place::Load);
    }
    places.values_mut().for_each(Gaps::begin);
    record.operations(&mut |operation| {
        for place in survey.places(operation) {
            match places.get_mut(&place) {
                Some(gaps) if operation.outcome == OperationOutcome::Ok => gaps.acknowledge(operation),
                Some(gaps) if operation.intended_ns != 0 => gaps.refuse(operation),
                _ => {}
            }
        }
    })?;
    places.values_mut().for_each(|gaps| gaps.finish(survey.ended_ns));
    Ok(finding(record, &survey, &places, at_most_ns))
}

/// What has to be known before gaps can be counted.
struct Survey {
    /// The partition of each key.
    homes: Paged<i32>,
    /// Acknowledgements name no partition.
    placeless: bool,
    /// Messages whose intended instant is known, and not.
    measured: u64,
    unknown: u64,
    acknowledged: u64,
    /// When the last answer came.
    ended_ns: u64,
}

fn survey(record: &dyn Record) -> Result<Survey, RecordError> {
    let homes = Paged::new(NOWHERE);
    let mut survey = Survey { homes, placeless: false, measured: 0, unknown: 0, acknowledged: 0, ended_ns: 0 };
    record.operations(&mut |operation| {
        survey.measured += u64::from(operation.intended_ns != 0);
        survey.unknown += u64::from(operation.intended_ns == 0);
        survey.placeless |= concurrent::is_placeless(operation);
        survey.ended_ns = survey.ended_ns.max(operation.completed_ns);
        if operation.outcome == OperationOutcome::Ok {
            survey.acknowledged += 1;
            let home = survey.homes.slot(operation.key.to_bits().into());
            *home = if [NOWHERE, operation.partition].contains(home) { operation.partition } else { SEVERAL };
        }
    })?;
    *survey.homes.slot(Key::ABSENT.to_bits().into()) = SEVERAL;
    Ok(survey)
}

impl Survey {
    /// Where the message counts: at its place, and in the load as a whole.
    fn places(&self, operation: &Operation) -> impl Iterator<Item = Place> + use<> {
        let own = (!self.placeless).then(|| self.place(operation));
        own.into_iter().chain([Place::Load])
    }

    fn place(&self, operation: &Operation) -> Place {
        let acknowledged = operation.outcome == OperationOutcome::Ok;
        let partition = if acknowledged { operation.partition } else { self.homes.get(operation.key.to_bits().into()) };
        if partition < 0 { Place::Unplaced } else { Place::Partition(partition) }
    }
}

fn finding(record: &dyn Record, survey: &Survey, places: &BTreeMap<Place, Gaps>, at_most_ns: u64) -> Finding {
    let mut longest: Vec<(Place, Gap)> =
        places.iter().filter_map(|(place, gaps)| Some((*place, gaps.longest()?))).collect();
    longest.sort_by_key(|(_, gap)| Reverse(gap.length_ns()));
    let exceeding = |load: bool| -> u64 {
        places.iter().filter(|(place, _)| (**place == Place::Load) == load).map(|(_, gaps)| gaps.exceeding()).sum()
    };
    // A gap of the whole load is seen at its partitions, too, and counts once.
    let found = exceeding(false).max(exceeding(true));
    let outcome = match found {
        0 if longest.is_empty() || survey.unknown > 0 || survey.acknowledged == 0 => Outcome::Inconclusive,
        0 => Outcome::Pass,
        _ => Outcome::Fail,
    };
    let mut evidence = Vec::new();
    if outcome == Outcome::Fail {
        let too_long = longest.iter().filter(|(_, gap)| gap.length_ns() > at_most_ns).take(STORIES_MAX);
        evidence.extend(too_long.map(|(place, gap)| tell(record, *place, gap)));
    }
    Finding {
        check: NAME.to_owned(),
        subject: target(record)
            .filter(|_| !survey.placeless)
            .map_or_else(|| "load".to_owned(), |topic| format!("topic {topic}")),
        outcome,
        compared: survey.measured,
        found,
        detail: detail(record, survey, longest.first(), at_most_ns),
        evidence,
    }
}

/// `longest gap 0.61 s (1.5)`; `longest gap 2.3 s (1.5!) at orders/3`.
fn detail(record: &dyn Record, survey: &Survey, longest: Option<&(Place, Gap)>, at_most_ns: u64) -> String {
    let mut parts = Vec::new();
    if let Some((place, gap)) = longest {
        let (length_ns, allowed) = (gap.length_ns(), seconds(at_most_ns));
        parts.push(if length_ns > at_most_ns {
            format!("longest gap {} s ({allowed}!) at {}", milliseconds(length_ns), name(record, *place))
        } else {
            format!("longest gap {} s ({allowed})", milliseconds(length_ns))
        });
    } else {
        parts.push("the load generator offered no message that could be measured".to_owned());
    }
    if survey.acknowledged == 0 && survey.measured > 0 {
        parts.push("nothing was acknowledged".to_owned());
    }
    if survey.unknown > 0 {
        parts.push(format!("{} without an intended instant", grouped(survey.unknown)));
    }
    parts.join("  ")
}

fn tell(record: &dyn Record, place: Place, gap: &Gap) -> Story {
    let event = |at_ns, text: String| StoryEvent { at_ns: Some(at_ns), text };
    let message = |message: &Acknowledged| {
        let title = evidence::title(record, message.identity, message.key, None);
        format!("{title} {}", evidence::acknowledged(message.partition, message.offset))
    };
    let began = gap.before.as_ref().map_or_else(
        || "the first message was due; none waited before it".to_owned(),
        |before| format!("{}, the last for now", message(before)),
    );
    let ended = match &gap.after {
        Some(after) => message(after),
        None if place == Place::Unplaced => "the last of them was given up".to_owned(),
        None => "the load ended without another acknowledgement".to_owned(),
    };
    let mut waited = format!("{} messages waited", grouped(gap.waited));
    if gap.refused > 0 {
        waited = format!("{waited}, {} of them failed or were given up", grouped(gap.refused));
    }
    let title = format!("{}: no acknowledgement for {} s", name(record, place), milliseconds(gap.length_ns()));
    evidence::story(title, vec![event(gap.since_ns, began), event(gap.until_ns, format!("{ended}; {waited}"))])
}

/// `orders/3`.
fn name(record: &dyn Record, place: Place) -> String {
    match (place, target(record)) {
        (Place::Partition(partition), Some(topic)) => format!("{topic}/{partition}"),
        (Place::Partition(partition), None) => format!("partition {partition}"),
        (Place::Unplaced, _) => "messages that no acknowledgement places".to_owned(),
        (Place::Load, _) => "the load as a whole".to_owned(),
    }
}

/// The topic that the load is offered to, where the run says which.
fn target(record: &dyn Record) -> Option<&str> {
    let streams = record.streams();
    let kind = |stream: u16| streams.get(usize::from(stream)).map(|info| info.kind);
    let mut flows = record.flows().iter();
    let flow =
        flows.find(|flow| kind(flow.from) == Some(StreamKind::Load) && kind(flow.to) == Some(StreamKind::Topic))?;
    streams.get(usize::from(flow.to)).map(|info| info.name.as_str())
}
