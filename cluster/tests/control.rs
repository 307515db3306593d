//! The control API, as a test in another language would use it.

#![cfg(feature = "control")]

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use shakedown_cluster::Cluster;
use shakedown_cluster::control::ControlServer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

struct Controlled {
    cluster: Arc<Cluster>,
    server: ControlServer,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Controlled {
    fn new() -> Self {
        Self::of(Cluster::builder().brokers(3).start().expect("a cluster"))
    }

    fn of(cluster: Cluster) -> Self {
        let cluster = Arc::new(cluster);
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = ControlServer::start(Arc::clone(&cluster), address).expect("a server");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { cluster, server, runtime, client: reqwest::Client::new() }
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> (StatusCode, Json) {
        self.try_to_ask(method, path, body, PATIENCE * 3).expect("an answer")
    }

    /// Nothing if no answer comes in this time.
    fn try_to_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        at_most: Duration,
    ) -> Option<(StatusCode, Json)> {
        let url = format!("http://{}{path}", self.server.address());
        let request = self.client.request(method, url).timeout(at_most);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        self.runtime.block_on(async {
            let response = match request.send().await {
                Err(error) if error.is_timeout() => return None,
                answered => answered.expect("an answer"),
            };
            let (status, text) = (response.status(), response.text().await.expect("its text"));
            Some((status, serde_json::from_str(&text).unwrap_or(Json::String(text))))
        })
    }

    fn get(&self, path: &str) -> Json {
        let (status, body) = self.ask(Method::GET, path, None);
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// Asks, and does not wait for the answer. What is asked afterwards is served later.
    fn begin(&self, path: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.server.address()).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("there is room for it");
        self.get("/v1/cluster");
        socket
    }

    fn post(&self, path: &str, body: &Json) -> (StatusCode, Json) {
        self.ask(Method::POST, path, Some(body))
    }

    /// Produces one message, and waits for its acknowledgement.
    fn produce(&self) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
        producer.send(BaseRecord::<str, str>::to("orders").payload("1")).map_err(|(error, _)| error).expect("room");
        producer.flush(PATIENCE).expect("it is acknowledged");
    }
}

#[test]
fn a_leader_is_killed_and_healed_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let cluster = controlled.get("/v1/cluster");
    assert_eq!(cluster["bootstrap_servers"], controlled.cluster.bootstrap_servers());
    assert_eq!(cluster["nodes"].as_array().map(Vec::len), Some(3));
    let leader = controlled.get("/v1/topics/orders/partitions/0")["leader"].clone();
    let (status, struck) = controlled.post("/v1/faults", &json!({ "fault": "kill", "role": "leader(orders/0)" }));
    assert_eq!((status, &struck["nodes"]), (StatusCode::OK, &json!([leader])));
    // It needs another leader, and gets one.
    controlled.produce();
    assert_ne!(controlled.get("/v1/topics/orders/partitions/0")["leader"], leader);
    let (status, again) = controlled.ask(Method::POST, &format!("/v1/nodes/{leader}/kill"), None);
    assert_eq!((status, again), (StatusCode::CONFLICT, json!({ "error": format!("node {leader} is down") })));
    let (status, healed) = controlled.ask(Method::POST, "/v1/heal", None);
    assert_eq!((status, &healed["nodes"]), (StatusCode::OK, &json!([leader])));
}

#[test]
fn rules_are_made_counted_released_and_ended_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let order = json!({ "api": "Produce", "topic": "orders", "times": 1, "effect": { "hold": { "applied": false } } });
    let (status, rule) = controlled.post("/v1/rules", &order);
    assert_eq!((status, &rule["hits"]), (StatusCode::CREATED, &json!(0)));
    let path = format!("/v1/rules/{}", rule["id"]);
    std::thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", controlled.cluster.bootstrap_servers());
            let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
            let record = BaseRecord::<str, str>::to("orders").payload("2");
            producer.send(record).map_err(|(error, _)| error).expect("room");
            producer.flush(PATIENCE).expect("it is acknowledged");
        });
        assert_eq!(controlled.get(&format!("{path}?hits=1&wait_ms=20000"))["hits"], 1);
        assert!(!producing.is_finished(), "its request is held");
        assert_eq!(controlled.ask(Method::POST, &format!("{path}/release"), None).0, StatusCode::OK);
        producing.join().expect("it is acknowledged");
    });
    assert_eq!(controlled.ask(Method::DELETE, &path, None).1["hits"], 1);
    let (status, gone) = controlled.ask(Method::GET, &path, None);
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(gone["error"].as_str().is_some_and(|error| error.starts_with("there is no rule 1")), "{gone}");
}

