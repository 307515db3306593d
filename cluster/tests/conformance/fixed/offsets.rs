//! Offsets of groups: committed, fetched, deleted.

use super::Sequence;
use crate::group_requests::{
    Member, commit, delete_groups, delete_offsets, describe_groups, fetch_offsets, list_groups,
};
use crate::pair::{MAIN, Pair};
use crate::setup::versions;
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("offsets::without_members_in_every_version", without_members_in_every_version),
    ("offsets::of_members", of_members),
    ("offsets::that_cannot_be_committed", that_cannot_be_committed),
    ("offsets::deleted", deleted),
    ("offsets::of_several_groups", of_several_groups),
    ("offsets::of_the_group_without_a_name", of_the_group_without_a_name),
];

fn without_members_in_every_version(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 3);
    let (group, absent) = (pair.name("group"), pair.name("absent"));
    pair.await_coordinator(&group);
    for version in versions(ApiKey::OffsetCommit) {
        let commits = [(0, i64::from(version), 0, None), (1, 7, -1, Some("left here"))];
        pair.ask(ApiKey::OffsetCommit, version, |_| commit(version, Member::new(&group), &orders.name, &commits));
    }
    for version in versions(ApiKey::OffsetFetch) {
        let named: [(&str, &[i32]); 2] = [(&orders.name, &[0, 1, 2, 9]), ("nobody", &[0])];
        pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, &group, Some(&named)));
        pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, &absent, Some(&named)));
        pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, &group, Some(&[])));
        if version >= 2 {
            pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, &group, None));
            pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, &absent, None));
        }
    }
}

fn of_members(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let group = pair.name("group");
    pair.await_coordinator(&group);
    let (forming, generation) = pair.join(MAIN, &group, crate::group_requests::CONSUMER);
    let member = |id, generation| Member { id, generation, ..Member::new(&group) };
    pair.ask(ApiKey::OffsetCommit, 8, |side| {
        commit(8, member(forming.of(side), generation), &orders.name, &[(0, 1, 0, None)])
    });
    pair.ask(ApiKey::LeaveGroup, 5, |side| crate::group_requests::leave(5, &group, &[(forming.of(side), None)]));
    let (ids, generation) = pair.stable(MAIN, &group);
    for version in versions(ApiKey::OffsetCommit) {
        for wrong in [generation, generation - 1, generation + 1, -1] {
            pair.ask(ApiKey::OffsetCommit, version, |side| {
                commit(version, member(ids.of(side), wrong), &orders.name, &[(0, 5, 0, None)])
            });
        }
        for (id, generation) in [("", generation), ("nobody", generation), ("", -1), ("nobody", -1)] {
            pair.ask(ApiKey::OffsetCommit, version, |_| {
                commit(version, member(id, generation), &orders.name, &[(0, 6, 0, None)])
            });
        }
    }
    let named = Member { instance: Some("one"), generation, ..Member::new(&group) };
    pair.ask(ApiKey::OffsetCommit, 8, |side| {
        commit(8, Member { id: ids.of(side), ..named }, &orders.name, &[(0, 6, 0, None)])
    });
    pair.ask(ApiKey::OffsetFetch, 8, |_| fetch_offsets(8, &group, None));
}

fn that_cannot_be_committed(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let (group, nobody) = (pair.name("group"), pair.name("nobody"));
    pair.await_coordinator(&group);
    let long = "x".repeat(5000);
    let fits = "x".repeat(4096);
    for version in [2, 8, 9] {
        for (topic, partition, offset, metadata) in [
            (&nobody, 0, 1, None),
            (&orders.name, 1, 1, None),
            (&orders.name, -1, 1, None),
            (&orders.name, 0, -1, None),
            (&orders.name, 0, -5, None),
            (&orders.name, 0, i64::MAX, None),
            (&orders.name, 0, 1, Some(long.as_str())),
            (&orders.name, 0, 1, Some(fits.as_str())),
            (&orders.name, 0, 1, Some("")),
        ] {
            let commits = [(partition, offset, -1, metadata)];
            pair.ask(ApiKey::OffsetCommit, version, |_| commit(version, Member::new(&group), topic, &commits));
        }
        let strange = Member { id: "nobody", ..Member::new(&group) };
        pair.ask(ApiKey::OffsetCommit, version, |_| commit(version, strange, &orders.name, &[(0, 1, -1, None)]));
        let strange = Member { generation: 3, ..Member::new(&group) };
        pair.ask(ApiKey::OffsetCommit, version, |_| commit(version, strange, &orders.name, &[(0, 1, -1, None)]));
    }
    pair.ask(ApiKey::OffsetFetch, 8, |_| fetch_offsets(8, &group, None));
}

