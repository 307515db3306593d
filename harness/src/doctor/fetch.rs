//! Getting Kafka's jars, with those that they need, by Maven.

use super::machine;
use shakedown_cluster::apache::{Jars, VERSION};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `log4j-slf4j-impl` in the version that Kafka's distribution has beside these jars: without it nodes log nothing. Nothing
/// in Kafka's own artefacts names it.
const LOGGING: &str = "2.24.3";

/// Why there are no jars.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody to fetch them.
    #[error("mvn is not on the PATH: install Maven, or unpack a distribution of Kafka and set KAFKA_HOME to it")]
    NoMaven,
    /// Nowhere to put them.
    #[error("there is no cache folder to put them into: neither XDG_CACHE_HOME nor HOME is set to an absolute path")]
    NoCache,
    /// A folder or a file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What should be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Maven does not start.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Maven failed; it has said why.
    #[error("Maven cannot get them: it {0}")]
    Maven(String),
    /// What Maven brought is no Kafka.
    #[error("what Maven brought cannot be used: {0}")]
    Unusable(#[from] shakedown_cluster::apache::ApacheError),
}

/// Gets the jars into the user's cache folder; where they are then. Nothing is fetched where they are already. What Maven
/// says goes to standard error.
///
/// # Errors
/// See [`FetchError`]; nothing half is left behind.
pub fn jars() -> Result<Jars, FetchError> {
    let folder = Jars::cache().ok_or(FetchError::NoCache)?;
    if let Ok(jars) = Jars::of(&folder) {
        return Ok(jars);
    }
    let maven = machine::program("mvn").ok_or(FetchError::NoMaven)?;
    let cache = folder.parent().ok_or(FetchError::NoCache)?;
    std::fs::create_dir_all(cache).map_err(written(cache))?;
    // Beside the place where they belong, so that they get there in one step and whole.
    let partial = tempfile::Builder::new().prefix("fetching-").tempdir_in(cache).map_err(written(cache))?;
    let pom = partial.path().join("pom.xml");
    std::fs::write(&pom, project()).map_err(written(&pom))?;
    let jars = partial.path().join("jars");
    let mut command = Command::new(&maven);
    command.args([
        "--batch-mode",
        "--quiet",
        "-Dstyle.color=never",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "--file",
    ]);
    let mut output = std::ffi::OsString::from("-DoutputDirectory=");
    output.push(&jars);
    command.arg(&pom).arg(output).stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().map_err(|source| FetchError::Start { program: maven, source })?;
    if !status.success() {
        return Err(FetchError::Maven(crate::run::process::describe(status)));
    }
    Jars::of(&jars)?;
    match std::fs::rename(&jars, &folder) {
        // Somebody else may have been quicker.
        Err(source) if Jars::of(&folder).is_err() => return Err(FetchError::Write { path: folder, source }),
        _ => {}
    }
    Ok(Jars::of(&folder)?)
}

fn written(path: &Path) -> impl FnOnce(std::io::Error) -> FetchError + use<> {
    let path = path.to_owned();
    |source| FetchError::Write { path, source }
}

/// A project that needs Kafka's server and its tools, and nothing else.
fn project() -> String {
    let dependencies: String = [
        ("org.apache.kafka", "kafka_2.13", VERSION),
        ("org.apache.kafka", "kafka-tools", VERSION),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", LOGGING),
    ]
    .iter()
    .map(|(group, artefact, version)| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artefact}</artifactId><version>{version}</version></dependency>\n"
        )
    })
    .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>shakedown</groupId>\n  <artifactId>kafka</artifactId>\n  <version>1</version>\n  <dependencies>\n\
         {dependencies}  </dependencies>\n</project>\n"
    )
}