#[test]
fn a_rule_ends_at_once_even_if_somebody_waits_for_its_hits() {
    let controlled = Controlled::new();
    controlled.produce();
    let order = json!({ "api": "Produce", "effect": { "hold": { "applied": false } } });
    for heal in [false, true] {
        let path = format!("/v1/rules/{}", controlled.post("/v1/rules", &order).1["id"]);
        let mut waiting = controlled.begin(&format!("{path}?hits=1&wait_ms=60000"));
        let (status, ended) = match heal {
            false => controlled.ask(Method::DELETE, &path, None),
            true => controlled.ask(Method::POST, "/v1/heal", None),
        };
        assert_eq!(status, StatusCode::OK, "{ended}");
        // It would be held.
        controlled.produce();
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).expect("there is nothing left to wait for");
        assert!(answer.ends_with("\"hits\":0}"), "{answer}");
    }
}

#[test]
fn the_server_stops_at_once_even_if_somebody_waits() {
    let controlled = Controlled::new();
    let order = json!({ "api": "Produce", "effect": { "hold": { "applied": false } } });
    assert_eq!(controlled.post("/v1/rules", &order).0, StatusCode::CREATED);
    let _waiting = controlled.begin("/v1/rules/1?hits=1&wait_ms=60000");
    let Controlled { cluster, server, .. } = controlled;
    let begin = Instant::now();
    drop(server);
    assert!(begin.elapsed() < PATIENCE, "it took {:?}", begin.elapsed());
    assert_eq!(Arc::strong_count(&cluster), 1, "nothing is left of it");
}

#[test]
fn disks_are_mended_over_http() {
    let controlled = Controlled::new();
    for heal in [false, true] {
        controlled.produce();
        let leader = controlled.get("/v1/topics/orders/partitions/0")["leader"].clone();
        // Behind the first error it is down, and behind the second it cannot start.
        for fault in ["write-errors", "read-errors"] {
            let (status, struck) =
                controlled.post("/v1/faults", &json!({ "fault": fault, "role": format!("broker({leader})") }));
            assert_eq!(status, StatusCode::OK, "{struck}");
        }
        controlled.produce();
        let path = format!("/v1/nodes/{leader}");
        let (status, broken) = controlled.ask(Method::POST, &format!("{path}/restart"), None);
        assert_eq!(status, StatusCode::CONFLICT, "{broken}");
        let mend = if heal { "/v1/heal".to_owned() } else { format!("{path}/mend-disk") };
        let (status, mended) = controlled.ask(Method::POST, &mend, None);
        assert_eq!((status, &mended["nodes"]), (StatusCode::OK, &json!([leader])), "{mended}");
        let (status, up) = controlled.ask(Method::POST, &format!("{path}/resume"), None);
        assert_eq!(status, StatusCode::OK, "{up}");
    }
}

#[test]
fn dedicated_controllers_are_healed_over_http() {
    let controlled = Controlled::of(Cluster::builder().brokers(1).controllers(1).start().expect("a cluster"));
    let (status, struck) = controlled.post("/v1/faults", &json!({ "fault": "kill", "role": "controller" }));
    assert_eq!((status, &struck["nodes"]), (StatusCode::OK, &json!([2])));
    let (status, healed) = controlled.ask(Method::POST, "/v1/heal", None);
    assert_eq!((status, &healed["nodes"]), (StatusCode::OK, &json!([2])));
    controlled.produce();
}

