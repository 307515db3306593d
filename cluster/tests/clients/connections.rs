//! What is done to clients' connections, and what clients see of it.

use super::raw::Raw;
use super::{PATIENCE, client, consume, create_topic, produce};
use rdkafka::Offset;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use shakedown_cluster::{ClientEffect, ClientFault, Clients, Cluster, Delay, Effect, FaultError, Rule, Selector};
use std::io::Write;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

fn one_broker() -> Cluster {
    Cluster::builder().brokers(1).start().expect("a cluster")
}

fn named(name: &str) -> Clients {
    Clients::Named(String::from(name))
}

fn bandwidth(bytes_per_second: usize) -> ClientFault {
    let bytes_per_second = NonZeroU64::new(bytes_per_second as u64).expect("more than none");
    ClientFault::new(ClientEffect::Bandwidth { bytes_per_second })
}

#[test]
fn delayed_answers_are_late_together_and_in_order() {
    let cluster = one_broker();
    let raw = Raw::connect(&cluster, 1, "order");
    raw.hello();
    let by = Duration::from_millis(200);
    let delay = Delay { by, jitter: Duration::from_millis(50) };
    let fault = cluster.inject(ClientFault::new(ClientEffect::Delay(delay))).expect("a fault");
    let start = Instant::now();
    (0..10).for_each(|n| raw.ask(n));
    for n in 0..10 {
        assert_eq!(raw.answered(), n);
        assert!(start.elapsed() >= by, "number {n} came after {:?}", start.elapsed());
    }
    assert!(start.elapsed() < by * 10, "they waited for each other, {:?}", start.elapsed());
    assert_eq!(fault.undo(), 10);
    raw.hello();

    let hour = ClientFault::new(ClientEffect::Delay(Delay::by(Duration::from_secs(3600)))).at_most(1);
    let fault = cluster.inject(hour).expect("a fault");
    raw.ask(1);
    raw.ask(2);
    assert!(raw.is_silent());
    assert_eq!(fault.undo(), 1);
    assert_eq!((raw.answered(), raw.answered()), (1, 2), "what is not delayed any more arrives at once");
}

/// As a client does that has nothing more to say, but still listens.
#[test]
fn a_client_that_has_finished_speaking_still_gets_its_delayed_answer() {
    let cluster = one_broker();
    let raw = Raw::connect(&cluster, 1, "order");
    let delay = Delay::by(Duration::from_millis(50));
    let fault = cluster.inject(ClientFault::new(ClientEffect::Delay(delay))).expect("a fault");
    raw.ask(1);
    raw.socket.shutdown(std::net::Shutdown::Write).expect("it is open");
    assert_eq!(raw.answered(), 1);
    assert_eq!(raw.rest(), (vec![], false));
    assert_eq!(fault.hits(), 1);
}

#[test]
fn a_narrow_connection_takes_its_time_both_ways() {
    let cluster = one_broker();
    // A name of 30,000 bytes makes for a long request, and the rate is such that it takes half a second.
    let (long, short) = (Raw::connect(&cluster, 1, &"x".repeat(30_000)), Raw::connect(&cluster, 1, "order"));
    long.hello();
    short.ask(0);
    let answer = short.answer().len() + 4;
    let upload = cluster.inject(bandwidth(60_000)).expect("a fault");
    let start = Instant::now();
    long.hello();
    assert!(start.elapsed() >= Duration::from_millis(450), "it came after {:?}", start.elapsed());
    assert!(upload.undo() > 0);

    let download = cluster.inject(bandwidth(answer * 20)).expect("a fault");
    let start = Instant::now();
    (0..10).for_each(|n| short.ask(n));
    assert!((0..10).all(|n| short.answered() == n));
    assert!(start.elapsed() >= Duration::from_millis(450), "they came after {:?}", start.elapsed());
    drop(download);
    short.hello();

    // At a byte a second, what is under way would take minutes.
    let trickle = cluster.inject(bandwidth(1)).expect("a fault");
    short.ask(1);
    assert!(short.is_silent());
    trickle.undo();
    assert_eq!(short.answered(), 1);
}

#[test]
fn a_reset_comes_in_the_middle_of_an_answer() {
    let cluster = one_broker();
    let (raw, other) = (Raw::connect(&cluster, 1, "order"), Raw::connect(&cluster, 1, "payment"));
    raw.hello();
    let reset = ClientFault::new(ClientEffect::Reset { after: 6 }).of(named("order")).at_most(1);
    let fault = cluster.inject(reset).expect("a fault");
    other.hello();
    raw.ask(0x0102_0304);
    let (rest, is_reset) = raw.rest();
    assert!(is_reset);
    assert_eq!((rest.len(), &rest[4..]), (6, &[1, 2][..]), "the length, and two bytes of the answer");
    Raw::connect(&cluster, 1, "order").hello();
    assert_eq!(fault.hits(), 1);
}

