//! The life of a group: members come, agree, are assigned, and go.

use super::Sequence;
use crate::group_requests::{
    CONSUMER, Joining, Member, commit, delete_groups, describe_groups, find_coordinator, heartbeat, join, leave,
    list_groups, sync,
};
use crate::pair::{Both, Line, MAIN, Pair};
use crate::setup::{generation, versions};
use crate::tree::Tree;
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("groups::coordinators", coordinators),
    ("groups::a_member_of_every_version", a_member_of_every_version),
    ("groups::two_members", two_members),
    ("groups::two_protocols", two_protocols),
    ("groups::static_members", static_members),
    ("groups::listed_and_described", listed_and_described),
    ("groups::deleted", deleted),
];

const OTHER: Line = (1, "other");
const RANGE: (Option<&str>, Option<&str>) = (Some("consumer"), Some("range"));

fn coordinators(pair: &mut Pair<'_>) {
    let [a, b] = ["a", "b"].map(|short| pair.name(short));
    pair.await_coordinator(&a);
    for version in versions(ApiKey::FindCoordinator) {
        pair.ask(ApiKey::FindCoordinator, version, |_| find_coordinator(version, 0, &[&a]));
        if version >= 4 {
            pair.ask(ApiKey::FindCoordinator, version, |_| find_coordinator(version, 0, &[&a, &b, &a]));
            pair.ask(ApiKey::FindCoordinator, version, |_| find_coordinator(version, 0, &[]));
        }
    }
    for version in [1, 4] {
        pair.ask(ApiKey::FindCoordinator, version, |_| find_coordinator(version, 0, &[""]));
        pair.ask(ApiKey::FindCoordinator, version, |_| find_coordinator(version, 9, &[&a]));
    }
}

/// A whole life in one version of JoinGroup and the fitting ones of the others.
fn a_member_of_every_version(pair: &mut Pair<'_>) {
    for version in versions(ApiKey::JoinGroup) {
        let group = pair.name(&format!("v{version}"));
        pair.await_coordinator(&group);
        let mut joined = pair.ask(ApiKey::JoinGroup, version, |_| join(version, Member::new(&group), CONSUMER));
        let ids = joined.text("member_id");
        if version >= 4 {
            joined = pair.ask(ApiKey::JoinGroup, version, |side| {
                join(version, Member { id: ids.of(side), ..Member::new(&group) }, CONSUMER)
            });
        }
        let generation = generation(&joined);
        let member = |id| Member { id, generation, ..Member::new(&group) };
        let (beat, synced, left) = (version.min(4), version.min(5), version.min(5));
        pair.ask(ApiKey::Heartbeat, beat, |side| heartbeat(beat, member(ids.of(side))));
        pair.ask(ApiKey::SyncGroup, synced, |side| {
            sync(synced, member(ids.of(side)), RANGE, &[(ids.of(side), b"all")])
        });
        pair.ask(ApiKey::SyncGroup, synced, |side| sync(synced, member(ids.of(side)), RANGE, &[]));
        pair.ask(ApiKey::Heartbeat, beat, |side| heartbeat(beat, member(ids.of(side))));
        pair.ask(ApiKey::DescribeGroups, version.min(6), |_| describe_groups(&[&group]));
        // A leader that joins again begins a generation; one that leaves leaves the group empty.
        pair.ask(ApiKey::JoinGroup, version, |side| join(version, member(ids.of(side)), CONSUMER));
        pair.ask(ApiKey::Heartbeat, beat, |side| heartbeat(beat, member(ids.of(side))));
        pair.ask(ApiKey::LeaveGroup, left, |side| leave(left, &group, &[(ids.of(side), None)]));
        pair.ask(ApiKey::LeaveGroup, left, |side| leave(left, &group, &[(ids.of(side), None)]));
        pair.ask(ApiKey::DescribeGroups, version.min(6), |_| describe_groups(&[&group]));
    }
}

fn member_id(pair: &mut Pair<'_>, line: Line, group: &str) -> Both<String> {
    pair.ask_on(line, ApiKey::JoinGroup, 9, |_| join(9, Member::new(group), CONSUMER)).text("member_id")
}

