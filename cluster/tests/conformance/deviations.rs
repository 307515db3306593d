//! Makes ours wrong on purpose, one thing at a time, and demands that a fixed sequence says so. The first are real: a
//! broker that is set up otherwise, or that a rule makes refuse. The others change replies on their way.

use crate::arms::{Arms, With};
use crate::differences::is_like;
use crate::fixed;
use crate::peers::{self, Peer};
use crate::proxy::{Change, Proxy};
use crate::requests::text;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{ApiKey, ResponseKind};
use libtest_mimic::Trial;
use shakedown_cluster::{Effect, ResponseError, Rule, Selector};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// How ours is wrong.
enum Wrong {
    /// A broker with another setting.
    Setting(&'static str, &'static str),
    /// A broker that refuses one API with this error, every time.
    Refusal(ApiKey, ResponseError),
    /// A reply that is changed on its way.
    Reply(Change),
}

struct Deviation {
    name: &'static str,
    wrong: Wrong,
    /// The fixed sequence that has to say so.
    sequence: &'static str,
    /// What it has to say differs.
    path: &'static str,
}

fn deviation(name: &'static str, wrong: Wrong, sequence: &'static str, path: &'static str) -> Deviation {
    Deviation { name, wrong, sequence, path }
}

fn all() -> Vec<Deviation> {
    real().into_iter().chain(of_records()).chain(of_others()).collect()
}

fn real() -> Vec<Deviation> {
    use Wrong::{Refusal, Setting};
    let configs = "configs::of_brokers";
    vec![
        deviation("another_default", Setting("num.partitions", "2"), configs, "*[num.partitions].value"),
        deviation(
            "no_automatic_topics",
            Setting("auto.create.topics.enable", "false"),
            configs,
            "*[auto.create*].value",
        ),
        deviation(
            "a_shorter_session_is_fine",
            Setting("group.min.session.timeout.ms", "1"),
            "group_errors::of_joining",
            "JoinGroup.error_code",
        ),
        deviation(
            "an_error_where_there_is_none",
            Refusal(ApiKey::DeleteRecords, ResponseError::NotLeaderOrFollower),
            "list_offsets::records_that_were_deleted",
            "DeleteRecords.*.error_code",
        ),
        deviation(
            "an_error_of_groups",
            Refusal(ApiKey::Heartbeat, ResponseError::CoordinatorNotAvailable),
            "group_errors::of_members_that_are_not_there",
            "Heartbeat.error_code",
        ),
    ]
}

fn of_records() -> Vec<Deviation> {
    use Wrong::Reply;
    let every_version = "produce_fetch::every_version";
    let not_there = "produce_fetch::partitions_that_are_not_there";
    let special = "list_offsets::every_special_timestamp_in_every_version";
    vec![
        deviation("another_error_code", Reply(another_error), not_there, "Produce.*.error_code"),
        deviation("a_high_watermark_off_by_one", Reply(high_watermark), every_version, "Fetch.*.high_watermark"),
        deviation("a_wrong_log_start", Reply(log_start), every_version, "Fetch.*.log_start_offset"),
        deviation("partitions_out_of_order", Reply(out_of_order), every_version, "Fetch.*(order)"),
        deviation("records_cut_short", Reply(cut_records), every_version, "Fetch.*.records"),
        deviation("a_forgotten_epoch", Reply(forgotten_epoch), special, "ListOffsets.*.leader_epoch"),
    ]
}

fn of_others() -> Vec<Deviation> {
    use Wrong::Reply;
    let apis = "versions::apis_and_features";
    let offsets = "offsets::without_members_in_every_version";
    let configs = "configs::of_topics_in_every_version";
    let (listed, forming) = ("groups::listed_and_described", "group_errors::while_a_group_forms");
    vec![
        deviation("nobody_in_sync", Reply(nobody_in_sync), "metadata::every_version", "Metadata.*.isr_nodes"),
        deviation("an_api_less", Reply(api_less), apis, "ApiVersions.api_keys[Fetch]"),
        deviation("a_version_more", Reply(version_more), apis, "ApiVersions.api_keys[Metadata].max_version"),
        deviation("another_state_of_a_group", Reply(group_state), listed, "ListGroups.*.group_state"),
        deviation("a_wrong_generation", Reply(wrong_generation), forming, "JoinGroup.generation_id"),
        deviation("another_source_of_a_setting", Reply(config_source), configs, "DescribeConfigs.*.config_source"),
        deviation("a_committed_offset_off_by_one", Reply(committed_offset), offsets, "OffsetFetch.*.committed_offset"),
    ]
}

/// A test for each.
pub(crate) fn trials(arms: &Arc<Arms>, with: With) -> Vec<Trial> {
    let trial = |deviation: Deviation| {
        let arms = Arc::clone(arms);
        Trial::test(format!("deviations::{}", deviation.name), move || Ok(find(&arms, with, &deviation)?))
    };
    all().into_iter().map(trial).collect()
}

