//! Where Kafka's jars are.

use super::error::ApacheError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The release that is fetched, and whose answers ours are compared with.
pub const VERSION: &str = "4.1.1";

/// Names a folder of jars, before any other place.
pub const JARS_VARIABLE: &str = "SHAKEDOWN_KAFKA_JARS";

/// What the names of the jar with the clients' code have in front of the version.
const CLIENTS: &str = "kafka-clients-";

/// What the name of the jar with `kafka.Kafka` begins with; the version of Scala follows.
const SERVER: &str = "kafka_2.";

/// A folder that has Kafka's jars and those that they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jars {
    folder: PathBuf,
    version: String,
}

impl Jars {
    /// The folder that `SHAKEDOWN_KAFKA_JARS` names; else `libs` in the distribution that `KAFKA_HOME` names; else what
    /// `shakedown doctor --fetch` has put into the user's cache folder. Where a variable is set, nothing else is tried.
    ///
    /// # Errors
    /// [`ApacheError::NoJars`], with where they were looked for and how to get them.
    pub fn find() -> Result<Self, ApacheError> {
        Self::find_by(|name| std::env::var_os(name))
    }

    fn find_by(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ApacheError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut looked = Vec::new();
        for (name, below) in [(JARS_VARIABLE, ""), ("KAFKA_HOME", "libs")] {
            let Some(named) = set(name) else {
                looked.push(format!("{name} is not set"));
                continue;
            };
            let folder = if below.is_empty() { named } else { named.join(below) };
            return Self::read(&folder)
                .map_err(|reason| ApacheError::NoJars { looked: vec![format!("{name}: {reason}")] });
        }
        match Self::cache_by(variable) {
            None => looked.push("there is no home folder whose cache could have them".to_owned()),
            Some(folder) => match Self::read(&folder) {
                Ok(jars) => return Ok(jars),
                Err(reason) => looked.push(reason),
            },
        }
        Err(ApacheError::NoJars { looked })
    }

    /// The jars of this folder.
    ///
    /// # Errors
    /// [`ApacheError::NoJars`], if it is no folder or has no Kafka.
    pub fn of(folder: impl AsRef<Path>) -> Result<Self, ApacheError> {
        Self::read(folder.as_ref()).map_err(|reason| ApacheError::NoJars { looked: vec![reason] })
    }

    /// Where `shakedown doctor --fetch` puts them: `shakedown/kafka-4.1.1` in `XDG_CACHE_HOME` or in `~/.cache`. Nothing for
    /// somebody without a home folder.
    #[must_use]
    pub fn cache() -> Option<PathBuf> {
        Self::cache_by(|name| std::env::var_os(name))
    }

    fn cache_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let set = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
        Some(cache.join("shakedown").join(format!("kafka-{VERSION}")))
    }

    /// The folder, or in words why it is none.
    fn read(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let entries = folder.read_dir().map_err(|error| format!("{shown} cannot be read ({error})"))?;
        let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let version = |name: &String| Some(name.strip_prefix(CLIENTS)?.strip_suffix(".jar")?.to_owned());
        // A distribution has jars with tests beside those with code.
        let versions = names.iter().filter_map(version).filter(|version| !version.ends_with("-test"));
        let version = versions.max().ok_or_else(|| format!("{shown} has no {CLIENTS}VERSION.jar"))?;
        if !names.iter().any(|name| name.starts_with(SERVER) && name.ends_with(&format!("-{version}.jar"))) {
            return Err(format!("{shown} has the clients of Kafka {version} and not its server"));
        }
        Ok(Self { folder: folder.to_owned(), version })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kafka's version, by the names of the jars: `4.1.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs::File;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            File::create(folder.path().join(name)).expect("a file");
        }
        folder
    }

    fn find(variables: &[(&str, &Path)]) -> Result<Jars, String> {
        let variables: BTreeMap<&str, OsString> =
            variables.iter().map(|(name, path)| (*name, path.as_os_str().to_owned())).collect();
        Jars::find_by(|name| variables.get(name).cloned()).map_err(|error| error.to_string())
    }

    const WHOLE: [&str; 3] = ["kafka-clients-4.1.1.jar", "kafka_2.13-4.1.1.jar", "scala-library-2.13.16.jar"];

    #[test]
    fn the_first_place_that_is_named_counts() {
        let (one, other) = (folder_with(&WHOLE), folder_with(&WHOLE));
        let jars = find(&[(JARS_VARIABLE, one.path()), ("KAFKA_HOME", other.path())]).expect("jars");
        assert_eq!((jars.folder(), jars.version()), (one.path(), "4.1.1"));
        let error = find(&[(JARS_VARIABLE, &one.path().join("gone")), ("HOME", other.path())]).expect_err("none there");
        assert!(error.contains("SHAKEDOWN_KAFKA_JARS: ") && error.contains("doctor --fetch"), "{error}");
    }

    #[test]
    fn distributions_and_the_cache_are_found() {
        let home = folder_with(&[]);
        for below in ["libs", ".cache/shakedown/kafka-4.1.1"] {
            let folder = home.path().join(below);
            std::fs::create_dir_all(&folder).expect("a folder");
            for name in WHOLE.into_iter().chain(["kafka-clients-4.1.1-test.jar"]) {
                File::create(folder.join(name)).expect("a file");
            }
        }
        let distribution = find(&[("KAFKA_HOME", home.path())]).expect("jars");
        assert_eq!((distribution.folder(), distribution.version()), (home.path().join("libs").as_path(), "4.1.1"));
        let cached = find(&[("HOME", home.path())]).expect("jars");
        assert!(cached.folder().ends_with("shakedown/kafka-4.1.1"), "{cached:?}");
    }

    #[test]
    fn what_is_missing_is_told() {
        let clients = folder_with(&WHOLE[..1]);
        let error = find(&[(JARS_VARIABLE, clients.path())]).expect_err("no server");
        assert!(error.contains("has the clients of Kafka 4.1.1 and not its server"), "{error}");
        let error = find(&[("HOME", clients.path())]).expect_err("an empty cache");
        assert!(error.contains("KAFKA_HOME is not set") && error.contains("kafka-4.1.1 cannot be read"), "{error}");
        let error = find(&[]).expect_err("no home");
        assert!(error.contains("no home folder"), "{error}");
    }
}
