//! Groups and logs are watched while the forwarder works: one that commits before it works skips what it had in hand when it
//! was killed, one that gives a partition up stands still there, and one that does neither is acquitted of everything.

use crate::misbehaviour::run;
use crate::{forwarder, trial};
use libtest_mimic::Trial;
use shakedown::Report;
use shakedown_reports::verdict::{Finding, Outcome};

const SCENARIO: &str = r#"
name = "a forwarder's group is watched"
seed = 7

[cluster]
brokers = 1

[topics.orders]
partitions = 4

[topics.forwarded]
partitions = 4

[services.forwarder]
command = ["replaced by the test"]
group = "forwarder"
consumes = ["orders"]
produces = ["forwarded"]
env = { MISCHIEF = "none", MISCHIEF_AT = 300, COMMIT_EVERY = 50 }

[flows.forwarded]
from = "topic orders"
to = "topic forwarded"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "1000/s", for = "2s" }
keys = { users = 50 }

[[fault]]
at = "1200ms"
do = { kill = "service(forwarder)" }
heal = { after = "100ms" }

[expect]
skipped = 0
committed-too-far = 0
offset-regressed = 0
inconsistent-offset = 0
stalled = { at_most = "20s" }
lag = { at_most = 2000, drained_in = "30s" }
"#;

/// A hasty forwarder has forwarded all but the message at which it hangs.
const WHEN_IT_HANGS: [(&str, &str); 1] =
    [("at = \"1200ms\"", "when = { produced = { topic = \"forwarded\", nth = 299 }, after = \"300ms\" }")];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("watched::who_works_before_it_commits_is_acquitted", || {
            let report = watch("none", &[]);
            report.assert_passed();
            for finding in &report.verdict().findings {
                assert!(finding.compared > 0, "{} of {} compared nothing", finding.check, finding.subject);
            }
        }),
        trial("watched::who_commits_before_it_works_skips_what_it_had_in_hand", || {
            let report = watch("haste", &WHEN_IT_HANGS);
            let text = report.text(false);
            assert_eq!(report.exit().code(), 1, "{text}");
            let skipped = finding(&report, "skipped");
            assert_eq!((skipped.outcome, skipped.found), (Outcome::Fail, forwarder::HASTE), "{text}");
            assert_eq!(skipped.subject, "group forwarder on orders -> topic forwarded");
            let told: Vec<&str> = skipped.evidence[0].events.iter().map(|event| event.text.as_str()).collect();
            assert!(told.iter().any(|event| event.starts_with("read from topic orders, partition ")), "{text}");
            assert!(told.iter().any(|event| event.starts_with("group forwarder committed ")), "{text}");
            assert_eq!(told.last(), Some(&"never in topic forwarded"), "{text}");
            assert_eq!(finding(&report, "committed-too-far").outcome, Outcome::Fail, "{text}");
            for check in ["offset-regressed", "inconsistent-offset", "stalled", "lag"] {
                assert_eq!(finding(&report, check).outcome, Outcome::Pass, "{check}\n{text}");
            }
        }),
        trial("watched::so_many_skipped_as_expected_are_what_was_to_be_shown", || {
            let expected = format!("skipped = {}", forwarder::HASTE);
            let changes = [
                WHEN_IT_HANGS[0],
                ("skipped = 0", expected.as_str()),
                ("committed-too-far = 0", "committed-too-far = { at_least = 1 }"),
            ];
            watch("haste", &changes).assert_passed();
        }),
        trial("watched::a_partition_that_is_given_up_is_named_while_the_others_flow", || {
            let fault =
                "[[fault]]\nat = \"1200ms\"\ndo = { kill = \"service(forwarder)\" }\nheal = { after = \"100ms\" }\n";
            let changes = [
                (fault, "[limits]\ndrain = \"3s\"\n"),
                ("at_most = 2000, drained_in = \"30s\"", "drained_in = \"2s\""),
                ("at_most = \"20s\"", "at_most = \"1500ms\""),
            ];
            let report = watch("poison", &changes);
            let text = report.text(false);
            assert_eq!(report.exit().code(), 1, "{text}");
            let stalled = finding(&report, "stalled");
            assert_eq!((stalled.outcome, stalled.found), (Outcome::Fail, 1), "{text}");
            assert_eq!(stalled.subject, "group forwarder on orders");
            let [story] = stalled.evidence.as_slice() else { panic!("not exactly one story:\n{text}") };
            assert!(story.title.starts_with("orders/"), "{text}");
            assert!(story.events[2].text.starts_with("meanwhile 3 of the 3 other partitions moved on"), "{text}");
            assert_eq!(finding(&report, "lag").outcome, Outcome::Fail, "{text}");
        }),
    ]
}

fn watch(mischief: &str, changes: &[(&str, &str)]) -> Report {
    let mut text = SCENARIO.replace("MISCHIEF = \"none\"", &format!("MISCHIEF = \"{mischief}\""));
    for (part, change) in changes {
        assert!(text.contains(part), "the scenario has no {part}");
        text = text.replace(part, change);
    }
    run(&text)
}

/// The first finding of a check.
fn finding(report: &Report, check: &str) -> Finding {
    let found = report.verdict().findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no {check}:\n{}", report.text(false))).clone()
}
