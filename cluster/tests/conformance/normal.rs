//! Makes replies of two clusters comparable: a reply becomes facts, each a path and a value.
//!
//! - Elements of arrays are told apart by what they are about (`topics[orders].partitions[0].error_code`), not by their
//!   place: Kafka's own order is often that of a hash map. Where it is not, the order is a fact of its own.
//! - What each cluster draws by itself (topic ids, member ids, producer ids, ...) is called by the order in which a sequence
//!   first hears of it: `topic_id 1` on both sides.
//! - A batch of records says who produced it and whether its checksum is right, which depends on who that is.
//! - What only people read (error messages) and what tells of load (throttle times) is left out.

use crate::records;
use crate::tree::Tree;
use kafka_protocol::messages::ApiKey;
use shakedown_cluster::ResponseError;
use shakedown_cluster::names::{api_name, error_name};
use std::collections::BTreeMap;

/// A reply: each value by its path, which begins with the name of the API.
pub(crate) type Facts = BTreeMap<String, String>;

/// What the names of every sequence begin with, before its number: one cluster serves many sequences, and whoever lists
/// everything gets the others' things, too.
pub(crate) const FAMILY: &str = "conf-";

/// For people's eyes, or different from one moment to the next.
const LEFT_OUT: &[&str] =
    &["throttle_time_ms", "error_message", "unknown_tagged_fields", "finalized_features_epoch", "host", "port"];

/// Drawn by each cluster for itself.
const DRAWN: &[&str] = &["topic_id", "cluster_id", "producer_id", "member_id", "leader", "session_id"];

/// What tells elements of an array apart, the best first.
const KEYS: &[&str] = &[
    "name",
    "topic",
    "topic_name",
    "group_id",
    "resource_name",
    "group_instance_id",
    "api_key",
    "partition_index",
    "partition_id",
    "partition",
    "index",
    "node_id",
    "broker_id",
    "key",
    "topic_id",
    "member_id",
];

/// Arrays whose order is the request's in Kafka, too.
const ORDERED: &[&str] = &[
    "Fetch.responses",
    "Fetch.responses.partitions",
    "OffsetFetch.groups",
    "OffsetCommit.topics",
    "DescribeConfigs.results",
];