#[test]
fn links_connections_and_clocks_are_disturbed_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let late = json!({ "clients": { "of": "leader(orders/0)", "effect": { "delay": { "ms": 150 } } } });
    let (status, made) = controlled.post("/v1/disturbances", &late);
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/v1/disturbances/{}", made["id"]);
    let begin = Instant::now();
    controlled.produce();
    assert!(begin.elapsed() >= Duration::from_millis(150), "the acknowledgement was late: {:?}", begin.elapsed());
    let hits = controlled.get(&path)["hits"].as_u64().expect("a number");
    assert!(hits >= 1, "{hits} answers");
    assert_eq!(controlled.ask(Method::DELETE, &path, None).0, StatusCode::OK);
    assert_eq!(controlled.ask(Method::DELETE, &path, None).0, StatusCode::NOT_FOUND);

    for order in [
        json!({ "cut": { "one-way": { "from": "controller", "to": "broker(1)" } } }),
        json!({ "cut": { "groups": [["broker(1)"], ["broker(2)", "broker(3)"]] } }),
        json!({ "delay": { "links": { "between": ["broker(1)", "broker(2)"] }, "ms": 5, "jitter_ms": 5 } }),
        json!({ "delay": { "links": { "ring": {} }, "ms": 1 } }),
        json!({ "clients": { "client": "nobody", "effect": { "cut": {} } } }),
        json!({ "clock": { "of": "broker(2)", "effect": { "ahead": 3_600_000 } } }),
    ] {
        let (status, made) = controlled.post("/v1/disturbances", &order);
        assert_eq!(status, StatusCode::CREATED, "{order}: {made}");
    }
    assert_eq!(controlled.post("/v1/clock/advance", &json!({ "ms": 86_400_000 })).0, StatusCode::NO_CONTENT);
    assert_eq!(controlled.ask(Method::POST, "/v1/heal", None).0, StatusCode::OK);
    assert_eq!(controlled.ask(Method::GET, "/v1/disturbances/7", None).0, StatusCode::NOT_FOUND);
    controlled.produce();
}

#[test]
fn leaders_move_and_brokers_roll_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let place = "/v1/topics/orders/partitions/0";
    let to = controlled.get(place)["followers"][1].clone();
    let order = json!({ "move-leader": { "topic": "orders", "partition": 0, "to": to } });
    let (status, moved) = controlled.post("/v1/interventions", &order);
    assert_eq!((status, &moved["changed"]), (StatusCode::OK, &json!(true)), "{moved}");
    assert_eq!(controlled.get(place)["leader"], to);
    let order = json!({ "reassign": { "topic": "orders", "partition": 0, "replicas": [3, 2, 1] } });
    assert_eq!(controlled.post("/v1/interventions", &order).0, StatusCode::OK);
    let (status, rolled) = controlled.post("/v1/rolling-restart", &json!({ "role": "all" }));
    assert_eq!((status, &rolled["nodes"]), (StatusCode::OK, &json!([1, 2, 3])), "{rolled}");
    let (status, struck) = controlled.post("/v1/faults", &json!({ "fault": "restart", "role": "minority" }));
    assert_eq!((status, struck["nodes"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{struck}");
    controlled.produce();
}

#[test]
fn groups_are_disturbed_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", controlled.cluster.bootstrap_servers()).set("group.id", "billing");
    config.set("group.instance.id", "till-1").set("heartbeat.interval.ms", "100");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                drop(consumer.poll(Duration::from_millis(10)));
            }
        });
        let orders = [
            json!({ "rebalance-storm": { "group": "billing", "joins": 2 } }),
            json!({ "move-coordinator": { "group": "billing" } }),
            json!({ "expel": { "group": "billing", "client": "rdkafka" } }),
            json!({ "clash": { "group": "billing", "instance": "till-1", "ms": 300 } }),
        ];
        let outcomes = orders.map(|order| controlled.post("/v1/interventions", &order));
        is_over.store(true, Ordering::Relaxed);
        for (status, outcome) in outcomes {
            assert_eq!((status, &outcome["changed"]), (StatusCode::OK, &json!(true)), "{outcome}");
        }
    });
    let fatal = consumer.client().fatal_error().map(|(code, _)| code);
    assert_eq!(fatal, Some(RDKafkaErrorCode::FencedInstanceId));
}

