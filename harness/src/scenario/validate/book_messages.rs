//! Books and the rules over them: what is taken, what it means, and one snapshot for every message that wrong ones get.

use super::{Capabilities, scenario};
use crate::backend::Embedded;
use crate::language::problem::ScenarioError;
use crate::plan::Plan;
use crate::scenario::files::{SystemFile, assemble};
use crate::scenario::model::Scenario;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::rules::{BookRule, Part, RuleKind};
use std::path::Path;

const STOREFRONT: &str = include_str!("../../../tests/books/storefront.toml");
const FANOUT: &str = include_str!("../../../tests/books/fanout.toml");
const DOCUMENT: &str = include_str!("../../../../docs/rules.md");

/// The names under which both systems have their rules, in the order of the design.
const NAMES: &str =
    r#"["orders", "money", "stock", "releases", "shipments", "notifications", "log", "events", "steps", "sequence"]"#;

/// A scenario over a system that has these books and rules.
fn read(system: &str, topic: &str, expected: &str) -> Result<Scenario, ScenarioError> {
    let text = format!(
        "name = \"books agree\"\nsystem = \"shop\"\n\n[load]\ntarget = \"topic {topic}\"\n\
         arrivals = {{ shape = \"constant\", rate = \"100/s\", for = \"1s\" }}\n\n[expect]\nconserved = {expected}\n"
    );
    let files = assemble(Path::new("scenarios/books.toml"), text, &|_| {
        Ok(SystemFile::Found { path: "scenarios/systems/shop.toml".to_owned(), text: system.to_owned() })
    })?;
    scenario(&files, Capabilities::of(&Embedded, &["order", "payment", "inventory", "notification"]))
}

