//! From nothing to the first acks=all acknowledgement: three brokers start, a topic is created, a message is produced by
//! librdkafka and acknowledged, and everything is torn down again.

use criterion::{Criterion, criterion_group, criterion_main};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use shakedown_cluster::Cluster;
use std::time::{Duration, Instant};

fn boot_to_acknowledgement(runtime: &tokio::runtime::Runtime) -> Duration {
    let start = Instant::now();
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers()).set("acks", "all").set("linger.ms", "0");
    let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin client");
    let topic = NewTopic::new("orders", 1, TopicReplication::Fixed(3));
    let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
    assert!(created[0].is_ok(), "{created:?}");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.send(BaseRecord::<(), str>::to("orders").payload("first")).map_err(|(error, _)| error).expect("room");
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    start.elapsed()
}

fn boot(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("boot");
    group.sample_size(30);
    group.bench_function("three brokers ready", |bencher| {
        bencher.iter(|| Cluster::builder().brokers(3).start().expect("a cluster"));
    });
    group.bench_function("three brokers to the first acks=all acknowledgement", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| boot_to_acknowledgement(&runtime)).sum());
    });
    group.finish();
}

criterion_group!(benches, boot);
criterion_main!(benches);