#[test]
fn an_idempotent_producer_survives_resets_without_a_duplicate() {
    let cluster = one_broker();
    create_topic(&cluster, "orders", 1, &[]);
    let reset = ClientFault::new(ClientEffect::Reset { after: 10 }).of(named("payment")).at_most(5);
    let fault = cluster.inject(reset).expect("a fault");
    let mut config = client(&cluster);
    config.set("client.id", "payment").set("enable.idempotence", "true").set("reconnect.backoff.ms", "1");
    config.set("reconnect.backoff.max.ms", "10").set("retry.backoff.ms", "1").set("batch.num.messages", "10");
    produce(&config, "orders", 0, 0..500);
    assert_eq!(fault.hits(), 5);
    let expected: Vec<u64> = (0..500).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 500), expected);
}

/// A producer that has sent its first message, and how to send it another one.
fn sending(cluster: &Cluster, settings: &[(&str, &str)]) -> impl Fn(usize) -> Duration + use<> {
    create_topic(cluster, "orders", 1, &[]);
    let mut config = client(cluster);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let send = move |size: usize| {
        let begin = Instant::now();
        let payload = "7".repeat(size);
        let record = BaseRecord::<str, str>::to("orders").partition(0).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        producer.flush(PATIENCE).expect("it is acknowledged");
        begin.elapsed()
    };
    send(1);
    send
}

#[test]
fn a_producer_whose_connection_was_forgotten_gives_it_up_and_connects_again() {
    let cluster = one_broker();
    let send = sending(&cluster, &[("enable.idempotence", "true"), ("socket.timeout.ms", "1000")]);
    let fault = cluster.inject(ClientFault::new(ClientEffect::HalfOpen)).expect("a fault");
    assert!(fault.hits() >= 1);
    let took = send(1);
    assert!(took >= Duration::from_millis(900), "it heard nothing, and waited for {took:?}");
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 2), [7, 7], "once each");
}

#[test]
fn a_producer_on_a_narrow_connection_takes_its_time() {
    let cluster = one_broker();
    let send = sending(&cluster, &[("linger.ms", "0")]);
    let fault = cluster.inject(bandwidth(200_000)).expect("a fault");
    let took = send(200_000);
    assert!(took >= Duration::from_millis(700), "a second's worth went through in {took:?}");
    assert!(fault.undo() > 1);
}

#[test]
fn a_producer_learns_late_of_a_death_behind_a_slow_close() {
    let cluster = one_broker();
    let send = sending(&cluster, &[("enable.idempotence", "true")]);
    let by = Duration::from_secs(1);
    let fault = cluster.inject(ClientFault::new(ClientEffect::SlowClose { by })).expect("a fault");
    let begin = Instant::now();
    cluster.kill(1).expect("it runs");
    cluster.restart(1).expect("its port is free");
    send(1);
    assert!(begin.elapsed() >= by, "its connection was open for a second after that: {:?}", begin.elapsed());
    assert!(fault.undo() >= 1);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 2), [7, 7]);
}

#[test]
fn a_half_open_connection_is_silent_until_its_node_comes_to_its_senses() {
    let cluster = one_broker();
    let (old, other) = (Raw::connect(&cluster, 1, "order"), Raw::connect(&cluster, 1, "payment"));
    let quiet = Raw::connect(&cluster, 1, "order");
    [&old, &other, &quiet].into_iter().for_each(Raw::hello);
    let half_open = ClientFault::new(ClientEffect::HalfOpen).at(1).of(named("order"));
    let fault = cluster.inject(half_open).expect("a fault");
    assert_eq!(fault.hits(), 2);
    old.ask(1);
    assert!(old.is_silent());
    other.hello();
    let new = Raw::connect(&cluster, 1, "order");
    new.hello();
    fault.undo();
    assert_eq!(old.rest(), (vec![], true), "whoever does not know a connection resets it");
    assert_eq!(quiet.rest(), (vec![], true));
    new.hello();
}