fn find(arms: &Arms, with: With, deviation: &Deviation) -> Result<(), String> {
    let builder = peers::embedded(1);
    let builder = if let Wrong::Setting(name, value) = deviation.wrong { builder.config(name, value) } else { builder };
    let cluster = builder.start().expect("a cluster");
    let _rule = match deviation.wrong {
        Wrong::Refusal(api, error) => {
            let selector = Selector { apis: vec![api], ..Selector::default() };
            Some(cluster.rule(Rule::new(selector, Effect::Error { error, applied: false })))
        }
        _ => None,
    };
    let proxy = match deviation.wrong {
        Wrong::Reply(change) => Some(Proxy::start(Peer::address(&cluster, 1), change).expect("a port")),
        _ => None,
    };
    let ours: &dyn Peer = proxy.as_ref().map_or(&cluster, |proxy| proxy);
    let sequence = fixed::one_node().into_iter().find(|(name, _)| *name == deviation.sequence);
    let (_, run) = sequence.ok_or_else(|| format!("there is no sequence {}", deviation.sequence))?;
    let mut pair = arms.pair_of(ours, with);
    // A sequence may stumble over what is wrong after it has been found.
    drop(std::panic::catch_unwind(AssertUnwindSafe(|| run(&mut pair))));
    let found = std::mem::take(&mut pair.found);
    if found.iter().any(|difference| is_like(deviation.path, &difference.path)) {
        return Ok(());
    }
    let paths: Vec<String> = found.into_iter().map(|difference| difference.path).collect();
    Err(format!("nothing like {} was found to differ, only: {}", deviation.path, paths.join(", ")))
}

fn another_error(reply: &mut ResponseKind) {
    let ResponseKind::Produce(response) = reply else { return };
    for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
        if partition.error_code == ResponseError::UnknownTopicOrPartition.code() {
            partition.error_code = ResponseError::NotLeaderOrFollower.code();
        }
    }
}

/// Every partition of a fetch.
fn fetched(reply: &mut ResponseKind) -> impl Iterator<Item = &mut PartitionData> {
    let responses = match reply {
        ResponseKind::Fetch(response) => response.responses.as_mut_slice(),
        _ => &mut [],
    };
    responses.iter_mut().flat_map(|topic| &mut topic.partitions)
}

fn high_watermark(reply: &mut ResponseKind) {
    fetched(reply).for_each(|partition| partition.high_watermark -= 1);
}

fn log_start(reply: &mut ResponseKind) {
    fetched(reply).for_each(|partition| partition.log_start_offset += 1);
}

fn cut_records(reply: &mut ResponseKind) {
    for partition in fetched(reply) {
        if let Some(records) = &mut partition.records {
            records.truncate(records.len() / 2);
        }
    }
}

fn out_of_order(reply: &mut ResponseKind) {
    let ResponseKind::Fetch(response) = reply else { return };
    response.responses.iter_mut().for_each(|topic| topic.partitions.reverse());
}

fn forgotten_epoch(reply: &mut ResponseKind) {
    let ResponseKind::ListOffsets(response) = reply else { return };
    response.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|one| one.leader_epoch = -1);
}

fn nobody_in_sync(reply: &mut ResponseKind) {
    let ResponseKind::Metadata(response) = reply else { return };
    response.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|one| one.isr_nodes.clear());
}

fn api_less(reply: &mut ResponseKind) {
    let ResponseKind::ApiVersions(response) = reply else { return };
    response.api_keys.retain(|api| api.api_key != ApiKey::Fetch as i16);
}

fn version_more(reply: &mut ResponseKind) {
    let ResponseKind::ApiVersions(response) = reply else { return };
    let metadata = response.api_keys.iter_mut().filter(|api| api.api_key == ApiKey::Metadata as i16);
    metadata.for_each(|api| api.max_version += 1);
}

fn group_state(reply: &mut ResponseKind) {
    let ResponseKind::ListGroups(response) = reply else { return };
    response.groups.iter_mut().for_each(|group| group.group_state = text("Stable"));
}

fn wrong_generation(reply: &mut ResponseKind) {
    let ResponseKind::JoinGroup(response) = reply else { return };
    response.generation_id += i32::from(response.generation_id >= 0);
}

fn config_source(reply: &mut ResponseKind) {
    let ResponseKind::DescribeConfigs(response) = reply else { return };
    response.results.iter_mut().flat_map(|one| &mut one.configs).for_each(|config| config.config_source = 5);
}

fn committed_offset(reply: &mut ResponseKind) {
    let ResponseKind::OffsetFetch(response) = reply else { return };
    let old = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    old.for_each(|one| one.committed_offset += i64::from(one.committed_offset >= 0));
    let new = response.groups.iter_mut().flat_map(|group| &mut group.topics).flat_map(|topic| &mut topic.partitions);
    new.for_each(|one| one.committed_offset += i64::from(one.committed_offset >= 0));
}
