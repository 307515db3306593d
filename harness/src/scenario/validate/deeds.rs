//! What a fault does, as it is written: exactly one thing.

use super::{disturbances, interventions, stand_ins};
use crate::language::document::Spanned;
use crate::language::problem::Problems;
use crate::language::quantity::Span;
use crate::language::raw_faults::{RawAction, RawClients, RawClock, RawFault, RawLinks, RawRequests};
use crate::language::raw_operations::{RawAddPartitions, RawDeleteRecords, RawPoison};
use crate::language::reference::RoleReference;
use crate::language::setting::Whole;
use crate::scenario::model::FaultAction;
use shakedown_cluster::DiskFault;

/// What takes more than a role, or is no [`FaultAction`].
const OTHERS: [&str; 25] = [
    "stop",
    "scale",
    "slow-sync",
    "cut",
    "delay",
    "clients",
    "clock",
    "advance-clock",
    "delete-records",
    "add-partitions",
    "poison",
    "requests",
    "damage",
    "rolling-restart",
    "move-leader",
    "reassign",
    "elect-unclean",
    "move-coordinator",
    "expel",
    "clash",
    "rebalance-storm",
    "down",
    "slow",
    "fail",
    "fail_after_effect",
];

/// What a fault does, as it is written.
pub(super) enum RawDeed<'a> {
    Hit(FaultAction, &'a Spanned<RoleReference>),
    Stop(&'a Spanned<RoleReference>),
    Scale(&'a Spanned<RoleReference>, Option<&'a Spanned<Whole<1, 64>>>),
    DeleteRecords(&'a Spanned<RawDeleteRecords>),
    AddPartitions(&'a Spanned<RawAddPartitions>),
    Poison(&'a Spanned<RawPoison>),
    Requests(&'a Spanned<RawRequests>),
    Links { links: &'a Spanned<RawLinks>, delayed: bool },
    Clients(&'a Spanned<RawClients>),
    Clock(&'a Spanned<RawClock>),
    AdvanceClock(&'a Spanned<Span>),
    Intervene(interventions::Written<'a>),
    Rolling(&'a Spanned<RoleReference>),
    Fail(stand_ins::Written<'a>, &'a Spanned<RawAction>),
}

/// The one thing that a fault does.
pub(super) fn deed<'a>(fault: &'a Spanned<RawFault>, problems: &mut Problems<'_>) -> Option<RawDeed<'a>> {
    let action = &fault.value.action;
    let raw = &action.value;
    let all = [
        (FaultAction::Kill, &raw.kill),
        (FaultAction::PowerLoss, &raw.power_loss),
        (FaultAction::Pause, &raw.pause),
        (FaultAction::Isolate, &raw.isolate),
        (FaultAction::Restart, &raw.restart),
        (FaultAction::Disk(DiskFault::Full { after_bytes: 0 }), &raw.disk_full),
        (FaultAction::Disk(DiskFault::WriteErrors), &raw.write_errors),
        (FaultAction::Disk(DiskFault::ReadErrors), &raw.read_errors),
    ];
    let slow_sync = raw.slow_sync.as_ref().map(|slow| {
        // What it says about no time at all is told of, and the rest is looked at all the same.
        let _ = disturbances::some_time(&slow.value.by, problems);
        let fault = DiskFault::SlowSync { by: slow.value.by.value.0 };
        RawDeed::Hit(FaultAction::Disk(fault), &slow.value.of)
    });
    let hits = all.into_iter().filter_map(|(action, role)| role.as_ref().map(|role| RawDeed::Hit(action, role)));
    let damage = match &raw.damage {
        Some(damage) => {
            let damaged = interventions::damage(&damage.value, damage.place, problems)?;
            Some(RawDeed::Hit(FaultAction::Damage(damaged), &damage.value.of))
        }
        None => None,
    };
    if let Some(to) = raw.to.as_ref().filter(|_| raw.scale.is_none()) {
        problems.add(to.place, "`to` is for `scale`", "never used", "write { scale = \"service(NAME)\", to = 3 }");
    }
    let failures = stand_ins::written(raw).map(|written| RawDeed::Fail(written, action));
    let mut given = hits.chain(slow_sync).chain(damage).chain(others(raw)).chain(written(raw)).chain(failures);
    match (given.next(), given.next()) {
        (Some(only), None) => {
            let failure = if let RawDeed::Fail(written, _) = &only { Some(written) } else { None };
            stand_ins::beside(failure, raw, problems);
            Some(only)
        }
        (first, _) => {
            let message =
                if first.is_none() { "this fault does nothing" } else { "this fault does two things at once" };
            let words = all.iter().map(|(action, _)| action.word()).chain(OTHERS);
            let forms: Vec<String> = words.map(|word| format!("{{ {word} = ... }}")).collect();
            let help = format!("write one of {}; for two faults write [[fault]] twice", forms.join(", "));
            problems.add(action.place, message, "not exactly one action", help);
            None
        }
    }
}

/// What is done neither by the harness to whoever plays a role nor by a client of the cluster.
fn others(raw: &RawAction) -> impl Iterator<Item = RawDeed<'_>> {
    let links = |links, delayed| RawDeed::Links { links, delayed };
    let all = [
        raw.cut.as_ref().map(|cut| links(cut, false)),
        raw.delay.as_ref().map(|delay| links(delay, true)),
        raw.clients.as_ref().map(RawDeed::Clients),
        raw.clock.as_ref().map(RawDeed::Clock),
        raw.advance_clock.as_ref().map(RawDeed::AdvanceClock),
        raw.stop.as_ref().map(RawDeed::Stop),
        raw.scale.as_ref().map(|role| RawDeed::Scale(role, raw.to.as_ref())),
        raw.delete_records.as_ref().map(RawDeed::DeleteRecords),
        raw.add_partitions.as_ref().map(RawDeed::AddPartitions),
        raw.poison.as_ref().map(RawDeed::Poison),
        raw.requests.as_ref().map(RawDeed::Requests),
        raw.rolling_restart.as_ref().map(RawDeed::Rolling),
    ];
    all.into_iter().flatten()
}

/// What a client of the cluster is to do.
fn written(raw: &RawAction) -> impl Iterator<Item = RawDeed<'_>> {
    use interventions::Written;
    let all = [
        raw.move_leader.as_ref().map(|raw| Written::MoveLeader(&raw.value)),
        raw.reassign.as_ref().map(|raw| Written::Reassign(&raw.value)),
        raw.elect_unclean.as_ref().map(|raw| Written::ElectUnclean(&raw.value)),
        raw.move_coordinator.as_ref().map(|raw| Written::MoveCoordinator(&raw.value)),
        raw.expel.as_ref().map(|raw| Written::Expel(&raw.value)),
        raw.clash.as_ref().map(|raw| Written::Clash(&raw.value)),
        raw.rebalance_storm.as_ref().map(|raw| Written::Storm(&raw.value)),
    ];
    all.into_iter().flatten().map(RawDeed::Intervene)
}
