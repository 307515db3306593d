//! `docker-compose.yml` and `Dockerfile`, without an engine: that they say what the rest of the repository says, and that every
//! service becomes ready with the variables and topics that it is given there.

mod model;

use crate::{processes, tool, trial};
use libtest_mimic::Trial;
use model::{Compose, Condition, Restart, Service, root, text};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use shakedown_cluster::apache::{VERSION, broker_settings};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the systems are known by, apart from what their files say.
const PORTS: [(&str, u16); 8] = [
    ("order", 8001),
    ("payment", 8002),
    ("inventory", 8003),
    ("notification", 8004),
    ("kafka-ui", 8080),
    ("kafdrop", 9000),
    ("fanout-order", 8081),
    ("fanout-inventory", 8082),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("compose::brokers_are_set_up_as_those_of_the_apache_back_end", brokers),
        trial("compose::every_variable_is_one_that_services_read", variables),
        trial("compose::ports_are_those_that_the_systems_are_known_by", ports),
        trial("compose::whoever_is_waited_for_can_be_waited_for", dependencies),
        trial("compose::every_path_and_name_exists", paths),
        trial("compose::the_image_is_small_and_nobody_is_root_in_it", image),
        trial("compose::every_service_becomes_ready_with_what_it_is_given", ready),
    ]
}

fn brokers() {
    let compose = Compose::read();
    let brokers: Vec<(&String, &Service)> =
        compose.services.iter().filter(|(_, service)| service.is_broker()).collect();
    assert_eq!(brokers.len(), 3);
    let wanted: BTreeMap<String, String> =
        broker_settings(3).into_iter().map(|(name, value)| (variable(name), value)).collect();
    let own = ["NODE_ID", "LISTENERS", "ADVERTISED_LISTENERS"].map(|name| format!("KAFKA_{name}"));
    for (id, (name, broker)) in (1_u16..).zip(brokers) {
        let mut environment = broker.environment.clone();
        for (variable, value) in &wanted {
            assert_eq!(environment.remove(variable).as_ref(), Some(value), "{name}: {variable}");
        }
        assert_eq!(broker.image, format!("apache/kafka:{VERSION}"));
        let port = 9091 + id;
        assert_eq!(broker.published(), [(port, port)], "{name}");
        assert_eq!(environment["KAFKA_NODE_ID"], id.to_string());
        let advertised = format!("PLAINTEXT://{name}:19092,HOST://localhost:{port}");
        assert_eq!(environment["KAFKA_ADVERTISED_LISTENERS"], advertised);
        assert_eq!(environment["KAFKA_LISTENERS"], format!("PLAINTEXT://:19092,CONTROLLER://:29092,HOST://:{port}"));
        assert!(environment["KAFKA_CONTROLLER_QUORUM_VOTERS"].contains(&format!("{id}@{name}:29092")), "{name}");
        // The rest is what containers need besides, and the same for all.
        environment.retain(|variable, _| !own.contains(variable));
        let rest: Vec<&str> = environment.keys().map(String::as_str).collect();
        assert_eq!(
            rest,
            [
                "CLUSTER_ID",
                "KAFKA_CONTROLLER_LISTENER_NAMES",
                "KAFKA_CONTROLLER_QUORUM_VOTERS",
                "KAFKA_HEAP_OPTS",
                "KAFKA_INTER_BROKER_LISTENER_NAME",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                "KAFKA_LOG_DIRS",
                "KAFKA_PROCESS_ROLES",
            ]
        );
    }
}

/// How Kafka's image wants a setting.
fn variable(setting: &str) -> String {
    format!("KAFKA_{}", setting.to_uppercase().replace('.', "_"))
}

