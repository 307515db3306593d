//! Sizes in bytes: `64MiB`.

use super::document::{Content, Node};
use super::names;
use super::problem::Problems;
use super::setting::{Setting, wrong_type};
use serde_json::{Value as Json, json};

const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The largest size the language takes: 1 TiB, more than any machine that runs tests has to give.
const LARGEST: u64 = 1 << 40;

const HELP: &str = "a size is a whole number with a unit, such as \"64MiB\", and no more than 1024GiB";

/// So many bytes, with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Setting for Size {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9][0-9_]* ?(B|KiB|MiB|GiB)$", "examples": ["64MiB", "1GiB"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Text(text) = &node.content else {
            wrong_type(node, path, "a size with its unit in quotes, such as \"64MiB\"", problems);
            return None;
        };
        match parse(text) {
            Ok(size) => Some(size),
            Err(Unreadable::Unit(unit)) => {
                let message = match unit {
                    "" => format!("`{path}` has no unit: \"{text}\""),
                    _ => format!("`{path}` has an unknown unit `{unit}`: \"{text}\""),
                };
                let known = UNITS.iter().map(|(name, _)| *name);
                problems.add(node.place, message, "which unit?", names::advice(unit, known));
                None
            }
            Err(Unreadable::Number) => {
                problems.add(node.place, format!("`{path}` has a bad number: \"{text}\""), "how many?", HELP);
                None
            }
        }
    }
}

enum Unreadable<'a> {
    Number,
    Unit(&'a str),
}

fn parse(text: &str) -> Result<Size, Unreadable<'_>> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim());
    let number = number.replace('_', "").parse::<u64>().map_err(|_| Unreadable::Number)?;
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(Unreadable::Unit(unit))?;
    number.checked_mul(*bytes).filter(|bytes| (1..=LARGEST).contains(bytes)).map(Size).ok_or(Unreadable::Number)
}

/// The same for the command line.
///
/// # Errors
/// A sentence that says what a size looks like.
pub fn from_argument(text: &str) -> Result<u64, String> {
    parse(text).map(|Size(bytes)| bytes).map_err(|_| HELP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::from_argument;

    #[test]
    fn sizes_have_units() {
        assert_eq!(from_argument("64MiB"), Ok(64 << 20));
        assert_eq!(from_argument("1_000 B"), Ok(1000));
        for wrong in ["64", "64MB", "MiB", "0MiB", "2000GiB", "99999999999999999999B", "1.5GiB"] {
            assert!(from_argument(wrong).is_err(), "{wrong}");
        }
    }
}
