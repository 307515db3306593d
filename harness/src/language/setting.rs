//! How one type of the language is read from a file and described in the schema, from a single declaration.
//!
//! `settings!` declares a table: its keys, their types, their documentation. `choices!` declares a word out of a few.
//! Both derive the reader *and* the schema, so the two cannot drift apart.

use super::document::{Content, Entry, Node, Spanned};
use super::names;
use super::problem::Problems;
use serde_json::{Map as JsonMap, Value as Json, json};

/// A type that can stand in a scenario file.
pub trait Setting: Sized {
    /// The JSON Schema of it.
    fn schema() -> Json;
    /// Reads it; whatever is wrong goes to `problems`, and then there is no value. `path` names the key in messages.
    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self>;
}

/// A [`Setting`] in its role as the value of a key: there or not, required or not.
pub trait Field: Sized {
    /// Whether the key must be there.
    const REQUIRED: bool;
    /// The JSON Schema of its value.
    fn schema() -> Json;
    /// Reads the key out of its table.
    fn read_field(table: &TableReader<'_>, key: &str, problems: &mut Problems<'_>) -> Option<Self>;
}

impl<T: Setting> Field for Spanned<T> {
    const REQUIRED: bool = true;

    fn schema() -> Json {
        T::schema()
    }

    fn read_field(table: &TableReader<'_>, key: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Some(entry) = table.entry(key) else {
            let help = format!("add `{key} = ...`");
            problems.add(table.node.place, format!("{} has no `{key}`", table.title()), "in this table", help);
            return None;
        };
        read_spanned(entry, table.path, problems)
    }
}

impl<T: Setting> Field for Option<Spanned<T>> {
    const REQUIRED: bool = false;

    fn schema() -> Json {
        T::schema()
    }

    fn read_field(table: &TableReader<'_>, key: &str, problems: &mut Problems<'_>) -> Option<Self> {
        match table.entry(key) {
            Some(entry) => read_spanned(entry, table.path, problems).map(Some),
            None => Some(None),
        }
    }
}

fn read_spanned<T: Setting>(entry: &Entry, path: &str, problems: &mut Problems<'_>) -> Option<Spanned<T>> {
    let path = join(path, &entry.name.value);
    let value = T::read(&entry.node, &path, problems)?;
    Some(Spanned { value, place: entry.node.place })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A table that is being read.
pub struct TableReader<'a> {
    node: &'a Node,
    entries: &'a [Entry],
    path: &'a str,
}

impl<'a> TableReader<'a> {
    /// Begins with a node that must be a table and may have only these keys.
    pub fn open(node: &'a Node, path: &'a str, keys: &[&str], problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Table(entries) = &node.content else {
            wrong_type(node, path, "a table", problems);
            return None;
        };
        let table = Self { node, entries, path };
        for entry in entries {
            let name = &entry.name.value;
            if !keys.contains(&name.as_str()) {
                let message = format!("unknown key `{name}` in {}", table.title());
                problems.add(entry.name.place, message, "no such key", names::advice(name, keys.iter().copied()));
            }
        }
        Some(table)
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.name.value == key)
    }

    fn title(&self) -> String {
        if self.path.is_empty() { "the file's top level".to_owned() } else { format!("`{}`", self.path) }
    }
}

/// Notes that a value is of another type than its key wants.
pub fn wrong_type(node: &Node, path: &str, expected: &str, problems: &mut Problems<'_>) {
    let label = format!("this is {}", node.kind());
    problems.add(node.place, format!("`{path}` must be {expected}"), label, format!("write {expected}"));
}

/// What the macro knows about one key, for the schema.
pub struct KeyDescription {
    /// The key.
    pub key: &'static str,
    /// Its documentation.
    pub documentation: &'static [&'static str],
    /// Whether it must be there.
    pub required: bool,
    /// The schema of its value.
    pub schema: Json,
}