/// The variables in the tables of `services/README.md`.
fn documented() -> BTreeSet<String> {
    let readme = text("services/README.md");
    let cells = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let words = cells.flat_map(|cell| cell.split(['`', ',', ' ']).map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect()
}

fn variables() {
    let documented = documented();
    assert!(documented.contains("KAFKA_BOOTSTRAP_SERVERS") && documented.contains("RETRY_TOPIC"), "{documented:?}");
    let compose = Compose::read();
    let databases = &compose.configs["databases"].content;
    let mut stores = BTreeSet::new();
    for (name, service) in compose.services.iter().filter(|(_, service)| service.is_ours()) {
        for (variable, value) in &service.environment {
            assert!(documented.contains(variable), "{name}: services/README.md knows no {variable}");
            assert!(!value.is_empty(), "{name}: {variable} says nothing");
        }
        if let Some(url) = service.environment.get("DATABASE_URL") {
            let database = url.strip_prefix("postgres://shakedown:shakedown@postgres/").expect(url);
            assert!(databases.contains(&format!("CREATE DATABASE {database};\n")), "{name}: nobody makes {database}");
            assert!(stores.insert(database), "{name}: {database} is another service's");
        }
    }
    assert_eq!(stores.len(), databases.lines().count(), "databases that nobody uses: {databases}");
}

fn ports() {
    let compose = Compose::read();
    for profile in compose.profiles() {
        let mut taken = BTreeMap::new();
        for (name, service) in compose.with_profile(profile) {
            for (host, _) in service.published() {
                if let Some(other) = taken.insert(host, name) {
                    panic!("profile {profile:?}: {name} and {other} both want port {host}");
                }
            }
        }
    }
    for (name, port) in PORTS {
        assert_eq!(compose.services[name].published(), [(port, port)], "{name}");
    }
    for service in compose.services.values().filter(|service| service.is_ours()) {
        let (system, [_, name]) = (&service.environment["SYSTEM"], &service.command[..]) else { panic!("{service:?}") };
        let address = &service.environment["HTTP_ADDR"];
        let port: u16 = address.strip_prefix("0.0.0.0:").and_then(|port| port.parse().ok()).expect("a port");
        assert_eq!(service.published(), [(port, port)], "{name} of {system} listens at {address}");
        let file = format!("scenarios/systems/{system}.toml");
        // Some systems are not committed yet.
        if root().join(&file).is_file() {
            let file: toml_edit::DocumentMut = text(&file).parse().expect("TOML");
            let said = file["services"][name.as_str()]["port"].as_integer();
            assert_eq!(said, Some(i64::from(port)), "{name} of {system}");
        }
    }
}

fn dependencies() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        for (on, dependency) in &service.depends_on {
            let needed =
                compose.services.get(on).unwrap_or_else(|| panic!("{name} waits for {on}, which is not there"));
            let is_there = needed.profiles.is_empty() || needed.profiles == service.profiles;
            assert!(is_there, "{name} waits for {on}, which only runs with {:?}", needed.profiles);
            match dependency.condition {
                // Our image has a health check of its own.
                Condition::ServiceHealthy => assert!(needed.healthcheck.is_some() || needed.is_ours(), "{name}: {on}"),
                Condition::ServiceCompletedSuccessfully => assert_eq!(needed.restart, Restart::No, "{name}: {on}"),
            }
        }
        assert_eq!(
            service.restart == Restart::No,
            service.environment.contains_key("TOPICS"),
            "{name}: who ends for good"
        );
        if service.is_ours() {
            let makes_topics = |(on, _): &(&String, _)| compose.services[*on].environment.contains_key("TOPICS");
            assert_eq!(service.depends_on.iter().filter(makes_topics).count(), 1, "{name} needs its topics");
            for (variable, on) in [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")] {
                let uses = service.environment.contains_key(variable);
                assert_eq!(uses, service.depends_on.contains_key(on), "{name}: {variable} and {on}");
            }
        }
        if let Some(check) = &service.healthcheck {
            assert!(matches!(check.test[0].as_str(), "CMD" | "CMD-SHELL") && check.test.len() > 1, "{name}: {check:?}");
            let times = [Some(&check.interval), Some(&check.timeout), check.start_period.as_ref()];
            let seconds =
                times.into_iter().flatten().map(|time| time.strip_suffix('s').and_then(|s| s.parse::<u32>().ok()));
            assert!(seconds.into_iter().all(|seconds| seconds > Some(0)) && check.retries > 0, "{name}: {check:?}");
        }
    }
}

fn paths() {
    let compose = Compose::read();
    assert_eq!(compose.name, "shakedown");
    for (name, service) in &compose.services {
        let tag = service.image.rsplit_once(':').expect("an image with a version").1;
        assert!(tag != "latest" && !tag.contains('/'), "{name}: {}", service.image);
        if let Some(build) = &service.build {
            assert!(root().join(&build.context).join(&build.dockerfile).is_file(), "{name}: {build:?}");
            assert!(
                matches!(&service.command[..], [service, _] if service == "service"),
                "{name}: {:?}",
                service.command
            );
        }
        for volume in &service.volumes {
            let source = volume.split(':').next().unwrap_or_default();
            assert!(compose.volumes.contains_key(source), "{name}: there is no volume {source}");
        }
        for mount in &service.configs {
            assert!(compose.configs.contains_key(&mount.source) && mount.target.is_absolute(), "{name}: {mount:?}");
        }
    }
    assert!(compose.volumes.values().all(Option::is_none));
}