fn two_members(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    let (first, before) = pair.stable(MAIN, &group);
    let second = member_id(pair, OTHER, &group);
    let member = |id, generation| Member { id, generation, ..Member::new(&group) };
    pair.tell(OTHER, ApiKey::JoinGroup, 9, |side| join(9, member(second.of(side), -1), CONSUMER));
    // The rebalance has begun as soon as the first member is told so.
    let told = |answer: &Tree| answer.number("error_code") == Some(27);
    let beat = |side| heartbeat(4, member(first.of(side), before));
    pair.until("the rebalance", 1, (ApiKey::Heartbeat, 4), beat, told);
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
    pair.ask(ApiKey::SyncGroup, 5, |side| sync(5, member(first.of(side), before), RANGE, &[]));
    let joined = pair.ask(ApiKey::JoinGroup, 9, |side| join(9, member(first.of(side), before), CONSUMER));
    pair.hear(OTHER);
    let now = generation(&joined);
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
    pair.tell(OTHER, ApiKey::SyncGroup, 5, |side| sync(5, member(second.of(side), now), RANGE, &[]));
    pair.ask(ApiKey::SyncGroup, 5, |side| {
        let shares: [(&str, &'static [u8]); 2] = [(first.of(side), b"one"), (second.of(side), b"two")];
        sync(5, member(first.of(side), now), RANGE, &shares)
    });
    pair.hear(OTHER);
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
    for generation in [before, now, now + 1, -1] {
        pair.ask(ApiKey::Heartbeat, 4, |side| heartbeat(4, member(second.of(side), generation)));
    }
    // The leader goes, and the other one becomes it.
    pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &group, &[(first.of(side), None), ("nobody", None)]));
    pair.ask(ApiKey::Heartbeat, 4, |side| heartbeat(4, member(second.of(side), now)));
    pair.ask(ApiKey::JoinGroup, 9, |side| join(9, member(second.of(side), now), CONSUMER));
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
    pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &group, &[(second.of(side), None)]));
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
}

fn two_protocols(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    let wanted = Joining { protocols: &["sticky", "range"], ..CONSUMER };
    let (ids, generation) = pair.join(MAIN, &group, wanted);
    for protocol in
        [(Some("consumer"), Some("range")), (Some("connect"), Some("sticky")), (None, None), (None, Some("sticky"))]
    {
        pair.ask(ApiKey::SyncGroup, 5, |side| {
            sync(5, Member { id: ids.of(side), generation, ..Member::new(&group) }, protocol, &[])
        });
    }
    for wanted in [
        Joining { kind: "connect", ..wanted },
        Joining { protocols: &["other"], ..wanted },
        Joining { protocols: &[], ..wanted },
        Joining { kind: "", ..wanted },
        Joining { kind: "", protocols: &[], ..wanted },
    ] {
        pair.ask(ApiKey::JoinGroup, 9, |_| join(9, Member::new(&group), wanted));
        pair.ask(ApiKey::JoinGroup, 3, |_| join(3, Member::new(&group), Joining { protocols: &["x"], ..wanted }));
    }
    pair.ask(ApiKey::JoinGroup, 9, |side| {
        join(9, Member { id: ids.of(side), ..Member::new(&group) }, Joining { protocols: &["range"], ..wanted })
    });
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
}

