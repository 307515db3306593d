//! Books: what services and topics have, under which names, and where their fields are.

use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw_books::{RawBook, RawTopicBook};
use crate::language::reference::Pointer;
use crate::scenario::books::{Fields, KNOWN_BOOKS, STAND_IN_BOOKS, ServiceBook, TopicBook};
use crate::scenario::merge::Merged;
use shakedown_reports::rules::{topic_book, topic_of_book};

/// The books that there are.
pub(super) fn validate(merged: &Merged, problems: &mut Problems<'_>) -> (Vec<ServiceBook>, Vec<TopicBook>) {
    let mut services: Vec<ServiceBook> = Vec::new();
    for (service, raw) in &merged.services.0 {
        for (name, book) in raw.value.books.iter().flat_map(|books| &books.value.0) {
            let full = format!("{}-{}", service.value, name.value);
            check_name(name, &full, &services, problems);
            let fields = fields(name, &book.value, problems);
            let get = book.value.get.value.0.clone();
            services.push(ServiceBook { name: full, service: service.value.clone(), get, fields });
        }
    }
    let topics = merged.topics.0.iter().filter_map(|(name, topic)| {
        let book = topic.value.book.as_ref()?;
        Some(TopicBook { topic: name.value.clone(), fields: topic_fields(&book.value) })
    });
    (services, topics.collect())
}

/// Everything that a rule may name.
pub(super) fn known_names(services: &[ServiceBook], topics: &[TopicBook]) -> Vec<String> {
    let services = services.iter().map(|book| book.name.clone());
    let topics = topics.iter().map(|book| topic_book(&book.topic));
    services.chain(topics).chain(STAND_IN_BOOKS.map(str::to_owned)).collect()
}

fn check_name(name: &Spanned<String>, full: &str, others: &[ServiceBook], problems: &mut Problems<'_>) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = &name.value;
    if text.is_empty() || text.len() > 63 || !text.chars().all(legal) {
        let help = "allowed: lower-case letters, digits and `-`, at most 63 of them";
        problems.add(name.place, format!("`{text}` cannot be a book's name"), "not a name", help);
    }
    let taken = STAND_IN_BOOKS.contains(&full) || topic_of_book(full).is_some();
    if taken || others.iter().any(|other| other.name == full) {
        let message = format!("there is another book `{full}`: books are called SERVICE-BOOK");
        problems.add(name.place, message, "one name, two books", "give the book another name");
    }
}

/// The fields of a book: those of its name, and over them what it says itself.
fn fields(name: &Spanned<String>, raw: &RawBook, problems: &mut Problems<'_>) -> Fields {
    let mut fields = Fields::of_book(&name.value);
    let RawBook { get: _, position, at_us, entity, kind, part, amount, quantity, version, status, event, key, stock } =
        raw;
    for (field, pointer) in [
        (&mut fields.position, position),
        (&mut fields.at_us, at_us),
        (&mut fields.entity, entity),
        (&mut fields.kind, kind),
        (&mut fields.part, part),
        (&mut fields.amount, amount),
        (&mut fields.quantity, quantity),
        (&mut fields.version, version),
        (&mut fields.status, status),
        (&mut fields.event, event),
        (&mut fields.key, key),
    ] {
        overlay(field, pointer.as_ref());
    }
    if let Some(stock) = stock {
        let pointers: Vec<String> = stock.value.iter().map(|pointer| pointer.value.0.clone()).collect();
        match <[String; 3]>::try_from(pointers) {
            Ok(pointers) => fields.stock = Some(pointers),
            Err(pointers) => {
                let message = format!("`stock` has {} pointers", pointers.len());
                let help = "write three, at what is on hand, reserved and shipped: [\"/on_hand\", \"/reserved\", \"/shipped\"]";
                problems.add(stock.place, message, "not three", help);
            }
        }
    }
    if fields.kind.is_none() || (fields.entity.is_none() && fields.event.is_none()) {
        let message = format!("nobody knows how to read the book `{}`", name.value);
        let help = format!(
            "say where its fields are: `kind`, `entity` or `event`, ...; known are {}",
            names::list(&KNOWN_BOOKS)
        );
        problems.add(name.place, message, "has no `kind`, or neither `entity` nor `event`", help);
    }
    fields
}

fn topic_fields(raw: &RawTopicBook) -> Fields {
    let mut fields = Fields::of_topic();
    let RawTopicBook { entity, kind, amount, event, at_us } = raw;
    overlay(&mut fields.entity, entity.as_ref());
    overlay(&mut fields.kind, kind.as_ref());
    overlay(&mut fields.amount, amount.as_ref());
    overlay(&mut fields.event, event.as_ref());
    overlay(&mut fields.at_us, at_us.as_ref());
    fields
}

fn overlay(field: &mut Option<String>, pointer: Option<&Spanned<Pointer>>) {
    if let Some(pointer) = pointer {
        *field = Some(pointer.value.0.clone());
    }
}
