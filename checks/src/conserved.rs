//! Conserved: what went in is what came out, in messages and in money.
//!
//! All terms of a rule must be equal. Totals can agree by luck or by two errors that cancel, so terms that are streams
//! are compared message by message first: each identity must be in all of them, and where a rule adds up amounts, with
//! the same amount in all of them. Only if every message agrees do the totals and the figures that services state about
//! themselves decide.
//!
//! A stream counts each identity once, with the amount of its first copy: surplus copies are [`crate::duplicated`]'s.
//! The load counts what was acknowledged; an operation of unknown outcome counts if another stream of the rule has it.
//! Eight bytes and a few bits for each message.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::paged::Paged;
use roaring::RoaringTreemap;
use shakedown_reports::expectation::{ConservationRule, Term};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{self, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "conserved";

/// One finding for each rule.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, rules: &[ConservationRule]) -> Result<Vec<Finding>, RecordError> {
    rules.iter().map(|rule| judge(record, rule)).collect()
}

fn judge(record: &dyn Record, rule: &ConservationRule) -> Result<Finding, RecordError> {
    let mut terms = Vec::new();
    for term in &rule.equal {
        match Side::resolve(record, term) {
            Ok(side) => terms.push(side),
            Err(reason) => return Ok(finding(rule, Outcome::Inconclusive, 0, 0, reason)),
        }
    }
    if terms.len() < 2 {
        return Ok(finding(rule, Outcome::Inconclusive, 0, 0, "a rule needs two terms to compare".to_owned()));
    }
    let books = Books::read(record, &terms)?;
    let disagreeing = books.disagreeing(record, &terms)?;
    let totals: Vec<i128> = terms.iter().map(|term| books.total(term)).collect();
    let gap = totals.iter().map(|total| total.abs_diff(totals[0])).max().unwrap_or_default();

    let compared = books.compared(&terms);
    let found = if disagreeing.is_empty() { u64::try_from(gap).unwrap_or(u64::MAX) } else { disagreeing.len() };
    let outcome = match (found, compared) {
        (1.., _) => Outcome::Fail,
        (0, 0) => Outcome::Inconclusive,
        (0, _) => Outcome::Pass,
    };
    let suspects = disagreeing.iter().take(STORIES_MAX).collect();
    let mut finding = finding(rule, outcome, compared, found, detail(&terms, &totals, disagreeing.len()));
    finding.evidence = books.tell(record, &suspects)?;
    Ok(finding)
}

fn finding(rule: &ConservationRule, outcome: Outcome, compared: u64, found: u64, detail: String) -> Finding {
    let (check, subject) = (NAME.to_owned(), rule.name.clone());
    Finding { check, subject, outcome, compared, found, detail, evidence: Vec::new() }
}

/// `1,200 in load = topic orders, but 1,150 in figure analytics.revenue`.
fn detail(terms: &[Side], totals: &[i128], disagreeing: u64) -> String {
    let mut text = match disagreeing {
        0 => String::new(),
        1 => "1 message disagrees; ".to_owned(),
        many => format!("{} messages disagree; ", grouped(many)),
    };
    text.push_str(&format!("{} in {}", grouped(totals[0]), terms[0].label));
    for (term, total) in terms.iter().zip(totals).skip(1) {
        if *total == totals[0] {
            text.push_str(&format!(" = {}", term.label));
        } else {
            text.push_str(&format!(", but {} in {}", grouped(*total), term.label));
        }
    }
    text
}

/// One side of the equation, found in the record.
struct Side {
    label: String,
    amount: Amount,
}

#[derive(Clone, Copy)]
enum Amount {
    Sum(StreamId),
    Count(StreamId),
    Figure(i64),
}

impl Side {
    /// The term's place in the record, or why it has none. Streams go by their label or by their bare name.
    fn resolve(record: &dyn Record, term: &Term) -> Result<Self, String> {
        let stream = |name: &str| {
            let named = |info: &record::StreamInfo| info.label() == name || info.name == name;
            (0..).zip(record.streams()).find(|(_, info)| named(info)).map(|(id, info)| (id, info.label())).ok_or_else(
                || {
                    let known: Vec<_> = record.streams().iter().map(record::StreamInfo::label).collect();
                    format!("the run has no stream {name:?}; it has: {}", known.join(", "))
                },
            )
        };
        let (amount, label) = match term {
            Term::Sum(name) => stream(name).map(|(id, label)| (Amount::Sum(id), label))?,
            Term::Count(name) => stream(name).map(|(id, label)| (Amount::Count(id), label))?,
            Term::Figure(name) => {
                let figure = record.figures().iter().find(|figure| figure.name == *name).ok_or_else(|| {
                    let known: Vec<_> = record.figures().iter().map(|figure| figure.name.as_str()).collect();
                    format!("no service stated the figure {name:?}; stated were: {}", known.join(", "))
                })?;
                (Amount::Figure(figure.value), name.clone())
            }
        };
        Ok(Self { label, amount })
    }

    fn stream(&self) -> Option<StreamId> {
        match self.amount {
            Amount::Sum(stream) | Amount::Count(stream) => Some(stream),
            Amount::Figure(_) => None,
        }
    }
}

/// What each stream of a rule holds.
#[derive(Default)]
struct Books {
    streams: BTreeMap<StreamId, Holdings>,
}

#[derive(Default)]
struct Holdings {
    present: RoaringTreemap,
    sum: i128,
}

