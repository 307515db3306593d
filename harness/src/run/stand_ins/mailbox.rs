//! The mailbox: tells users something. `POST /emails` with `{"to", "subject", "order_id", "total_cost"}` and the event that it
//! tells of: `about` and `event_id`, or `topic`, `partition` and `offset`.
//!
//! Beside its book it writes `ledger mailbox`, the stream with which flows and rules over e-mails compare.

use super::trade::{Effect, Received, Trade, fields, named};
use crate::run::error::RunError;
use serde::Deserialize;
use serde_json::Value as Json;
use shakedown_loadgen::Names;
use shakedown_reports::DeliveryWriter;
use shakedown_reports::books::Fact;
use shakedown_reports::identity::Key;
use shakedown_reports::record::Delivery;

/// Stands for a place that an e-mail does not tell.
const NOWHERE: i8 = -1;

/// The mailbox.
pub(super) struct Mailbox {
    names: Names,
    /// `None` where no flow or rule of the scenario looks at it.
    ledger: Option<DeliveryWriter>,
}

/// An e-mail.
#[derive(Debug, Deserialize)]
struct Written {
    to: String,
    #[serde(rename = "subject")]
    _subject: String,
    order_id: String,
    /// In minor units.
    total_cost: i64,
    #[serde(default)]
    about: String,
    event_id: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

/// An e-mail, and the event that it tells of.
pub(super) struct Email {
    written: Written,
    event: String,
    /// The order and the step of it: an event's id and its offset differ from run to run.
    identity: String,
}

impl Mailbox {
    pub(super) fn new(names: Names, ledger: Option<DeliveryWriter>) -> Self {
        Self { names, ledger }
    }
}

impl Trade for Mailbox {
    type Request = Email;

    const PATHS: &'static [&'static str] = &["/emails"];

    fn read(_path: &'static str, body: Json) -> Result<Email, String> {
        let written: Written = fields(body)?;
        named("to", &written.to)?;
        named("order_id", &written.order_id)?;
        let event = match (&written.event_id, &written.topic, written.partition, written.offset) {
            (Some(event), ..) => event.clone(),
            (None, Some(topic), Some(partition), Some(offset)) => format!("{topic}/{partition}/{offset}"),
            _ => return Err("missing field `event_id`, or `topic`, `partition` and `offset`".to_owned()),
        };
        named("event_id", &event)?;
        let identity = format!("{}/{}", written.order_id, written.about);
        Ok(Email { written, event, identity })
    }

    fn identity(email: &Email) -> &str {
        &email.identity
    }

    fn perform(&mut self, email: Email, received: Received) -> Effect {
        let Email { written, event, .. } = email;
        if let Some(ledger) = &mut self.ledger {
            ledger.push(&Delivery {
                identity: self.names.identity(&written.order_id),
                key: Key::ABSENT,
                partition: written.partition.unwrap_or(NOWHERE.into()),
                offset: written.offset.unwrap_or(NOWHERE.into()),
                timestamp_ms: -1,
                value: written.total_cost,
                intended_ns: 0,
                received_ns: received.at_ns,
            });
        }
        let fact = Fact {
            entity: written.order_id,
            kind: "emailed".to_owned(),
            part: written.about,
            amount: Some(written.total_cost),
            event,
            key: written.to,
            ..Fact::default()
        };
        Effect::done(r#"{"status":"sent"}"#, vec![fact])
    }

    fn flush(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.flush();
        }
    }

    fn finish(&mut self) -> Result<(), RunError> {
        match self.ledger.take() {
            Some(ledger) => Ok(ledger.finish().map(drop)?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::desk::testing::{ask, counted};
    use super::*;
    use serde_json::json;
    use shakedown_reports::record::{Record as _, StreamInfo, StreamKind};
    use shakedown_reports::{Interner, RunDirectory, RunInfo, RunRecord};
    use std::sync::Arc;

    fn names() -> Names {
        Names::new(Arc::new(Interner::in_memory("user-")), 1, 0)
    }

    /// As the billing system writes them.
    fn bill(order: &str) -> Json {
        json!({ "to": "a@b.c", "subject": "yours", "order_id": order, "total_cost": 5, "topic": "t", "partition": 1, "offset": 7 })
    }

    #[test]
    fn a_user_is_told_once_of_each_event() {
        let mailbox = counted(Mailbox::new(names(), None));
        let paid = json!({ "to": "user-1", "subject": "paid", "order_id": "a", "total_cost": 5, "about": "paid", "event_id": "e" });
        assert_eq!(ask(&mailbox, "/emails", Some("e"), &paid), (201, json!({ "status": "sent" })));
        assert_eq!(ask(&mailbox, "/emails", Some("e"), &paid), (200, json!({ "status": "sent" })));
        assert_eq!(ask(&mailbox, "/emails", Some("b"), &bill("b")).0, 201);
        let told: Vec<_> = mailbox.facts().into_iter().map(|fact| (fact.entity, fact.event, fact.key)).collect();
        let expected =
            [("a", "e", "user-1"), ("b", "t/1/7", "a@b.c")].map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_tells_of_nothing_is_no_email() {
        let mailbox = counted(Mailbox::new(names(), None));
        for field in ["to", "subject", "order_id", "total_cost", "topic", "partition", "offset"] {
            let mut wrong = bill("a");
            wrong.as_object_mut().expect("an object").remove(field);
            let (status, answer) = ask(&mailbox, "/emails", Some("a"), &wrong);
            assert!(status == 400 && answer["error"].as_str().is_some_and(|error| error.contains(field)), "{answer}");
        }
        assert!(mailbox.facts().is_empty());
    }

    #[test]
    fn each_email_is_in_the_ledger_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut info = RunInfo::new("a mailbox", 1);
        info.streams = vec![StreamInfo { name: "mailbox".to_owned(), kind: StreamKind::Ledger }];
        let directory = RunDirectory::create(folder.path(), &info).expect("a run directory");
        let writer = directory.delivery_writer(0).expect("a writer");
        let mailbox = counted(Mailbox::new(Names::new(directory.interner(), 1, 0), Some(writer)));
        for order in ["a", "b", "a"] {
            ask(&mailbox, "/emails", Some(order), &bill(order));
        }
        mailbox.finish();
        let record = RunRecord::open(directory.path()).expect("a record");
        let mut deliveries = Vec::new();
        record.deliveries(0, &mut |delivery| deliveries.push(*delivery)).expect("readable");
        let places: Vec<_> =
            deliveries.iter().map(|delivery| (delivery.partition, delivery.offset, delivery.value)).collect();
        assert_eq!(places, [(1, 7, 5), (1, 7, 5)]);
        assert_ne!(deliveries[0].identity, deliveries[1].identity);
    }
}
