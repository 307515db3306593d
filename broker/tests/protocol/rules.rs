//! Rules: what they hit, and what becomes of requests and replies.

use crate::client::{Cluster, Reply, batch, expect_kind};
use crate::every_version::sample;
use crate::groups::{assignment, coordinated_with, joined, member_id, send_join, send_sync};
use crate::produce_fetch::{fetch_request, fetched, produce, produce_request, send_fetch};
use crate::topics::{create, describe, leader};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use shakedown_broker::faults::{Effect, Rule, Selector};
use shakedown_broker::{BrokerId, RequestToken, api};
use std::time::Duration;

const CODE: ResponseError = ResponseError::KafkaStorageError;

fn on(api: ApiKey) -> Selector {
    Selector { apis: vec![api], ..Selector::default() }
}

/// Three nodes with a topic of one partition, and the node that leads it.
fn orders() -> (Cluster, usize) {
    let mut cluster = Cluster::new(3);
    create(&mut cluster, "orders", 1);
    let leader = leader(&mut cluster, "orders", 0);
    (cluster, leader)
}

fn send(cluster: &mut Cluster, node: usize, records: usize) -> RequestToken {
    cluster.send(node, ApiKey::Produce, 11, &produce_request(batch(records, -1, -1, -1), -1))
}

/// Error and base offset of a produce request's reply.
fn produced(cluster: &mut Cluster, token: RequestToken) -> Option<(i16, i64)> {
    let reply = cluster.reply(token)?;
    let Reply::Response(response) = reply else { panic!("expected a response, got {reply:?}") };
    let partition = expect_kind!(Produce, response).responses.remove(0).partition_responses.remove(0);
    Some((partition.error_code, partition.base_offset))
}

/// The offset that the next batch gets: how much has been appended so far.
fn appended(cluster: &mut Cluster, node: usize) -> i64 {
    produce(cluster, node, batch(1, -1, -1, -1)).base_offset
}

#[test]
fn every_version_of_every_api_can_be_refused_with_an_error_that_its_client_reads() {
    let (mut cluster, leader) = orders();
    let id = describe(&mut cluster, 0, "orders").topic_id;
    let error = Effect::Error { error: CODE, applied: false };
    let rule = cluster.rule(Rule::new(Selector::default(), error));
    let (mut refused, mut silent) = (0, Vec::new());
    for entry in api::TABLE {
        for version in entry.min..=entry.max {
            let request = sample(entry.key, version, id);
            let token = cluster.send(leader, entry.key, version, &request);
            let Some(Reply::Response(response)) = cluster.reply(token) else {
                panic!("{:?} {version} was not answered", entry.key)
            };
            // The codec has read it to its end; the code must be in it somewhere.
            if format!("{response:?}").contains(&format!("error_code: {}", CODE.code())) {
                refused += 1;
            } else {
                silent.push((entry.key, version));
            }
        }
    }
    // What these versions can say of errors they say of things that these samples do not name.
    let nowhere = [(ApiKey::DescribeLogDirs, 1), (ApiKey::DescribeLogDirs, 2), (ApiKey::DescribeTopicPartitions, 0)];
    assert_eq!(silent, nowhere);
    assert_eq!(cluster.hits(rule), Some(refused + 3));
}

#[test]
fn a_refused_request_is_not_applied_and_one_with_a_spoilt_reply_is() {
    let (mut cluster, leader) = orders();
    for (applied, appended_then) in [(false, 0), (true, 3)] {
        let error = Effect::Error { error: ResponseError::NotLeaderOrFollower, applied };
        let rule = cluster.rule(Rule::new(on(ApiKey::Produce), error).times(1));
        let token = send(&mut cluster, leader, 2);
        assert_eq!(produced(&mut cluster, token), Some((ResponseError::NotLeaderOrFollower.code(), -1)));
        assert_eq!(cluster.hits(rule), Some(1));
        assert_eq!(appended(&mut cluster, leader), appended_then, "applied: {applied}");
        cluster.end(rule);
    }
    assert!(cluster.is_untouched());
}

