//! What a sequence has made so far, and what a step therefore says to each side.

use super::step::{CONFIGS, PROTOCOLS, STATES, Step};
use crate::group_requests::{self as groups, CONSUMER, Joining, Member};
use crate::pair::{Both, Pair, Side};
use crate::requests::{self, FetchFrom, NOBODY, NewTopic, Topic, start_ms};
use crate::tree::Tree;
use kafka_protocol::messages::{ApiKey, RequestKind};
use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;
use uuid::Uuid;

/// The members of a group by their numbers, and the generation that they were told last.
type Group = (BTreeMap<u8, Both<String>>, i32);

/// All that steps have in common.
#[derive(Default)]
pub(super) struct World {
    topics: BTreeMap<u8, Both<Uuid>>,
    producers: BTreeMap<u8, Both<i64>>,
    groups: BTreeMap<u8, Group>,
    /// Who has joined, and would keep anybody else waiting.
    present: BTreeSet<(u8, u8)>,
    awaited: BTreeSet<u8>,
    /// Groups forget the offsets of a topic some time after it was deleted.
    has_deleted_topics: bool,
}

fn topic_name(pair: &Pair<'_>, topic: u8) -> String {
    pair.name(&format!("topic{topic}"))
}

fn group_name(pair: &Pair<'_>, group: u8) -> String {
    pair.name(&format!("group{group}"))
}

impl World {
    /// Does a step on both sides.
    pub(super) fn run(&mut self, pair: &mut Pair<'_>, step: &Step) {
        match *step {
            Step::CreateTopic { version, topic, partitions, replicas, config, validate_only } => {
                let name = topic_name(pair, topic);
                let configs: Vec<_> = CONFIGS.get(config).copied().into_iter().collect();
                let new = NewTopic { name: &name, partitions, replicas, assignments: &[], configs: &configs };
                let request = |_| requests::create_topics(validate_only, from_ref(&new));
                let answers = pair.ask(ApiKey::CreateTopics, version, request);
                if answers.agreed("topics.0.error_code") == Some(0) && !validate_only {
                    self.await_topic(pair, topic);
                }
            }
            Step::DeleteTopic { version, topic } => self.delete(pair, version, topic),
            Step::CreatePartitions { version, topic, count, validate_only } => {
                let name = topic_name(pair, topic);
                let request = |_| requests::create_partitions(validate_only, &[(&name, count, None)]);
                let answers = pair.ask(ApiKey::CreatePartitions, version, request);
                if answers.agreed("results.0.error_code") == Some(0) && !validate_only {
                    self.await_topic(pair, topic);
                }
            }
            Step::AlterConfig { version, topic, config, operation, validate_only } => {
                let name = topic_name(pair, topic);
                let (setting, value) = CONFIGS[config % CONFIGS.len()];
                let changes = [(setting, operation, value)];
                pair.ask(ApiKey::IncrementalAlterConfigs, version, |_| {
                    requests::incremental_alter(validate_only, 2, &name, &changes)
                });
                self.settle(pair, topic);
            }
            Step::ReplaceConfig { version, topic, config, validate_only } => {
                let name = topic_name(pair, topic);
                let configs: Vec<_> = CONFIGS.get(config).copied().into_iter().collect();
                pair.ask(ApiKey::AlterConfigs, version, |_| requests::alter_configs(validate_only, 2, &name, &configs));
                self.settle(pair, topic);
            }
            // Before version 4 whoever asks for a topic makes it.
            Step::Metadata { version: ..4, .. } if !self.topics.contains_key(&0) => {
                describe(pair, step);
                self.await_topic(pair, 0);
            }
            Step::DescribeConfigs { .. }
            | Step::Metadata { .. }
            | Step::DescribeTopicPartitions { .. }
            | Step::ElectLeaders { .. } => describe(pair, step),
            Step::InitProducerId { version, producer } => {
                let answers =
                    pair.ask(ApiKey::InitProducerId, version, |_| requests::init_producer_id(version, (-1, -1)));
                self.producers.insert(producer, answers.number("producer_id"));
            }
            Step::Join { .. }
            | Step::Sync { .. }
            | Step::Heartbeat { .. }
            | Step::Leave { .. }
            | Step::Commit { .. }
            | Step::FindCoordinator { .. }
            | Step::FetchOffsets { .. }
            | Step::DeleteOffsets { .. }
            | Step::DescribeGroup { .. }
            | Step::ListGroups { .. }
            | Step::DeleteGroup { .. } => self.run_group(pair, step),
            _ => self.run_records(pair, step),
        }
    }

