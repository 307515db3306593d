//! Books written by hand, each with one thing to find, and what must not be mistaken for it.

use crate::shop::{self, End, Shop};
use shakedown_checks::judge;
use shakedown_checks::rules::{CONTRADICTED, check};
use shakedown_reports::books::Fact;
use shakedown_reports::expectation::{Bounds, Expectations};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::rules::{BookRule, RuleKind};
use shakedown_reports::verdict::{Finding, Outcome};

fn one(record: &MemoryRecord, rule: &BookRule) -> Finding {
    let mut findings = check(record, std::slice::from_ref(rule)).expect("books in memory can be read");
    assert_eq!(findings.len(), 1, "a rule has one finding");
    findings.remove(0)
}

fn found(record: &MemoryRecord, kind: RuleKind) -> Finding {
    one(record, &shop::rule(record, kind))
}

/// The titles of what convicts.
fn titles(finding: &Finding) -> Vec<&str> {
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:#?}");
    finding.evidence.iter().map(|story| story.title.as_str()).collect()
}

/// A storefront with one order that ended well.
fn shop() -> Shop {
    let mut shop = Shop::default();
    shop.storefront("o1", "ada", 1_001, End::Shipped);
    shop
}

fn fact(order: &str, kind: &str) -> Fact {
    Fact { entity: order.to_owned(), kind: kind.to_owned(), key: "ada".to_owned(), ..Fact::default() }
}

fn money(order: &str, kind: &str, amount: i64) -> Fact {
    Fact { amount: Some(amount), ..fact(order, kind) }
}

fn event(id: &str, topic: &str, key: &str) -> Fact {
    Fact { kind: topic.to_owned(), event: id.to_owned(), key: key.to_owned(), ..Fact::default() }
}

fn step(order: &str, version: i64, status: &str) -> Fact {
    Fact { version: Some(version), status: status.to_owned(), ..money(order, "some-topic", 500) }
}

#[test]
fn an_order_that_was_charged_twice_is_told_as_a_story_in_time() {
    let mut shop = shop();
    shop.say("payment-provider", money("o1", "captured", 1_001));
    let finding = found(&shop.record, RuleKind::CapturedOnce);
    assert_eq!(titles(&finding), ["order o1: was captured 2 times, 2,002 together"]);
    assert_eq!((finding.check.as_str(), finding.compared, finding.found), (CONTRADICTED, 1, 1));
    assert_eq!(finding.detail, "1 violation; 2 captures, 0 refunds");
    let story: Vec<String> = finding.evidence[0]
        .events
        .iter()
        .map(|event| format!("{} {}", event.at_ns.expect("a time") / 1_000_000, event.text))
        .collect();
    assert_eq!(
        story,
        [
            "3 order-steps: order_created over 1,001, version 1, then PENDING (event e01)",
            "7 payment-provider: captured over 1,001",
            "11 order-steps: payment_successful over 1,001, version 2, then PAID (event e02)",
            "24 order-steps: inventory_updated over 1,001, version 3, then COMPLETED (event e03)",
            "27 payment-provider: captured over 1,001",
        ]
    );
}

#[test]
fn an_order_that_is_paid_or_declined_otherwise_than_its_status_says_is_not_settled() {
    let mut shop = shop();
    for (order, status) in [("a", "PAID"), ("b", "COMPLETED"), ("c", "DECLINED"), ("d", "DECLINED"), ("e", "CANCELLED")]
    {
        shop.say("order-steps", step(order, 1, "PENDING"));
        shop.say("order-steps", step(order, 2, status));
    }
    // The late success of a saga that had given up: declined by its status, and its money is gone.
    shop.say("payment-provider", money("c", "captured", 500));
    shop.say("payment-provider", money("e", "captured", 500));
    shop.say("payment-provider", money("z", "captured", 500));
    let finding = found(&shop.record, RuleKind::Settled);
    assert_eq!(
        titles(&finding),
        [
            "order a: is still PAID: in flight",
            "order b: is COMPLETED, but nobody captured its 500",
            "order c: is DECLINED, but 500 of it is captured and not refunded",
            "order d: is DECLINED, but nobody declined it",
            "order e: is CANCELLED, but 500 of it is captured and not refunded",
        ]
    );
    assert_eq!((finding.check.as_str(), finding.compared, finding.found), ("conserved", 7, 6));
}

