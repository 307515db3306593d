//! Settings from the command line, laid over the text of a scenario: `load.arrivals.rate = "500/s"`.
//!
//! They change the text, not what was read of it: what the run directory keeps is what ran, and a wrong value is reported like
//! any other.

use toml_edit::{DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

/// One setting: where it belongs, and its value as TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The keys that lead to it, with dots between them, as in TOML; an entry of a list by its number from 0.
    pub key: String,
    /// The value as it was typed: TOML, or else text.
    pub value: String,
}

/// Why a setting cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// It has no key, or no value.
    #[error("{text:?} is no setting: write KEY=VALUE, as in load.arrivals.rate=500/s")]
    NotAPair {
        /// What was typed.
        text: String,
    },
    /// Its key cannot be read.
    #[error("{key:?} is no key: {reason}")]
    Key {
        /// What was typed.
        key: String,
        /// What TOML says of it.
        reason: String,
    },
    /// Something on the way to it is no table.
    #[error("`{key}` cannot be set: `{part}` is no table and no list with such an entry")]
    NoTable {
        /// The whole key.
        key: String,
        /// The part of it.
        part: String,
    },
}

impl Override {
    /// Out of `KEY=VALUE`.
    ///
    /// # Errors
    /// When it is none, or its key is none.
    pub fn parse(text: &str) -> Result<Self, OverrideError> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => (key.trim().to_owned(), value.trim().to_owned()),
            _ => return Err(OverrideError::NotAPair { text: text.to_owned() }),
        };
        keys(&key)?;
        Ok(Self { key, value })
    }

    /// As it may be typed again.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }
}

/// The text with these settings. Text that is no TOML stays as it is: whoever reads it says what is wrong.
///
/// # Errors
/// When a key leads nowhere.
pub fn apply(text: String, overrides: &[Override]) -> Result<String, OverrideError> {
    if overrides.is_empty() {
        return Ok(text);
    }
    let Ok(mut document) = text.parse::<DocumentMut>() else { return Ok(text) };
    for change in overrides {
        set(&mut document, change)?;
    }
    Ok(document.to_string())
}

fn keys(key: &str) -> Result<Vec<Key>, OverrideError> {
    Key::parse(key)
        .map_err(|error| OverrideError::Key { key: key.to_owned(), reason: error.to_string().trim().to_owned() })
}

fn set(document: &mut DocumentMut, change: &Override) -> Result<(), OverrideError> {
    let keys = keys(&change.key)?;
    let no_table = |part: &Key| OverrideError::NoTable { key: change.key.clone(), part: part.get().to_owned() };
    let Some((last, way)) = keys.split_last() else { return Ok(()) };
    let mut place: &mut Item = document.as_item_mut();
    for part in way {
        place = step(place, part).ok_or_else(|| no_table(part))?;
    }
    // Text needs no quotes on the command line, where shells take them away.
    let value = change.value.parse::<Value>().unwrap_or_else(|_| Value::from(change.value.as_str()));
    if place.is_array() || place.is_array_of_tables() {
        *step(place, last).ok_or_else(|| no_table(last))? = Item::Value(value);
        return Ok(());
    }
    let table = place.as_table_like_mut().ok_or_else(|| no_table(way.last().unwrap_or(last)))?;
    match table.get_mut(last.get()) {
        Some(item) => *item = Item::Value(value),
        None => drop(table.insert(last.get(), Item::Value(value))),
    }
    Ok(())
}

/// One key further, making tables that are not there yet.
fn step<'a>(place: &'a mut Item, part: &Key) -> Option<&'a mut Item> {
    if place.is_array() || place.is_array_of_tables() {
        return place.get_mut(part.get().parse::<usize>().ok()?);
    }
    let is_inline = place.is_inline_table();
    let table: &mut dyn TableLike = place.as_table_like_mut()?;
    if !table.contains_key(part.get()) {
        let made = if is_inline {
            Item::Value(Value::InlineTable(InlineTable::new()))
        } else {
            let mut made = Table::new();
            made.set_implicit(true);
            Item::Table(made)
        };
        table.insert(part.get(), made);
    }
    table.get_mut(part.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"a\" # why\n[load]\narrivals = { shape = \"constant\", rate = \"10/s\" }\n\n[[fault]]\nat = \"1s\"\n\
                        do = { kill = \"controller\" }\n";

    fn applied(settings: &[&str]) -> Result<String, OverrideError> {
        let overrides = settings.iter().map(|text| Override::parse(text)).collect::<Result<Vec<_>, _>>()?;
        apply(TEXT.to_owned(), &overrides)
    }

    #[test]
    fn settings_change_what_is_there_and_add_what_is_not() {
        let text = applied(&["load.arrivals.rate=500/s", "cluster.brokers=3", "topics.orders.config.\"a.b\"=x y"])
            .expect("fits");
        assert!(text.contains("name = \"a\" # why"), "{text}");
        let read: DocumentMut = text.parse().expect("TOML");
        assert_eq!(read["load"]["arrivals"]["rate"].as_str(), Some("500/s"));
        assert_eq!(read["load"]["arrivals"]["shape"].as_str(), Some("constant"));
        assert_eq!(read["cluster"]["brokers"].as_integer(), Some(3));
        assert_eq!(read["topics"]["orders"]["config"]["a.b"].as_str(), Some("x y"));
    }

    #[test]
    fn entries_of_lists_have_numbers_and_values_may_be_tables() {
        let text =
            applied(&["fault.0.at=2s", "fault.0.do={ pause = \"controller\" }", "services.shop.command=[\"./shop\"]"]);
        let read: DocumentMut = text.expect("fits").parse().expect("TOML");
        assert_eq!(read["fault"][0]["at"].as_str(), Some("2s"));
        assert_eq!(read["fault"][0]["do"]["pause"].as_str(), Some("controller"));
        assert_eq!(read["services"]["shop"]["command"][0].as_str(), Some("./shop"));
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        let told = |setting: &str| applied(&[setting]).expect_err("it leads nowhere").to_string();
        assert_eq!(
            told("name.first=x"),
            "`name.first` cannot be set: `name` is no table and no list with such an entry"
        );
        assert_eq!(told("fault.7.at=1s"), "`fault.7.at` cannot be set: `7` is no table and no list with such an entry");
        assert_eq!(told("rate"), "\"rate\" is no setting: write KEY=VALUE, as in load.arrivals.rate=500/s");
        assert!(told("a..b=1").starts_with("\"a..b\" is no key: "));
        assert_eq!(apply("no [ toml".to_owned(), &[Override::parse("a=1").expect("fits")]), Ok("no [ toml".to_owned()));
        assert_eq!(applied(&[]).expect("nothing to do"), TEXT);
    }
}