fn image() {
    let dockerfile = text("Dockerfile");
    let of = |word: &'static str| dockerfile.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '));
    let [build, last] = of("FROM").collect::<Vec<_>>()[..] else { panic!("two stages") };
    let toolchain: toml_edit::DocumentMut = text("rust-toolchain.toml").parse().expect("TOML");
    let version = toolchain["toolchain"]["channel"].as_str().expect("a version");
    assert!(build.starts_with(&format!("rust:{version}-slim-bookworm ")), "{build}");
    assert!(of("ENV").any(|variable| variable == format!("RUSTUP_TOOLCHAIN={version}")));
    // Debian 12 is bookworm: what was linked there runs here.
    assert_eq!(last, "gcr.io/distroless/cc-debian12:nonroot");
    assert_eq!(of("USER").collect::<Vec<_>>(), ["65532:65532"]);
    let check = of("HEALTHCHECK").next().expect("a health check");
    assert!(check.ends_with(r#"CMD ["shakedown", "service", "--is-ready"]"#), "{check}");
    for copied in of("COPY").filter(|copied| !copied.starts_with("--from=")) {
        let source = copied.split_whitespace().next().expect("a source");
        assert!(root().join(source).exists(), "{copied}");
    }
    let ignored = text(".dockerignore");
    for needed in text("Cargo.toml").lines().find(|line| line.starts_with("members")).expect("members").split('"') {
        assert!(!ignored.lines().any(|line| line == needed), "the build needs {needed}");
    }
}

/// A service with the variables of the file, but for where things are; killed when dropped.
struct Running {
    name: String,
    child: Child,
    address: String,
}

impl Running {
    fn start(name: &str, service: &Service, bootstrap: &str, folder: &Path) -> Self {
        let mut environment = service.environment.clone();
        environment.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), bootstrap.to_owned());
        environment.insert("HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned());
        if let Some(url) = environment.get_mut("DATABASE_URL") {
            *url = format!("sqlite://{}", folder.join(format!("{name}.db")).display());
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(&service.command)
            .current_dir(folder)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            (line["message"] == "listening").then(|| line["http_addr"].as_str().expect("an address").to_owned())
        });
        // Whatever else it says is not needed, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("{name} ended before it listened: {:?}", child.wait()));
        Self { name: name.to_owned(), child, address }
    }

    /// Asks as the image's health check does.
    fn is_ready(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(["service", "--is-ready"])
            .env_clear()
            .env("HTTP_ADDR", &self.address)
            .output()
            .expect("the tool starts");
        match output.status.code() {
            Some(0) => Ok(()),
            _ => Err(format!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the topics that a service of the file makes.
fn make_topics(service: &Service, bootstrap: &str) {
    let [shell, dash_c, script] = &service.command[..] else { panic!("{:?}", service.command) };
    assert_eq!((shell.as_str(), dash_c.as_str()), ("sh", "-c"));
    assert!(script.starts_with("echo $TOPICS | xargs ") && script.ends_with(" --topic"), "{script}");
    let partitions = service.environment["PARTITIONS"].parse().expect("a number");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a client");
    let topics: Vec<&str> = service.environment["TOPICS"].split_whitespace().collect();
    let new = topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let made = runtime.block_on(admin.create_topics(&new.collect::<Vec<_>>(), &AdminOptions::new()));
    let made = made.expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

fn ready() {
    let compose = Compose::read();
    for profile in compose.profiles() {
        let mut cluster = tool::start(&["cluster", "--brokers", "1"]);
        let bootstrap = tool::announced(&mut cluster);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let of_profile = || compose.services.iter().filter(|(_, service)| service.profiles.join("") == profile);
        for (_, service) in of_profile().filter(|(_, service)| service.environment.contains_key("TOPICS")) {
            make_topics(service, &bootstrap);
        }
        let running: Vec<Running> = of_profile()
            .filter(|(_, service)| service.is_ours())
            .map(|(name, service)| Running::start(name, service, &bootstrap, folder.path()))
            .collect();
        assert!(!running.is_empty(), "profile {profile:?} has no services");
        let deadline = Instant::now() + PATIENCE;
        for service in &running {
            while let Err(reason) = service.is_ready() {
                assert!(Instant::now() < deadline, "{reason}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        drop(running);
        processes::assert_none_of(folder.path());
        drop(cluster.stdin.take());
        assert_eq!(tool::wait(&mut cluster), Some(0));
    }
    let nobody = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["service", "--is-ready"])
        .env("HTTP_ADDR", "127.0.0.1:1")
        .output()
        .expect("the tool starts");
    assert_eq!(nobody.status.code(), Some(1), "nobody is not ready");
}