    /// Deletes what the sequence made, which nobody compares: one cluster serves thousands of sequences.
    pub(super) fn clean(&self, pair: &mut Pair<'_>) {
        let names: Vec<String> = self.topics.keys().map(|topic| topic_name(pair, *topic)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        pair.quietly(1, ApiKey::DeleteTopics, 6, |_| requests::delete_topics(6, &names));
        for (number, member) in &self.present {
            let (group, ids) = (group_name(pair, *number), self.ids(*number, *member));
            pair.quietly(1, ApiKey::LeaveGroup, 5, |side| groups::leave(5, &group, &[(ids.of(side), None)]));
        }
        let names: Vec<String> = self.awaited.iter().map(|number| group_name(pair, *number)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        pair.quietly(1, ApiKey::DeleteGroups, 2, |_| groups::delete_groups(&names));
    }

    /// A topic by both of its names on one side.
    fn on<'a>(&self, side: Side, topic: u8, name: &'a str) -> Topic<'a> {
        // Nobody has drawn this one.
        let unknown = Uuid::from_u128(0x00c0_ffee_0000_4000_8000_0000_0000_0000 + u128::from(topic));
        Topic { name, id: self.topics.get(&topic).map_or(unknown, |ids| *ids.of(side)) }
    }

    fn delete(&mut self, pair: &mut Pair<'_>, version: i16, topic: u8) {
        let name = topic_name(pair, topic);
        let answers = pair.ask(ApiKey::DeleteTopics, version, |_| requests::delete_topics(version, &[&name]));
        if answers.agreed("responses.0.error_code") == Some(0) {
            let gone = |answer: &Tree| answer.number("topics.0.error_code") == Some(3);
            let key = (ApiKey::Metadata, 9);
            pair.until("its end", 1, key, |_| requests::metadata(9, &[&name]), gone);
            self.topics.remove(&topic);
            self.has_deleted_topics = true;
        }
    }

    /// Waits until every partition is led, and learns the topic's id.
    fn await_topic(&mut self, pair: &mut Pair<'_>, topic: u8) {
        self.settle(pair, topic);
        let name = topic_name(pair, topic);
        let request = |_| requests::metadata(12, &[&name]);
        let led = |answer: &Tree| {
            let partitions = answer.items("topics.0.partitions");
            !partitions.is_empty() && partitions.iter().all(|one| one.number("leader_id") == Some(1))
        };
        pair.until("its leader", 1, (ApiKey::Metadata, 12), request, led);
        let answers = pair.quietly(1, ApiKey::Metadata, 12, request);
        let ids = answers.text("topics.0.topic_id");
        self.topics.insert(topic, Both::each(|side| ids.of(side).parse().expect("a topic id")));
        let count = answers.kafka.items("topics.0.partitions").len();
        let asked: Vec<(i32, i32, i64)> = (0..).take(count).map(|index| (index, -1, -1)).collect();
        let topic = |side| self.on(side, topic, &name);
        let serves =
            |answer: &Tree| answer.items("topics.0.partitions").iter().all(|one| one.number("error_code") == Some(0));
        let request = |side| requests::list_offsets(7, 0, topic(side), &asked);
        pair.until("its service", 1, (ApiKey::ListOffsets, 7), request, serves);
    }

    /// Waits until the brokers of both sides say the same of a topic: what its controller decided reaches them later.
    fn settle(&self, pair: &mut Pair<'_>, topic: u8) {
        let name = topic_name(pair, topic);
        pair.settle(ApiKey::Metadata, 9, |_| requests::metadata(9, &[&name]));
        pair.settle(ApiKey::DescribeConfigs, 4, |_| requests::describe_configs(true, &[(2, &name, None)]));
    }

    fn run_records(&self, pair: &mut Pair<'_>, step: &Step) {
        let (key, version, topic) = match *step {
            Step::Produce { version, topic, .. } | Step::ProduceAs { version, topic, .. } => {
                (ApiKey::Produce, version, topic)
            }
            Step::Fetch { version, topic, .. } => (ApiKey::Fetch, version, topic),
            Step::ListOffsets { version, topic, .. } => (ApiKey::ListOffsets, version, topic),
            Step::OffsetForLeaderEpoch { version, topic, .. } => (ApiKey::OffsetForLeaderEpoch, version, topic),
            Step::DeleteRecords { version, topic, .. } => (ApiKey::DeleteRecords, version, topic),
            Step::DescribeProducers { topic, .. } => (ApiKey::DescribeProducers, 0, topic),
            _ => unreachable!("{step:?} is not about records"),
        };
        let name = topic_name(pair, topic);
        pair.ask(key, version, |side| self.about_records(step, side, self.on(side, topic, &name)));
    }

