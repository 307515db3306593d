//! Folded: the log adds up to what those say who add it up.
//!
//! Two things are compared with the events of a log. The orders that were accepted, one by one: each has one event there, with
//! its price, and no event is of another order. Then the figures that a service states: their number and the sum of their
//! amounts. A repetition has the id of its event, and counts once. What names neither an event nor an order (what is no event)
//! is left out, and counted.

use super::orders;
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::{Part, topic_of_book};
use std::collections::{BTreeMap, HashSet};

/// An order's events in the log.
#[derive(Default, Clone, Copy)]
struct Logged {
    events: u64,
    amount: i64,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let (log, nameless) = read_log(books)?;
    let mut ruling = Ruling::default();
    if !books.of(Part::Orders).is_empty() {
        compare_orders(books, &log, &mut ruling)?;
    }
    let events: u64 = log.values().map(|logged| logged.events).sum();
    let sum: i128 = log.values().map(|logged| i128::from(logged.amount)).sum();
    ruling.summary = format!("{} over {}", counted(events, "event"), grouped(sum));
    if nameless > 0 {
        ruling.summary.push_str(&format!("; {} of no order", counted(nameless, "message")));
    }
    let options = &books.rule.options;
    for (figure, folded) in [(&options.count, i128::from(events)), (&options.sum, sum)] {
        let Some(name) = figure else { continue };
        let Some(stated) = books.record.figures().iter().find(|figure| figure.name == *name) else {
            ruling.unclear = Some(format!("no service stated the figure {name}"));
            continue;
        };
        ruling.compared += 1;
        ruling.summary.push_str(&format!(", {} in figure {name}", grouped(stated.value)));
        if i128::from(stated.value) != folded {
            let reason = format!("is {}, but the log adds up to {}", grouped(stated.value), grouped(folded));
            ruling.broken(&format!("figure {name}"), Fault::missing(reason), || About::Told(Vec::new()));
        }
    }
    Ok(ruling)
}

/// The events that are to be folded, by order; and how many messages beside them are no events.
fn read_log(books: &Books<'_>) -> Result<(BTreeMap<String, Logged>, u64), Trouble> {
    let mut nameless = 0;
    let mut log: BTreeMap<String, Logged> = BTreeMap::new();
    let mut seen: HashSet<String> = HashSet::new();
    for book in books.of(Part::Topics) {
        let topic = topic_of_book(book).unwrap_or(book);
        books.visit_book(Part::Topics, book, &mut |fact| {
            let id = if fact.event.is_empty() { &fact.entity } else { &fact.event };
            if id.is_empty() {
                nameless += 1;
            } else if names(&books.rule.options.log, topic, &fact.kind) && seen.insert(id.clone()) {
                let logged = log.entry(fact.entity.clone()).or_default();
                logged.events += 1;
                logged.amount = logged.amount.saturating_add(fact.amount.unwrap_or_default());
            }
        })?;
    }
    Ok((log, nameless))
}

fn compare_orders(books: &Books<'_>, log: &BTreeMap<String, Logged>, ruling: &mut Ruling) -> Result<(), Trouble> {
    let mut left = log.clone();
    for (id, order) in orders::read(books)? {
        ruling.compared += 1;
        let logged = left.remove(&id).unwrap_or_default();
        let fault = match logged.events {
            0 => Fault::missing("was accepted, but has no event in the log"),
            1 if order.accepted == 0 => Fault::missing("is in the log, but was never accepted"),
            1 if logged.amount == order.total => continue,
            1 => Fault::wrong(format!("costs {}, but {} in the log", grouped(order.total), grouped(logged.amount))),
            many => Fault::wrong(format!("has {many} events in the log that ought to be one")),
        };
        ruling.broken(&format!("order {id}"), fault, || About::Order(id.clone()));
    }
    for id in left.into_keys() {
        ruling.compared += 1;
        let fault = Fault::missing("is in the log, but was never accepted");
        ruling.broken(&format!("order {id}"), fault, || About::Order(id.clone()));
    }
    Ok(())
}

/// Whether a list of `TOPIC` and `TOPIC/KIND` names an event.
pub(super) fn names(list: &[String], topic: &str, kind: &str) -> bool {
    list.iter().any(|entry| match entry.split_once('/') {
        None => entry == topic,
        Some((named, of_kind)) => named == topic && of_kind == kind,
    })
}
