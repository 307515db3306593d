//! What goes wrong: faults drawn from the seed, each of which ends after a while.
//!
//! A fault names its target by role, so that leaders, controllers and coordinators suffer more than their share.

use crate::chance::{Chance, MS, SECOND};
use crate::client::member::GROUP;
use crate::host::Down;
use crate::world::{Event, World};
use shakedown_broker::Input;
use shakedown_broker::types::PartitionId;

/// Who is hit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Machine(usize),
    /// The leader of one of the partitions.
    Leader(u64),
    Controller,
    Coordinator,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Kill(Target),
    PowerLoss(Target),
    PowerLossOfAll,
    Pause(Target),
    /// A link to another machine, in both directions or in one.
    Cut {
        target: Target,
        other: usize,
        both: bool,
    },
    /// All links of a machine with others, and with clients.
    Isolate {
        target: Target,
        clients: bool,
    },
    /// Messages from a machine get through, those to it do not, or the other way round.
    HalfDeaf {
        target: Target,
        hears: bool,
    },
    /// Two sides that do not reach each other; a bit for each machine.
    Split {
        sides: u64,
    },
    Loss {
        permille: u64,
    },
    Delay {
        most_ns: u64,
    },
    ClockStep {
        target: Target,
        ms: i64,
    },
    DiskError(Target),
    /// Clients lose their connections with a machine.
    Disconnect(Target),
}

/// A fault and how long it lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) what: What,
    pub(crate) lasts_ns: u64,
}

/// What ends a fault.
#[derive(Debug, Clone)]
pub(crate) enum Repair {
    Boot(usize),
    Resume(usize),
    Links(Vec<(usize, usize)>),
    Clients(usize),
    Loss,
    Delay,
    Disk(usize),
}

/// Draws a fault.
pub(crate) fn draw(chance: &mut Chance, machines: usize) -> Fault {
    let target = draw_target(chance, machines);
    let what = match chance.below(100) {
        0..=17 => What::Kill(target),
        18..=34 => What::PowerLoss(target),
        35..=36 => What::PowerLossOfAll,
        37..=51 => What::Pause(target),
        52..=59 => What::Cut { target, other: chance.index(machines), both: chance.permille(600) },
        60..=69 => What::Isolate { target, clients: chance.permille(400) },
        70..=73 => What::HalfDeaf { target, hears: chance.permille(500) },
        74..=78 => What::Split { sides: chance.seed() },
        79..=84 => What::Loss { permille: chance.between(10, 300) },
        85..=88 => What::Delay { most_ns: chance.between(10 * MS, 400 * MS) },
        89..=91 => What::ClockStep { target, ms: i64::try_from(chance.below(20_000)).expect("seconds") - 10_000 },
        92..=96 => What::DiskError(target),
        _ => What::Disconnect(target),
    };
    let lasts_ns = match chance.below(10) {
        0..=3 => chance.between(20 * MS, 300 * MS),
        4..=7 => chance.between(300 * MS, 2 * SECOND),
        _ => chance.between(2 * SECOND, 6 * SECOND),
    };
    Fault { what, lasts_ns }
}

fn draw_target(chance: &mut Chance, machines: usize) -> Target {
    match chance.below(10) {
        0..=2 => Target::Leader(chance.seed()),
        3..=4 => Target::Controller,
        5 => Target::Coordinator,
        _ => Target::Machine(chance.index(machines)),
    }
}

/// The machine that a target is at this moment.
fn resolve(world: &World, target: Target) -> usize {
    let host_of = |id: PartitionId| {
        let leader = world.invariants.images.newest.state(id)?.leader?;
        world.hosts.iter().position(|host| host.id == leader)
    };
    let found = match target {
        Target::Machine(host) => Some(host),
        Target::Leader(drawn) => {
            let count = u64::try_from(world.invariants.images.newest.partitions().count()).expect("a few partitions");
            let at = usize::try_from(drawn.checked_rem(count).unwrap_or(0)).expect("an index");
            world.invariants.images.newest.partitions().nth(at).and_then(|(id, _)| host_of(id))
        }
        Target::Controller => controller(world),
        Target::Coordinator => coordinator(world).and_then(host_of),
    };
    found.unwrap_or(0)
}

/// The machine of the active controller.
pub(crate) fn controller(world: &World) -> Option<usize> {
    let views = world.hosts.iter().enumerate().filter_map(|(at, host)| Some((at, host.node.as_ref()?.quorum())));
    views.filter(|(_, view)| view.is_active_controller).max_by_key(|(_, view)| view.epoch).map(|(at, _)| at)
}

/// The partition that keeps the group's offsets.
pub(crate) fn coordinator(world: &World) -> Option<PartitionId> {
    world.invariants.images.offsets_partition(GROUP)
}

