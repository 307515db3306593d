//! What the part `orders` says of each order.

use super::reading::{Books, Trouble};
use shakedown_reports::rules::Part;
use std::collections::BTreeMap;

/// An order by its steps.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// How often it was accepted: steps to version 1, or the first step where steps have no versions.
    pub(super) accepted: u64,
    /// What it costs by the step that accepted it, else by its first one, in minor units.
    pub(super) total: i64,
    /// Whether another step says another price.
    pub(super) total_changes: bool,
    /// Where it is by its highest version.
    pub(super) status: String,
    steps: u64,
    version: i64,
}

/// Every order that has steps, by its id.
pub(super) fn read(books: &Books<'_>) -> Result<BTreeMap<String, Order>, Trouble> {
    let mut orders: BTreeMap<String, Order> = BTreeMap::new();
    books.visit(Part::Orders, &mut |fact| {
        let order = orders.entry(fact.entity.clone()).or_default();
        let amount = fact.amount.unwrap_or_default();
        let accepts = fact.version.map_or(order.steps == 0, |version| version == 1);
        order.total_changes |= order.steps > 0 && amount != order.total;
        if order.steps == 0 || (accepts && order.accepted == 0) {
            order.total = amount;
        }
        order.accepted += u64::from(accepts);
        order.steps += 1;
        let version = fact.version.unwrap_or(order.version);
        if version >= order.version {
            order.version = version;
            order.status.clone_from(&fact.status);
        }
    })?;
    Ok(orders)
}