#[test]
fn a_late_capture_that_is_refunded_is_settled() {
    let mut shop = shop();
    for (version, status) in [(1, "PENDING"), (2, "DECLINED")] {
        shop.say("order-steps", step("a", version, status));
    }
    shop.say("payment-provider", money("a", "captured", 500));
    assert_eq!(
        titles(&found(&shop.record, RuleKind::Released)),
        ["order a: it failed, but 500 is captured and was never refunded"]
    );
    shop.say("payment-provider", money("a", "refunded", 500));
    for rule in [RuleKind::Settled, RuleKind::Released, RuleKind::CapturedOnce] {
        assert_eq!(found(&shop.record, rule).outcome, Outcome::Pass, "{rule:?}");
    }
}

#[test]
fn a_part_of_a_price_is_neither_nothing_nor_all() {
    let mut shop = shop();
    shop.say("payment-provider", money("o1", "refunded", 1_000));
    let finding = found(&shop.record, RuleKind::CapturedOnce);
    assert_eq!(titles(&finding), ["order o1: 1,001 was captured, but 1,000 refunded"]);
}

#[test]
fn stock_that_appears_vanishes_or_goes_below_zero_is_convicted_where_it_happens() {
    let moved = |kind: &str, quantity, stock| Fact {
        part: "tea".to_owned(),
        quantity: Some(quantity),
        stock: Some(stock),
        ..fact("o2", kind)
    };
    // After the first order there are 8 tea on hand, and 2 shipped.
    for (movement, reason) in [
        (
            moved("reserve", 1, [8, 1, 2]),
            "there should be 7 on hand, 1 reserved, 2 shipped, and is 8 on hand, 1 reserved, 2 shipped",
        ),
        (moved("reserve", 9, [-1, 9, 2]), "there is less than nothing: -1 on hand, 9 reserved, 2 shipped"),
        (moved("release", 1, [9, -1, 2]), "there is less than nothing: 9 on hand, -1 reserved, 2 shipped"),
        (moved("reserve", 0, [8, 0, 2]), "0 pieces moved"),
    ] {
        let mut shop = shop();
        shop.say("inventory-movements", movement);
        let finding = found(&shop.record, RuleKind::Stock);
        assert_eq!(titles(&finding), [format!("product tea: {reason}")]);
        assert_eq!(finding.evidence[0].events.len(), 2, "the movement, and the one before");
        assert_eq!(finding.check, CONTRADICTED);
    }
    let mut record = shop().record;
    record.books.get_mut("warehouse").expect("a book")[0].quantity = Some(3);
    let finding = found(&record, RuleKind::Stock);
    assert_eq!(titles(&finding), ["order o1: 3 tea left the warehouse, but the stock shipped 2"]);
}

#[test]
fn what_nobody_pays_for_is_released_once_and_not_shipped() {
    let moved = |kind: &str| Fact { part: "tea".to_owned(), quantity: Some(2), ..fact("o2", kind) };
    for (movements, fault) in [
        (vec!["reserve"], Some("nobody paid for it, and 2 tea were never released")),
        (vec!["reserve", "release"], None),
        (vec!["reserve", "release", "release"], Some("4 tea were released, and 2 had been reserved")),
        (vec!["reserve", "ship"], Some("nobody paid for it, and 2 tea were shipped")),
    ] {
        let mut shop = shop();
        shop.storefront("o2", "ada", 1_002, End::Declined);
        movements.iter().for_each(|kind| shop.say("inventory-movements", moved(kind)));
        let finding = found(&shop.record, RuleKind::Released);
        match fault {
            None => assert_eq!((finding.outcome, finding.compared), (Outcome::Pass, 2), "{movements:?}"),
            Some(fault) => assert_eq!(titles(&finding), [format!("order o2: {fault}")], "{movements:?}"),
        }
    }
}

#[test]
fn what_is_shipped_without_money_or_reservation_is_convicted() {
    let mut shop = shop();
    let sent = |order: &str| Fact { part: "tea".to_owned(), quantity: Some(2), ..fact(order, "shipped") };
    shop.say("warehouse", sent("o2"));
    shop.say("inventory-movements", Fact { kind: "reserve".to_owned(), ..sent("o3") });
    shop.say("warehouse", sent("o3"));
    let finding = found(&shop.record, RuleKind::ShippedRightly);
    assert_eq!(
        titles(&finding),
        ["order o2: tea was shipped, but never reserved", "order o3: tea was shipped, but nobody captured its money"]
    );
    assert_eq!((finding.check.as_str(), finding.compared), ("conserved", 4));
}