    fn about_records(&self, step: &Step, side: Side, topic: Topic<'_>) -> RequestKind {
        match *step {
            Step::Produce { version, partition, acks, count, .. } => {
                let records = requests::batch(count, start_ms(), NOBODY);
                requests::produce(version, acks, topic, &[(partition, Some(records))])
            }
            Step::ProduceAs { version, partition, producer, epoch, sequence, count, .. } => {
                // Far from any that was given out.
                let id = self.producers.get(&producer).map_or(1 << 40, |ids| *ids.of(side));
                let records = requests::batch(count, start_ms(), (id, epoch, sequence));
                requests::produce(version, -1, topic, &[(partition, Some(records))])
            }
            Step::Fetch { version, partition, offset, epoch, last_epoch, max_bytes, .. } => {
                let from = FetchFrom { partition, offset, leader_epoch: epoch, last_epoch, max_bytes };
                requests::fetch(version, 0, (0, -1), topic, &[from])
            }
            Step::ListOffsets { version, partition, epoch, timestamp, isolation, .. } => {
                let timestamp = if timestamp < 0 { timestamp } else { start_ms() + timestamp };
                requests::list_offsets(version, isolation, topic, &[(partition, epoch, timestamp)])
            }
            Step::OffsetForLeaderEpoch { version, partition, current, asked, .. } => {
                requests::epochs(version, topic, &[(partition, current, asked)])
            }
            Step::DeleteRecords { partition, offset, .. } => {
                requests::delete_records(topic.name, &[(partition, offset)])
            }
            Step::DescribeProducers { partition, .. } => requests::describe_producers(topic.name, &[partition]),
            _ => unreachable!("{step:?} is not about records"),
        }
    }

    fn run_group(&mut self, pair: &mut Pair<'_>, step: &Step) {
        let number = match *step {
            Step::Join { group, .. }
            | Step::Sync { group, .. }
            | Step::Heartbeat { group, .. }
            | Step::Leave { group, .. }
            | Step::Commit { group, .. }
            | Step::FetchOffsets { group, .. }
            | Step::FindCoordinator { group, .. }
            | Step::DeleteOffsets { group, .. }
            | Step::DescribeGroup { group, .. }
            | Step::DeleteGroup { group, .. } => group,
            _ => 0,
        };
        let group = group_name(pair, number);
        if self.awaited.insert(number) {
            pair.await_coordinator(&group);
        }
        match *step {
            Step::Join { version, member, protocol, .. } => self.join(pair, number, member, version, protocol),
            Step::Leave { version, member, .. } => {
                self.present.remove(&(number, member));
                let ids = self.ids(number, member);
                let request = |side| groups::leave(version, &group, &[(ids.of(side), None)]);
                drop(pair.ask(ApiKey::LeaveGroup, version, request));
            }
            Step::FetchOffsets { version, topic, .. } => {
                let name = topic.map(|topic| topic_name(pair, topic));
                let partitions: &[i32] = &[0, 1, 9];
                let asked = name.as_deref().map(|name| [(name, partitions)]);
                let asked = asked.as_ref().map(|asked| &asked[..]);
                let request = |_| groups::fetch_offsets(version, &group, asked);
                if self.has_deleted_topics {
                    pair.settle(ApiKey::OffsetFetch, version, request);
                }
                pair.ask(ApiKey::OffsetFetch, version, request);
            }
            Step::FindCoordinator { version, kind, .. } => {
                pair.ask(ApiKey::FindCoordinator, version, |_| groups::find_coordinator(version, kind, &[&group]));
            }
            Step::DeleteOffsets { topic, partition, .. } => {
                let name = topic_name(pair, topic);
                pair.ask(ApiKey::OffsetDelete, 0, |_| groups::delete_offsets(&group, &name, &[partition]));
            }
            Step::DescribeGroup { version, .. } => {
                let request = |_| groups::describe_groups(&[&group]);
                pair.settle(ApiKey::DescribeGroups, version, request);
                pair.ask(ApiKey::DescribeGroups, version, request);
            }
            Step::ListGroups { version, state } => {
                let states = STATES[state % STATES.len()];
                let request = |_| groups::list_groups(version, states, &[]);
                // A group is listed and described once it is in the log; how long that takes is not compared.
                pair.settle(ApiKey::ListGroups, version, request);
                pair.ask(ApiKey::ListGroups, version, request);
            }
            Step::DeleteGroup { version, .. } => {
                pair.ask(ApiKey::DeleteGroups, version, |_| groups::delete_groups(&[&group]));
            }
            _ => self.run_member(pair, number, &group, step),
        }
    }