/// What one cluster has told so far, as far as it is needed to read what it tells next.
#[derive(Debug)]
pub(crate) struct Names {
    prefix: String,
    /// Whether the group without a name is this sequence's.
    pub(crate) owns_nameless_group: bool,
    known: BTreeMap<(&'static str, String), String>,
}

impl Names {
    /// For a sequence whose topics and groups are called so at their beginning.
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), owns_nameless_group: false, known: BTreeMap::new() }
    }

    /// Everything that a reply says.
    pub(crate) fn facts(&mut self, key: ApiKey, reply: &Tree) -> Facts {
        let mut facts = Facts::new();
        self.walk(&api_name(key), "", reply, &mut facts);
        facts
    }

    fn walk(&mut self, path: &str, field: &str, tree: &Tree, facts: &mut Facts) {
        match tree {
            Tree::Leaf(text) => drop(facts.insert(path.to_owned(), self.value(field, text))),
            Tree::Fields(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())) {
                    self.walk(&format!("{path}.{name}"), name, value, facts);
                }
            }
            Tree::List(items) if items.iter().any(|item| matches!(item, Tree::Fields(_))) => {
                self.walk_list(path, items, facts);
            }
            Tree::List(items) => {
                let mut values: Vec<String> = items
                    .iter()
                    .map(|item| if let Tree::Leaf(text) = item { self.value(field, text) } else { format!("{item:?}") })
                    .collect();
                if field.starts_with("isr") || field.starts_with("offline") || field == "coordinator_keys" {
                    values.sort();
                }
                facts.insert(path.to_owned(), format!("[{}]", values.join(", ")));
            }
        }
    }

    fn walk_list(&mut self, path: &str, items: &[Tree], facts: &mut Facts) {
        let mut keyed: Vec<(String, &Tree)> = items.iter().map(|item| (self.key(item), item)).collect();
        keyed.retain(|(key, item)| !self.is_anothers(key, item));
        let stripped = without_keys(path);
        if ORDERED.contains(&stripped.as_str()) && keyed.len() > 1 {
            let order: Vec<&str> = keyed.iter().map(|(key, _)| key.as_str()).collect();
            facts.insert(format!("{path}.(order)"), order.join(", ").replace(&self.prefix, ""));
        }
        if keyed.is_empty() {
            facts.insert(path.to_owned(), String::from("[]"));
        }
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut before: Option<(String, usize)> = None;
        for (key, item) in keyed {
            let nth = match &before {
                Some((same, nth)) if *same == key => nth + 1,
                _ => 0,
            };
            before = Some((key.clone(), nth));
            // An element without a key of its own is known by its place among those that are like it.
            let shown = if key.starts_with('~') { String::from("~") } else { key.replace(&self.prefix, "") };
            let mut here = if nth == 0 { format!("{path}[{shown}]") } else { format!("{path}[{shown}#{nth}]") };
            while facts.keys().any(|known| known.starts_with(&format!("{here}."))) {
                here.push('\'');
            }
            self.walk(&here, "", item, facts);
        }
    }

    /// What tells an element apart from its neighbours. Nothing gets a name by being looked at.
    fn key(&self, item: &Tree) -> String {
        for name in KEYS {
            let Some(text) = item.leaf(name).filter(|text| !text.is_empty() && *text != "None") else { continue };
            if let Some(kind) = DRAWN.iter().find(|drawn| *drawn == name) {
                match self.known.get(&(kind, text.to_owned())) {
                    Some(known) => return known.clone(),
                    None => continue,
                }
            }
            return if *name == "api_key" { api(text) } else { text.to_owned() };
        }
        let Tree::Fields(fields) = item else { return format!("{item:?}") };
        let rest = fields.iter().filter(|(name, _)| !DRAWN.contains(&name.as_str()));
        rest.fold(String::from("~"), |key, field| format!("{key}{field:?}"))
    }

    fn is_anothers(&self, key: &str, item: &Tree) -> bool {
        let is_nameless_group = item.leaf("group_id") == Some("");
        let is_family = key.starts_with(FAMILY) && !key.starts_with(&self.prefix);
        is_family || (is_nameless_group && !self.owns_nameless_group)
    }

    fn value(&mut self, field: &str, text: &str) -> String {
        match field {
            "error_code" => error(text),
            "api_key" => api(text),
            "records" => records::readable(text, |producer| self.name("producer_id", producer)),
            "log_append_time_ms" if text != "-1" => String::from("a time"),
            _ => match DRAWN.iter().find(|drawn| **drawn == field) {
                Some(kind) if !is_nothing(kind, text) => self.name(kind, text),
                _ => text.replace(&self.prefix, ""),
            },
        }
    }

    fn name(&mut self, kind: &'static str, text: &str) -> String {
        // A group's leader is one of its members.
        let kind = if kind == "leader" { "member_id" } else { kind };
        let next = 1 + self.known.keys().filter(|(other, _)| *other == kind).count();
        let name = self.known.entry((kind, text.to_owned())).or_insert_with(|| format!("{kind} {next}"));
        name.clone()
    }
}

/// Ids that stand for none.
fn is_nothing(kind: &str, text: &str) -> bool {
    let is_no_session = kind == "session_id" && text == "0";
    is_no_session || text.is_empty() || ["-1", "None"].contains(&text) || text == uuid::Uuid::nil().to_string()
}

fn error(text: &str) -> String {
    let code: i16 = text.parse().expect("an error is a number");
    ResponseError::try_from_code(code).map_or_else(|| String::from("NONE"), error_name)
}

fn api(text: &str) -> String {
    let key: i16 = text.parse().expect("an API is a number");
    ApiKey::try_from(key).map_or_else(|()| text.to_owned(), api_name)
}

/// `topics[a].partitions[0]` as `topics.partitions`.
fn without_keys(path: &str) -> String {
    let mut depth = 0_usize;
    path.chars()
        .filter(|letter| {
            depth = if *letter == '[' { depth + 1 } else { depth };
            let keeps = depth == 0;
            depth = if *letter == ']' { depth.saturating_sub(1) } else { depth };
            keeps
        })
        .collect()
}
