//! Services of the storefront and of the fanout are killed at their failpoints while orders come in. What they and others did
//! has happened exactly once all the same, by every rule of conservation.
//!
//! In the ordinary suite each service dies once. `SHAKEDOWN_SOAK=1` has each of them die alone at each of its failpoints,
//! twenty times, at another visit and with another seed each time.

use crate::{equipment, trial};
use libtest_mimic::Trial;
use std::ops::RangeInclusive;

/// What the order service, payment, inventory and notification go through.
const ORDER: [&str; 8] = [
    "before_accept",
    "after_accept",
    "before_publish",
    "after_publish",
    "before_work",
    "after_effect",
    "after_record",
    "after_dead_letter",
];
const PAYMENT: [&str; 6] =
    ["before_work", "after_effect", "after_record", "before_publish", "after_publish", "after_dead_letter"];
const INVENTORY: [&str; 7] = [
    "before_work",
    "after_reserve",
    "after_effect",
    "after_record",
    "before_publish",
    "after_publish",
    "after_dead_letter",
];
/// The fanout's notification publishes nothing.
const NOTIFICATION: [&str; 4] = ["before_work", "after_effect", "after_record", "after_dead_letter"];

/// Each alone dies at one of its first so many visits: a batch is one event, and ninety orders come.
const VISITS: u64 = 12;

/// The same where a batch has as many as there are: orders that are accepted, events that are published.
const VISITS_OF_MANY: u64 = 3;

/// So many runs at once: each waits as long as it works.
const AT_ONCE: usize = 3;

/// One of the two shops.
struct Shop {
    system: &'static str,
    /// Where it takes orders, and the topic in which they are then.
    takes: &'static str,
    orders: &'static str,
    /// Its services, each with its failpoints, and with a topic that it reads.
    services: [(&'static str, &'static [&'static str], &'static str); 4],
    /// How all of them die in one run. Whoever has nothing to do never gets to his failpoint: so those whom others wait for
    /// die late, and have told what there was to tell.
    deaths: [Death; 4],
}

const STOREFRONT: Shop = Shop {
    system: "storefront",
    takes: "POST order /orders",
    orders: "order_created",
    services: [
        ("order", &ORDER, "payment_failed"),
        ("payment", &PAYMENT, "inventory_updated"),
        ("inventory", &INVENTORY, "payment_successful"),
        // It publishes what it sent.
        ("notification", &PAYMENT, "payment_failed"),
    ],
    deaths: [
        Death { service: "inventory", place: "after_reserve", nth: 1 },
        Death { service: "notification", place: "after_effect", nth: 2 },
        Death { service: "payment", place: "after_publish", nth: 3 },
        Death { service: "order", place: "after_accept", nth: 10 },
    ],
};

const FANOUT: Shop = Shop {
    system: "fanout",
    takes: "POST order /api/orders",
    orders: "order-created",
    services: [
        ("order", &ORDER, "order-created"),
        ("payment", &PAYMENT, "order-created"),
        ("inventory", &INVENTORY, "order-created"),
        ("notification", &NOTIFICATION, "order-created"),
    ],
    deaths: [
        Death { service: "inventory", place: "after_effect", nth: 2 },
        Death { service: "notification", place: "after_record", nth: 2 },
        Death { service: "payment", place: "before_publish", nth: 2 },
        Death { service: "order", place: "before_accept", nth: 10 },
    ],
};

/// A service that is killed, and where.
#[derive(Debug, Clone, Copy)]
struct Death {
    service: &'static str,
    place: &'static str,
    /// At which visit.
    nth: u64,
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("crashes::each_service_of_the_storefront_dies_and_every_effect_is_there_once", || STOREFRONT.crashes()),
        trial("crashes::each_service_of_the_fanout_dies_and_every_effect_is_there_once", || FANOUT.crashes()),
    ]
}

/// Twenty; `SHAKEDOWN_ROUNDS=17-20` is the last four.
fn rounds() -> RangeInclusive<u64> {
    let Ok(text) = std::env::var("SHAKEDOWN_ROUNDS") else { return 1..=20 };
    let ends = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    ends.map(|(from, to)| from..=to).unwrap_or_else(|| panic!("SHAKEDOWN_ROUNDS={text}: write FROM-TO, such as 17-20"))
}

