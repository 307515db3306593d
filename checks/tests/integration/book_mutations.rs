//! Every fact of clean books is dropped, doubled, altered, swapped and moved: each time exactly those rules convict that are
//! broken.

use crate::shop;
use shakedown_checks::mutate_books::BookMutation;
use shakedown_checks::rules::check;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::rules::{BookRule, RuleKind};
use shakedown_reports::verdict::{Finding, Outcome};
use std::collections::{BTreeMap, BTreeSet};

fn judged(record: &MemoryRecord, rules: &[BookRule]) -> Vec<Finding> {
    check(record, rules).expect("books in memory can be read")
}

/// What convicts, in one line, and that it does so with a story.
fn convicts(record: &MemoryRecord, rules: &[BookRule]) -> String {
    let findings = judged(record, rules);
    let convicting = findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    for finding in convicting.clone() {
        assert!(finding.found > 0 && !finding.evidence.is_empty(), "it convicts without evidence: {finding:#?}");
    }
    let names: Vec<&str> = convicting.map(|finding| finding.subject.as_str()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(" ") }
}

/// For each book, mutation and kind of fact, the rules that convict.
fn attacked(clean: &MemoryRecord) -> String {
    let rules = shop::rules(clean);
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (book, facts) in &clean.books {
        for (index, fact) in facts.iter().enumerate() {
            for mutation in BookMutation::ALL {
                let mut mutated = clean.clone();
                if !mutation.apply(&mut mutated, book, index) {
                    continue;
                }
                let line = format!("{book} {} {mutation:?}", fact.kind);
                table.entry(line).or_default().insert(convicts(&mutated, &rules));
            }
        }
    }
    let line = |(attack, rules): (&String, &BTreeSet<String>)| {
        format!("{attack}: {}\n", rules.iter().map(String::as_str).collect::<Vec<_>>().join(" | "))
    };
    table.iter().map(line).collect()
}

fn compared(record: &MemoryRecord) -> Vec<(String, u64, String)> {
    let findings = judged(record, &shop::rules(record));
    for finding in &findings {
        assert_eq!((finding.outcome, finding.found), (Outcome::Pass, 0), "{finding:#?}");
        assert!(finding.evidence.is_empty(), "a clean history has no story");
    }
    findings.into_iter().map(|finding| (finding.subject, finding.compared, finding.detail)).collect()
}

#[test]
fn a_clean_storefront_passes_with_its_comparisons() {
    let mut text = String::new();
    for (rule, compared, detail) in compared(&shop::storefront()) {
        text.push_str(&format!("{rule} {compared}: {detail}\n"));
    }
    assert_eq!(text, include_str!("expected/clean_storefront.txt"), "{text}");
}

#[test]
fn a_clean_fanout_passes_with_its_comparisons() {
    let mut text = String::new();
    for (rule, compared, detail) in compared(&shop::fanout()) {
        text.push_str(&format!("{rule} {compared}: {detail}\n"));
    }
    assert_eq!(text, include_str!("expected/clean_fanout.txt"), "{text}");
}

#[test]
fn every_falsified_fact_of_the_storefront_is_convicted_by_exactly_its_rules() {
    let table = attacked(&shop::storefront());
    assert_eq!(table, include_str!("expected/attacked_storefront.txt"), "{table}");
}

#[test]
fn every_falsified_fact_of_the_fanout_is_convicted_by_exactly_its_rules() {
    let table = attacked(&shop::fanout());
    assert_eq!(table, include_str!("expected/attacked_fanout.txt"), "{table}");
}

#[test]
fn every_rule_convicts_something() {
    for text in [include_str!("expected/attacked_storefront.txt"), include_str!("expected/attacked_fanout.txt")] {
        let convicting: BTreeSet<&str> =
            text.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, rules)| rules.split(' ')).collect();
        for rule in RuleKind::ALL {
            assert!(convicting.contains(rule.name()), "nothing that was tried breaks `{}`", rule.name());
        }
    }
}
