//! What the cluster tells of itself, written into the timeline: elections, changes of ISRs, truncations, rebalances.

use super::error::RunError;
use super::journal::Journal;
use shakedown_cluster::{ClusterEvent, Event};
use shakedown_reports::EventKind;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

/// Writes until the cluster ends.
pub struct Chronicle {
    thread: JoinHandle<()>,
}

impl Chronicle {
    /// Begins to write.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(events: Receiver<ClusterEvent>, journal: Journal) -> Result<Self, RunError> {
        let write = move || {
            for ClusterEvent { at, node, event } in events {
                if let Some((kind, text)) = entry(node, event) {
                    journal.event_at(at, kind, text);
                }
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-chronicle".to_owned()).spawn(write);
        Ok(Self { thread: thread.map_err(RunError::io("start the thread of the cluster's timeline"))? })
    }

    /// Waits for the last event; the cluster must have ended.
    pub fn finish(self) {
        // A line that is missing from the timeline decides nothing.
        let _ = self.thread.join();
    }
}

/// How the timeline has an event; nothing for what belongs to the brokers' own log.
fn entry(node: i32, event: Event) -> Option<(EventKind, String)> {
    let of_node = |id: i32| EventKind::Cluster { node: u32::try_from(id).ok() };
    Some(match event {
        Event::Leads { partition, epoch } => {
            let (topic, partition, epoch) = (partition.topic.to_string(), partition.partition, epoch.0);
            let text = format!("broker {node} leads {topic}/{partition}, epoch {epoch}");
            (EventKind::Election { node, topic, partition, epoch }, text)
        }
        Event::IsrChanged { partition, isr, .. } => {
            let (topic, partition) = (partition.topic.to_string(), partition.partition);
            let isr: Vec<i32> = isr.into_iter().map(|id| id.0).collect();
            let ids: Vec<String> = isr.iter().map(ToString::to_string).collect();
            let text = format!("in sync on {topic}/{partition}: {}", ids.join(", "));
            (EventKind::IsrChange { topic, partition, isr }, text)
        }
        Event::Truncated { partition, from, to } => {
            let (topic, partition, from, to) = (partition.topic.to_string(), partition.partition, from.0, to.0);
            let text = format!("broker {node} truncates {topic}/{partition} from {from} to {to}");
            (EventKind::Truncation { node, topic, partition, from, to }, text)
        }
        Event::Rebalanced { group, generation, members } => {
            let (group, members) = (group.to_string(), u32::try_from(members).unwrap_or(u32::MAX));
            let text = format!("group {group}: generation {generation} with {members} members");
            (EventKind::Rebalance { group, generation, members }, text)
        }
        Event::ControllerElected { epoch } => (of_node(node), format!("node {node} is the controller, epoch {epoch}")),
        Event::Fenced(id) => (of_node(id.0), format!("broker {id} is fenced")),
        Event::Unfenced(id) => (of_node(id.0), format!("broker {id} is unfenced")),
        Event::GroupsLoaded { partition, groups } if groups > 0 => {
            let noun = if groups == 1 { "group" } else { "groups" };
            (of_node(node), format!("broker {node} coordinates {groups} {noun} of __consumer_offsets/{partition}"))
        }
        Event::StorageFailed { reason } => (of_node(node), format!("node {node} stops: {reason}")),
        // That a broker is unfenced says that it is registered.
        Event::Registered(_) | Event::GroupsLoaded { .. } | Event::Unsupported { .. } => return None,
    })
}