fn deleted(pair: &mut Pair<'_>) {
    let (orders, bills) = (pair.create("orders", 2), pair.create("bills", 1));
    let (group, absent) = (pair.name("group"), pair.name("absent"));
    pair.await_coordinator(&group);
    for topic in [&orders, &bills] {
        pair.ask(ApiKey::OffsetCommit, 8, |_| commit(8, Member::new(&group), &topic.name, &[(0, 3, 0, None)]));
    }
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets(&group, &orders.name, &[0, 1, 7]));
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets(&group, "nobody", &[0]));
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets(&absent, &orders.name, &[0]));
    pair.ask(ApiKey::OffsetFetch, 8, |_| fetch_offsets(8, &group, None));
    pair.stable(MAIN, &group);
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets(&group, &bills.name, &[0]));
    pair.ask(ApiKey::OffsetFetch, 8, |_| fetch_offsets(8, &group, None));
}

fn of_several_groups(pair: &mut Pair<'_>) {
    use crate::requests::text;
    use kafka_protocol::messages::{OffsetFetchRequest, offset_fetch_request};
    let orders = pair.create("orders", 1);
    let [a, b, absent] = ["a", "b", "absent"].map(|short| pair.name(short));
    for group in [&a, &b] {
        pair.await_coordinator(group);
        pair.ask(ApiKey::OffsetCommit, 8, |_| commit(8, Member::new(group), &orders.name, &[(0, 3, 0, None)]));
    }
    for (version, stable) in [(8, false), (8, true), (9, false)] {
        pair.ask(ApiKey::OffsetFetch, version, |_| {
            let group = |name: &String| {
                let group = offset_fetch_request::OffsetFetchRequestGroup::default();
                group.with_group_id(text(name).into()).with_topics(None)
            };
            let groups = [&b, &absent, &a].map(group).into();
            OffsetFetchRequest::default().with_groups(groups).with_require_stable(stable).into()
        });
    }
    // A member that nobody knows, from version 9 on.
    for (id, epoch) in [(Some("nobody"), 1), (None, 3), (Some(""), -1)] {
        pair.ask(ApiKey::OffsetFetch, 9, |_| {
            let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text(&a).into());
            let group = group.with_member_id(id.map(text)).with_member_epoch(epoch).with_topics(None);
            OffsetFetchRequest::default().with_groups(vec![group]).into()
        });
    }
}

/// It can keep offsets, and so be listed, described and deleted, but have no members.
fn of_the_group_without_a_name(pair: &mut Pair<'_>) {
    pair.own_nameless_group();
    let orders = pair.create("orders", 2);
    pair.await_service("");
    let look = |pair: &mut Pair<'_>| {
        for version in versions(ApiKey::ListGroups) {
            pair.ask(ApiKey::ListGroups, version, |_| list_groups(version, &[], &[]));
        }
        for version in versions(ApiKey::DescribeGroups) {
            pair.ask(ApiKey::DescribeGroups, version, |_| describe_groups(&[""]));
        }
        for version in versions(ApiKey::OffsetFetch) {
            let named: [(&str, &[i32]); 2] = [(&orders.name, &[0, 1]), ("nobody", &[0])];
            pair.ask(ApiKey::OffsetFetch, version, |_| fetch_offsets(version, "", Some(&named)));
        }
        pair.ask(ApiKey::OffsetFetch, 8, |_| fetch_offsets(8, "", None));
    };
    look(pair);
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets("", &orders.name, &[0]));
    for version in versions(ApiKey::OffsetCommit) {
        pair.ask(ApiKey::OffsetCommit, version, |_| {
            commit(version, Member::new(""), &orders.name, &[(0, version.into(), -1, None)])
        });
    }
    look(pair);
    // A group that has no offset any more stays until somebody clears up, which no sequence waits for.
    pair.ask(ApiKey::OffsetDelete, 0, |_| delete_offsets("", &orders.name, &[0, 1]));
    look(pair);
    for version in versions(ApiKey::DeleteGroups) {
        for _ in 0..2 {
            pair.ask(ApiKey::DeleteGroups, version, |_| delete_groups(&[""]));
        }
        pair.ask(ApiKey::OffsetCommit, 8, |_| commit(8, Member::new(""), &orders.name, &[(1, 5, -1, None)]));
    }
    pair.ask(ApiKey::DeleteGroups, 2, |_| delete_groups(&[""]));
    look(pair);
}
