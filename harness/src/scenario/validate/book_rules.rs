//! Rules over books: every part is played by a book that there is, and no rule is told what it does not look at.

use super::books::known_names;
use super::groups;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw_books::RawConserved;
use crate::language::reference::TermReference;
use crate::language::setting::Named;
use crate::scenario::books::{ServiceBook, TopicBook};
use crate::scenario::merge::Merged;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::rules::{BookRule, Part, RuleKind, RuleOptions, topic_book};
use std::collections::BTreeMap;

/// The rules over books, whether or not they are expected to hold.
pub(super) fn validate(
    merged: &Merged,
    scope: &Scope<'_>,
    services: &[ServiceBook],
    topics: &[TopicBook],
    problems: &mut Problems<'_>,
) -> Vec<BookRule> {
    let mut rules = Vec::new();
    for (name, raw) in &merged.conserved.0 {
        let Some(kind) = &raw.value.rule else { continue };
        if let Some(equal) = &raw.value.equal {
            let message = format!("rule `{}` has both `equal` and `rule`", name.value);
            problems.add(equal.place, message, "one too many", "leave one of them out, or make two rules of it");
        }
        let mut reader = Reader {
            name,
            kind: kind.value.kind(),
            raw: &raw.value,
            scope,
            services,
            topics,
            problems: &mut *problems,
        };
        rules.push(reader.read());
    }
    rules
}

/// What a rule is read from.
struct Reader<'a, 's> {
    name: &'a Spanned<String>,
    kind: RuleKind,
    raw: &'a RawConserved,
    scope: &'a Scope<'a>,
    services: &'a [ServiceBook],
    topics: &'a [TopicBook],
    problems: &'a mut Problems<'s>,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> BookRule {
        self.refuse_strange_keys();
        let books: BTreeMap<Part, Vec<String>> =
            self.kind.parts().iter().map(|part| (*part, self.books_of(*part))).collect();
        for (part, played) in &books {
            let can_do_without = *part == Part::Changes || (self.kind, *part) == (RuleKind::Folded, Part::Orders);
            if played.is_empty() && !can_do_without {
                self.nobody_plays(*part);
            }
        }
        let options = self.options(&books);
        let violations =
            self.raw.violations.as_ref().and_then(|count| groups::bounds("violations", count, self.problems));
        BookRule {
            name: self.name.value.clone(),
            rule: self.kind,
            books,
            violations: violations.unwrap_or(Bounds::exactly(0)),
            options,
        }
    }

    /// The keys that are there although the rule does not look at them.
    fn refuse_strange_keys(&mut self) {
        let mut allowed: Vec<&str> = self.kind.parts().iter().map(|part| part.name()).collect();
        allowed.extend(match self.kind {
            RuleKind::Settled => ["captured", "declined", "cancelled"].as_slice(),
            RuleKind::Released => &["declined", "cancelled"],
            RuleKind::Stock => &["initial"],
            RuleKind::Notified => &["duplicates"],
            RuleKind::Folded => &["log", "count", "sum"],
            RuleKind::Digests => &["heeds"],
            RuleKind::LegalSteps => &["steps", "deadline"],
            RuleKind::CapturedOnce | RuleKind::ShippedRightly | RuleKind::InOrder => &[],
        });
        if self.kind == RuleKind::Folded {
            // Those of its log.
            allowed.retain(|key| *key != Part::Topics.name());
        }
        allowed.push("violations");
        for (key, place) in keys(self.raw) {
            if !allowed.contains(&key) {
                let message = format!("`{key}` says nothing to the rule `{}`", self.kind.name());
                self.problems.add(place, message, "not looked at", format!("allowed: {}", names::list(&allowed)));
            }
        }
    }

    fn nobody_plays(&mut self, part: Part) {
        let key = if (self.kind, part) == (RuleKind::Folded, Part::Topics) { "log" } else { part.name() };
        let message = format!("rule `{}` needs a book for the part `{}`", self.name.value, part.name());
        let known = known_names(self.services, self.topics);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let help = format!("name it: `{key} = ...`; books are: {}", names::list(&known));
        self.problems.add(self.name.place, message, "no such book by itself", help);
    }