#[test]
fn notifications_may_be_repeated_within_their_bound_and_never_invented() {
    let mut shop = shop();
    let told = |event: &str| Fact { event: event.to_owned(), ..fact("o1", "emailed") };
    for event in ["e01", "e01", "e02"] {
        shop.say("mailbox", told(event));
    }
    let mut rule = shop::rule(&shop.record, RuleKind::Notified);
    let finding = one(&shop.record, &rule);
    assert_eq!(titles(&finding), ["event e01: was told 3 times", "event e02: was told 2 times"]);
    assert_eq!((finding.check.as_str(), finding.found), (CONTRADICTED, 3));
    rule.options.duplicates = 3;
    assert_eq!(one(&shop.record, &rule).outcome, Outcome::Pass);
    shop.say("mailbox", told("e99"));
    let finding = one(&shop.record, &rule);
    assert_eq!(titles(&finding), ["event e99: was told, but never committed"]);
    assert_eq!(finding.check, "conserved");
}

#[test]
fn an_order_without_its_event_and_an_event_without_its_order_are_told_apart() {
    let mut shop = shop();
    shop.say("order-steps", step("dual-write", 1, "PENDING"));
    shop.say("topic-order_created", Fact { event: "e98".to_owned(), ..money("phantom", "order_created", 7) });
    let finding = found(&shop.record, RuleKind::Folded);
    let wrong = [
        "order dual-write: was accepted, but has no event in the log",
        "order phantom: is in the log, but was never accepted",
    ];
    assert_eq!(titles(&finding), wrong);
    // The figures are not there: that alone would be no conviction.
    assert_eq!(finding.detail, "2 violations; no service stated the figure order.total; 2 events over 1,008");
}

#[test]
fn figures_that_differ_convict_and_figures_that_are_missing_do_not() {
    let mut record = shop().record;
    assert_eq!(found(&record, RuleKind::Folded).outcome, Outcome::Inconclusive);
    record.add_figure("order.orders", 1);
    record.add_figure("order.total", 1_000);
    let finding = found(&record, RuleKind::Folded);
    assert_eq!(titles(&finding), ["figure order.total: is 1,000, but the log adds up to 1,001"]);
    assert_eq!((finding.compared, finding.found), (3, 1));
}

#[test]
fn what_is_no_event_does_not_add_up() {
    let mut shop = shop();
    shop.record.add_figure("order.orders", 1);
    shop.record.add_figure("order.total", 1_001);
    shop.say("topic-order_created", fact("", "order_created"));
    let finding = found(&shop.record, RuleKind::Folded);
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
    assert!(finding.detail.starts_with("1 event over 1,001; 1 message of no order"), "{}", finding.detail);
}

#[test]
fn outbox_topic_and_inboxes_have_the_same_events() {
    let mut shop = shop();
    // Published twice, as an outbox may: the same event.
    let copy = shop.record.books["topic-order_created"][0].clone();
    shop.say("topic-order_created", copy);
    // What nobody can read has no id, and what goes round for another try has no book.
    shop.say("topic-order_created", fact("", "order_created"));
    shop.say("order-outbox", event("e01", "payment.retry", "ada"));
    let finding = found(&shop.record, RuleKind::Digests);
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
    assert_eq!(
        finding.detail,
        "3 written, 3 published, 3 handled by all who have to; 1 message without an id; \
         no inventory_updated/out_of_stock, which payment-inbox heeds"
    );

    shop.say("order-outbox", event("f1", "order_created", "ada"));
    shop.say("topic-order_created", event("f2", "order_created", "ada"));
    shop.say("payment-inbox", event("f3", "order_created", ""));
    shop.say("order-outbox", event("f4", "order_created", "bob"));
    shop.say("topic-order_created", event("f4", "order_created", "ada"));
    shop.say("order-outbox", event("f5", "order_created", "ada"));
    shop.say("topic-order_created", event("f5", "order_created", "ada"));
    let finding = found(&shop.record, RuleKind::Digests);
    assert_eq!(
        titles(&finding),
        [
            "event f1: was written to be published on order_created, and is not there",
            "event f2: is on order_created, but in no outbox",
            "event f3: is in payment-inbox, but not on order_created",
            "event f4: was written with another key than it has on order_created",
            "event f5: is on order_created, but not in notification-inbox",
        ]
    );
}

