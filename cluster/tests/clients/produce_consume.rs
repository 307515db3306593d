//! What goes in comes out: every codec, idempotence, timestamps, more than memory holds.

use super::{PATIENCE, client, consume, create_topic, produce};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use shakedown_cluster::Cluster;

#[test]
fn every_codec_comes_back_in_order() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 6, &[]);
    for (partition, codec) in (0..).zip(["none", "gzip", "snappy", "lz4", "zstd"]) {
        let mut config = client(&cluster);
        config.set("compression.codec", codec).set("enable.idempotence", "true").set("linger.ms", "5");
        produce(&config, "orders", partition, 0..2000);
        let expected: Vec<u64> = (0..2000).collect();
        assert_eq!(consume(&cluster, "orders", partition, Offset::Beginning, 2000), expected, "{codec}");
        assert_eq!(consume(&cluster, "orders", partition, Offset::Offset(1990), 10), expected[1990..], "{codec}");
    }
}

#[test]
fn a_timestamp_leads_to_the_same_record_in_every_codec() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 5, &[]);
    for (partition, codec) in (0..).zip(["none", "gzip", "snappy", "lz4", "zstd"]) {
        let mut config = client(&cluster);
        config.set("compression.codec", codec).set("linger.ms", "50");
        let producer: rdkafka::producer::BaseProducer = config.create().expect("a producer");
        for n in 0..100 {
            let record = rdkafka::producer::BaseRecord::<(), str>::to("orders").partition(partition);
            let record = record.payload("0123456789 0123456789 0123456789").timestamp(1_000_000 + n * 10);
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        }
        rdkafka::producer::Producer::flush(&producer, PATIENCE).expect("everything is acknowledged");
        let consumer: BaseConsumer = client(&cluster).set("group.id", "reader").create().expect("a consumer");
        let find = |timestamp| {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_offset("orders", partition, Offset::Offset(timestamp)).expect("a timestamp");
            let found = consumer.offsets_for_times(asked, PATIENCE).expect("an answer");
            found.elements()[0].offset()
        };
        assert_eq!(find(0), Offset::Offset(0), "{codec}");
        assert_eq!(find(1_000_401), Offset::Offset(41), "{codec}");
        assert_eq!(find(1_000_990), Offset::Offset(99), "{codec}");
        assert_eq!(find(1_000_991), Offset::End, "{codec}");
    }
}

#[test]
fn the_brokers_clock_can_be_the_timestamp() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[("message.timestamp.type", "LogAppendTime")]);
    produce(&client(&cluster), "orders", 0, 0..10);
    // The client checks each CRC, so a batch whose timestamp was rewritten must have been sealed again.
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 10).len(), 10);
}

#[test]
fn more_than_the_memory_budget_is_kept_and_read_back() {
    let cluster = Cluster::builder().brokers(2).memory_budget(1024 * 1024).start().expect("a cluster");
    create_topic(&cluster, "orders", 2, &[]);
    for partition in 0..2 {
        let mut config = client(&cluster);
        produce(config.set("batch.size", "20000"), "orders", partition, 0..100_000);
    }
    for partition in 0..2 {
        let read = consume(&cluster, "orders", partition, Offset::Beginning, 100_000);
        assert!(read.into_iter().eq(0..100_000), "partition {partition} is complete and in order");
    }
}
