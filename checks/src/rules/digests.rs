//! Digests: what was written to be published is in its topic, nothing else is, and whoever has to handle it has handled it.
//!
//! Events are compared one by one, by their ids: the outboxes' entries for a topic, the topic as it can be read committed,
//! and the inboxes behind it. A repetition has the id of its event. What has no id (what is no event) is left out.
//!
//! An inbox owes what its `heeds` names, else all of each topic of which it has anything. A name that is misspelt would excuse
//! it from everything: so an inbox with an event that its `heeds` does not name leaves the rule undecided, and who owes
//! nothing, and what was named and never came, is said.

use super::folded::names;
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::{Part, topic_of_book};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many inboxes fit the marks of an event.
const INBOXES_MAX: usize = 64;

/// Where an event is. Marks of inboxes are bits, by their place among the rule's books.
#[derive(Default)]
struct Event {
    /// The topic, by its place among the rule's books.
    topic: usize,
    written: bool,
    published: bool,
    /// Whether outbox and topic name different keys.
    key_changed: bool,
    /// The number of its key.
    key: Option<u32>,
    /// Whether an outbox or an inbox has it twice, which topics may.
    repeated: bool,
    handled: u64,
    to_handle: u64,
}

struct Comparison<'a> {
    books: &'a Books<'a>,
    /// Topics with their books, in the order of the rule.
    topics: Vec<&'a str>,
    inboxes: &'a [String],
    keys: HashMap<String, u32>,
    events: BTreeMap<String, Event>,
    nameless: u64,
    /// The kinds of events that were on each topic.
    kinds: BTreeSet<(usize, String)>,
    /// Inboxes with an event whose topic and kind their `heeds` does not name.
    unheeded: BTreeSet<(usize, usize, String)>,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let inboxes = books.of(Part::Inboxes);
    if inboxes.len() > INBOXES_MAX {
        return Err(Trouble::Unusable(format!("more than {INBOXES_MAX} inboxes are more than can be compared")));
    }
    let topics = books.of(Part::Topics).iter().map(|book| topic_of_book(book).unwrap_or(book)).collect();
    let mut comparison = Comparison {
        books,
        topics,
        inboxes,
        keys: HashMap::new(),
        events: BTreeMap::new(),
        nameless: 0,
        kinds: BTreeSet::new(),
        unheeded: BTreeSet::new(),
    };
    comparison.read_outboxes()?;
    let heeded = comparison.read_inboxes()?;
    comparison.read_topics(&heeded)?;
    Ok(comparison.compare())
}

