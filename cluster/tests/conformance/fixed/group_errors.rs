//! What a coordinator says to those who do not belong.

use super::Sequence;
use crate::group_requests::{CONSUMER, Joining, Member, heartbeat, join, leave, sync};
use crate::pair::{MAIN, Pair};
use crate::setup::versions;
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("group_errors::of_groups_that_are_not_there", of_groups_that_are_not_there),
    ("group_errors::of_members_that_are_not_there", of_members_that_are_not_there),
    ("group_errors::of_joining", of_joining),
    ("group_errors::while_a_group_forms", while_a_group_forms),
];

const RANGE: (Option<&str>, Option<&str>) = (Some("consumer"), Some("range"));

/// Every request of a member, in versions old and new.
fn everything(pair: &mut Pair<'_>, member: Member<'_>) {
    for version in versions(ApiKey::Heartbeat) {
        pair.ask(ApiKey::Heartbeat, version, |_| heartbeat(version, member));
    }
    for version in versions(ApiKey::SyncGroup) {
        pair.ask(ApiKey::SyncGroup, version, |_| sync(version, member, RANGE, &[]));
    }
    for version in versions(ApiKey::LeaveGroup) {
        pair.ask(ApiKey::LeaveGroup, version, |_| leave(version, member.group, &[(member.id, member.instance)]));
    }
}

fn of_groups_that_are_not_there(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    for id in ["", "nobody"] {
        for generation in [-1, 0, 1] {
            everything(pair, Member { id, generation, ..Member::new(&group) });
        }
        pair.ask(ApiKey::Heartbeat, 4, |_| heartbeat(4, Member { id, instance: Some("one"), ..Member::new(&group) }));
        everything(pair, Member { id, ..Member::new("") });
    }
    pair.ask(ApiKey::JoinGroup, 9, |_| join(9, Member { id: "nobody", ..Member::new(&group) }, CONSUMER));
    pair.ask(ApiKey::JoinGroup, 2, |_| join(2, Member { id: "nobody", ..Member::new(&group) }, CONSUMER));
    pair.ask(ApiKey::JoinGroup, 9, |_| join(9, Member::new(""), CONSUMER));
}

fn of_members_that_are_not_there(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    let (ids, generation) = pair.stable(MAIN, &group);
    for (id, generation) in [("", generation), ("nobody", generation), ("nobody", generation + 1), ("nobody", -1)] {
        everything(pair, Member { id, generation, ..Member::new(&group) });
    }
    for wrong in [generation - 1, generation + 1, -1, 0] {
        pair.ask(ApiKey::Heartbeat, 4, |side| {
            heartbeat(4, Member { id: ids.of(side), generation: wrong, ..Member::new(&group) })
        });
        pair.ask(ApiKey::SyncGroup, 5, |side| {
            sync(5, Member { id: ids.of(side), generation: wrong, ..Member::new(&group) }, RANGE, &[])
        });
    }
    // A name where there is none.
    let named = Member { instance: Some("one"), generation, ..Member::new(&group) };
    pair.ask(ApiKey::Heartbeat, 4, |side| heartbeat(4, Member { id: ids.of(side), ..named }));
    pair.ask(ApiKey::SyncGroup, 5, |side| sync(5, Member { id: ids.of(side), ..named }, RANGE, &[]));
    pair.ask(ApiKey::JoinGroup, 9, |side| join(9, Member { id: ids.of(side), ..named }, CONSUMER));
}

fn of_joining(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    for wanted in [
        Joining { session_ms: 1, ..CONSUMER },
        Joining { session_ms: 0, ..CONSUMER },
        Joining { session_ms: 2_000_000, ..CONSUMER },
        Joining { session_ms: 5999, ..CONSUMER },
        Joining { protocols: &[], ..CONSUMER },
        Joining { kind: "", ..CONSUMER },
    ] {
        for version in versions(ApiKey::JoinGroup) {
            pair.ask(ApiKey::JoinGroup, version, |_| join(version, Member::new(&group), wanted));
        }
    }
}

fn while_a_group_forms(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    // An id that was given out, and has not come back yet.
    let first = pair.ask(ApiKey::JoinGroup, 9, |_| join(9, Member::new(&group), CONSUMER)).text("member_id");
    for generation in [-1, 0] {
        pair.ask(ApiKey::Heartbeat, 4, |side| {
            heartbeat(4, Member { id: first.of(side), generation, ..Member::new(&group) })
        });
        pair.ask(ApiKey::SyncGroup, 5, |side| {
            sync(5, Member { id: first.of(side), generation, ..Member::new(&group) }, RANGE, &[])
        });
    }
    pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &group, &[(first.of(side), None)]));
    pair.ask(ApiKey::JoinGroup, 9, |side| join(9, Member { id: first.of(side), ..Member::new(&group) }, CONSUMER));
    // Everybody has joined, and nobody is assigned.
    let (second, generation) = pair.join(MAIN, &group, CONSUMER);
    pair.ask(ApiKey::Heartbeat, 4, |side| {
        heartbeat(4, Member { id: second.of(side), generation, ..Member::new(&group) })
    });
    pair.ask(ApiKey::JoinGroup, 9, |side| {
        join(9, Member { id: second.of(side), generation, ..Member::new(&group) }, CONSUMER)
    });
    pair.ask(ApiKey::SyncGroup, 5, |side| {
        sync(5, Member { id: second.of(side), generation, ..Member::new(&group) }, RANGE, &[("nobody", b"x")])
    });
}
