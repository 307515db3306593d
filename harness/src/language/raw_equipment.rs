//! What a service is equipped with, as it may be written: where it keeps and caches data, what it still has to do, where it
//! stands still.

use super::document::{Content, Node, Spanned};
use super::names;
use super::problem::Problems;
use super::reference::HttpPath;
use super::setting::{Setting, Whole, settings, wrong_type};
use serde_json::{Value as Json, json};

/// Where the instances of a service together keep their data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawStore {
    /// In a file that the harness names.
    Sqlite,
    /// On a PostgreSQL server that the harness runs.
    Postgres,
    /// In a database of somebody else's.
    Url(String),
}

impl Setting for RawStore {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": r"^(sqlite|postgres|[a-z][a-z0-9+.-]*://.+)$",
            "examples": ["sqlite", "postgres", "postgres://localhost/orders"]
        })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let text = read_word(node, path, ["sqlite", "postgres"], "postgres://localhost/orders", problems)?;
        Some(match text {
            "sqlite" => Self::Sqlite,
            "postgres" => Self::Postgres,
            url => Self::Url(url.to_owned()),
        })
    }
}

/// Where a service caches what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawCache {
    /// In a Redis server that the harness runs.
    Redis,
    /// In somebody else's.
    Url(String),
}

impl Setting for RawCache {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": r"^(redis|[a-z][a-z0-9+.-]*://.+)$",
            "examples": ["redis", "redis://localhost:6379"]
        })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let text = read_word(node, path, ["redis"], "redis://localhost:6379", problems)?;
        Some(if text == "redis" { Self::Redis } else { Self::Url(text.to_owned()) })
    }
}

/// One of these words, or a URL.
fn read_word<'a, const N: usize>(
    node: &'a Node,
    path: &str,
    words: [&str; N],
    example: &str,
    problems: &mut Problems<'_>,
) -> Option<&'a str> {
    let Content::Text(text) = &node.content else {
        wrong_type(node, path, &format!("one of {}, or a URL such as \"{example}\"", names::list(&words)), problems);
        return None;
    };
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if !is_url && !words.contains(&text.as_str()) {
        let help = format!("{}, or a URL such as \"{example}\"", names::advice(text, words));
        problems.add(node.place, format!("`{path}` cannot be \"{text}\""), "not one of the choices", help);
        return None;
    }
    Some(text.as_str())
}

settings! {
    /// What a service still has to do, beyond what its group has not read.
    pub struct RawBacklog {
        /// Answers with a JSON object; the run is drained only when every number of it is 0.
        "get" => get: Spanned<HttpPath>,
    }
}

settings! {
    /// Where the first instance of a service stands still, in its first process, until it is killed or stopped.
    pub struct RawFailpoint {
        /// The place, by its name.
        "at" => at: Spanned<String>,
        /// At which visit to it, counted from the start of the process. Default 1.
        "nth" => nth: Option<Spanned<Whole<1, 9_223_372_036_854_775_807>>>,
    }
}

settings! {
    /// An instance of a service stands still at its failpoint.
    pub struct RawAtFailpoint {
        /// The service, which has a `failpoint`.
        "service" => service: Spanned<String>,
    }
}