impl Comparison<'_> {
    fn place(&self, topic: &str) -> Option<usize> {
        self.topics.iter().position(|known| *known == topic)
    }

    fn key(&mut self, key: &str) -> u32 {
        let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        *self.keys.entry(key.to_owned()).or_insert(next)
    }

    fn read_outboxes(&mut self) -> Result<(), Trouble> {
        let books = self.books;
        books.visit(Part::Outboxes, &mut |fact| {
            // Topics without a book, such as those for retries, are nobody's business here.
            let Some(topic) = self.place(&fact.kind) else { return };
            let key = self.key(&fact.key);
            let event = self.events.entry(fact.event.clone()).or_default();
            event.repeated |= event.written;
            (event.topic, event.written, event.key) = (topic, true, Some(key));
        })
    }

    /// Reads the inboxes. Returns the topics of which each has something.
    fn read_inboxes(&mut self) -> Result<Vec<BTreeSet<usize>>, Trouble> {
        let (books, inboxes) = (self.books, self.inboxes);
        let mut heeded = vec![BTreeSet::new(); inboxes.len()];
        for (number, inbox) in inboxes.iter().enumerate() {
            books.visit_book(Part::Inboxes, inbox, &mut |fact| {
                let Some(topic) = self.place(&fact.kind) else { return };
                heeded[number].insert(topic);
                let event = self.events.entry(fact.event.clone()).or_default();
                event.topic = topic;
                event.repeated |= event.handled & (1 << number) != 0;
                event.handled |= 1 << number;
            })?;
        }
        Ok(heeded)
    }

    fn read_topics(&mut self, heeded: &[BTreeSet<usize>]) -> Result<(), Trouble> {
        let books = self.books;
        for (topic, book) in books.of(Part::Topics).iter().enumerate() {
            books.visit_book(Part::Topics, book, &mut |fact| {
                if fact.event.is_empty() {
                    self.nameless += 1;
                    return;
                }
                let to_handle = self.to_handle(topic, &fact.kind, heeded);
                let key = self.key(&fact.key);
                let event = self.events.entry(fact.event.clone()).or_default();
                event.topic = topic;
                event.published = true;
                event.key_changed |= event.key.is_some_and(|written| written != key);
                event.to_handle |= to_handle;
                let strange = event.handled & !to_handle;
                self.kinds.insert((topic, fact.kind.clone()));
                let inboxes = (0..self.inboxes.len()).filter(|number| strange & (1 << number) != 0);
                self.unheeded.extend(inboxes.map(|number| (number, topic, fact.kind.clone())));
            })?;
        }
        Ok(())
    }

    /// The inboxes that must have an event.
    fn to_handle(&self, topic: usize, kind: &str, heeded: &[BTreeSet<usize>]) -> u64 {
        let heeds = &self.books.rule.options.heeds;
        let has_to = |(number, inbox): (usize, &String)| match heeds.get(inbox) {
            Some(list) => names(list, self.topics[topic], kind),
            None => heeded[number].contains(&topic),
        };
        let bits = self.inboxes.iter().enumerate().map(|(number, inbox)| u64::from(has_to((number, inbox))) << number);
        bits.fold(0, |all, bit| all | bit)
    }

    fn compare(self) -> Ruling {
        let mut ruling = Ruling::over(self.events.len() as u64);
        for (id, event) in &self.events {
            if let Some(fault) = self.wrong(event) {
                ruling.broken(&format!("event {id}"), fault, || About::Events(vec![id.clone()]));
            }
        }
        let count =
            |is: &dyn Fn(&Event) -> bool| grouped(self.events.values().filter(|event| is(event)).count() as u64);
        ruling.summary = format!(
            "{} written, {} published, {} handled by all who have to",
            count(&|event| event.written),
            count(&|event| event.published),
            count(&|event| event.to_handle & !event.handled == 0)
        );
        if self.nameless > 0 {
            ruling.summary.push_str(&format!("; {} without an id", counted(self.nameless, "message")));
        }
        ruling.summary.extend(self.exempt().map(|inbox| format!("; {inbox} owes nothing")));
        ruling.summary.extend(self.never_came().map(|(inbox, entry)| format!("; no {entry}, which {inbox} heeds")));
        ruling.unclear = self.unheeded.first().map(|(number, topic, kind)| {
            let (inbox, topic) = (&self.inboxes[*number], self.topics[*topic]);
            let mut reason = format!("{inbox} has events {topic}/{kind}, which its `heeds` does not name");
            let unused: Vec<&str> = self.never_came().filter(|(of, _)| of == inbox).map(|(_, entry)| entry).collect();
            if !unused.is_empty() {
                reason.push_str(&format!("; it names {}, of which there was none", unused.join(", ")));
            }
            reason
        });
        ruling
    }

    /// Inboxes that have to have nothing.
    fn exempt(&self) -> impl Iterator<Item = &str> {
        let owing = self.events.values().fold(0, |all, event| all | event.to_handle);
        let inboxes = self.inboxes.iter().enumerate();
        inboxes.filter(move |(number, _)| owing & (1 << number) == 0).map(|(_, inbox)| inbox.as_str())
    }

    /// What inboxes heed and no event was: each with its inbox.
    fn never_came(&self) -> impl Iterator<Item = (&str, &str)> {
        let heeds = &self.books.rule.options.heeds;
        let entries = heeds.iter().flat_map(|(inbox, list)| list.iter().map(move |entry| (inbox.as_str(), entry)));
        let came = |entry: &String| {
            let entry = std::slice::from_ref(entry);
            self.kinds.iter().any(|(topic, kind)| names(entry, self.topics[*topic], kind))
        };
        entries.filter(move |(_, entry)| !came(entry)).map(|(inbox, entry)| (inbox, entry.as_str()))
    }

    fn wrong(&self, event: &Event) -> Option<Fault> {
        let topic = self.topics[event.topic];
        let first = |bits: u64| self.inboxes.get(bits.trailing_zeros() as usize).map_or("", String::as_str);
        match event {
            Event { written: true, published: false, .. } => {
                Some(Fault::missing(format!("was written to be published on {topic}, and is not there")))
            }
            Event { written: false, published: true, .. } => {
                Some(Fault::missing(format!("is on {topic}, but in no outbox")))
            }
            Event { published: false, .. } => {
                Some(Fault::missing(format!("is in {}, but not on {topic}", first(event.handled))))
            }
            Event { repeated: true, .. } => Some(Fault::wrong("is twice in one outbox or inbox, or in two outboxes")),
            Event { key_changed: true, .. } => {
                Some(Fault::wrong(format!("was written with another key than it has on {topic}")))
            }
            Event { to_handle, handled, .. } if to_handle & !handled != 0 => {
                Some(Fault::missing(format!("is on {topic}, but not in {}", first(to_handle & !handled))))
            }
            Event { .. } => None,
        }
    }
}