fn static_members(pair: &mut Pair<'_>) {
    let group = pair.name("group");
    pair.await_coordinator(&group);
    let named = Member { instance: Some("one"), ..Member::new(&group) };
    let joined = pair.ask(ApiKey::JoinGroup, 9, |_| join(9, named, CONSUMER));
    let (old, first) = (joined.text("member_id"), generation(&joined));
    pair.ask(ApiKey::SyncGroup, 5, |side| {
        sync(5, Member { id: old.of(side), generation: first, ..named }, RANGE, &[(old.of(side), b"all")])
    });
    // Somebody else comes by the same name: the one before is fenced, and nobody has to rejoin.
    let joined = pair.ask_on(OTHER, ApiKey::JoinGroup, 9, |_| join(9, named, CONSUMER));
    let (new, second) = (joined.text("member_id"), generation(&joined));
    for (id, generation) in [(&old, first), (&new, second), (&old, second)] {
        pair.ask(ApiKey::Heartbeat, 4, |side| heartbeat(4, Member { id: id.of(side), generation, ..named }));
        pair.ask(ApiKey::SyncGroup, 5, |side| sync(5, Member { id: id.of(side), generation, ..named }, RANGE, &[]));
        pair.ask(ApiKey::JoinGroup, 9, |side| {
            let stranger = Member { id: id.of(side), instance: Some("two"), ..named };
            join(9, Member { generation, ..stranger }, CONSUMER)
        });
    }
    pair.ask(ApiKey::JoinGroup, 9, |side| join(9, Member { id: old.of(side), ..named }, CONSUMER));
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
    for (id, instance) in [(Some(&old), Some("one")), (None, Some("two")), (None, None), (None, Some("one"))] {
        pair.ask(ApiKey::LeaveGroup, 5, |side| {
            let id = id.map_or("", |id| id.of(side).as_str());
            leave(5, &group, &[(id, instance)])
        });
    }
    pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&group]));
}

fn listed_and_described(pair: &mut Pair<'_>) {
    let [empty, stable, forming, absent] = ["empty", "stable", "forming", "absent"].map(|short| pair.name(short));
    for group in [&empty, &stable, &forming] {
        pair.await_coordinator(group);
    }
    let orders = pair.create("orders", 1);
    let (gone, _) = pair.stable(MAIN, &empty);
    pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &empty, &[(gone.of(side), None)]));
    pair.ask(ApiKey::OffsetCommit, 8, |_| commit(8, Member::new(&empty), &orders.name, &[(0, 1, 0, None)]));
    pair.stable(MAIN, &stable);
    pair.join(MAIN, &forming, CONSUMER);
    // A group is listed once it is in the log.
    let all = |answer: &Tree| answer.items("groups").iter().any(|group| group.leaf("group_id") == Some(&forming));
    pair.until("the group", 1, (ApiKey::ListGroups, 4), |_| list_groups(4, &[], &[]), all);
    for version in versions(ApiKey::ListGroups) {
        pair.ask(ApiKey::ListGroups, version, |_| list_groups(version, &[], &[]));
    }
    for states in
        [&["Stable"][..], &["Empty", "Stable"], &["stable"], &["CompletingRebalance"], &["Dead"], &["Nonsense"]]
    {
        pair.ask(ApiKey::ListGroups, 4, |_| list_groups(4, states, &[]));
        pair.ask(ApiKey::ListGroups, 5, |_| list_groups(5, states, &[]));
    }
    for types in [&["classic"][..], &["Classic"], &["consumer"], &["classic", "consumer"], &["Nonsense"]] {
        pair.ask(ApiKey::ListGroups, 5, |_| list_groups(5, &[], types));
        pair.ask(ApiKey::ListGroups, 5, |_| list_groups(5, &["Stable"], types));
    }
    for version in versions(ApiKey::DescribeGroups) {
        pair.ask(ApiKey::DescribeGroups, version, |_| describe_groups(&[&forming, &absent, &empty, &stable]));
    }
}

fn deleted(pair: &mut Pair<'_>) {
    let [empty, stable, absent] = ["empty", "stable", "absent"].map(|short| pair.name(short));
    for group in [&empty, &stable] {
        pair.await_coordinator(group);
    }
    let orders = pair.create("orders", 1);
    for version in versions(ApiKey::DeleteGroups) {
        let (gone, _) = pair.stable(MAIN, &empty);
        pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &empty, &[(gone.of(side), None)]));
        pair.ask(ApiKey::OffsetCommit, 8, |_| commit(8, Member::new(&empty), &orders.name, &[(0, 1, 0, None)]));
        let (last, _) = pair.stable(MAIN, &stable);
        for _ in 0..2 {
            pair.ask(ApiKey::DeleteGroups, version, |_| delete_groups(&[&stable, &absent, &empty]));
        }
        pair.ask(ApiKey::DescribeGroups, 5, |_| describe_groups(&[&empty, &stable]));
        pair.ask(ApiKey::LeaveGroup, 5, |side| leave(5, &stable, &[(last.of(side), None)]));
    }
    pair.ask(ApiKey::DeleteGroups, 2, |_| delete_groups(&[]));
}
