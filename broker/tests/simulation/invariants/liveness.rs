//! After healing, everything makes progress: what is still missing, if anything is.

use crate::client::admin::TOPIC;
use crate::host::Host;
use crate::invariants::Invariants;
use shakedown_broker::Node;
use shakedown_broker::types::PartitionId;

/// The first thing that has not come to rest; `None` once the cluster is whole.
pub(crate) fn unsettled(hosts: &[Host], invariants: &Invariants) -> Option<String> {
    nobody_leads_the_quorum(hosts)
        .or_else(|| metadata_lags(hosts))
        .or_else(|| partitions_are_not_whole(hosts, invariants))
        .or_else(|| replicas_differ(hosts, invariants))
}

/// Where the partitions of [`TOPIC`] end.
pub(crate) fn ends(invariants: &Invariants) -> Vec<i64> {
    let Some(topic) = invariants.images.newest.topics.get(TOPIC.as_bytes()) else { return Vec::new() };
    let ids = topic.partitions.iter().zip(0..).map(|(_, index)| PartitionId { topic: topic.id, index });
    ids.map(|id| invariants.logs.committed_end(id)).collect()
}

fn nodes(hosts: &[Host]) -> impl Iterator<Item = (&Host, Option<&Node>)> {
    hosts.iter().map(|host| (host, host.node.as_ref()))
}

fn nobody_leads_the_quorum(hosts: &[Host]) -> Option<String> {
    if let Some((host, _)) = nodes(hosts).find(|(_, node)| node.is_none()) {
        return Some(format!("{} is down", host.name));
    }
    let leads = nodes(hosts).any(|(_, node)| node.is_some_and(|node| node.quorum().is_active_controller));
    (!leads).then(|| String::from("there is no controller"))
}

fn metadata_lags(hosts: &[Host]) -> Option<String> {
    let ends = || nodes(hosts).filter_map(|(host, node)| Some((host, node?.image().end)));
    let newest = ends().map(|(_, end)| end).max()?;
    ends().find(|(_, end)| *end < newest).map(|(host, end)| format!("{} has metadata to {end} of {newest}", host.name))
}

fn partitions_are_not_whole(hosts: &[Host], invariants: &Invariants) -> Option<String> {
    let alive = |id| hosts.iter().any(|host| host.id == id && host.node.is_some());
    invariants.images.newest.partitions().find_map(|(id, known)| {
        let whole = known.leader.is_some_and(alive) && known.isr.len() == known.replicas.len();
        let whole = whole && known.adding.is_empty() && known.removing.is_empty();
        (!whole).then(|| format!("{id:?}: {known:?}"))
    })
}

fn replicas_differ(hosts: &[Host], invariants: &Invariants) -> Option<String> {
    invariants.images.newest.partitions().find_map(|(id, known)| {
        let end = invariants.logs.committed_end(id);
        let mut replicas = nodes(hosts).filter(|(host, _)| known.replicas.contains(&host.id));
        replicas.find_map(|(host, node)| {
            let view = node?.replica(id);
            let whole = view.as_ref().is_some_and(|view| view.high_watermark.0 == end && view.log_end.0 == end);
            (!whole).then(|| format!("{}, {id:?}: {view:?}, {end} is committed", host.name))
        })
    })
}