    /// Who plays a part: whom the rule names, else whose name says so.
    fn books_of(&mut self, part: Part) -> Vec<String> {
        let raw = self.raw;
        match part {
            Part::Orders => self.one(raw.orders.as_ref(), "steps", None),
            Part::Captures => self.one(raw.captures.as_ref(), "", Some("payment-provider")),
            Part::Movements => self.one(raw.movements.as_ref(), "movements", None),
            Part::Shipments => self.one(raw.shipments.as_ref(), "", Some("warehouse")),
            Part::Notifications => self.one(raw.notifications.as_ref(), "", Some("mailbox")),
            Part::Changes => self.many(raw.changes.as_ref(), "outbox", true),
            Part::Outboxes => self.many(raw.outboxes.as_ref(), "outbox", false),
            Part::Inboxes => self.many(raw.inboxes.as_ref(), "inbox", false),
            Part::Topics => self.topics_of(),
        }
    }

    fn one(&mut self, named: Option<&Spanned<String>>, own_name: &str, stand_in: Option<&str>) -> Vec<String> {
        match named {
            Some(named) => self.checked(std::slice::from_ref(named)),
            None => match (stand_in, self.called(own_name).as_slice()) {
                (Some(stand_in), _) => vec![stand_in.to_owned()],
                (None, [book]) => vec![book.name.clone()],
                // Of several nobody knows which.
                (None, _) => Vec::new(),
            },
        }
    }

    fn many(
        &mut self,
        named: Option<&Spanned<Vec<Spanned<String>>>>,
        own_name: &str,
        but_tellers: bool,
    ) -> Vec<String> {
        if let Some(named) = named {
            return self.checked(&named.value);
        }
        let tellers: Vec<&str> = self.called("sent").iter().map(|book| book.service.as_str()).collect();
        let books = self.called(own_name).into_iter();
        books
            .filter(|book| !but_tellers || !tellers.contains(&book.service.as_str()))
            .map(|book| book.name.clone())
            .collect()
    }

    /// The services' books of this name.
    fn called(&self, own_name: &str) -> Vec<&ServiceBook> {
        let is_called = |book: &&ServiceBook| book.name.strip_prefix(&book.service) == Some(&format!("-{own_name}"));
        self.services.iter().filter(is_called).collect()
    }

    fn checked(&mut self, named: &[Spanned<String>]) -> Vec<String> {
        let known = known_names(self.services, self.topics);
        for book in named {
            if !known.contains(&book.value) {
                let help = names::advice(&book.value, known.iter().map(String::as_str));
                self.problems.add(book.place, format!("there is no book `{}`", book.value), "no such book", help);
            }
        }
        named.iter().map(|book| book.value.clone()).collect()
    }

    fn topics_of(&mut self) -> Vec<String> {
        let named: Vec<Spanned<String>> = match (self.kind, &self.raw.log, &self.raw.topics) {
            (RuleKind::Folded, Some(log), _) => log.value.iter().map(topic_part).collect(),
            (RuleKind::Folded, None, _) => return Vec::new(),
            (_, _, Some(topics)) => topics.value.clone(),
            (_, _, None) => return self.topics.iter().map(|book| topic_book(&book.topic)).collect(),
        };
        named.iter().for_each(|topic| self.check_topic(topic));
        let mut books: Vec<String> = named.iter().map(|topic| topic_book(&topic.value)).collect();
        books.dedup();
        books
    }

    fn check_topic(&mut self, topic: &Spanned<String>) {
        if !self.topics.iter().any(|book| book.topic == topic.value) {
            let message = format!("there is no book of a topic `{}`", topic.value);
            let known = self.topics.iter().map(|book| book.topic.as_str());
            let help = format!("add [topics.{}.book]; {}", topic.value, names::advice(&topic.value, known));
            self.problems.add(topic.place, message, "has no book", help);
        }
    }

    fn options(&mut self, books: &BTreeMap<Part, Vec<String>>) -> RuleOptions {
        let mut options = RuleOptions::default();
        let raw = self.raw;
        for (list, named) in [
            (&mut options.captured, &raw.captured),
            (&mut options.declined, &raw.declined),
            (&mut options.cancelled, &raw.cancelled),
            (&mut options.log, &raw.log),
        ] {
            if let Some(named) = named {
                *list = words(&named.value);
            }
        }
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let initial = raw.initial.iter().flat_map(|initial| &initial.value.0);
        options.initial = initial.map(|(product, number)| (product.value.clone(), whole(number.value.0))).collect();
        options.duplicates = raw.duplicates.as_ref().map_or(0, |number| number.value.0);
        options.count = raw.count.as_ref().and_then(|figure| self.figure(figure));
        options.sum = raw.sum.as_ref().and_then(|figure| self.figure(figure));
        options.heeds = self.heeds(books);
        options.steps = raw.steps.as_ref().map(|steps| steps_of(&steps.value)).unwrap_or_default();
        options.deadline = raw.deadline.as_ref().map(|span| u64::try_from(span.value.0.as_nanos()).unwrap_or(u64::MAX));
        self.require(books);
        options
    }

