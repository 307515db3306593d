//! In order: every consumer handles the events of a key in the order in which they were produced.
//!
//! Produced is what lies before: the books of topics have each partition in the order of its offsets. Handled is what was
//! entered in an inbox before. Topics have no order among each other, nor have the partitions of one. Of a repetition only
//! the first counts.

use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::rules::{Part, topic_of_book};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Where an event lies: the number of its topic, partition and key, and its place there.
#[derive(Clone, Copy)]
struct Place {
    line: u32,
    place: u32,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let mut lines: Vec<Line> = Vec::new();
    let places = read_topics(books, &mut lines)?;
    let mut ruling = Ruling::default();
    for inbox in books.of(Part::Inboxes) {
        // The last event of each line that was handled, by place.
        let mut handled: HashMap<u32, (u32, String)> = HashMap::new();
        books.visit_book(Part::Inboxes, inbox, &mut |fact| {
            let Some(Place { line, place }) = places.get(&fact.event).copied() else { return };
            if lines[line as usize].topic != fact.kind {
                return;
            }
            ruling.compared += 1;
            match handled.entry(line) {
                Entry::Vacant(first) => {
                    first.insert((place, fact.event.clone()));
                }
                Entry::Occupied(mut last) if last.get().0 <= place => *last.get_mut() = (place, fact.event.clone()),
                Entry::Occupied(last) => {
                    let (overtaker, Line { topic, key, .. }) = (&last.get().1, &lines[line as usize]);
                    let reason =
                        format!("event {} of {topic} was handled after {overtaker}, which is behind it", fact.event);
                    ruling.broken(&format!("{inbox}, key {key}"), Fault::wrong(reason), || {
                        About::Events(vec![fact.event.clone(), overtaker.clone()])
                    });
                }
            }
        })?;
    }
    let keys = counted(lines.len() as u64, "key");
    ruling.summary = format!("{} in inboxes, {keys} of topics", counted(ruling.compared, "event"));
    Ok(ruling)
}

/// The events of one key in one partition.
struct Line {
    topic: String,
    key: String,
    events: u32,
}

fn read_topics(books: &Books<'_>, lines: &mut Vec<Line>) -> Result<HashMap<String, Place>, Trouble> {
    let mut places: HashMap<String, Place> = HashMap::new();
    for book in books.of(Part::Topics) {
        let topic = topic_of_book(book).unwrap_or(book);
        let mut numbers: HashMap<(String, String), u32> = HashMap::new();
        books.visit_book(Part::Topics, book, &mut |fact| {
            if fact.event.is_empty() || places.contains_key(&fact.event) {
                return;
            }
            let line = *numbers.entry((fact.part.clone(), fact.key.clone())).or_insert_with(|| {
                lines.push(Line { topic: topic.to_owned(), key: fact.key.clone(), events: 0 });
                u32::try_from(lines.len() - 1).unwrap_or(u32::MAX)
            });
            let place = lines[line as usize].events;
            lines[line as usize].events += 1;
            places.insert(fact.event.clone(), Place { line, place });
        })?;
    }
    Ok(places)
}
