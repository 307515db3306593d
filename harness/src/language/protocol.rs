//! Kafka's own names in scenarios: those of APIs and of errors.

use super::document::{Content, Node};
use super::names;
use super::problem::Problems;
use super::setting::{Setting, wrong_type};
use serde_json::{Value as Json, json};
use shakedown_cluster::names::{api_name, error_name, errors, served_apis};
use shakedown_cluster::{ApiKey, ResponseError};

/// An API that the embedded cluster serves: `Produce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiName(pub ApiKey);

impl Setting for ApiName {
    fn schema() -> Json {
        json!({ "type": "string", "enum": served_apis().map(api_name).collect::<Vec<_>>() })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let known: Vec<(String, ApiKey)> = served_apis().map(|api| (api_name(api), api)).collect();
        let all = |text: &str| names::advice(text, known.iter().map(|(name, _)| name.as_str()));
        one_of(node, path, "the name of an API, such as \"Produce\"", (&known, all), problems).map(Self)
    }
}

/// An error of Kafka's protocol: `NOT_ENOUGH_REPLICAS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorName(pub ResponseError);

impl Setting for ErrorName {
    fn schema() -> Json {
        json!({ "type": "string", "enum": errors().map(error_name).collect::<Vec<_>>() })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let known: Vec<(String, ResponseError)> = errors().map(|error| (error_name(error), error)).collect();
        // There are too many of them to be read.
        let near = |text: &str| {
            let guess = names::nearest(text, known.iter().map(|(name, _)| name.as_str()));
            let guess = guess.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            format!(
                "{guess}allowed: the errors of Kafka's protocol, by their names there; `shakedown schema` lists them"
            )
        };
        one_of(node, path, "the name of an error, such as \"NOT_ENOUGH_REPLICAS\"", (&known, near), problems).map(Self)
    }
}

fn one_of<T: Copy>(
    node: &Node,
    path: &str,
    expected: &str,
    (known, advice): (&[(String, T)], impl Fn(&str) -> String),
    problems: &mut Problems<'_>,
) -> Option<T> {
    let Content::Text(text) = &node.content else {
        wrong_type(node, path, expected, problems);
        return None;
    };
    let found = known.iter().find(|(name, _)| name == text).map(|(_, value)| *value);
    if found.is_none() {
        problems.add(node.place, format!("`{path}` cannot be \"{text}\""), "no such name", advice(text));
    }
    found
}
