//! One random lifetime: a cluster of 3 to 5 nodes, clients, 60 seconds, 20 faults; then healing, and rest.

use crate::chance::{Chance, MS, SECOND};
use crate::client::admin::{Admin, TOPIC};
use crate::client::consumer::Consumer;
use crate::client::producer::{Habits, Producer};
use crate::host::{Role, Setup};
use crate::invariants::{Violation, liveness};
use crate::nemesis;
use crate::trace::Detail;
use crate::world::{Event, World};
use shakedown_broker::config::Defect;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How long things go wrong.
const TROUBLE_NS: u64 = 60 * SECOND;
/// How many things go wrong.
const FAULTS: u64 = 20;
/// How long a healed cluster may take to come to rest.
const REST_NS: u64 = 10 * SECOND;

/// How a lifetime went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// A digest of all that happened.
    pub(crate) digest: u64,
    /// How often a node was called.
    pub(crate) steps: u64,
    /// How many batches were acknowledged at acks=all.
    pub(crate) acknowledgements: u64,
}

/// Lives one lifetime.
///
/// # Errors
/// With the first invariant that does not hold, or the panic of a node.
pub(crate) fn live(seed: u64, defect: Option<Defect>, detail: Detail) -> Result<Report, Violation> {
    catch_unwind(AssertUnwindSafe(|| live_or_panic(seed, defect, detail))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| String::from(*text)));
        Err(Violation::new("nodes do not panic", text.unwrap_or_default()))
    })
}

fn live_or_panic(seed: u64, defect: Option<Defect>, detail: Detail) -> Result<Report, Violation> {
    let mut chance = Chance::new(seed);
    let mut setup = draw_setup(&mut chance);
    setup.defect = defect;
    let mut world = World::new(&setup, chance.seed(), detail);
    world.trace.story(0, "world", || format!("seed {seed}: {:?}", setup.roles));
    add_clients(&mut world, &mut chance);
    for _ in 0..FAULTS {
        let at_ns = chance.between(2 * SECOND, TROUBLE_NS - SECOND);
        world.at(at_ns, Event::Strike(nemesis::draw(&mut chance, setup.roles.len())));
    }
    world.run_until(TROUBLE_NS);
    nemesis::heal(&mut world);
    world.stop_clients();
    come_to_rest(&mut world);
    let checked = world.checked.clone().and_then(|()| world.invariants.at_the_end(&mut world.hosts));
    if let Err(mut violation) = checked {
        violation.detail = world.invariants.images.readable(&violation.detail);
        world.trace.story(world.now_ns, "world", || &violation);
        return Err(violation);
    }
    Ok(Report {
        digest: world.trace.digest(),
        steps: world.steps,
        acknowledgements: world.invariants.history.acknowledgements,
    })
}

fn draw_setup(chance: &mut Chance) -> Setup {
    let nodes = chance.pick(&[3, 3, 3, 4, 5]);
    let mut setup = Setup::combined(nodes);
    // An even number of voters gains nothing, and dedicated nodes are as good as combined ones.
    if nodes == 4 {
        setup.roles[3] = Role::Broker;
    } else if nodes == 5 && chance.permille(500) {
        setup.roles[3..].fill(Role::Broker);
        setup.roles[0] = if chance.permille(500) { Role::Controller } else { Role::Combined };
    }
    let partitions = chance.between(1, 3).to_string();
    setup.settings.retain(|(name, _)| *name != "offsets.topic.num.partitions");
    setup.settings.push(("offsets.topic.num.partitions", partitions));
    if chance.permille(500) {
        // A lifetime writes some ten thousand bytes of metadata.
        setup.snapshots_after(chance.between(150, 6_000));
    }
    setup
}

fn add_clients(world: &mut World, chance: &mut Chance) {
    let partitions = chance.between(1, 4);
    let index = |number: u64| i32::try_from(number % partitions).expect("a few partitions");
    world.add_client("admin", Admin::new(i32::try_from(partitions).expect("a few partitions"), 3));
    let habits = [("all-1", -1, 1), ("all-5", -1, 5), ("one", 1, 1), ("zero", 0, 1)];
    for (number, (name, acks, in_flight_max)) in (0..).zip(habits) {
        let (name, partition) = (String::from(name), index(number));
        let pause_ms = chance.between(150, 600);
        let habits = Habits { name: name.clone(), topic: TOPIC, partition, acks, in_flight_max, pause_ms };
        world.add_client(name, Producer::new(habits));
    }
    for number in 0..chance.between(1, 3) {
        world.add_client(format!("consumer-{}", number + 1), Consumer::new());
    }
}

/// Waits until nothing is left to do.
fn come_to_rest(world: &mut World) {
    let deadline_ns = world.now_ns + REST_NS;
    while world.checked.is_ok() {
        let missing = liveness::unsettled(&world.hosts, &world.invariants)
            .or_else(|| world.unfinished(&liveness::ends(&world.invariants)));
        let Some(missing) = missing else { return };
        if world.now_ns >= deadline_ns {
            return world.check(Err(Violation::new("a healed cluster makes progress", missing)));
        }
        world.run_until(world.now_ns + 100 * MS);
    }
}