#[test]
fn a_kind_that_is_misspelt_excuses_no_inbox() {
    let mut shop = shop();
    shop.storefront("o2", "bob", 1_002, End::OutOfStock);
    let mut rule = shop::rule(&shop.record, RuleKind::Digests);
    assert_eq!(one(&shop.record, &rule).outcome, Outcome::Pass);
    let misspelt = ["order_created", "inventory_updated/out-of-stock"].map(str::to_owned).to_vec();
    rule.options.heeds.insert("payment-inbox".to_owned(), misspelt);
    let finding = one(&shop.record, &rule);
    assert_eq!((finding.outcome, finding.found), (Outcome::Inconclusive, 0));
    let said = "payment-inbox has events inventory_updated/out_of_stock, which its `heeds` does not name; \
                it names inventory_updated/out-of-stock, of which there was none; ";
    assert!(finding.detail.starts_with(said), "{}", finding.detail);
}

#[test]
fn an_inbox_that_owes_nothing_is_named() {
    let mut shop = shop();
    shop.record.books.insert("inventory-inbox".to_owned(), Vec::new());
    let finding = found(&shop.record, RuleKind::Digests);
    assert_eq!(finding.outcome, Outcome::Pass);
    assert!(finding.detail.contains("; inventory-inbox owes nothing"), "{}", finding.detail);
}

#[test]
fn steps_that_are_not_legal_are_convicted() {
    for (steps, fault) in [
        (vec![(1, "PENDING"), (2, "PAID"), (3, "COMPLETED")], None),
        (vec![(1, "PENDING"), (3, "DECLINED")], Some("version 3 follows version 1")),
        (vec![(1, "PENDING"), (2, "DECLINED"), (2, "DECLINED")], Some("version 2 follows version 2")),
        (vec![(1, "PENDING"), (2, "COMPLETED")], Some("becomes COMPLETED, which cannot follow PENDING")),
        (vec![(1, "PENDING"), (2, "DECLINED"), (3, "PAID")], Some("becomes PAID, which cannot follow DECLINED")),
        (vec![(1, "PAID"), (2, "COMPLETED")], Some("begins as PAID, not as PENDING")),
        (vec![(2, "PENDING"), (3, "DECLINED")], Some("begins with version 2")),
        (vec![(1, "PENDING"), (2, "PAID")], Some("is PAID after 2 steps, which is no end")),
    ] {
        let mut shop = shop();
        for (version, status) in &steps {
            shop.say("order-steps", step("o2", *version, status));
        }
        let finding = found(&shop.record, RuleKind::LegalSteps);
        match fault {
            None => assert_eq!((finding.outcome, finding.compared), (Outcome::Pass, 2), "{steps:?}"),
            Some(fault) => assert_eq!(titles(&finding), [format!("order o2: {fault}")], "{steps:?}"),
        }
    }
}

#[test]
fn a_deadline_is_kept_or_not() {
    let record = shop().record;
    let mut rule = shop::rule(&record, RuleKind::LegalSteps);
    // From the first step, at 3 ms, to the last one, at 24 ms.
    rule.options.deadline = Some(21_000_000);
    assert_eq!(one(&record, &rule).outcome, Outcome::Pass);
    rule.options.deadline = Some(20_999_000);
    assert_eq!(titles(&one(&record, &rule)), ["order o1: took 21 ms to its end, 1 us more than 21 ms"]);
}

