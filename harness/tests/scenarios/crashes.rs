//! Each service of the storefront and of the fanout is killed at each of its failpoints, alone, while orders come in; what it
//! and others did has happened exactly once all the same, by every rule of conservation.
//!
//! In the ordinary suite each service dies at one place. `SHAKEDOWN_SOAK=1` has it die at each of its places twenty times, at
//! another visit and with another seed each time.

use crate::{equipment, trial};
use libtest_mimic::Trial;
use shakedown::Report;

/// What the order service, payment, inventory and notification go through, the worst place of each first.
const ORDER: [&str; 8] = [
    "after_accept",
    "after_publish",
    "before_accept",
    "before_publish",
    "before_work",
    "after_effect",
    "after_record",
    "after_dead_letter",
];
const PAYMENT: [&str; 6] =
    ["after_effect", "after_record", "before_work", "before_publish", "after_publish", "after_dead_letter"];
const INVENTORY: [&str; 7] = [
    "after_reserve",
    "after_effect",
    "after_record",
    "before_work",
    "before_publish",
    "after_publish",
    "after_dead_letter",
];
const NOTIFICATION: [&str; 6] =
    ["after_effect", "after_record", "before_work", "before_publish", "after_publish", "after_dead_letter"];
/// The fanout's notification tells of nothing.
const FANOUT_NOTIFICATION: [&str; 4] = ["after_effect", "after_record", "before_work", "after_dead_letter"];

/// The failpoints are among the first so many visits: a batch is one event, and a hundred orders come.
const VISITS: u64 = 12;

/// A service of one of the two systems.
struct Victim {
    system: System,
    service: &'static str,
    places: &'static [&'static str],
    /// A topic that it reads, for a message that nobody can.
    reads: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Storefront,
    Fanout,
}

const VICTIMS: [Victim; 8] = [
    Victim { system: System::Storefront, service: "order", places: &ORDER, reads: "payment_failed" },
    Victim { system: System::Storefront, service: "payment", places: &PAYMENT, reads: "inventory_updated" },
    Victim { system: System::Storefront, service: "inventory", places: &INVENTORY, reads: "payment_successful" },
    Victim { system: System::Storefront, service: "notification", places: &NOTIFICATION, reads: "payment_failed" },
    Victim { system: System::Fanout, service: "order", places: &ORDER, reads: "order-created" },
    Victim { system: System::Fanout, service: "payment", places: &PAYMENT, reads: "order-created" },
    Victim { system: System::Fanout, service: "inventory", places: &INVENTORY, reads: "order-created" },
    Victim { system: System::Fanout, service: "notification", places: &FANOUT_NOTIFICATION, reads: "order-created" },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial_of = |victim: &'static Victim| {
        let name =
            format!("crashes::the_{}s_{}_dies_and_every_effect_is_there_once", victim.system.name(), victim.service);
        trial(&name, move || {
            if std::env::var_os("SHAKEDOWN_SOAK").is_some() {
                (1..=20).for_each(|number| victim.places.iter().for_each(|place| victim.dies(place, number)));
            } else {
                victim.dies(victim.places[0], 5);
            }
        })
    };
    VICTIMS.iter().map(trial_of).collect()
}

impl System {
    const fn name(self) -> &'static str {
        match self {
            Self::Storefront => "storefront",
            Self::Fanout => "fanout",
        }
    }

    /// Where it takes orders, and the topic in which they are then.
    const fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Storefront => ("POST order /orders", "order_created"),
            Self::Fanout => ("POST order /api/orders", "order-created"),
        }
    }
}

impl Victim {
    /// One run in which it dies there.
    fn dies(&self, place: &str, number: u64) {
        let report = equipment::run_text(&self.scenario(place, number), "");
        let Self { system, service, .. } = self;
        let context = || format!("{system:?}: {service} at {place}, run {number}:\n{}", report.text(false));
        assert!(report.passed(), "{}", context());
        assert_eq!(kills(&report, service), 1, "{}", context());
        // What its next life begins with, it does not die of again.
        let log =
            std::fs::read_to_string(report.directory().join(format!("service-{service}-1.log"))).expect("its log");
        assert_eq!(log.matches("waiting at a failpoint").count(), 1, "{}", context());
    }

    fn scenario(&self, place: &str, number: u64) -> String {
        let Self { system, service, reads, .. } = self;
        let (target, topic) = system.entry();
        let visit = 1 + number * 5 % VISITS;
        // There is one dead letter, so only one visit; what varies is when it comes.
        let (nth, poison) = if place == "after_dead_letter" {
            let when = format!("when = {{ produced = {{ topic = \"{topic}\", nth = {} }} }}", 3 * visit);
            (1, format!("[[fault]]\n{when}\ndo = {{ poison = {{ topic = \"{reads}\" }} }}\n"))
        } else {
            (visit, String::new())
        };
        format!(
            r#"
name = "{service} of the {name} dies {place}"
system = "{name}"
seed = {number}

# So that groups notice soon that a member is gone.
[cluster]
config = {{ "group.min.session.timeout.ms" = 500 }}

[stand-ins.payment-provider]
decline_every = 10

# A batch is one event, so that visits can be counted.
[services.{service}]
env = {{ BATCH_EVENTS_MAX = 1, KAFKA_SESSION_TIMEOUT_MS = 1000, KAFKA_HEARTBEAT_INTERVAL_MS = 200 }}
failpoint = {{ at = "{place}", nth = {nth} }}

[load]
target = "{target}"
arrivals = {{ shape = "constant", rate = "100/s", for = "1s" }}
keys = {{ users = 20 }}

{poison}
[[fault]]
when = {{ failpoint = {{ service = "{service}" }} }}
do = {{ kill = "service({service})" }}
heal = {{ after = "200ms" }}

[expect]
lost = 0
unacknowledged = 0
order = "per-key"
conserved = [
    "taken", "prices", "orders", "money", "stock", "releases", "shipments", "notifications", "log", "events", "steps", "sequence",
]
"#,
            name = system.name()
        )
    }
}

/// How often it was killed.
fn kills(report: &Report, service: &str) -> u64 {
    let fired = &report.summary().faults_fired;
    let kill = format!("kill service({service})");
    fired.iter().filter(|(fault, _)| fault.starts_with(&kill)).map(|(_, times)| times).sum()
}