#[test]
fn metadata_with_an_error_still_says_where_the_brokers_are() {
    let (mut cluster, leader) = orders();
    let error = Effect::Error { error: ResponseError::UnknownTopicOrPartition, applied: false };
    let selector = Selector { topic: Some("orders".to_owned()), ..on(ApiKey::Metadata) };
    cluster.rule(Rule::new(selector, error).times(1));
    let request = sample(ApiKey::Metadata, 13, uuid::Uuid::nil());
    let metadata = expect_kind!(Metadata, cluster.ask(leader, ApiKey::Metadata, 13, &request));
    assert_eq!(metadata.brokers.len(), 3);
    assert_eq!(metadata.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(metadata.error_code, 0, "of the topic, and not of the whole request");
    assert_eq!(metadata.topics[0].partitions.len(), 0);
    let metadata = expect_kind!(Metadata, cluster.ask(leader, ApiKey::Metadata, 13, &request));
    assert_eq!((metadata.topics[0].error_code, metadata.topics[0].partitions.len()), (0, 1), "once only");
}

#[test]
fn silence_and_a_hang_up_lose_the_reply_and_the_request_only_where_it_is_not_applied() {
    let (mut cluster, leader) = orders();
    for (effect, appended_then) in [
        (Effect::Silence { applied: false }, 0),
        (Effect::Silence { applied: true }, 3),
        (Effect::HangUp { applied: false }, 4),
        (Effect::HangUp { applied: true }, 7),
    ] {
        let hangs_up = matches!(effect, Effect::HangUp { .. });
        cluster.rule(Rule::new(on(ApiKey::Produce), effect.clone()).times(1));
        let token = send(&mut cluster, leader, 2);
        match cluster.reply(token) {
            None => assert!(!hangs_up, "{effect:?}"),
            Some(Reply::HungUp { reason }) => {
                assert!(hangs_up && reason.starts_with("a rule: "), "{effect:?}: {reason}");
            }
            other => panic!("{effect:?}: {other:?}"),
        }
        assert_eq!(appended(&mut cluster, leader), appended_then, "{effect:?}");
    }
}

#[test]
fn what_is_held_goes_on_when_it_is_released_or_its_time_has_come_even_if_its_client_has_left() {
    let (mut cluster, leader) = orders();
    let hold = |applied, lasts| Rule::new(on(ApiKey::Produce), Effect::Hold { applied, lasts }).times(1);

    let rule = cluster.rule(hold(false, None));
    let token = send(&mut cluster, leader, 2);
    cluster.advance_ms(60_000);
    assert_eq!(produced(&mut cluster, token), None);
    cluster.release(rule);
    assert_eq!(produced(&mut cluster, token), Some((0, 0)));

    let rule = cluster.rule(hold(true, None));
    let token = send(&mut cluster, leader, 2);
    assert_eq!(appended(&mut cluster, leader), 4, "only the reply is held");
    assert_eq!(produced(&mut cluster, token), None);
    cluster.end(rule);
    assert_eq!(produced(&mut cluster, token), Some((0, 2)));

    cluster.rule(hold(false, Some(Duration::from_millis(200))));
    let token = send(&mut cluster, leader, 1);
    cluster.advance_ms(199);
    assert_eq!(produced(&mut cluster, token), None);
    cluster.advance_ms(1);
    assert_eq!(produced(&mut cluster, token), Some((0, 5)));

    let rule = cluster.rule(hold(false, None));
    let token = send(&mut cluster, leader, 3);
    cluster.disconnect(leader, token.connection);
    assert_eq!(appended(&mut cluster, leader), 6);
    cluster.release(rule);
    assert_eq!(appended(&mut cluster, leader), 10, "the request of a client that has left is carried out late");
}

#[test]
fn a_duplicate_is_applied_twice_and_answered_once() {
    let (mut cluster, leader) = orders();
    cluster.rule(Rule::new(on(ApiKey::Produce), Effect::Duplicate).times(1));
    let token = send(&mut cluster, leader, 2);
    assert_eq!(produced(&mut cluster, token), Some((0, 0)));
    assert_eq!(produced(&mut cluster, token), None);
    assert_eq!(appended(&mut cluster, leader), 4);
}

/// The node knows one request of a member at a time, and answers the later one.
#[test]
fn a_member_is_answered_whose_requests_arrive_twice() {
    let (mut cluster, node) = coordinated_with(1, |_| {});
    let first = member_id(&mut cluster, node);
    let token = send_join(&mut cluster, node, &first, None);
    assert_eq!(joined(&mut cluster, token).generation_id, 1);
    let second = member_id(&mut cluster, node);
    let apis = vec![ApiKey::JoinGroup, ApiKey::SyncGroup];
    let rule = cluster.rule(Rule::new(Selector { apis, ..Selector::default() }, Effect::Duplicate));
    let tokens = [&second, &first].map(|member| send_join(&mut cluster, node, member, None));
    let members = tokens.map(|token| joined(&mut cluster, token));
    assert_eq!(members.each_ref().map(|joined| (joined.generation_id, joined.members.len())), [(2, 0), (2, 2)]);
    let tokens = members.each_ref().map(|joined| send_sync(&mut cluster, node, joined));
    for (member, token) in members.iter().zip(tokens) {
        assert_eq!(assignment(&mut cluster, token), format!("share of {}", &*member.member_id));
        assert!(cluster.reply(token).is_none(), "once");
    }
    assert_eq!(cluster.hits(rule), Some(4));
}

#[test]
fn a_throttle_ends_with_its_rule_even_for_replies_that_are_not_ready_yet() {
    let (mut cluster, leader) = orders();
    let throttle = Effect::Throttle { lasts: Duration::from_secs(30) };
    let rule = cluster.rule(Rule::new(on(ApiKey::Fetch), throttle));
    let waiting = send_fetch(&mut cluster, leader, fetch_request(0, 1, (0, -1)));
    assert!(cluster.reply(waiting).is_none(), "there is nothing to fetch");
    assert_eq!(cluster.hits(rule), Some(1));
    cluster.end(rule);
    send(&mut cluster, leader, 1);
    assert_eq!(fetched(cluster.reply(waiting)).throttle_time_ms, 0);
    assert!(cluster.is_untouched(), "its next fetch does not wait");
}

/// What becomes of a produce with acks=0: how it ends, how many of its two records are appended, and how often it counts.
#[test]
fn a_producer_that_wants_no_replies_is_not_kept_waiting_for_one() {
    let (mut cluster, leader) = orders();
    let error = |applied| Effect::Error { error: CODE, applied };
    let mut end = 0;
    for (effect, hangs_up, copies, hits) in [
        (Effect::Silence { applied: false }, false, 0, 1),
        (Effect::Silence { applied: true }, false, 1, 0),
        (Effect::HangUp { applied: false }, true, 0, 1),
        (Effect::HangUp { applied: true }, true, 1, 1),
        // As Kafka does when such a request fails.
        (error(false), true, 0, 1),
        (error(true), true, 1, 1),
        (Effect::Hold { applied: true, lasts: None }, false, 1, 0),
        (Effect::Duplicate, false, 2, 1),
        (Effect::Work { lasts: Duration::from_micros(50) }, false, 1, 1),
    ] {
        let rule = cluster.rule(Rule::new(on(ApiKey::Produce), effect.clone()));
        let request = produce_request(batch(2, -1, -1, -1), 0);
        let token = cluster.send(leader, ApiKey::Produce, 11, &request);
        match cluster.reply(token) {
            Some(Reply::Nothing) => assert!(!hangs_up, "{effect:?}"),
            Some(Reply::HungUp { reason }) => assert!(hangs_up, "{effect:?}: {reason}"),
            other => panic!("{effect:?}: {other:?}"),
        }
        assert_eq!(cluster.hits(rule), Some(hits), "{effect:?}");
        cluster.end(rule);
        end += copies * 2;
        assert_eq!(appended(&mut cluster, leader), end, "{effect:?}");
        end += 1;
    }
    assert!(cluster.is_untouched());

    cluster.rule(Rule::new(on(ApiKey::Produce), Effect::Throttle { lasts: Duration::from_millis(300) }).times(1));
    let first = cluster.send(leader, ApiKey::Produce, 11, &produce_request(batch(1, -1, -1, -1), 0));
    let second = cluster.send_behind(leader, first, (ApiKey::Produce, 11), &produce_request(batch(1, -1, -1, -1), -1));
    assert_eq!(produced(&mut cluster, second), None, "its next request waits, though nobody has told it to");
    cluster.advance_ms(300);
    assert_eq!(produced(&mut cluster, second), Some((0, end + 1)));
}

#[test]
fn a_throttled_client_is_told_and_its_next_request_waits() {
    let (mut cluster, leader) = orders();
    cluster.rule(Rule::new(on(ApiKey::Produce), Effect::Throttle { lasts: Duration::from_millis(300) }).times(1));
    let first = send(&mut cluster, leader, 1);
    let Some(Reply::Response(ResponseKind::Produce(response))) = cluster.reply(first) else { panic!("no answer") };
    assert_eq!(response.throttle_time_ms, 300);
    let request = produce_request(batch(1, -1, -1, -1), -1);
    let second = cluster.send_behind(leader, first, (ApiKey::Produce, 11), &request);
    let other = send(&mut cluster, leader, 1);
    assert_eq!(produced(&mut cluster, other), Some((0, 1)), "another connection does not wait");
    cluster.advance_ms(299);
    assert_eq!(produced(&mut cluster, second), None);
    cluster.advance_ms(1);
    assert_eq!(produced(&mut cluster, second), Some((0, 2)));
}

#[test]
fn rules_hit_by_everything_that_they_name_and_the_first_one_decides() {
    let (mut cluster, leader) = orders();
    let hit = |cluster: &mut Cluster, selector: Selector, key: ApiKey, request: &RequestKind| {
        let rule = cluster.rule(Rule::new(selector, Effect::Silence { applied: false }));
        cluster.send(leader, key, api::lookup(key as i16).expect("an API").max, request);
        let hits = cluster.hits(rule);
        cluster.end(rule);
        hits == Some(1)
    };
    let id = describe(&mut cluster, 0, "orders").topic_id;
    let newest = |key: ApiKey| sample(key, api::lookup(key as i16).expect("an API").max, id);
    let topic = |topic: &str| Selector { topic: Some(topic.to_owned()), ..Selector::default() };
    let group = |group: &str| Selector { group: Some(group.to_owned()), ..Selector::default() };
    for (selector, key, hits) in [
        (topic("orders"), ApiKey::Produce, true),
        (topic("orders"), ApiKey::Fetch, true),
        (topic("payments"), ApiKey::Produce, false),
        (topic("payments"), ApiKey::Fetch, false),
        (Selector { partition: Some(0), ..topic("orders") }, ApiKey::Produce, true),
        (Selector { partition: Some(1), ..topic("orders") }, ApiKey::Produce, false),
        (topic("orders"), ApiKey::DescribeConfigs, true),
        (topic("orders"), ApiKey::ElectLeaders, true),
        (topic("orders"), ApiKey::Heartbeat, false),
        (group("group"), ApiKey::Heartbeat, true),
        (group("group"), ApiKey::FindCoordinator, true),
        (group("tool"), ApiKey::OffsetFetch, true),
        (group("tool"), ApiKey::Heartbeat, false),
        (on(ApiKey::Fetch), ApiKey::Produce, false),
        (Selector { client: Some("te*".to_owned()), ..Selector::default() }, ApiKey::Produce, true),
        (Selector { client: Some("other".to_owned()), ..Selector::default() }, ApiKey::Produce, false),
        (Selector { node: Some(BrokerId(99)), ..Selector::default() }, ApiKey::Produce, false),
    ] {
        let named = format!("{selector:?} and {key:?}");
        assert_eq!(hit(&mut cluster, selector, key, &newest(key)), hits, "{named}");
    }

    let refuse = |error| Effect::Error { error, applied: false };
    let second = cluster.rule(Rule::new(on(ApiKey::Produce), refuse(ResponseError::RequestTimedOut)).nth(2));
    let all = cluster.rule(Rule::new(on(ApiKey::Produce), refuse(CODE)));
    let codes: Vec<i16> = (0..3)
        .map(|_| {
            let token = send(&mut cluster, leader, 1);
            produced(&mut cluster, token).expect("an answer").0
        })
        .collect();
    assert_eq!(codes, [CODE.code(), ResponseError::RequestTimedOut.code(), CODE.code()]);
    assert_eq!((cluster.hits(second), cluster.hits(all)), (Some(1), Some(2)));
}

#[test]
fn a_fetch_in_a_session_is_about_what_the_session_has() {
    let (mut cluster, leader) = orders();
    let RequestKind::Fetch(fetch) = sample(ApiKey::Fetch, 12, uuid::Uuid::nil()) else { panic!("a fetch") };
    let open = RequestKind::Fetch(fetch.clone().with_session_epoch(0));
    let session = expect_kind!(Fetch, cluster.ask(leader, ApiKey::Fetch, 12, &open)).session_id;
    assert!(session > 0);
    let error = Effect::Error { error: CODE, applied: false };
    let selector = Selector { topic: Some("orders".to_owned()), ..on(ApiKey::Fetch) };
    let rule = cluster.rule(Rule::new(selector, error));
    let next = fetch.with_session_id(session).with_session_epoch(1).with_topics(Vec::new());
    let response = expect_kind!(Fetch, cluster.ask(leader, ApiKey::Fetch, 12, &RequestKind::Fetch(next)));
    assert_eq!(cluster.hits(rule), Some(1));
    assert_eq!(response.responses[0].partitions[0].error_code, CODE.code());
}