#[test]
fn an_event_that_overtook_another_of_its_key_is_convicted_and_another_keys_is_not() {
    let handled = |ids: &[&str]| {
        let mut shop = Shop::default();
        for (id, key, partition) in [("e1", "ada", "0"), ("e2", "bob", "0"), ("e3", "ada", "0"), ("e4", "ada", "1")] {
            shop.say("topic-orders", Fact { part: partition.to_owned(), ..event(id, "orders", key) });
        }
        // A repetition lies behind everything, and is none.
        shop.say("topic-orders", Fact { part: "0".to_owned(), ..event("e1", "orders", "ada") });
        for id in ids {
            shop.say("payment-inbox", event(id, "orders", ""));
        }
        found(&shop.record, RuleKind::InOrder)
    };
    assert_eq!(handled(&["e1", "e2", "e3", "e4"]).outcome, Outcome::Pass);
    assert_eq!(handled(&["e2", "e4", "e1", "e3"]).outcome, Outcome::Pass, "other keys, other partitions");
    let finding = handled(&["e3", "e2", "e1"]);
    let title = "payment-inbox, key ada: event e1 of orders was handled after e3, which is behind it";
    assert_eq!(titles(&finding), [title]);
    let lines: Vec<&str> = finding.evidence[0].events.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(
        lines,
        [
            "topic orders/0: orders (event e1)",
            "topic orders/0: orders (event e3)",
            "topic orders/0: orders (event e1)",
            "payment-inbox: orders (event e3)",
            "payment-inbox: orders (event e1)",
        ]
    );
}

#[test]
fn books_that_are_missing_or_say_strange_things_prove_nothing() {
    let mut record = shop().record;
    let rule = shop::rule(&record, RuleKind::CapturedOnce);
    record.books.get_mut("payment-provider").expect("a book")[0].kind = "CAPTURED".to_owned();
    let finding = one(&record, &rule);
    assert_eq!((finding.outcome, finding.compared), (Outcome::Inconclusive, 0));
    let known = "known are `captured`, `declined`, `timed_out` and `refunded`";
    let part = "a book that plays the part `captures` has a fact of the kind `CAPTURED`";
    assert_eq!(finding.detail, format!("{part}; {known}"));
    record.books.remove("payment-provider");
    let detail = one(&record, &rule).detail;
    assert_eq!(detail, "the run has no book `payment-provider`, which plays the part `captures`");
    record.books.insert("payment-provider".to_owned(), Vec::new());
    let finding = one(&record, &rule);
    assert_eq!((finding.outcome, finding.detail.as_str()), (Outcome::Inconclusive, "nothing was compared"));
}

#[test]
fn a_failure_case_may_expect_exactly_what_it_provokes() {
    let mut shop = shop();
    shop.say("payment-provider", money("o1", "captured", 1_001));
    let judged = |violations: Bounds| {
        let rule = BookRule { violations, ..shop::rule(&shop.record, RuleKind::CapturedOnce) };
        let finding = one(&shop.record, &rule);
        assert_eq!(finding.evidence.is_empty(), finding.outcome == Outcome::Pass, "stories are for what convicts");
        (finding.outcome, finding.detail)
    };
    let (outcome, detail) = judged(Bounds::exactly(1));
    assert_eq!((outcome, detail.as_str()), (Outcome::Pass, "1 violation; exactly 1 expected; 2 captures, 0 refunds"));
    assert_eq!(judged(Bounds { at_least: 1, at_most: u64::MAX }).0, Outcome::Pass);
    assert_eq!(judged(Bounds::exactly(0)).0, Outcome::Fail);
    let rule = BookRule { violations: Bounds::exactly(2), ..shop::rule(&shop.record, RuleKind::CapturedOnce) };
    let finding = one(&shop.record, &rule);
    assert_eq!((finding.check.as_str(), finding.outcome), ("conserved", Outcome::Fail), "fewer than provoked");
}

#[test]
fn an_incomplete_record_excuses_what_is_missing_and_not_what_is_there() {
    let mut shop = shop();
    shop.storefront("o2", "ada", 1_002, End::Shipped);
    shop.say("payment-provider", money("o1", "captured", 1_001));
    shop.record.books.get_mut("warehouse").expect("a book").pop();
    shop.record.defects.push("a book may lack its end".to_owned());
    let rules = [RuleKind::CapturedOnce, RuleKind::Stock].map(|kind| shop::rule(&shop.record, kind));
    let expectations = Expectations { rules: rules.to_vec(), ..Expectations::default() };
    let verdict = judge(&shop.record, &expectations).expect("books in memory can be read");
    let told: Vec<_> = verdict.findings.iter().map(|f| (f.subject.as_str(), f.outcome)).collect();
    assert_eq!(told, [("captured-once", Outcome::Fail), ("stock", Outcome::Inconclusive)]);
}