#[test]
fn disks_are_slowed_and_damaged_over_http() {
    let controlled = Controlled::new();
    controlled.produce();
    let strike = |order: Json| {
        let (status, struck) = controlled.post("/v1/faults", &order);
        assert_eq!(status, StatusCode::OK, "{order}: {struck}");
        struck["nodes"][0].clone()
    };
    let role = "leader(orders/0)";
    strike(json!({ "fault": "slow-sync", "role": "controller", "ms": 50 }));
    assert_eq!(controlled.ask(Method::POST, "/v1/heal", None).0, StatusCode::OK);
    strike(json!({ "fault": "flipped-bit", "role": role, "offset": 0 }));
    let torn = strike(json!({ "fault": "torn-tail", "role": role, "bytes": 7 }));
    let (status, again) = controlled.ask(Method::POST, &format!("/v1/nodes/{torn}/kill"), None);
    assert_eq!((status, again), (StatusCode::CONFLICT, json!({ "error": format!("node {torn} is down") })));
    let healed = controlled.ask(Method::POST, "/v1/heal", None).1;
    assert_eq!(healed["nodes"], json!([torn]));
    // Others lead, and acknowledge.
    controlled.produce();
    let full = strike(json!({ "fault": "disk-full", "role": "broker(2)" }));
    assert_eq!(controlled.ask(Method::POST, &format!("/v1/nodes/{full}/mend-disk"), None).0, StatusCode::OK);
    strike(json!({ "fault": "lost-segment", "role": "follower(orders/0)", "offset": 0, "below": 1 }));
    assert_eq!(controlled.ask(Method::POST, "/v1/heal", None).0, StatusCode::OK);
    strike(json!({ "fault": "lost-log", "role": "follower(orders/0)" }));
    assert_eq!(controlled.ask(Method::POST, "/v1/heal", None).0, StatusCode::OK);
    controlled.produce();
}

#[test]
fn what_cannot_be_done_is_refused_with_what_can() {
    let controlled = Controlled::new();
    for (path, body, status, told) in [
        ("/v1/faults", json!({ "fault": "hit", "role": "controller" }), 400, "kill, power-loss, pause"),
        ("/v1/faults", json!({ "fault": "kill", "role": "leader(orders)" }), 400, "leader(TOPIC/PARTITION)"),
        ("/v1/faults", json!({ "fault": "kill", "role": "leader(absent/0)" }), 409, "nobody is leader(absent/0)"),
        ("/v1/faults", json!({ "fault": "kill", "whom": "controller" }), 422, "unknown field `whom`"),
        ("/v1/nodes/9/kill", json!(null), 404, "there is no node 9: nodes are 1, 2, 3"),
        ("/v1/nodes/1/hit", json!(null), 404, "kill, power-loss, pause, resume"),
        ("/v1/links/cut", json!({ "one": 1, "other": 7 }), 404, "there is no node 7"),
        ("/v1/rules", json!({ "api": "Produse", "effect": { "duplicate": {} } }), 400, "`Produse` is no API"),
        ("/v1/rules", json!({ "effect": { "error": { "code": "OOPS" } } }), 400, "`OOPS` is no error"),
        ("/v1/rules", json!({ "effect": { "explode": {} } }), 422, "unknown variant `explode`"),
        ("/v1/disturbances", json!({ "cut": { "around": "king" } }), 400, "`king` is no role"),
        ("/v1/disturbances", json!({ "cut": { "around": "leader(absent/0)" } }), 409, "nobody is leader(absent/0)"),
        ("/v1/disturbances", json!({ "clock": { "of": "broker(1)", "effect": { "rate": -1.0 } } }), 400, "-1"),
        ("/v1/disturbances", json!({ "storm": {} }), 422, "unknown variant `storm`"),
        ("/v1/faults", json!({ "fault": "slow-sync", "role": "controller" }), 400, "`slow-sync` needs `ms`"),
        ("/v1/faults", json!({ "fault": "kill", "role": "controller", "ms": 5 }), 400, "`ms` says nothing to `kill`"),
        ("/v1/faults", json!({ "fault": "lost-log", "role": "controller" }), 400, "controller names no partition"),
        ("/v1/rolling-restart", json!({ "role": "king" }), 400, "`king` is no role"),
        ("/v1/rolling-restart", json!({ "role": "broker(9)" }), 404, "there is no node 9"),
        (
            "/v1/interventions",
            json!({ "reassign": { "topic": "absent", "partition": 0, "replicas": [1] } }),
            400,
            "UNKNOWN_TOPIC",
        ),
        ("/v1/interventions", json!({ "crown": {} }), 422, "unknown variant `crown`"),
        ("/v1/rules", json!({ "partition": 1, "effect": { "duplicate": {} } }), 400, "without `topic`"),
        ("/v1/rules", json!({ "nth": 0, "effect": { "duplicate": {} } }), 400, "`nth` is 0"),
        ("/v1/rules", json!({ "times": 0, "effect": { "duplicate": {} } }), 400, "`times` is 0"),
        ("/v1/rules", json!({ "node": 9, "effect": { "duplicate": {} } }), 404, "there is no node 9"),
        ("/v1/faults", json!({ "fault": "kill", "role": "broker(9)" }), 404, "there is no node 9: nodes are 1, 2, 3"),
        ("/v1/disturbances", json!({ "cut": { "around": "broker(9)" } }), 404, "there is no node 9"),
        ("/v1/disturbances", json!({ "clients": { "effect": { "cut": {} }, "times": 0 } }), 400, "`times` is 0"),
        ("/v1/nodes/one/kill", json!(null), 400, "`one`"),
        ("/v1/storms", json!({}), 404, "GET /openapi.json"),
        ("/v1/cluster", json!({}), 405, "GET /openapi.json"),
    ] {
        let (got, answer) = controlled.post(path, &body);
        assert_eq!(got.as_u16(), status, "{path} {body}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(told)), "{path} {body}: {answer}");
    }
    let (status, answer) = controlled.ask(Method::POST, "/v1/faults", None);
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("application/json")), "{answer}");
}

