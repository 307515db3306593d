//! What became of the cluster while the load lasted and after: faults, elections, changes of ISRs, truncations,
//! rebalances, in order of time.
//!
//! A broker that dies leaves some dozen partitions without a leader at once; what happened to all of them within a moment
//! is one line.

use super::{paint, rows, wrap};
use crate::event::{Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};

/// Longer stories are told in `events.jsonl`.
const LINES_MAX: usize = 60;

/// Within how long the same thing on several partitions is one thing.
const MOMENT_NS: u64 = 250_000_000;

/// How many partitions of a topic are named.
const NAMED_MAX: usize = 6;

/// One line, still growing.
pub(crate) struct Line {
    /// When it began.
    pub(crate) at_ns: u64,
    what: What,
    /// The partitions that it is about, by topic.
    places: BTreeMap<String, BTreeSet<i32>>,
}

/// What a line says; events that say the same within a moment share it.
#[derive(PartialEq)]
enum What {
    /// This node leads these partitions.
    Leads(i32),
    /// These nodes are in sync on these partitions.
    InSync(Vec<i32>),
    /// Nothing about partitions, or about more of one than where it is.
    Other(String),
}

/// Renders the timeline, if anything was done to the cluster or happened to it.
pub(super) fn render(out: &mut String, events: &[Event], started_ns: u64, colour: bool) {
    let lines = lines(events);
    if lines.is_empty() {
        return;
    }
    out.push_str(&paint::bold(colour, "  timeline"));
    out.push('\n');
    for line in lines.iter().take(LINES_MAX) {
        out.push_str(&format!("    {:>9}  ", rows::seconds(line.at_ns, started_ns)));
        wrap::append(out, 15, &line.text());
    }
    if lines.len() > LINES_MAX {
        out.push_str(&format!("    and {} more in events.jsonl\n", lines.len() - LINES_MAX));
    }
    out.push('\n');
}

/// What is told of the cluster, in order of time.
pub(crate) fn lines(events: &[Event]) -> Vec<Line> {
    let phase = |wanted: &str| {
        let is_it = |event: &&Event| matches!(&event.kind, EventKind::Phase { name } if name == wanted);
        events.iter().find(is_it).map(|event| event.at_ns)
    };
    // Before the load, every partition gets its first leader; when the run stops, every group loses its members.
    let Some(begin_ns) = phase("load") else { return Vec::new() };
    let end_ns = phase("stop").unwrap_or(u64::MAX);
    let mut shown: Vec<&Event> = events.iter().filter(|event| (begin_ns..end_ns).contains(&event.at_ns)).collect();
    shown.sort_by_key(|event| event.at_ns);
    let mut lines: Vec<Line> = Vec::new();
    for event in shown {
        let Some((what, place)) = read(event) else { continue };
        let at_ns = event.at_ns;
        // Lines are in order of time: what is older than a moment ends the search, however long the timeline is.
        let mut recent = lines.iter().enumerate().rev().take_while(|(_, line)| at_ns - line.at_ns <= MOMENT_NS);
        let same = recent.find(|(_, line)| line.what == what).map(|(index, _)| index);
        let index = same.unwrap_or(lines.len());
        if same.is_none() {
            lines.push(Line { at_ns, what, places: BTreeMap::new() });
        }
        if let Some((topic, partition)) = place {
            lines[index].places.entry(topic).or_default().insert(partition);
        }
    }
    lines
}

/// What an event says, and of which partition; nothing where it is no part of this story.
fn read(event: &Event) -> Option<(What, Option<(String, i32)>)> {
    Some(match &event.kind {
        EventKind::Election { node, topic, partition, .. } => (What::Leads(*node), Some((topic.clone(), *partition))),
        EventKind::IsrChange { topic, partition, isr } => {
            let mut isr = isr.clone();
            isr.sort_unstable();
            (What::InSync(isr), Some((topic.clone(), *partition)))
        }
        // Each truncation has offsets of its own.
        EventKind::Truncation { .. }
        | EventKind::Fault { .. }
        | EventKind::Cluster { .. }
        | EventKind::Rebalance { .. } => (What::Other(event.text.clone()), None),
        _ => return None,
    })
}

impl Line {
    /// What is told.
    pub(crate) fn text(&self) -> String {
        match &self.what {
            What::Leads(node) => format!("broker {node} leads {}", self.places()),
            What::InSync(isr) => {
                let ids: Vec<String> = isr.iter().map(ToString::to_string).collect();
                format!("in sync on {}: {}", self.places(), ids.join(", "))
            }
            What::Other(text) => text.clone(),
        }
    }

    /// `orders/0, 3 and 6; 17 partitions of __consumer_offsets`: topics of people first, which begin with a letter.
    fn places(&self) -> String {
        let (internal, own): (Vec<_>, Vec<_>) = self.places.iter().partition(|(topic, _)| topic.starts_with("__"));
        let places = own.into_iter().chain(internal).map(|(topic, partitions)| {
            let named: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            match named.split_last() {
                Some((only, [])) => format!("{topic}/{only}"),
                Some((last, first)) if named.len() <= NAMED_MAX => format!("{topic}/{} and {last}", first.join(", ")),
                _ => format!("{} partitions of {topic}", named.len()),
            }
        });
        places.collect::<Vec<_>>().join("; ")
    }
}
