//! The billing system while its mailbox fails: with idempotency keys every order is told of once, whatever the mailbox did, and
//! its own book is the witness.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::{Report, Runner};
use shakedown_reports::books::{self, Fact};
use shakedown_reports::{Event, EventKind, RunRecord};
use std::collections::BTreeMap;
use std::path::Path;

const SCENARIO: &str = r#"
name = "the mailbox fails"
system = "billing"
seed = 11

[cluster]
brokers = 1

[services.notification]
env = { MAILBOX_IDEMPOTENCY = "on" }

[stand-ins.mailbox]
latency = "2ms"

[load]
target = "service order"
arrivals = { shape = "constant", rate = "200/s", for = "2s" }
keys = { users = 50 }

[[fault]]
at = "500ms"
do = { fail_after_effect = "mailbox" }
heal = { after = "800ms" }

[expect]
lost = 0
duplicated = 0
order = "per-key"
conserved = ["money", "orders"]
"#;

const FAILURE: &str = "fail_after_effect = \"mailbox\"";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("stand_ins::an_effect_whose_answer_is_lost_happens_once_with_keys", || {
            let run = Run::of(&[]);
            run.report.assert_passed();
            run.assert_told_once_of_each();
            let (hits, repeated) = (run.hits("fail_after_effect"), run.repeated());
            assert!(hits >= 1 && repeated >= hits, "{hits} answers were lost, and {repeated} requests repeated");
        }),
        trial("stand_ins::and_again_and_again_without", || {
            let run = Run::of(&[
                ("MAILBOX_IDEMPOTENCY = \"on\"", "MAILBOX_IDEMPOTENCY = \"off\""),
                ("duplicated = 0\norder = \"per-key\"", "duplicated = { at_least = 1 }"),
            ]);
            run.report.assert_passed();
            let surplus = run.facts.len() - run.emails_of_each().len();
            assert!(surplus >= 1, "every e-mail was sent once");
            assert_eq!(run.repeated(), 0, "the mailbox cannot know them");
        }),
        trial("stand_ins::emails_wait_while_the_mailbox_is_down_and_none_is_lost", || {
            let run = Run::of(&[(FAILURE, "down = \"mailbox\"")]);
            run.report.assert_passed();
            run.assert_told_once_of_each();
            assert_eq!(run.report.summary().faults_fired["down mailbox at 500ms"], 1);
            let down_us = run.struck_ns("down") / 1_000;
            let outage = down_us..down_us + 750_000;
            let at_us = |fact: &Fact| u64::try_from(fact.at_us).expect("after 1970");
            let meanwhile = run.facts.iter().filter(|fact| outage.contains(&at_us(fact))).count();
            let later = run.facts.iter().filter(|fact| at_us(fact) >= outage.end).count();
            assert_eq!(meanwhile, 0, "somebody was there");
            assert!(later >= 100, "only {later} e-mails came when it was back");
        }),
        trial("stand_ins::late_answers_and_refusals_lose_nothing", || {
            let slow = "[[fault]]\nat = \"300ms\"\ndo = { slow = \"mailbox\", by = \"150ms\" }\nheal = { after = \"1s\" }\n\n[expect]";
            let run = Run::of(&[(FAILURE, "fail = \"mailbox\", permille = 300"), ("[expect]", slow)]);
            run.report.assert_passed();
            run.assert_told_once_of_each();
            let fired = &run.report.summary().faults_fired;
            assert_eq!(fired.len(), 2);
            assert!(fired.values().all(|times| *times == 1), "{fired:?}");
            assert!(run.hits("slow") >= 1 && run.hits("fail") >= 1, "{fired:?}");
        }),
    ]
}

/// A run that is over, and what the mailbox wrote down.
struct Run {
    report: Report,
    facts: Vec<Fact>,
    events: Vec<Event>,
    _folder: tempfile::TempDir,
}

impl Run {
    /// Of the scenario with these changes.
    fn of(changes: &[(&str, &str)]) -> Self {
        let mut text = SCENARIO.to_owned();
        for (part, change) in changes {
            assert!(text.contains(part), "the scenario has no {part}");
            text = text.replace(part, change);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let systems = folder.path().join("systems");
        std::fs::create_dir(&systems).expect("a folder");
        let system = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems/billing.toml");
        std::fs::copy(system, systems.join("billing.toml")).expect("the system");
        let file = folder.path().join("mailbox.toml");
        std::fs::write(&file, text).expect("a scenario file");
        let runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(folder.path());
        let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
        let mut facts = Vec::new();
        books::read(report.directory(), "mailbox", &mut |fact| facts.push(fact)).expect("the mailbox has a book");
        let events = RunRecord::open(report.directory()).expect("a record").events().expect("a timeline");
        Self { report, facts, events, _folder: folder }
    }

    /// How many e-mails there were of each order.
    fn emails_of_each(&self) -> BTreeMap<&str, usize> {
        let mut emails = BTreeMap::new();
        for fact in &self.facts {
            assert_eq!((fact.kind.as_str(), fact.event.is_empty(), fact.key.is_empty()), ("emailed", false, false));
            *emails.entry(fact.entity.as_str()).or_default() += 1;
        }
        emails
    }

    fn assert_told_once_of_each(&self) {
        let emails = self.emails_of_each();
        let orders = self.report.summary().totals["messages acknowledged"];
        assert_eq!((i64::try_from(emails.len()), orders), (Ok(orders), 400));
        assert!(emails.values().all(|times| *times == 1), "{emails:?}");
        assert!(self.facts.iter().map(|fact| fact.position).eq(1..=400), "positions rise by one");
    }

    /// When the first fault that is called so struck.
    fn struck_ns(&self, word: &str) -> u64 {
        let is_it = |event: &&Event| matches!(&event.kind, EventKind::Fault { fault, healed: false } if fault.starts_with(word));
        self.events.iter().find(is_it).expect("it struck").at_ns
    }

    /// How many requests it hit, as the timeline says when it heals.
    fn hits(&self, word: &str) -> u64 {
        let mode = format!("{word} ");
        let is_it = |event: &&Event| matches!(&event.kind, EventKind::Fault { fault, healed: true } if fault.starts_with(&mode));
        let text = &self.events.iter().find(is_it).expect("it heals").text;
        let number = text.rsplit("; ").next().and_then(|text| text.strip_suffix(" hit"));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number: {text}"))
    }

    /// How many requests the mailbox took for repetitions, as it says in the end.
    fn repeated(&self) -> u64 {
        let is_it = |event: &&Event| matches!(&event.kind, EventKind::Service { service } if service == "mailbox");
        let text = &self.events.iter().rfind(is_it).expect("it says so").text;
        let words: Vec<&str> = text.split(' ').collect();
        let [.., number, _, "repeated"] = words.as_slice() else { panic!("no number: {text}") };
        number.replace(',', "").parse().unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
