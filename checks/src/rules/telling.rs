//! The stories of violations: everything that the books of a rule say about an order or an event, in order of time.

use super::reading::{Books, Trouble};
use super::ruling::Violation;
use crate::evidence::story;
use shakedown_reports::books::Fact;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::topic_of_book;
use shakedown_reports::verdict::{Story, StoryEvent};

/// How many facts of one story are told.
const FACTS_MAX: usize = 16;

/// Where the story of a violation is found.
pub(super) enum About {
    /// In what books say of this order.
    Order(String),
    /// In what books say of these events.
    Events(Vec<String>),
    /// It is told already.
    Told(Vec<StoryEvent>),
}

impl About {
    fn has(&self, fact: &Fact) -> bool {
        match self {
            Self::Order(id) => fact.entity == *id,
            Self::Events(ids) => ids.contains(&fact.event),
            Self::Told(_) => false,
        }
    }
}

/// Reads the books of a rule again for the few violations that a reader gets to see.
pub(super) fn tell(books: &Books<'_>, violations: &[Violation]) -> Result<Vec<Story>, Trouble> {
    let mut told: Vec<Vec<StoryEvent>> = violations
        .iter()
        .map(|violation| match &violation.about {
            About::Told(events) => events.clone(),
            About::Order(_) | About::Events(_) => Vec::new(),
        })
        .collect();
    let mut seen: Vec<&String> = Vec::new();
    for book in books.rule.books.values().flatten() {
        if seen.contains(&book) {
            continue;
        }
        seen.push(book);
        books.record.book(book, &mut |fact| {
            for (events, violation) in told.iter_mut().zip(violations) {
                if events.len() < FACTS_MAX && violation.about.has(fact) {
                    events.push(event(book, fact));
                }
            }
        })?;
    }
    Ok(violations.iter().zip(told).map(|(violation, events)| story(violation.title.clone(), events)).collect())
}

/// A fact as a line of a story.
pub(super) fn event(book: &str, fact: &Fact) -> StoryEvent {
    let at_us = u64::try_from(fact.at_us).ok().filter(|at_us| *at_us > 0);
    StoryEvent { at_ns: at_us.map(|at_us| at_us.saturating_mul(1_000)), text: in_words(book, fact) }
}

/// `inventory-movements: reserve 2 tea; on hand 3, reserved 2, shipped 0`.
fn in_words(book: &str, fact: &Fact) -> String {
    let topic = topic_of_book(book);
    let mut text = topic.map_or_else(|| book.to_owned(), |topic| format!("topic {topic}"));
    if topic.is_some() && !fact.part.is_empty() {
        text.push_str(&format!("/{}", fact.part));
    }
    text.push_str(&format!(": {}", fact.kind));
    if let Some(quantity) = fact.quantity {
        text.push_str(&format!(" {}", grouped(quantity)));
    }
    if topic.is_none() && !fact.part.is_empty() {
        text.push_str(&format!(" {}", fact.part));
    }
    if let Some(amount) = fact.amount {
        text.push_str(&format!(" over {}", grouped(amount)));
    }
    if let Some(version) = fact.version {
        text.push_str(&format!(", version {version}"));
    }
    if !fact.status.is_empty() {
        text.push_str(&format!(", then {}", fact.status));
    }
    if let Some([on_hand, reserved, shipped]) = fact.stock {
        let [on_hand, reserved, shipped] = [on_hand, reserved, shipped].map(grouped);
        text.push_str(&format!("; on hand {on_hand}, reserved {reserved}, shipped {shipped}"));
    }
    if !fact.event.is_empty() {
        text.push_str(&format!(" (event {})", fact.event));
    }
    text
}