impl Books {
    fn read(record: &dyn Record, terms: &[Side]) -> Result<Self, RecordError> {
        let mut books = Self::default();
        let streams: Vec<StreamId> = terms.iter().filter_map(Side::stream).collect();
        let (loads, sinks): (Vec<_>, Vec<_>) =
            streams.into_iter().partition(|stream| evidence::kind(record, *stream) == StreamKind::Load);
        for stream in sinks {
            books.read_sink(record, stream)?;
        }
        // The load comes last: whether an operation of unknown outcome counts depends on who else has it.
        if let Some(load) = loads.first() {
            books.read_load(record, *load)?;
        }
        Ok(books)
    }

    fn read_sink(&mut self, record: &dyn Record, stream: StreamId) -> Result<(), RecordError> {
        let mut holdings = Holdings::default();
        record.deliveries(stream, &mut |delivery| holdings.add(delivery.identity, delivery.value))?;
        self.streams.insert(stream, holdings);
        Ok(())
    }

    fn read_load(&mut self, record: &dyn Record, load: StreamId) -> Result<(), RecordError> {
        let mut holdings = Holdings::default();
        record.operations(&mut |operation| {
            let bits = operation.identity.to_bits();
            let counts = match operation.outcome {
                record::Outcome::Ok => true,
                record::Outcome::Fail => false,
                record::Outcome::Unknown => self.streams.values().any(|other| other.present.contains(bits)),
            };
            if counts {
                holdings.add(operation.identity, operation.value);
            }
        })?;
        self.streams.insert(load, holdings);
        Ok(())
    }

    fn total(&self, term: &Side) -> i128 {
        match term.amount {
            Amount::Sum(stream) => self.streams.get(&stream).map_or(0, |holdings| holdings.sum),
            Amount::Count(stream) => self.streams.get(&stream).map_or(0, |holdings| holdings.present.len().into()),
            Amount::Figure(value) => value.into(),
        }
    }

    /// Messages, where there is a stream; otherwise figures with figures.
    fn compared(&self, terms: &[Side]) -> u64 {
        let mut all = RoaringTreemap::new();
        self.streams.values().for_each(|holdings| all |= &holdings.present);
        if self.streams.is_empty() { terms.len() as u64 - 1 } else { all.len() }
    }

    /// The messages that are not in every stream, or not with the same amount in those that are added up.
    fn disagreeing(&self, record: &dyn Record, terms: &[Side]) -> Result<RoaringTreemap, RecordError> {
        let mut disagreeing = RoaringTreemap::new();
        let mut holdings = self.streams.values();
        if let Some(reference) = holdings.next() {
            for other in holdings {
                disagreeing |= &reference.present ^ &other.present;
            }
        }
        let mut summed = terms.iter().filter_map(|term| match term.amount {
            Amount::Sum(stream) => Some(stream),
            Amount::Count(_) | Amount::Figure(_) => None,
        });
        let Some(reference) = summed.next() else {
            return Ok(disagreeing);
        };
        let mut others = summed.filter(|stream| *stream != reference).peekable();
        if others.peek().is_none() {
            return Ok(disagreeing);
        }
        let mut amounts = Paged::new(0);
        self.visit(record, reference, &mut |identity, _, value| {
            *amounts.slot(identity.to_bits()) = value;
        })?;
        for other in others {
            self.visit(record, other, &mut |identity, _, value| {
                if amounts.get(identity.to_bits()) != value {
                    disagreeing.insert(identity.to_bits());
                }
            })?;
        }
        Ok(disagreeing)
    }

    /// Visits each message that the stream holds once, with the amount of its first copy.
    fn visit(
        &self,
        record: &dyn Record,
        stream: StreamId,
        visit: &mut dyn FnMut(Identity, Key, i64),
    ) -> Result<(), RecordError> {
        let Some(holdings) = self.streams.get(&stream) else {
            return Ok(());
        };
        let mut awaited = holdings.present.clone();
        if evidence::kind(record, stream) == StreamKind::Load {
            return record.operations(&mut |operation| {
                if awaited.remove(operation.identity.to_bits()) {
                    visit(operation.identity, operation.key, operation.value);
                }
            });
        }
        record.deliveries(stream, &mut |delivery| {
            if awaited.remove(delivery.identity.to_bits()) {
                visit(delivery.identity, delivery.key, delivery.value);
            }
        })
    }

    /// For each suspect, its amount in every stream of the rule, or its absence.
    fn tell(&self, record: &dyn Record, suspects: &Suspects) -> Result<Vec<Story>, RecordError> {
        let mut told: BTreeMap<u64, (Key, BTreeMap<StreamId, i64>)> = BTreeMap::new();
        if suspects.is_empty() {
            return Ok(Vec::new());
        }
        for stream in self.streams.keys() {
            self.visit(record, *stream, &mut |identity, key, value| {
                if suspects.contains(&identity.to_bits()) {
                    let entry = told.entry(identity.to_bits()).or_insert((key, BTreeMap::new()));
                    entry.1.insert(*stream, value);
                }
            })?;
        }
        let story = |(bits, (key, amounts)): (&u64, &(Key, BTreeMap<StreamId, i64>))| {
            let event = |stream: &StreamId| {
                let label = evidence::stream_label(record, *stream);
                let text = amounts
                    .get(stream)
                    .map_or_else(|| format!("not in {label}"), |amount| format!("{} in {label}", grouped(*amount)));
                StoryEvent { at_ns: None, text }
            };
            let title = evidence::title(record, Identity::from_bits(*bits), *key, None);
            Story { title, events: self.streams.keys().map(event).collect() }
        };
        Ok(told.iter().map(story).collect())
    }
}

impl Holdings {
    fn add(&mut self, identity: Identity, value: i64) {
        if self.present.insert(identity.to_bits()) {
            self.sum += i128::from(value);
        }
    }
}