fn good(system: &str, topic: &str) -> Scenario {
    read(system, topic, NAMES).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn of(scenario: &Scenario, kind: RuleKind) -> &BookRule {
    scenario.books.rules.iter().find(|rule| rule.rule == kind).expect("all ten are there")
}

fn books(rule: &BookRule, part: Part) -> Vec<&str> {
    rule.books[&part].iter().map(String::as_str).collect()
}

#[test]
fn the_storefronts_books_play_their_parts() {
    let scenario = good(STOREFRONT, "order_created");
    let kinds: Vec<_> = scenario.books.rules.iter().map(|rule| rule.rule).collect();
    assert_eq!(kinds, RuleKind::ALL);
    let released = of(&scenario, RuleKind::Released);
    assert_eq!(books(released, Part::Orders), ["order-steps"]);
    assert_eq!(books(released, Part::Captures), ["payment-provider"]);
    assert_eq!(books(released, Part::Movements), ["inventory-movements"]);
    assert_eq!(books(released, Part::Shipments), ["warehouse"]);
    let notified = of(&scenario, RuleKind::Notified);
    assert_eq!(books(notified, Part::Changes), ["order-outbox", "payment-outbox", "inventory-outbox"]);
    assert_eq!(books(notified, Part::Notifications), ["mailbox"]);
    assert_eq!(books(of(&scenario, RuleKind::Folded), Part::Topics), ["topic-order_created"]);
    let digests = of(&scenario, RuleKind::Digests);
    assert_eq!(books(digests, Part::Outboxes).len(), 4);
    assert_eq!(books(digests, Part::Inboxes).len(), 4);
    assert_eq!(books(digests, Part::Topics).len(), 5);
    assert_eq!(digests.options.heeds["payment-inbox"], ["order_created", "inventory_updated/out_of_stock"]);
    let steps = of(&scenario, RuleKind::LegalSteps);
    assert_eq!(steps.options.steps[0], ("PENDING".to_owned(), vec!["PAID".to_owned(), "DECLINED".to_owned()]));
    assert_eq!(steps.options.deadline, Some(60_000_000_000));
    assert_eq!(scenario.books.services.len(), 11);
    let plan = Plan::new(scenario).expect("a plan");
    assert_eq!(plan.expectations.rules.len(), 10);
    assert!(plan.expectations.conserved.is_empty());
}

#[test]
fn the_fanouts_books_play_their_parts() {
    let scenario = good(FANOUT, "order-created");
    let folded = of(&scenario, RuleKind::Folded);
    assert_eq!(books(folded, Part::Topics), ["topic-order-created"]);
    assert_eq!(folded.options.log, ["order-created/PENDING"]);
    assert_eq!(books(of(&scenario, RuleKind::InOrder), Part::Inboxes).len(), 4);
    assert_eq!(of(&scenario, RuleKind::Digests).options.heeds["order-inbox"].len(), 8);
    let topic = &scenario.books.topics[0].fields;
    assert_eq!((topic.entity.as_deref(), topic.kind.as_deref()), (Some("/orderId"), Some("/status")));
}

#[test]
fn the_document_quotes_what_is_tested() {
    for (system, text) in [("storefront", STOREFRONT), ("fanout", FANOUT)] {
        assert!(DOCUMENT.contains(&format!("```toml\n{text}```")), "docs/rules.md has another text for the {system}");
    }
    for rule in RuleKind::ALL {
        let section = format!(": `{}`\n", rule.name());
        assert!(DOCUMENT.contains(&section), "docs/rules.md has no section `{}`", rule.name());
    }
}

#[test]
fn only_rules_that_are_expected_are_judged_and_books_are_read_for_them_alone() {
    let scenario = read(STOREFRONT, "order_created", "[\"stock\"]").expect("one of ten");
    assert_eq!(scenario.books.rules.len(), 1);
    assert!(scenario.books.is_needed());
    let text = format!("{STOREFRONT}\n[conserved.plain]\nequal = [\"count load\", \"count topic order_created\"]\n");
    let scenario = read(&text, "order_created", "[\"plain\"]").expect("terms stand beside rules");
    assert!(!scenario.books.is_needed());
}

#[test]
fn a_rule_may_be_told_who_plays_and_how_often_it_is_broken() {
    let rule = "rule = \"captured-once\"\ncaptures = \"payment-taken\"\nviolations = { at_least = 1 }";
    let text = STOREFRONT.replace("rule = \"captured-once\"", rule).replace(
        "[services.payment.books]",
        "[services.payment.books]\ntaken = { get = \"/payments\", entity = \"/id\", kind = \"/what\" }",
    );
    let scenario = good(&text, "order_created");
    let rule = of(&scenario, RuleKind::CapturedOnce);
    assert_eq!(books(rule, Part::Captures), ["payment-taken"]);
    assert_eq!(rule.violations, Bounds { at_least: 1, at_most: u64::MAX });
    let taken = scenario.books.services.iter().find(|book| book.name == "payment-taken").expect("a book");
    assert_eq!((taken.fields.entity.as_deref(), taken.fields.amount.as_deref()), (Some("/id"), None));
    assert_eq!(taken.fields.position.as_deref(), Some("/position"));
}

/// The message for the storefront with one part replaced.
fn message(part: &str, replacement: &str) -> String {
    assert!(STOREFRONT.contains(part), "the storefront has no {part:?}");
    let text = STOREFRONT.replacen(part, replacement, 1);
    match read(&text, "order_created", NAMES) {
        Ok(_) => panic!("this was taken:\n{text}"),
        Err(error) => error.render(false),
    }
}

#[test]
fn a_rule_that_there_is_not() {
    insta::assert_snapshot!(message("rule = \"settled\"", "rule = \"setled\""));
}

#[test]
fn a_rule_that_says_nothing() {
    insta::assert_snapshot!(message("rule = \"settled\"", ""));
}

#[test]
fn a_rule_that_is_two() {
    let two = "rule = \"settled\"\nequal = [\"count load\", \"count topic order_created\"]";
    insta::assert_snapshot!(message("rule = \"settled\"", two));
}

#[test]
fn an_option_of_another_rule() {
    insta::assert_snapshot!(message("rule = \"settled\"", "rule = \"settled\"\nduplicates = 3"));
    let terms = "equal = [\"count load\", \"count topic order_created\"]\nviolations = 1";
    insta::assert_snapshot!(message("rule = \"settled\"", terms));
}

#[test]
fn a_part_without_a_book() {
    insta::assert_snapshot!(message("movements = { get = \"/movements\" }\n", ""));
}

#[test]
fn a_book_that_there_is_not() {
    let rule = "rule = \"captured-once\"\ncaptures = \"payment-payments\"";
    insta::assert_snapshot!(message("rule = \"captured-once\"", rule));
}

#[test]
fn a_log_without_a_book() {
    insta::assert_snapshot!(message("log = [\"order_created\"]", "log = [\"order_create\"]"));
    insta::assert_snapshot!(message("log = [\"order_created\"]", ""));
}

#[test]
fn a_figure_that_is_none() {
    let figures = "log = [\"order_created\"]\ncount = \"count load\"\nsum = \"figure order.total\"";
    insta::assert_snapshot!(message("log = [\"order_created\"]", figures));
}

#[test]
fn an_inbox_that_there_is_not() {
    insta::assert_snapshot!(message("{ payment-inbox = [", "{ payments-inbox = ["));
}

#[test]
fn steps_that_nobody_named() {
    insta::assert_snapshot!(message("[conserved.steps.steps]", "[conserved.steps.heeds]"));
}

#[test]
fn a_book_that_nobody_can_read() {
    insta::assert_snapshot!(message("steps = { get = \"/events\" }", "step = { get = \"/events\" }"));
    insta::assert_snapshot!(message(
        "steps = { get = \"/events\" }",
        "steps = { get = \"/events\" }\nmine = { get = \"/mine\", entity = \"/id\", kind = \"/what\", stock = [\"/a\"] }"
    ));
}

#[test]
fn two_books_of_one_name() {
    let books = "[services.payment.books]\nprovider = { get = \"/p\", kind = \"/k\", event = \"/e\" }";
    insta::assert_snapshot!(message("[services.payment.books]", books));
}
