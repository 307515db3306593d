//! How Kafka's classes are run.

use super::jars::Jars;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For tests: small, and quick to start rather than quick in the long run.
const SMALL: [&str; 5] =
    ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"];

/// `KAFKA_HEAP_OPTS` of `kafka-server-start` and `KAFKA_JVM_PERFORMANCE_OPTS` of `kafka-run-class`.
const SHIPPED: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// What Kafka's own tools and servers log goes to standard output, as far as somebody may have to read it. It needs
/// `log4j-slf4j-impl` among the jars, as in Kafka's distribution; without it only what is fatal for the JVM is told.
const LOGGING: &str = "\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = CONSOLE
appender.console.type = Console
appender.console.name = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
";

/// The program: `bin/java` in `JAVA_HOME`, as Kafka's own scripts have it, or the first on the `PATH`.
#[must_use]
pub fn java_program() -> OsString {
    match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home).join("bin").join("java").into_os_string(),
        None => OsString::from("java"),
    }
}

/// Java with Kafka's jars.
#[derive(Debug)]
pub(super) struct Java {
    program: OsString,
    jars: Jars,
    is_shipped: bool,
    /// The cluster's folder: where logging is configured, and where a JVM that crashes leaves its report.
    folder: PathBuf,
}

impl Java {
    /// Writes what configures logging into the cluster's folder.
    pub(super) fn new(jars: Jars, is_shipped: bool, folder: &Path) -> std::io::Result<Self> {
        let java = Self { program: java_program(), jars, is_shipped, folder: folder.to_owned() };
        std::fs::write(java.logging(), LOGGING)?;
        Ok(java)
    }

    pub(super) fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// The command that runs a class; its arguments may follow.
    pub(super) fn run(&self, class: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(if self.is_shipped { SHIPPED.as_slice() } else { SMALL.as_slice() });
        let mut logging = OsString::from("-Dlog4j2.configurationFile=");
        logging.push(self.logging());
        command.arg(logging).arg("-cp").arg(self.jars.folder().join("*")).arg(class).current_dir(&self.folder);
        command
    }

    fn logging(&self) -> PathBuf {
        self.folder.join("log4j2.properties")
    }
}