/// A fault begins, and its end is scheduled.
pub(crate) fn strike(world: &mut World, fault: Fault) {
    world.trace.mix_variant(&fault.what);
    world.trace.story(world.now_ns, "nemesis", || format!("{:?} for {} ms", fault.what, fault.lasts_ns / MS));
    let repair = match fault.what {
        What::Kill(target) => kill(world, target),
        What::PowerLoss(target) => {
            let host = resolve(world, target);
            lose_power(world, host);
            Some(Repair::Boot(host))
        }
        What::PowerLossOfAll => {
            for host in 0..world.hosts.len() {
                lose_power(world, host);
                let at_ns = world.now_ns + fault.lasts_ns + world.chance.below(300 * MS);
                world.at(at_ns, Event::Mend(Repair::Boot(host)));
            }
            None
        }
        What::Pause(target) => {
            let host = resolve(world, target);
            pause(world, host);
            Some(Repair::Resume(host))
        }
        What::Cut { target, other, both } => {
            let host = resolve(world, target);
            let links = if both { vec![(host, other), (other, host)] } else { vec![(host, other)] };
            Some(cut(world, links))
        }
        What::Isolate { target, clients } => {
            let host = resolve(world, target);
            if clients {
                world.network.cut_clients(host);
                world.at(world.now_ns + fault.lasts_ns, Event::Mend(Repair::Clients(host)));
            }
            let links = links(world).filter(|(from, to)| *from == host || *to == host).collect();
            Some(cut(world, links))
        }
        What::HalfDeaf { target, hears } => {
            let host = resolve(world, target);
            let links = links(world).filter(|(from, to)| if hears { *from == host } else { *to == host }).collect();
            Some(cut(world, links))
        }
        What::Split { sides } => {
            let links = links(world).filter(|(from, to)| sides >> from & 1 != sides >> to & 1).collect();
            Some(cut(world, links))
        }
        other => strike_softly(world, other),
    };
    if let Some(repair) = repair {
        world.at(world.now_ns + fault.lasts_ns, Event::Mend(repair));
    }
}

/// Faults that stop nobody.
fn strike_softly(world: &mut World, what: What) -> Option<Repair> {
    match what {
        What::Loss { permille } => {
            world.network.loss_permille = permille;
            Some(Repair::Loss)
        }
        What::Delay { most_ns } => {
            world.network.extra_delay_ns = most_ns;
            Some(Repair::Delay)
        }
        What::ClockStep { target, ms } => {
            let host = resolve(world, target);
            world.hosts[host].skew_ms += ms;
            world.deliver(host, Input::ClockMoved);
            None
        }
        What::DiskError(target) => {
            let host = resolve(world, target);
            world.hosts[host].disk_faults += 1;
            world.hosts[host].disk.set_failing(true);
            Some(Repair::Disk(host))
        }
        What::Disconnect(target) => {
            let host = resolve(world, target);
            let open = world.network.connections.iter().filter(|(_, connection)| connection.host == host);
            let open: Vec<u64> = open.map(|(number, _)| *number).collect();
            open.into_iter().for_each(|connection| world.reset(connection));
            None
        }
        _ => None,
    }
}

fn links(world: &World) -> impl Iterator<Item = (usize, usize)> + use<> {
    let machines = world.hosts.len();
    (0..machines).flat_map(move |from| (0..machines).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

fn cut(world: &mut World, links: Vec<(usize, usize)>) -> Repair {
    links.iter().for_each(|(from, to)| world.network.cut(*from, *to));
    Repair::Links(links)
}

fn kill(world: &mut World, target: Target) -> Option<Repair> {
    let host = resolve(world, target);
    world.story(host, || "is killed");
    world.stop(host, Down::Killed);
    Some(Repair::Boot(host))
}

/// A machine goes dark and forgets what it had not synced.
fn lose_power(world: &mut World, host: usize) {
    let lost = world.hosts[host].disk.lose_power(&mut world.chance);
    world.story(host, || format!("loses its power and {lost} batches"));
    world.stop(host, Down::Dark);
}

/// A process stops, and nobody knows.
pub(crate) fn pause(world: &mut World, host: usize) {
    world.story(host, || "is paused");
    world.hosts[host].pauses += 1;
}

/// A fault ends.
pub(crate) fn mend(world: &mut World, repair: Repair) {
    world.trace.mix_variant(&repair);
    world.trace.story(world.now_ns, "nemesis", || format!("mends {repair:?}"));
    match repair {
        Repair::Boot(host) => world.boot(host),
        Repair::Resume(host) => {
            let pauses = &mut world.hosts[host].pauses;
            if *pauses > 0 {
                *pauses -= 1;
                world.resume(host);
            }
        }
        Repair::Links(links) => links.iter().for_each(|(from, to)| world.network.mend(*from, *to)),
        Repair::Clients(host) => world.network.mend_clients(host),
        Repair::Loss => world.network.loss_permille = 0,
        Repair::Delay => world.network.extra_delay_ns = 0,
        Repair::Disk(host) => {
            let faults = &mut world.hosts[host].disk_faults;
            *faults = faults.saturating_sub(1);
            let failing = *faults > 0;
            world.hosts[host].disk.set_failing(failing);
        }
    }
}

/// Everything works again.
pub(crate) fn heal(world: &mut World) {
    world.trace.story(world.now_ns, "nemesis", || "heals everything");
    world.network.heal();
    for host in 0..world.hosts.len() {
        world.hosts[host].disk_faults = 0;
        world.hosts[host].disk.set_failing(false);
        if world.hosts[host].pauses > 0 {
            world.hosts[host].pauses = 0;
            world.resume(host);
        }
        world.boot(host);
    }
}