    /// What a rule cannot do without, besides books.
    fn require(&mut self, books: &BTreeMap<Part, Vec<String>>) {
        let raw = self.raw;
        let no_orders = books.get(&Part::Orders).is_none_or(Vec::is_empty);
        let (message, help) = match self.kind {
            RuleKind::LegalSteps if raw.steps.as_ref().is_none_or(|steps| steps.value.0.is_empty()) => (
                "needs to know which steps are legal",
                "add `steps = { PENDING = [\"PAID\", \"DECLINED\"], PAID = [\"COMPLETED\"] }`",
            ),
            RuleKind::Folded if no_orders && raw.count.is_none() && raw.sum.is_none() => (
                "has nothing to compare its log with",
                "add `orders = \"SERVICE-BOOK\"`, `count = \"figure SERVICE.FIELD\"` or `sum = \"figure SERVICE.FIELD\"`",
            ),
            _ => return,
        };
        self.problems.add(self.name.place, format!("rule `{}` {message}", self.name.value), "compares nothing", help);
    }

    fn figure(&mut self, term: &Spanned<TermReference>) -> Option<String> {
        let TermReference::Figure { service, field } = &term.value else {
            let help = "write `figure SERVICE.FIELD`";
            self.problems.add(term.place, "only a figure can be compared with a log", "not a figure", help);
            return None;
        };
        let known = self.scope.check_service(service, term.place, self.problems);
        if known && self.scope.service(service).is_some_and(|known| known.figures.is_none()) {
            let help = "add `figures = { get = \"/...\" }` to it";
            self.problems.add(term.place, format!("service `{service}` states no figures"), "has no data", help);
        }
        Some(format!("{service}.{field}"))
    }

    fn heeds(&mut self, books: &BTreeMap<Part, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let Some(heeds) = &self.raw.heeds else { return BTreeMap::new() };
        let inboxes = books.get(&Part::Inboxes).cloned().unwrap_or_default();
        for (inbox, list) in &heeds.value.0 {
            if !inboxes.contains(&inbox.value) {
                let help = names::advice(&inbox.value, inboxes.iter().map(String::as_str));
                self.problems.add(inbox.place, format!("there is no inbox `{}`", inbox.value), "no such inbox", help);
            }
            list.value.iter().for_each(|entry| self.check_topic(&topic_part(entry)));
        }
        heeds.value.0.iter().map(|(inbox, list)| (inbox.value.clone(), words(&list.value))).collect()
    }
}

/// The keys of a rule that are there, but for `equal` and `rule`.
fn keys(raw: &RawConserved) -> Vec<(&'static str, Place)> {
    let one = |key, place: Option<Place>| place.map(|place| (key, place));
    macro_rules! places {
        ($($field:ident),+) => { [$( one(stringify!($field), raw.$field.as_ref().map(|value| value.place)) ),+] };
    }
    let all = places!(
        violations,
        orders,
        captures,
        movements,
        shipments,
        notifications,
        changes,
        outboxes,
        inboxes,
        topics,
        captured,
        declined,
        cancelled,
        initial,
        duplicates,
        log,
        count,
        sum,
        heeds,
        steps,
        deadline
    );
    all.into_iter().flatten().collect()
}

/// Notes the keys of rules over books at a rule that has terms.
pub(super) fn refuse_keys_of_rules(name: &Spanned<String>, raw: &RawConserved, problems: &mut Problems<'_>) {
    for (key, place) in keys(raw) {
        let message = format!("`{key}` says nothing to the rule `{}`, which has no `rule = ...`", name.value);
        problems.add(place, message, "not looked at", "leave it out, or name a rule over books");
    }
}

/// The topic of `TOPIC` or `TOPIC/KIND`.
fn topic_part(entry: &Spanned<String>) -> Spanned<String> {
    let topic = entry.value.split('/').next().unwrap_or_default().to_owned();
    Spanned { value: topic, place: entry.place }
}

fn words(list: &[Spanned<String>]) -> Vec<String> {
    list.iter().map(|word| word.value.clone()).collect()
}

fn steps_of(steps: &Named<Vec<Spanned<String>>>) -> Vec<(String, Vec<String>)> {
    steps.0.iter().map(|(from, to)| (from.value.clone(), words(&to.value))).collect()
}
