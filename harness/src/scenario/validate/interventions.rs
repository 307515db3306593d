//! Faults that a client of the cluster does, and damage to disks: that they name what exists, and exactly one thing.

use super::disturbances::some_time;
use super::faults::partition_exists;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::raw_interventions::{
    BrokerNumber, PartitionNumber, RawClash, RawDamage, RawExpel, RawMoveCoordinator, RawMoveLeader, RawPartition,
    RawReassign, RawStorm,
};
use crate::language::reference::RoleReference;
use shakedown_cluster::{Damage, Intervention, Role};
use std::time::Duration;

/// How long a second static member stays that nobody has told: a little longer than the 3 s between two heartbeats of a
/// client that says nothing else (`heartbeat.interval.ms`).
const CLASH_LASTS: Duration = Duration::from_secs(5);

const DAMAGES: &str =
    "`flipped-bit = 25`, `torn-tail = 40`, `lost-segment = { from = 0, below = 100 }`, `lost-log = true`";

/// An intervention, as it is written.
pub(super) enum Written<'a> {
    MoveLeader(&'a RawMoveLeader),
    Reassign(&'a RawReassign),
    ElectUnclean(&'a RawPartition),
    MoveCoordinator(&'a RawMoveCoordinator),
    Expel(&'a RawExpel),
    Clash(&'a RawClash),
    Storm(&'a RawStorm),
}

pub(super) fn intervention(
    written: &Written<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Intervention> {
    match written {
        Written::MoveLeader(raw) => {
            let (topic, partition) = place(&raw.topic, &raw.partition, scope, problems)?;
            if scope.replicas(&topic) < 2 {
                let message = format!("{topic}/{partition} has one replica: nobody else can lead it");
                problems.add(raw.topic.place, message, "nobody to lead", "`reassign` moves it to another broker");
                return None;
            }
            Some(Intervention::MoveLeader { topic, partition, to: broker(raw.to.as_ref(), scope, problems)? })
        }
        Written::Reassign(raw) => reassign(raw, scope, problems),
        Written::ElectUnclean(raw) => {
            let (topic, partition) = place(&raw.topic, &raw.partition, scope, problems)?;
            Some(Intervention::ElectUnclean { topic, partition })
        }
        Written::MoveCoordinator(raw) => {
            let group = group(&raw.group, scope, problems)?;
            Some(Intervention::MoveCoordinator { group, to: broker(raw.to.as_ref(), scope, problems)? })
        }
        Written::Expel(raw) => {
            let client = raw.client.as_ref().map(|client| client.value.clone());
            Some(Intervention::Expel { group: group(&raw.group, scope, problems)?, client })
        }
        Written::Clash(raw) => {
            let lasts = match &raw.lasts {
                Some(lasts) => some_time(lasts, problems)?,
                None => CLASH_LASTS,
            };
            let instance = raw.instance.value.clone();
            Some(Intervention::Clash { group: group(&raw.group, scope, problems)?, instance, lasts })
        }
        Written::Storm(raw) => {
            let joins = u32::try_from(raw.joins.value.0).unwrap_or(u32::MAX);
            Some(Intervention::Storm { group: group(&raw.group, scope, problems)?, joins })
        }
    }
}

fn reassign(raw: &RawReassign, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Intervention> {
    let (topic, partition) = place(&raw.topic, &raw.partition, scope, problems)?;
    let mut replicas = Vec::new();
    for id in &raw.to.value {
        let id_value = broker(Some(id), scope, problems)??;
        if replicas.contains(&id_value) {
            let message = format!("broker {id_value} cannot have two replicas of {topic}/{partition}");
            problems.add(id.place, message, "named before", "name each broker once");
            return None;
        }
        replicas.push(id_value);
    }
    if replicas.is_empty() {
        let message = format!("{topic}/{partition} needs a broker");
        problems.add(raw.to.place, message, "is empty", "write `to = [2, 3]`, the preferred leader first");
        return None;
    }
    Some(Intervention::Reassign { topic, partition, replicas })
}

fn place(
    topic: &Spanned<String>,
    partition: &Spanned<PartitionNumber>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<(String, i32)> {
    // Its type allows no more.
    let index = i32::try_from(partition.value.0).unwrap_or(i32::MAX);
    let known = scope.check_topic(&topic.value, topic.place, problems)
        && partition_exists(&topic.value, index, partition.place, scope, problems);
    known.then(|| (topic.value.clone(), index))
}

/// The inner nothing means that any will do, the outer one that there is no such broker.
fn broker(id: Option<&Spanned<BrokerNumber>>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Option<i32>> {
    let Some(id) = id else { return Some(None) };
    if id.value.0 > u64::from(scope.brokers()) {
        let help = format!("allowed: 1 to {}", scope.brokers());
        problems.add(id.place, format!("there is no broker {}", id.value.0), "no such broker", help);
        return None;
    }
    Some(i32::try_from(id.value.0).ok())
}

pub(super) fn group(group: &Spanned<String>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<String> {
    scope.check_group(&group.value, group.place, problems).then(|| group.value.clone())
}

/// The brokers that a rolling restart takes: they must be known before it begins.
pub(super) fn rolling(role: &Spanned<RoleReference>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Role> {
    match &role.value {
        RoleReference::Broker(known @ (Role::All | Role::Drawn { .. })) => {
            super::faults::broker_exists(known, role.place, scope, problems).then(|| known.clone())
        }
        other => {
            let message = format!("a rolling restart cannot take `{other}`");
            let help = "it takes brokers one after another: write all, majority, minority or one";
            problems.add(role.place, message, "not a number of brokers", help);
            None
        }
    }
}

/// What is to be damaged.
pub(super) fn damage(raw: &RawDamage, place: Place, problems: &mut Problems<'_>) -> Option<Damage> {
    let offset = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let mut damages = Vec::new();
    damages.extend(raw.flipped_bit.as_ref().map(|at| Damage::FlippedBit { offset: offset(at.value.0) }));
    damages.extend(raw.torn_tail.as_ref().map(|bytes| {
        let bytes = usize::try_from(bytes.value.0).unwrap_or(usize::MAX);
        Damage::TornTail { bytes }
    }));
    damages.extend(raw.lost_segment.as_ref().map(|range| {
        let (from, below) = (offset(range.value.from.value.0), offset(range.value.below.value.0));
        Damage::LostBatches { from, below }
    }));
    damages.extend(raw.lost_log.as_ref().filter(|lost| lost.value).map(|_| Damage::LostLog));
    if let (Some(range), Some(Damage::LostBatches { from, below })) = (&raw.lost_segment, damages.first())
        && from >= below
    {
        let message = format!("there is no offset from {from} that is below {below}");
        problems.add(range.place, message, "is empty", "`below` is one past the last offset that is gone");
        return None;
    }
    if damages.len() != 1 {
        let label = if damages.is_empty() { "nothing says it" } else { "more than one answer" };
        problems.add(place, "what is damaged?", label, format!("write one of {DAMAGES}"));
        return None;
    }
    if let RoleReference::Broker(role) = &raw.of.value
        && role.partition().is_none()
    {
        let message = format!("`{role}` does not say which partition is damaged");
        let help = "write leader(TOPIC/PARTITION), follower(TOPIC/PARTITION) or followers(TOPIC/PARTITION)";
        problems.add(raw.of.place, message, "names no partition", help);
        return None;
    }
    damages.pop()
}