impl Shop {
    fn crashes(&self) {
        self.run(&self.deaths, 1, "");
        if std::env::var_os("SHAKEDOWN_SOAK").is_some() {
            let failed: usize = rounds().map(|number| self.all_alone(number)).sum();
            assert_eq!(failed, 0, "runs of the {} that are told above", self.system);
        }
    }

    /// Each service dies at each of its failpoints, in a run of its own. How many runs failed; each has told why.
    fn all_alone(&self, number: u64) -> usize {
        let places = self
            .services
            .iter()
            .flat_map(|(service, places, reads)| places.iter().map(move |place| (*service, *place, *reads)));
        let runs: Vec<_> = places.collect();
        let at_once = |runs: &[(&'static str, &'static str, &str)]| {
            std::thread::scope(|scope| {
                let alone = |(service, place, reads): &(&'static str, &'static str, &str)| {
                    let (service, place, reads) = (*service, *place, (*reads).to_owned());
                    scope.spawn(move || self.alone(service, place, &reads, number))
                };
                let running: Vec<_> = runs.iter().map(alone).collect();
                running.into_iter().filter_map(|run| run.join().err()).count()
            })
        };
        runs.chunks(AT_ONCE).map(at_once).sum()
    }

    fn alone(&self, service: &'static str, place: &'static str, reads: &str, number: u64) {
        let of_many = place.ends_with("_accept") || place.ends_with("_publish");
        let visit = 1 + number * 5 % if of_many { VISITS_OF_MANY } else { VISITS };
        if place == "after_dead_letter" {
            // There is one dead letter, so one visit; what varies is when it comes.
            let when = format!("produced = {{ topic = \"{}\", nth = {} }}", self.orders, 3 * visit);
            let poison = format!("[[fault]]\nwhen = {{ {when} }}\ndo = {{ poison = {{ topic = \"{reads}\" }} }}\n");
            self.run(&[Death { service, place, nth: 1 }], number, &poison);
        } else {
            self.run(&[Death { service, place, nth: visit }], number, "");
        }
    }

    /// One run with these deaths.
    fn run(&self, deaths: &[Death], seed: u64, more: &str) {
        let tables: Vec<String> = deaths.iter().map(Death::tables).collect();
        let report = equipment::run_text(&self.scenario(seed), &format!("{}{more}", tables.concat()));
        let context = format!("the {} with seed {seed}: {deaths:?}\n{}", self.system, report.text(false));
        assert!(report.passed(), "{context}");
        for Death { service, .. } in deaths {
            // Its next life does not stop there.
            let log = report.directory().join(format!("service-{service}-1.log"));
            let log = std::fs::read_to_string(log).expect("its log");
            assert_eq!(log.matches("waiting at a failpoint").count(), 1, "{context}");
        }
        let fired: u64 = report.summary().faults_fired.values().sum();
        assert_eq!(fired, deaths.len() as u64 + u64::from(!more.is_empty()), "{context}");
    }

    fn scenario(&self, seed: u64) -> String {
        let Self { system, takes, .. } = self;
        format!(
            r#"
name = "services of the {system} die at their failpoints"
system = "{system}"
seed = {seed}

# So that groups notice soon that a member is gone.
[cluster]
config = {{ "group.min.session.timeout.ms" = 500 }}

[stand-ins.payment-provider]
decline_every = 10

[load]
target = "{takes}"
arrivals = {{ shape = "constant", rate = "30/s", for = "3s" }}
keys = {{ users = 20 }}

[expect]
lost = 0
unacknowledged = 0
order = "per-key"
conserved = [
    "taken", "prices", "orders", "money", "stock", "releases", "shipments", "notifications", "log", "events", "steps", "sequence",
]
"#
        )
    }
}

impl Death {
    /// A batch is one event, so that visits can be counted.
    fn tables(&self) -> String {
        let Self { service, place, nth } = self;
        format!(
            r#"
[services.{service}]
env = {{ BATCH_EVENTS_MAX = 1, KAFKA_SESSION_TIMEOUT_MS = 1000, KAFKA_HEARTBEAT_INTERVAL_MS = 200 }}
failpoint = {{ at = "{place}", nth = {nth} }}

[[fault]]
when = {{ failpoint = {{ service = "{service}" }} }}
do = {{ kill = "service({service})" }}
heal = {{ after = "200ms" }}

"#
        )
    }
}
