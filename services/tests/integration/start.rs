//! Starting and stopping: what every service has in common.

use crate::Test;
use crate::cluster::Cluster;
use crate::process::{Service, refused, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("start::an_unknown_service_is_refused_with_the_known_ones", an_unknown_service_is_refused),
    ("start::a_wrong_variable_is_refused_with_what_is_allowed", a_wrong_variable_is_refused),
    ("start::contradicting_properties_are_refused", contradicting_properties_are_refused),
    ("start::a_service_is_ready_only_when_its_topic_exists", a_service_waits_for_its_topic),
    ("start::a_service_stops_while_kafka_is_away", a_service_stops_while_kafka_is_away),
];

fn an_unknown_service_is_refused() {
    let refusal = refused("billing", &[]);
    assert_eq!(refusal.code, Some(2));
    assert_eq!(
        refusal.explanation,
        "error: unknown service \"billing\"\n  allowed: analytics, inventory, notification, order, orders-service, payment, \
         payments-service, shipping-service, tracker, transaction\n"
    );
}

fn a_wrong_variable_is_refused() {
    for (service, variable, value, allowed) in [
        ("order", "ORDERS_PER_SECOND", "fast", "a number above 0, up to 1000000"),
        ("order", "LOG_LEVEL", "loud", "info, error, warn, debug, trace"),
        (
            "tracker",
            "DATABASE_URL",
            "mysql://x",
            "sqlite://FILE, sqlite:///ABSOLUTE/FILE or \
            postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?host=SOCKET_FOLDER]",
        ),
        ("payment", "PAYMENT_PROVIDER_URL", "bank", "http://HOST[:PORT][/PATH], or unset to let the log play it"),
        (
            "inventory",
            "CATALOGUE",
            "tea",
            "PRODUCT_ID=STOCK,... with each id once, of 1 to 200 characters, and a stock from 0 to 1000000000000",
        ),
        ("payment", "SYSTEM", "billing", "fanout, storefront, where there is a service payment"),
        ("transaction", "HTTP_ADDR", "8080", "an address and a port, such as 127.0.0.1:8080; port 0 takes a free one"),
        ("notification", "KAFKA_GROUP_ID", "mine", "unset; GROUP_ID names the group"),
    ] {
        let refusal = refused(service, &[(variable, value)]);
        assert_eq!(refusal.code, Some(2), "{variable}");
        let expected = format!("error: {variable}=\"{value}\" is not allowed\n  allowed: {allowed}\n");
        assert_eq!(refusal.explanation, expected);
    }
}

fn contradicting_properties_are_refused() {
    let refusal = refused("order", &[("KAFKA_ACKS", "1")]);
    assert_eq!(refusal.code, Some(2), "{}", refusal.explanation);
    assert!(refusal.explanation.contains("failed to create the Kafka producer"), "{}", refusal.explanation);
}

fn a_service_waits_for_its_topic() {
    let cluster = Cluster::start(&[]);
    let service = Service::start("transaction", &cluster, &[("ORDER_DETAILS_TOPIC", "late")]);
    wait_for("the reason", || {
        let answer = service.get("/ready");
        assert_eq!(answer.status, 503);
        let reason = answer.json()["waiting_for"]["group"].as_str().unwrap().to_owned();
        reason.contains("late").then_some(reason)
    });
    assert_eq!(service.get("/health").status, 200);
    cluster.create_topic("late", 2);
    wait_for("the service to be ready", || (service.get("/ready").status == 200).then_some(()));
    let metrics = service.get("/metrics");
    assert!(metrics.content_type.starts_with("application/openmetrics-text"), "{}", metrics.content_type);
    assert!(metrics.body.ends_with("# EOF\n"));
    service.stop();
}

fn a_service_stops_while_kafka_is_away() {
    let cluster = Cluster::start(&[("order-details", 2)]);
    let service = Service::start_ready("transaction", &cluster, &[]);
    cluster.mock.broker_down(-1).unwrap();
    service.stop();
}
