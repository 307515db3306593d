//! `shakedown cluster`: brokers for other programs and other languages.

use super::arguments::ClusterArguments;
use crate::exit::Exit;
use crate::language::names;
use shakedown_cluster::control::ControlServer;
use shakedown_cluster::{Cluster, ConfigError, StartError};
use shakedown_loadgen::{StopFlag, signals};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at whether it is time to stop.
const POLL: Duration = Duration::from_millis(20);

pub(super) fn run(arguments: &ClusterArguments) -> Exit {
    let stop = StopFlag::new();
    if let Err(error) = signals::raise_on_signal(stop.clone(), || {}) {
        eprintln!("error: cannot handle signals: {error}");
        return Exit::Broken;
    }
    log_to_standard_error();
    let mut builder = Cluster::builder().brokers(arguments.brokers).controllers(arguments.controllers);
    if let Some(port) = arguments.port {
        builder = builder.base_port(port);
    }
    if let Some(bytes) = arguments.memory {
        builder = builder.memory_budget(bytes);
    }
    if let Some(folder) = &arguments.data_dir {
        builder = builder.data_dir(folder);
    }
    for (name, value) in &arguments.config {
        builder = builder.config(name, value);
    }
    let cluster = match builder.start() {
        Ok(cluster) => Arc::new(cluster),
        Err(error) => return not_started(&error),
    };
    let control = arguments.control.map(|address| (address, ControlServer::start(Arc::clone(&cluster), address)));
    let control = match control {
        None => None,
        Some((_, Ok(server))) => Some(server),
        Some((address, Err(error))) => {
            eprintln!("error: cannot serve the control API at {address}: {error}");
            return Exit::Broken;
        }
    };
    let nodes: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| serde_json::json!({ "id": node.id, "host": node.host, "port": node.port }))
        .collect();
    let mut line = serde_json::json!({ "bootstrap_servers": cluster.bootstrap_servers(), "nodes": nodes });
    if let Some(control) = &control {
        line["control"] = format!("http://{}", control.address()).into();
    }
    let mut stdout = std::io::stdout();
    if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        eprintln!("error: nobody reads where the cluster is: standard output is closed");
        return Exit::Broken;
    }
    if parent_holds_a_pipe() {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            let mut stdin = std::io::stdin();
            while !matches!(stdin.read(&mut buffer), Ok(0) | Err(_)) {}
            stop.stop();
        });
    }
    while !stop.is_stopped() {
        std::thread::sleep(POLL);
    }
    drop(control);
    drop(cluster);
    Exit::Pass
}

/// Why there is no cluster, and whether whoever typed the command can put that right by typing another.
fn not_started(error: &StartError) -> Exit {
    eprintln!("error: cannot start the cluster: {}", in_words(error));
    match error {
        StartError::Config(_)
        | StartError::Brokers { .. }
        | StartError::Controllers { .. }
        | StartError::PortRange { .. } => Exit::Usage,
        _ => Exit::Broken,
    }
}

fn in_words(error: &StartError) -> String {
    match error {
        StartError::Config(ConfigError::Unknown { name, known }) => {
            let advice = names::advice(name, known.split(", "));
            format!("a broker has no setting `{name}`\n  {advice}")
        }
        StartError::Config(ConfigError::Invalid { name, value, allowed }) => {
            format!("`{name}` cannot be \"{value}\"\n  allowed: {allowed}")
        }
        other => other.to_string(),
    }
}

/// What the brokers refuse is told on standard error, so that nobody wonders why a connection was closed.
fn log_to_standard_error() {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::builder()
                .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
                .from_env_lossy(),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// Whether standard input is a pipe whose end means that the parent is gone. A terminal, a file or /dev/null says
/// nothing about the parent.
fn parent_holds_a_pipe() -> bool {
    std::fs::metadata("/dev/stdin").is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_socket()
    })
}
