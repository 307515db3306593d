//! The timeline of a run: one line of `events.jsonl` for everything that happened beside the load itself.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since the Unix epoch, from the run's clock.
    pub at_ns: u64,
    /// What sort of thing.
    pub kind: EventKind,
    /// What happened, in words.
    pub text: String,
}

/// What an event is about. Readers meet kinds that are newer than they are as [`EventKind::Other`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run entered a phase: boot, launch, load, heal, drain, ...
    Phase {
        /// Which one.
        name: String,
    },
    /// A node of the cluster was registered, fenced, became the controller, ...
    Cluster {
        /// Its number, where one node is meant.
        node: Option<u32>,
    },
    /// A partition has a leader.
    Election {
        /// The leader.
        node: i32,
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// The leader's epoch.
        epoch: i32,
    },
    /// A partition has other replicas in sync than before.
    IsrChange {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// Who is in sync now.
        isr: Vec<i32>,
    },
    /// A replica threw away what its leader does not have.
    Truncation {
        /// The node of the replica.
        node: i32,
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// Where its log ended.
        from: i64,
        /// Where it ends now.
        to: i64,
    },
    /// A consumer group has a new generation.
    Rebalance {
        /// The group.
        group: String,
        /// Its generation.
        generation: i32,
        /// How many members it has.
        members: u32,
    },
    /// A service started, became ready, ended, ...
    Service {
        /// Its name.
        service: String,
    },
    /// A fault fired or healed.
    Fault {
        /// Its name in the scenario.
        fault: String,
        /// Whether it was healed, rather than striking.
        #[serde(default)]
        healed: bool,
    },
    /// The load began, ended, or could not keep its schedule.
    Load,
    /// Something a reader of the verdict has to know: unreadable messages, a slow drain, ...
    Warning,
    /// A kind that this version does not know.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_from_a_newer_version_is_kept_as_other() {
        let line = r#"{"at_ns":7,"kind":{"type":"eclipse","of":"the sun"},"text":"dark"}"#;
        let event: Event = serde_json::from_str(line).expect("an unknown kind is readable");
        assert_eq!(event, Event { at_ns: 7, kind: EventKind::Other, text: "dark".to_owned() });
    }

    #[test]
    fn kinds_carry_their_subject_in_json() {
        let event =
            Event { at_ns: 1, kind: EventKind::Service { service: "payment".to_owned() }, text: "ready".to_owned() };
        let json = serde_json::to_string(&event).expect("an event is plain data");
        assert_eq!(json, r#"{"at_ns":1,"kind":{"type":"service","service":"payment"},"text":"ready"}"#);
        let kind = EventKind::IsrChange { topic: "orders".to_owned(), partition: 0, isr: vec![1, 3] };
        let json = serde_json::to_string(&Event { kind, ..event }).expect("an event is plain data");
        let expected = r#"{"type":"isr-change","topic":"orders","partition":0,"isr":[1,3]}"#;
        assert!(json.contains(expected), "{json}");
    }
}