#[test]
fn a_slow_close_comes_late() {
    let cluster = one_broker();
    let by = Duration::from_millis(200);
    let raw = Raw::connect(&cluster, 1, "order");
    let fault = cluster.inject(ClientFault::new(ClientEffect::SlowClose { by })).expect("a fault");
    let start = Instant::now();
    // There is no such API: the broker hangs up.
    raw.send(999, 0, 1, &[]);
    assert!(raw.rest().0.is_empty());
    assert!(start.elapsed() >= by, "it closed after {:?}", start.elapsed());
    assert_eq!(fault.hits(), 1);

    let raw = Raw::connect(&cluster, 1, "order");
    raw.hello();
    let start = Instant::now();
    cluster.kill(1).expect("it runs");
    assert_eq!(raw.rest(), (vec![], false));
    assert!(start.elapsed() >= by, "it closed after {:?}", start.elapsed());
    assert_eq!(fault.hits(), 2);
}

#[test]
fn clients_that_are_cut_off_hear_nothing_and_what_they_said_arrives_late() {
    let cluster = Cluster::builder().brokers(2).start().expect("a cluster");
    let (old, elsewhere) = (Raw::connect(&cluster, 1, "order"), Raw::connect(&cluster, 2, "order"));
    old.hello();
    cluster.cut_clients(1).expect("there is such a node");
    cluster.cut_clients(1).expect("once is enough");
    old.ask(1);
    let new = Raw::connect(&cluster, 1, "order");
    new.ask(2);
    assert!(old.is_silent());
    assert!(new.is_silent());
    elsewhere.hello();
    assert_eq!(cluster.unsettled(), None, "nodes hear each other");
    cluster.reconnect_clients(1).expect("there is such a node");
    assert_eq!(old.answered(), 1);
    assert_eq!(new.answered(), 2);
}

#[test]
fn nobody_learns_of_a_death_behind_a_cut() {
    let cluster = one_broker();
    let (raw, counted) = (Raw::connect(&cluster, 1, "order"), Raw::connect(&cluster, 1, "order"));
    raw.hello();
    counted.hello();
    let fault = cluster.inject(ClientFault::new(ClientEffect::Cut).at(1)).expect("a fault");
    assert_eq!(fault.hits(), 2);
    cluster.kill(1).expect("it runs");
    assert!(raw.is_silent());
    cluster.heal();
    assert_eq!(raw.rest(), (vec![], false));
    assert_eq!(fault.undo(), 2, "there is nothing left to undo");
}

#[test]
fn faults_find_clients_by_name_and_by_port() {
    let cluster = one_broker();
    let (order, payment) = (Raw::connect(&cluster, 1, "order"), Raw::connect(&cluster, 1, "payment"));
    order.hello();
    payment.hello();
    let by_name = cluster.inject(ClientFault::new(ClientEffect::Cut).of(named("payment"))).expect("a fault");
    let early = Raw::connect(&cluster, 1, "payment");
    early.ask(1);
    payment.ask(1);
    assert!(payment.is_silent());
    assert!(early.is_silent(), "its very first request is held back");
    order.hello();
    assert_eq!(by_name.hits(), 2);
    drop(by_name);
    assert_eq!((payment.answered(), early.answered()), (1, 1));

    let port = order.socket.local_addr().expect("it is bound").port();
    let by_port = cluster.inject(ClientFault::new(ClientEffect::Cut).of(Clients::Port(port))).expect("a fault");
    order.ask(2);
    assert!(order.is_silent());
    payment.hello();
    by_port.keep();
    assert!(order.is_silent(), "what is kept stays");
    cluster.heal();
    assert_eq!(order.answered(), 2);

    let unknown = cluster.inject(ClientFault::new(ClientEffect::Cut).at(9)).expect_err("there is no such node");
    assert!(matches!(unknown, FaultError::UnknownNode { id: 9, .. }), "{unknown}");
}

/// A broker reads so much behind a request that waits, and no more.
#[test]
fn a_client_that_leaves_is_noticed_however_much_it_had_pipelined() {
    let cluster = one_broker();
    // Somebody else's bad weather takes the slow way.
    for weather in [None, Some(ClientFault::new(ClientEffect::Delay(Delay::by(Duration::ZERO))).of(named("payment")))] {
        let fault = weather.map(|fault| cluster.inject(fault).expect("a fault"));
        let rule = cluster.rule(Rule::new(Selector::default(), Effect::Silence { applied: false }));
        let raw = Raw::connect(&cluster, 1, "order");
        raw.ask(1);
        (&raw.socket).write_all(&vec![0; 1024 * 1024 + 32 * 1024]).expect("there is room for it");
        assert!(raw.is_silent());
        raw.socket.shutdown(std::net::Shutdown::Write).expect("it is open");
        // Whether it ends by a reset depends on whether there were bytes that nobody had read.
        assert!(raw.rest().0.is_empty());
        assert_eq!(rule.end(), 1);
        drop(fault);
    }
}
