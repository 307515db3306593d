//! Faults that take their time or a client of their own, from a scenario to what its services see of them: brokers that restart
//! in turn, leaders that move, groups without peace, damaged disks, an unclean election that somebody orders.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::{Report, Runner};
use std::path::Path;

const LEADERS: &str = r#"
name = "brokers restart in turn, leaders and partitions move"
seed = 11

[topics.orders]
partitions = 2
replication_factor = 3

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "300/s", for = "8s" }
client = { "topic.metadata.refresh.interval.ms" = 200 }

[[fault]]
at = "200ms"
do = { rolling-restart = "all" }

[[fault]]
at = "6s"
do = { move-leader = { topic = "orders", partition = 0 } }

[[fault]]
at = "6500ms"
do = { reassign = { topic = "orders", partition = 1, to = [3, 1] } }

[[fault]]
at = "7s"
do = { pause = "one" }
heal = { after = "300ms" }

[expect]
lost = 0
duplicated = 0
"#;

const GROUP: &str = r#"
name = "a group has no peace, and nothing is lost"
seed = 12

[topics.orders]
partitions = 4

[topics.forwarded]
partitions = 4

[services.forwarder]
command = ["replaced by the test"]
group = "forwarder"
consumes = ["orders"]
produces = ["forwarded"]
env = { MISCHIEF = "none", COMMIT_EVERY = 20 }

[flows.forwarded]
from = "topic orders"
to = "topic forwarded"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "12s" }

[[fault]]
when = { consumed = { topic = "orders", group = "forwarder", nth = 100 } }
do = { expel = { group = "forwarder" } }

[[fault]]
when = { state = { rebalancing = "forwarder" } }
do = { rebalance-storm = { group = "forwarder", joins = 1 } }

[[fault]]
at = "11s"
do = { move-coordinator = { group = "forwarder" } }

[expect]
lost = 0
"#;

const DISKS: &str = r#"
name = "disks are damaged, and others have what is gone"
seed = 13

[topics.orders]
partitions = 1
replication_factor = 3

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "300/s", for = "4s" }
client = { "topic.metadata.refresh.interval.ms" = 200 }

[[fault]]
when = { produced = { topic = "orders", nth = 100 } }
do = { damage = { of = "follower(orders/0)", torn-tail = 30 } }
heal = { after = "1s" }

[[fault]]
at = "2500ms"
do = { damage = { of = "leader(orders/0)", lost-log = true } }
heal = { after = "200ms" }

[[fault]]
when = { state = { topic = "orders", partition = 0, in-sync = 2 } }
do = { slow-sync = { of = "controller", by = "5ms" } }
heal = { after = "100ms" }

[expect]
lost = 0
duplicated = 0
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("reach::brokers_restart_in_turn_and_leaders_move_while_orders_flow", || {
            let (report, told) = perform(LEADERS);
            struck(&report, 4);
            for broker in 1..=3 {
                assert!(told.contains(&format!("start broker {broker} again")), "{told}");
            }
            assert!(told.contains("3 of 3 brokers were restarted"), "{told}");
            assert!(told.contains("orders/1 moves to brokers 3, 1"), "{told}");
        }),
        trial("reach::a_group_is_expelled_and_stormed_and_loses_nothing", || {
            let (report, told) = perform(GROUP);
            struck(&report, 3);
            assert!(told.contains("1 of 1 members are out of group forwarder"), "{told}");
            assert!(told.contains("a stand-in is in group forwarder"), "{told}");
        }),
        trial("reach::damaged_disks_cost_nothing_that_others_have", || struck(&perform(DISKS).0, 3)),
        trial("reach::an_unclean_election_that_is_ordered_loses_what_one_that_happens_does", || {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failures/05-unclean-election.toml");
            let text = std::fs::read_to_string(file).expect("the scenario");
            let allowed = "\"unclean.leader.election.enable\" = true";
            assert!(text.contains(allowed), "{text}");
            let order = "[[fault]]\nwhen = { then = \"the leader dies\" }\n\
                         do = { elect-unclean = { topic = \"orders\", partition = 0 } }\n\n[expect]";
            let text = text.replace(allowed, "\"unclean.leader.election.enable\" = false").replace("[expect]", order);
            struck(&perform(&text).0, 4);
        }),
    ]
}

/// Runs a scenario, with the forwarder where it has one: the report, and everything that happened.
fn perform(text: &str) -> (Report, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("reach.toml");
    std::fs::write(&file, text).expect("a scenario file");
    let mut runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(folder.path());
    if text.contains("[services.forwarder]") {
        let this = std::env::current_exe().expect("a path").display().to_string();
        runner = runner.command("forwarder", [this.as_str(), "misbehave"]);
    }
    let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
    let events = std::fs::read_to_string(report.directory().join("events.jsonl")).expect("the timeline");
    (report, events)
}

/// It passed, and every one of so many faults struck.
fn struck(report: &Report, faults: usize) {
    report.assert_passed();
    let fired = &report.summary().faults_fired;
    assert!(fired.len() == faults && fired.values().all(|times| *times > 0), "{fired:?}");
}
