//! Who is measured, how each is found, and how a server of each is started.

use crate::kafka;
use crate::server::Server;
use crate::workload;
use shakedown_cluster::apache::Jars;
use shakedown_cluster::builder::MEMORY_BUDGET;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Nodes of the larger clusters.
const NODES: u8 = 3;

/// The columns of the table, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Ours,
    /// The same three nodes, with one replica of everything.
    OursUnreplicated,
    Floor,
    Kfake,
    /// As many brokers as ours has: to a client each is a connection, a thread and smaller requests.
    KfakeOfThree,
    KafkaReplicated,
    Kafka,
}

impl Column {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ours,
        Self::OursUnreplicated,
        Self::Floor,
        Self::Kfake,
        Self::KfakeOfThree,
        Self::KafkaReplicated,
        Self::Kafka,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours, RF 3",
            Self::OursUnreplicated => "ours, RF 1",
            Self::Floor => "floor",
            Self::Kfake => "kfake",
            Self::KfakeOfThree => "kfake x 3",
            Self::KafkaReplicated => "Apache x 3",
            Self::Kafka => "Apache x 1",
        }
    }

    /// Servers that take long to boot and to answer: one round of smaller loads has to do.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::KafkaReplicated | Self::Kafka)
    }
}

/// Somebody who is there to be measured.
pub(crate) struct Peer {
    pub(crate) column: Column,
    /// The program, or the folder of jars; nothing for ours.
    path: PathBuf,
}

impl Peer {
    /// Ours, and all others that this machine has. Prints what is missing for the rest.
    pub(crate) fn find() -> Vec<Self> {
        let peer = |column, path: &Path| Self { column, path: path.to_owned() };
        let mut found = vec![peer(Column::Ours, Path::new("")), peer(Column::OursUnreplicated, Path::new(""))];
        match std::env::var_os("SHAKEDOWN_FLOOR").map(PathBuf::from) {
            Some(path) if path.is_file() => found.push(peer(Column::Floor, &path)),
            Some(path) => println!("no floor: SHAKEDOWN_FLOOR is {}, which is no file", path.display()),
            None => println!("no floor: SHAKEDOWN_FLOOR=path names a program that takes a port"),
        }
        match build_kfake() {
            Ok(path) => found.extend([peer(Column::Kfake, &path), peer(Column::KfakeOfThree, &path)]),
            Err(reason) => println!("no kfake: {reason}"),
        }
        match Jars::find() {
            Ok(jars) if runs("java", "-version") => {
                found.extend([peer(Column::KafkaReplicated, jars.folder()), peer(Column::Kafka, jars.folder())]);
            }
            Ok(_) => println!("no Apache Kafka: java is not on the PATH"),
            Err(error) => println!("no Apache Kafka: {error}"),
        }
        found
    }

    pub(crate) fn start(&self) -> Server {
        match self.column {
            Column::Ours => Server::ours(workload::REPLICAS, MEMORY_BUDGET),
            Column::OursUnreplicated => Server::ours(1, MEMORY_BUDGET),
            Column::Floor => Server::of_ports(&self.path, 1, false),
            Column::Kfake => Server::of_ports(&self.path, 1, true),
            Column::KfakeOfThree => Server::of_ports(&self.path, NODES, true),
            Column::KafkaReplicated => kafka::start(&self.path, NODES),
            Column::Kafka => kafka::start(&self.path, 1),
        }
    }
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// Builds the program that serves kfake into cargo's folder for what benches make.
fn build_kfake() -> Result<PathBuf, String> {
    if !runs("go", "version") {
        return Err(String::from("go is not on the PATH"));
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kfake");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/kfake");
    let arguments = [OsStr::new("build"), OsStr::new("-o"), program.as_os_str(), OsStr::new(".")];
    let output = Command::new("go").args(arguments).current_dir(source).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(program),
        false => Err(format!("go build says {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