/// Puts the lines of a doc comment together.
#[must_use]
pub fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The schema of a table with these keys and no others.
#[must_use]
pub fn table_schema(documentation: &[&str], keys: Vec<KeyDescription>) -> Json {
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.key).collect();
    let mut properties = JsonMap::new();
    for key in keys {
        let mut schema = key.schema;
        if let Json::Object(object) = &mut schema {
            object.insert("description".to_owned(), Json::String(prose(key.documentation)));
        }
        properties.insert(key.key.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": prose(documentation),
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Declares a table of the language: a struct whose every field has a key, a type and documentation.
macro_rules! settings {
    ($(#[doc = $doc:literal])+ pub struct $name:ident {
        $( $(#[doc = $field_doc:literal])+ $key:literal => $field:ident: $kind:ty, )+
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $field_doc])+ pub $field: $kind, )+ }

        impl $crate::language::setting::Setting for $name {
            fn schema() -> serde_json::Value {
                use $crate::language::setting::{Field, KeyDescription, table_schema};
                table_schema(&[$($doc),+], vec![ $( KeyDescription {
                    key: $key,
                    documentation: &[$($field_doc),+],
                    required: <$kind as Field>::REQUIRED,
                    schema: <$kind as Field>::schema(),
                } ),+ ])
            }

            fn read(
                node: &$crate::language::document::Node,
                path: &str,
                problems: &mut $crate::language::problem::Problems<'_>,
            ) -> Option<Self> {
                use $crate::language::setting::{Field, TableReader};
                let table = TableReader::open(node, path, &[$($key),+], problems)?;
                // Every field is read before the first missing one ends it, so that all problems are shown.
                $( let $field = <$kind as Field>::read_field(&table, $key, problems); )+
                Some(Self { $( $field: $field?, )+ })
            }
        }
    };
}
pub(crate) use settings;

/// `"per-key"`; `"connection" or "reply"`: as they have to be written.
#[must_use]
pub fn one_of(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// Declares a word out of a few.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ pub enum $name:ident { $( $(#[doc = $choice_doc:literal])+ $choice:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $choice_doc])+ $choice, )+ }

        impl $crate::language::setting::Setting for $name {
            fn schema() -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": [$($word),+] })
            }

            fn read(
                node: &$crate::language::document::Node,
                path: &str,
                problems: &mut $crate::language::problem::Problems<'_>,
            ) -> Option<Self> {
                let words = [$($word),+];
                match &node.content {
                    $( $crate::language::document::Content::Text(text) if text == $word => Some(Self::$choice), )+
                    $crate::language::document::Content::Text(text) => {
                        let help = $crate::language::names::advice(text, words);
                        problems.add(node.place, format!("`{path}` cannot be \"{text}\""), "not one of the choices", help);
                        None
                    }
                    _ => {
                        let expected = $crate::language::setting::one_of(&words);
                        $crate::language::setting::wrong_type(node, path, &expected, problems);
                        None
                    }
                }
            }
        }
    };
}
pub(crate) use choices;

/// A table whose keys are names that the author of the file chooses, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<T>(pub Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Setting> Setting for Named<T> {
    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Table(entries) = &node.content else {
            wrong_type(node, path, "a table", problems);
            return None;
        };
        let read: Vec<_> = entries
            .iter()
            .map(|entry| read_spanned(entry, path, problems).map(|value| (entry.name.clone(), value)))
            .collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }
}

impl<T: Setting> Setting for Vec<Spanned<T>> {
    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::List(nodes) = &node.content else {
            if matches!(node.content, Content::Table(_)) {
                let help = format!("write [[{path}]], once for each");
                problems.add(node.place, format!("`{path}` must be an array of tables"), "this is a table", help);
            } else {
                wrong_type(node, path, "an array", problems);
            }
            return None;
        };
        let read: Vec<_> = nodes
            .iter()
            .map(|inner| T::read(inner, path, problems).map(|value| Spanned { value, place: inner.place }))
            .collect();
        read.into_iter().collect()
    }
}

impl Setting for String {
    fn schema() -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Text(text) = &node.content else {
            wrong_type(node, path, "a string", problems);
            return None;
        };
        Some(text.clone())
    }
}

impl Setting for bool {
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Boolean(flag) = node.content else {
            wrong_type(node, path, "`true` or `false`", problems);
            return None;
        };
        Some(flag)
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const LEAST: u64, const MOST: u64>(pub u64);

/// `1 to 15`; `0 upwards` where nothing but TOML itself has a limit.
fn range(least: u64, most: u64) -> String {
    if most >= i64::MAX.unsigned_abs() { format!("{least} upwards") } else { format!("{least} to {most}") }
}

impl<const LEAST: u64, const MOST: u64> Setting for Whole<LEAST, MOST> {
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Integer(number) = node.content else {
            wrong_type(node, path, &format!("a whole number from {}", range(LEAST, MOST)), problems);
            return None;
        };
        match u64::try_from(number) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Some(Self(number)),
            _ => {
                let help = format!("allowed: {}", range(LEAST, MOST));
                problems.add(node.place, format!("`{path}` cannot be {number}"), "out of range", help);
                None
            }
        }
    }
}

/// A string, number or boolean that ends up as text: an environment variable, a property of a client or topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl Setting for Scalar {
    fn schema() -> Json {
        json!({ "type": ["string", "integer", "number", "boolean"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        match &node.content {
            Content::Text(text) => Some(Self(text.clone())),
            Content::Integer(number) => Some(Self(number.to_string())),
            Content::Float(number) => Some(Self(number.to_string())),
            Content::Boolean(flag) => Some(Self(flag.to_string())),
            Content::Datetime | Content::List(_) | Content::Table(_) => {
                wrong_type(node, path, "a string, a number or a boolean", problems);
                None
            }
        }
    }
}
