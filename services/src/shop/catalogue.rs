//! What is sold, and how much of it there is to begin with: the order service refuses what is not here, the inventory fills
//! its shelves from it once.

use crate::config::{ConfigError, Environment};
use crate::ids;
use std::collections::BTreeMap;

const VARIABLE: &str = "CATALOGUE";

/// Products and their first stock.
const DEFAULT: &str = "tea=1000000,mug=1000000,kettle=1000000,teapot=1000000,spoon=1000000,honey=1000000,biscuits=1000000,\
tray=1000000";

/// The most of one product, so that no sum of stocks leaves 64 bits.
const STOCK_MAX: i64 = 1_000_000_000_000;

/// The products by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Catalogue {
    stock: BTreeMap<String, i64>,
}

impl Catalogue {
    /// Reads `CATALOGUE`: `PRODUCT_ID=STOCK,...`.
    pub(super) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let text = environment.text(VARIABLE, DEFAULT);
        let mut stock = BTreeMap::new();
        let is_sound = text.split(',').all(|entry| {
            let Some((product_id, first)) = entry.split_once('=') else { return false };
            let first = first.trim().parse::<i64>().ok().filter(|first| (0..=STOCK_MAX).contains(first));
            let product_id = product_id.trim();
            ids::refusal(VARIABLE, product_id).is_none()
                && first.is_some_and(|first| stock.insert(product_id.to_owned(), first).is_none())
        });
        if is_sound {
            return Ok(Self { stock });
        }
        let allowed = format!(
            "PRODUCT_ID=STOCK,... with each id once, of 1 to {} characters, and a stock from 0 to {STOCK_MAX}",
            ids::CHARACTERS_MAX
        );
        Err(ConfigError { variable: VARIABLE.to_owned(), value: text, allowed })
    }

    pub(super) fn has(&self, product_id: &str) -> bool {
        self.stock.contains_key(product_id)
    }

    /// Each product with its first stock.
    pub(super) fn stock(&self) -> impl Iterator<Item = (&str, i64)> {
        self.stock.iter().map(|(product_id, stock)| (product_id.as_str(), *stock))
    }

    /// The first product, for orders that name none.
    pub(super) fn first(&self) -> &str {
        self.stock.keys().next().map_or("", String::as_str)
    }

    /// The ids, for messages: the first few.
    pub(super) fn some_ids(&self) -> String {
        const SHOWN: usize = 10;
        let ids: Vec<&str> = self.stock.keys().take(SHOWN).map(String::as_str).collect();
        let more = if self.stock.len() > SHOWN { ", ..." } else { "" };
        format!("{}{more}", ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Catalogue, ConfigError> {
        Catalogue::read(&Environment::from_iter([(VARIABLE, text)]))
    }

    #[test]
    fn products_have_their_stock() {
        let catalogue = read("tea=3, mug=0").unwrap();
        assert_eq!(catalogue.stock().collect::<Vec<_>>(), [("mug", 0), ("tea", 3)]);
        assert!(catalogue.has("tea") && !catalogue.has("coffee"));
        assert!(read("").unwrap().has("honey"), "the default");
        assert_eq!(catalogue.some_ids(), "mug, tea");
    }

    #[test]
    fn what_is_no_catalogue_is_refused() {
        for text in ["tea", "tea=", "tea=-1", "=3", "tea=1,tea=2", "tea=1,", "tea=9999999999999"] {
            assert_eq!(read(text).unwrap_err().value, text);
        }
    }
}