    fn run_member(&self, pair: &mut Pair<'_>, number: u8, group: &str, step: &Step) {
        let generation = self.groups.get(&number).map_or(-1, |(_, generation)| *generation);
        match *step {
            Step::Sync { version, member, ahead, .. } => {
                let ids = self.ids(number, member);
                pair.ask(ApiKey::SyncGroup, version, |side| {
                    let id: &str = ids.of(side);
                    let member = Member { id, generation: generation + ahead, ..Member::new(group) };
                    groups::sync(version, member, (Some("consumer"), Some("range")), &[(id, b"all")])
                });
            }
            Step::Heartbeat { version, member, ahead, .. } => {
                let ids = self.ids(number, member);
                pair.ask(ApiKey::Heartbeat, version, |side| {
                    let member = Member { id: ids.of(side), generation: generation + ahead, ..Member::new(group) };
                    groups::heartbeat(version, member)
                });
            }
            Step::Commit { version, member, ahead, topic, partition, offset, .. } => {
                let ids = member.map(|member| self.ids(number, member));
                let name = topic_name(pair, topic);
                pair.ask(ApiKey::OffsetCommit, version, |side| {
                    let nobody = Member::new(group);
                    let member = ids.as_ref().map_or(nobody, |ids| Member {
                        id: ids.of(side),
                        generation: generation + ahead,
                        ..nobody
                    });
                    groups::commit(version, member, &name, &[(partition, offset, -1, None)])
                });
            }
            _ => unreachable!("{step:?} is not a member's"),
        }
    }

    fn ids(&self, group: u8, member: u8) -> Both<String> {
        let known = self.groups.get(&group).and_then(|(members, _)| members.get(&member)).cloned();
        known.unwrap_or_else(|| Both::each(|_| format!("nobody{member}")))
    }

    fn join(&mut self, pair: &mut Pair<'_>, number: u8, member: u8, version: i16, protocol: usize) {
        let group = group_name(pair, number);
        // A rebalance waits for whoever else is there, and nobody speaks for them meanwhile: they go first.
        let others: Vec<u8> =
            self.present.iter().filter(|(of, who)| *of == number && *who != member).map(|(_, who)| *who).collect();
        for other in others {
            self.run_group(pair, &Step::Leave { version: 5, group: number, member: other });
        }
        let wanted = Joining { protocols: PROTOCOLS[protocol % PROTOCOLS.len()], ..CONSUMER };
        let known = self.groups.get(&number).and_then(|(members, _)| members.get(&member)).cloned();
        let ids = known.unwrap_or_default();
        let ask = |pair: &mut Pair<'_>, ids: &Both<String>| {
            pair.ask(ApiKey::JoinGroup, version, |side| {
                groups::join(version, Member { id: ids.of(side), ..Member::new(&group) }, wanted)
            })
        };
        let mut answers = ask(pair, &ids);
        // The second step of KIP-394.
        if answers.agreed("error_code") == Some(79) {
            let ids = answers.text("member_id");
            answers = ask(pair, &ids);
        }
        let entry = self.groups.entry(number).or_insert_with(|| (BTreeMap::new(), -1));
        if answers.agreed("error_code") == Some(0) {
            entry.0.insert(member, answers.text("member_id"));
            entry.1 = crate::setup::generation(&answers);
            self.present.insert((number, member));
        } else {
            // Whoever was refused asks as a stranger next time.
            entry.0.remove(&member);
            self.present.remove(&(number, member));
        }
    }
}

fn describe(pair: &mut Pair<'_>, step: &Step) {
    let names = |pair: &Pair<'_>, topics: &[u8]| -> Vec<String> {
        topics.iter().map(|topic| topic_name(pair, *topic)).collect()
    };
    match step {
        Step::DescribeConfigs { version, topic, synonyms } => {
            let name = topic_name(pair, *topic);
            pair.ask(ApiKey::DescribeConfigs, *version, |_| requests::describe_configs(*synonyms, &[(2, &name, None)]));
        }
        Step::Metadata { version, topics } if *version >= 4 => {
            let names = names(pair, topics);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            pair.ask(ApiKey::Metadata, *version, |_| requests::metadata(*version, &names));
        }
        // Older ones make the topic.
        Step::Metadata { version, .. } => {
            let name = topic_name(pair, 0);
            pair.ask(ApiKey::Metadata, *version, |_| requests::metadata(*version, &[&name]));
        }
        Step::DescribeTopicPartitions { topics, limit, cursor } => {
            let (names, cursor) = (names(pair, topics), cursor.map(|(topic, index)| (topic_name(pair, topic), index)));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let cursor = cursor.as_ref().map(|(name, index)| (name.as_str(), *index));
            pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| {
                requests::describe_topic_partitions(&names, *limit, cursor)
            });
        }
        Step::ElectLeaders { version, topic, partition, kind } => {
            let name = topic_name(pair, *topic);
            let partitions = [*partition];
            let asked: [(&str, &[i32]); 1] = [(&name, &partitions)];
            pair.ask(ApiKey::ElectLeaders, *version, |_| requests::elect_leaders(*version, *kind, Some(&asked)));
        }
        _ => unreachable!("{step:?} describes nothing"),
    }
}