/// The table of all faults.
const TABLE: &str = include_str!("../../docs/faults.md");

/// Each on a cluster of its own: whatever it does to it, it has been understood. What cannot be done at the moment, as there is
/// no such group, is understood, too.
#[test]
fn each_line_of_the_table_of_faults_is_understood() {
    let lines: Vec<&str> = TABLE.split('`').filter_map(|part| part.strip_prefix("POST ")).collect();
    assert!(lines.len() >= 45, "{} lines", lines.len());
    for line in lines {
        let controlled = Controlled::new();
        controlled.produce();
        let (path, body) = line.split_once(' ').expect("a path and a body");
        let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{line}: {error}"));
        match controlled.try_to_ask(Method::POST, path, Some(&body), Duration::from_secs(1)) {
            // These take their time, or are tried until they can be done.
            None => assert!(["/v1/interventions", "/v1/rolling-restart"].contains(&path), "{line}"),
            Some((StatusCode::CONFLICT, answer)) => assert!(line.contains("order-tracker"), "{line}: {answer}"),
            Some((status, answer)) => assert!(status.is_success(), "{line}: {status} {answer}"),
        }
    }
}

#[test]
fn the_document_describes_every_path() {
    let controlled = Controlled::new();
    let document = controlled.get("/openapi.json");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    for path in [
        "/v1/cluster",
        "/v1/faults",
        "/v1/heal",
        "/v1/rules",
        "/v1/rules/{id}",
        "/v1/rules/{id}/release",
        "/v1/interventions",
        "/v1/rolling-restart",
    ] {
        assert!(paths.iter().any(|known| *known == path), "{path} in {paths:?}");
    }
    assert_eq!(paths.len(), 15, "{paths:?}");
    let order = &document["components"]["schemas"]["RuleOrder"]["properties"];
    assert!(order["effect"].is_object());
    assert_eq!((&order["nth"]["minimum"], &order["times"]["minimum"]), (&json!(1), &json!(1)));
    for (path, statuses) in [
        ("/v1/rules", &["201", "400", "404", "413", "415", "422"][..]),
        ("/v1/disturbances", &["201", "400", "404", "409", "413", "415", "422"]),
        ("/v1/faults", &["200", "400", "404", "409", "413", "415", "422"]),
        ("/v1/rolling-restart", &["200", "400", "404", "409", "413", "415", "422"]),
        ("/v1/interventions", &["200", "400", "409", "413", "415", "422"]),
        ("/v1/nodes/{id}/{action}", &["200", "400", "404", "409"]),
        ("/v1/heal", &["200", "409"]),
    ] {
        let responses = document["paths"][path]["post"]["responses"].as_object().expect("responses");
        assert_eq!(responses.keys().collect::<Vec<_>>(), statuses, "{path}");
        for refusal in statuses.iter().filter(|status| status.starts_with('4')) {
            let schema = &responses[*refusal]["content"]["application/json"]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{path} {refusal}");
        }
    }
}
