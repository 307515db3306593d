//! A service as a child process.

use crate::cluster::Cluster;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For anything that must happen; far above what it takes.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A running service; killed when dropped.
pub(crate) struct Service {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    address: String,
    runtime: tokio::runtime::Runtime,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// Of the header; empty where there is none.
    pub(crate) location: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How a service that could not start ended.
pub(crate) struct Refusal {
    pub(crate) code: Option<i32>,
    pub(crate) explanation: String,
}

fn command(name: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // Nothing of the environment in which the tests run may reach the service.
    command.env_clear().args(["service", name]).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a service that is expected to end by itself.
pub(crate) fn refused(name: &str, variables: &[(&str, &str)]) -> Refusal {
    let output = command(name, variables).output().unwrap();
    Refusal { code: output.status.code(), explanation: String::from_utf8(output.stderr).unwrap() }
}

/// Waits until `condition` gives a value.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {TIMEOUT:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Service {
    /// Starts a service on this cluster and waits until it listens.
    pub(crate) fn start(name: &str, cluster: &Cluster, variables: &[(&str, &str)]) -> Self {
        let bootstrap = cluster.bootstrap_servers();
        let mut all = vec![
            ("KAFKA_BOOTSTRAP_SERVERS", bootstrap.as_str()),
            // A killed instance's partitions are free again soon; but the mock cluster gathers a new group for 3 s, and
            // a session shorter than that would end before it began.
            ("KAFKA_SESSION_TIMEOUT_MS", "4500"),
            ("KAFKA_HEARTBEAT_INTERVAL_MS", "300"),
        ];
        all.extend(variables);
        let mut child = command(name, &all).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut service = Self { name: name.to_owned(), child, log, address: String::new(), runtime };
        service.address = wait_for("the service to listen", || {
            let line = service.log_lines().into_iter().find(|line| line["message"] == "listening")?;
            Some(line["http_addr"].as_str().unwrap().to_owned())
        });
        service
    }

    /// As `start`, and waits until it is ready.
    pub(crate) fn start_ready(name: &str, cluster: &Cluster, variables: &[(&str, &str)]) -> Self {
        let service = Self::start(name, cluster, variables);
        wait_for("the service to be ready", || (service.get("/ready").status == 200).then_some(()));
        service
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&reqwest::Method::GET, path, &[], "")
    }

    /// Posts JSON; headers may say otherwise.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(&reqwest::Method::POST, path, headers, body)
    }

    /// Sends any request. What is posted is JSON unless a header says otherwise.
    pub(crate) fn send(&self, method: &reqwest::Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = reqwest::Client::new().request(method.clone(), &url).body(body.to_owned());
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap_or_else(|failure| panic!("{method} {url}: {failure}"));
            let status = response.status().as_u16();
            let content_type = response
                .headers()
                .get("content-type")
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default();
            let location = response.headers().get("location");
            let location = location.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            Answer { status, content_type, location, body: response.text().await.unwrap() }
        })
    }

    /// The lines of the log that are JSON.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The value of a counter in `/metrics`, 0 if it is not there yet.
    pub(crate) fn metric(&self, name_and_labels: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(&format!("{name_and_labels} ")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Sends SIGTERM and requires a clean and timely end. Returns what it logged.
    pub(crate) fn stop(mut self) -> Vec<Value> {
        let asked = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.ended();
        let took = asked.elapsed();
        assert_eq!(status.code(), Some(0), "{} stopped cleanly", self.name);
        assert!(took < Duration::from_secs(5), "{} took {took:?} to stop", self.name);
        self.log_lines()
    }

    /// Kills the process on the spot (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the process to end", || child.try_wait().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log.lock().unwrap();
            let last = log.len().saturating_sub(40);
            eprintln!("--- last lines of {}\n{}", self.name, log[last..].join("\n"));
        }
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}

/// A folder for stores, and the `DATABASE_URL` of a file in it.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn database_url(&self, file: &str) -> String {
        format!("sqlite://{}", self.folder.path().join(file).display())
    }
}
