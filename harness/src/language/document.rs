//! A TOML file as a tree in which every key and value knows its place.
//!
//! `toml_edit` keeps places, but spreads them over tables, inline tables, dotted keys and arrays of tables. This module
//! folds those into one shape, so that the rest of the language never sees how something was spelt.

use super::problem::{Problem, Sources};
use std::ops::Range;
use toml_edit::{Document, Item, TableLike, Value};

/// A range of bytes in one of the files of a scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Which file, as an index into [`Sources`].
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Place {
    fn new(file: usize, range: &Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// Any value of a TOML file.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it was written; for a table that dotted keys imply, the place of its key.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// The kinds of values.
#[derive(Debug, Clone)]
pub enum Content {
    /// A string of any spelling.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or a time, which the language has no use for.
    Datetime,
    /// An array, or an array of tables.
    List(Vec<Node>),
    /// A table of any spelling, in the order of the file.
    Table(Vec<Entry>),
}

/// One key of a table, with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub name: Spanned<String>,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// The kind, in words for an error message.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Text(_) => "a string",
            Content::Integer(_) => "an integer",
            Content::Float(_) => "a float",
            Content::Boolean(_) => "a boolean",
            Content::Datetime => "a date or time",
            Content::List(_) => "an array",
            Content::Table(_) => "a table",
        }
    }

    /// Parses the file that `sources` knows by this index.
    ///
    /// # Errors
    /// When it is not TOML; the problem points at the first place that is not.
    pub fn parse(sources: &Sources, file: usize) -> Result<Self, Box<Problem>> {
        let text = sources.text(file);
        match Document::parse(text) {
            Ok(document) => {
                let whole = Place { file, start: 0, end: text.len().min(1) };
                Ok(Self { place: whole, content: table(document.as_table(), file, whole) })
            }
            Err(error) => {
                let range = error.span().unwrap_or(0..0);
                let message = error.message().lines().next().unwrap_or("syntax error").to_owned();
                let place = Place::new(file, &range);
                Err(Box::new(Problem::new(sources, place, format!("this is not TOML: {message}"), "here")))
            }
        }
    }
}

fn table(table: &dyn TableLike, file: usize, fallback: Place) -> Content {
    let entries = table
        .iter()
        .filter(|(_, item)| !item.is_none())
        .map(|(name, item)| {
            let span = table.key(name).and_then(toml_edit::Key::span);
            let key_place = span.map_or(fallback, |range| Place::new(file, &range));
            Entry { name: Spanned { value: name.to_owned(), place: key_place }, node: from_item(item, file, key_place) }
        })
        .collect();
    Content::Table(entries)
}

fn from_item(item: &Item, file: usize, key: Place) -> Node {
    match item {
        Item::None => Node { place: key, content: Content::Table(Vec::new()) },
        Item::Value(value) => from_value(value, file, key),
        // The span of a `[table]` is its whole header or body; its key is what an error wants to point at.
        Item::Table(inner) => Node { place: key, content: table(inner, file, key) },
        Item::ArrayOfTables(tables) => {
            let nodes = tables
                .iter()
                .map(|inner| {
                    let place = inner.span().map_or(key, |range| Place::new(file, &range));
                    Node { place, content: table(inner, file, place) }
                })
                .collect();
            Node { place: key, content: Content::List(nodes) }
        }
    }
}

fn from_value(value: &Value, file: usize, key: Place) -> Node {
    let place = value.span().map_or(key, |range| Place::new(file, &range));
    let content = match value {
        Value::String(text) => Content::Text(text.value().clone()),
        Value::Integer(number) => Content::Integer(*number.value()),
        Value::Float(number) => Content::Float(*number.value()),
        Value::Boolean(flag) => Content::Boolean(*flag.value()),
        Value::Datetime(_) => Content::Datetime,
        Value::Array(array) => Content::List(array.iter().map(|inner| from_value(inner, file, place)).collect()),
        Value::InlineTable(inner) => table(inner, file, place),
    };
    Node { place, content }
}
