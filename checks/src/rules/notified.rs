//! Notified: each committed change of state was told at least once and no more often than allowed, and nothing was told that
//! was never committed.
//!
//! Changes are known by their events: those that steps of orders are about, and those that services wrote with their changes.
//! Whoever tells says which event he tells of, and of which order.

use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::Part;
use std::collections::BTreeMap;

/// One event.
#[derive(Default)]
struct Change {
    committed: bool,
    told: u64,
    /// The order that it is about, by whoever names one first.
    order: String,
    /// Another order that it was told about, if so.
    mistold: Option<String>,
}

impl Change {
    /// Whether it is about this order, as far as anybody knows.
    fn is_about(&mut self, order: &str) -> bool {
        if self.order.is_empty() {
            order.clone_into(&mut self.order);
        }
        order.is_empty() || self.order == order
    }
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for part in [Part::Orders, Part::Changes] {
        books.visit(part, &mut |fact| {
            if !fact.event.is_empty() {
                let change = changes.entry(fact.event.clone()).or_default();
                change.committed = true;
                change.is_about(&fact.entity);
            }
        })?;
    }
    let mut nameless = 0_u64;
    books.visit(Part::Notifications, &mut |fact| {
        if fact.event.is_empty() {
            nameless += 1;
        } else {
            let change = changes.entry(fact.event.clone()).or_default();
            change.told += 1;
            if !change.is_about(&fact.entity) {
                change.mistold = Some(fact.entity.clone());
            }
        }
    })?;
    if nameless > 0 {
        let reason = format!("{} say no event that they are about", counted(nameless, "notification"));
        return Err(Trouble::Unusable(reason));
    }

    let surplus: u64 = changes.values().map(|change| change.told.saturating_sub(1)).sum();
    let too_many = surplus.saturating_sub(books.rule.options.duplicates);
    let mut ruling = Ruling::over(changes.len() as u64);
    // Those that are too many are counted one by one, and shown where they begin to be.
    let mut unallowed = too_many;
    for (event, change) in &changes {
        let about = || About::Events(vec![event.clone()]);
        let subject = format!("event {event}");
        match change {
            Change { committed: false, .. } => {
                ruling.broken(&subject, Fault::missing("was told, but never committed"), about);
            }
            Change { told: 0, .. } => ruling.broken(&subject, Fault::missing("was never told"), about),
            Change { mistold: Some(another), order, .. } => {
                let reason = format!("is about order {order}, and was told about order {another}");
                ruling.broken(&subject, Fault::wrong(reason), about);
            }
            Change { .. } => {}
        }
        let copies = change.told.saturating_sub(1).min(unallowed);
        if copies > 0 {
            unallowed -= copies;
            let reason = format!("was told {} times", change.told);
            ruling.broken_times(copies, &subject, Fault::wrong(reason), about);
        }
    }
    let told: u64 = changes.values().map(|change| change.told).sum();
    ruling.summary = format!("{} told of {}", grouped(told), counted(changes.len() as u64, "change"));
    if surplus > 0 {
        ruling.summary.push_str(&format!(", {} more than once", grouped(surplus)));
    }
    Ok(ruling)
}
