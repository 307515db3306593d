//! What is looked for, and what was found of it.

use super::machine::{self, says};
use shakedown_cluster::apache::{ApacheError, Jars, VERSION};
use std::fmt;
use std::path::Path;

/// The oldest Java that Kafka's brokers run on since 4.0 (KIP-1013).
const JAVA_MIN: u32 = 17;

/// What was found of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there: which version, and where.
    There(String),
    /// It is there and of no use: why.
    Unfit(String),
    /// It is not there.
    Missing(String),
}

/// One thing that Shakedown can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether `shakedown doctor` fails without it.
    pub required: bool,
    /// What was found.
    pub found: Found,
    /// How to get it.
    pub remedy: String,
}

impl Finding {
    /// Whether something that is required is not there.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        self.required && !matches!(self.found, Found::There(_))
    }
}

impl fmt::Display for Finding {
    /// A line of the table, and below it how to get what is not there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, detail) = match &self.found {
            Found::There(detail) => ("ok", detail),
            Found::Unfit(detail) => ("unfit", detail),
            Found::Missing(detail) if self.required => ("missing", detail),
            Found::Missing(detail) => ("optional", detail),
        };
        writeln!(f, "  {:<12} {state:<9} {detail}", self.name)?;
        if !matches!(self.found, Found::There(_)) {
            writeln!(f, "  {:<22} for {}", "", self.purpose)?;
            for line in self.remedy.lines() {
                writeln!(f, "  {:<22} {line}", "")?;
            }
        }
        Ok(())
    }
}

/// Looks for everything.
#[must_use]
pub fn findings() -> Vec<Finding> {
    let optional = |name, purpose, program, arguments: &[&str], package: &str| {
        let remedy = format!("Debian: apt-get install {package}");
        Finding { name, purpose, required: false, found: version_of(program, arguments), remedy }
    };
    vec![
        java(),
        jars(),
        optional("Maven", "fetching Kafka's jars: `shakedown doctor --fetch`", "mvn", &["-v"], "maven"),
        optional("kcat", "a test with a client that many people use", "kcat", &["-V"], "kcat"),
        optional("Go", "measuring beside kfake: `just peers`", "go", &["version"], "golang-go"),
        optional("PostgreSQL", "scenarios with `store = \"postgres\"`", "psql", &["--version"], "postgresql"),
        optional("Redis", "scenarios with `cache = \"redis\"`", "redis-server", &["--version"], "redis-server"),
    ]
}

fn java() -> Finding {
    let found = match machine::java() {
        None => Found::Missing(match machine::variable("JAVA_HOME") {
            Some(home) => format!("JAVA_HOME is {}, which has no bin/java", Path::new(&home).display()),
            None => "java is not on the PATH".to_owned(),
        }),
        Some(program) => {
            let said = says(&program, &["-version"]);
            let version = said.as_deref().and_then(java_version);
            let whole = said.as_deref().and_then(quoted).unwrap_or_default();
            match version {
                Some(version) if version >= JAVA_MIN => Found::There(format!("{whole}, {}", program.display())),
                Some(_) => Found::Unfit(format!("{whole}, {}: Kafka 4 needs {JAVA_MIN} or newer", program.display())),
                None => Found::Unfit(format!("{} does not say its version", program.display())),
            }
        }
    };
    let remedy = "Debian: apt-get install default-jre-headless; others: https://adoptium.net".to_owned();
    Finding { name: "Java", purpose: "`--backend apache`", required: true, found, remedy }
}

fn jars() -> Finding {
    let found = match Jars::find() {
        Ok(jars) if jars.version() == VERSION => Found::There(format!("{VERSION}, {}", jars.folder().display())),
        Ok(jars) => Found::There(format!("{} (compared with {VERSION}), {}", jars.version(), jars.folder().display())),
        Err(ApacheError::NoJars { looked }) => Found::Missing(looked.join("; ")),
        Err(error) => Found::Missing(error.to_string()),
    };
    let remedy =
        "shakedown doctor --fetch, which needs Maven; or unpack a distribution and set KAFKA_HOME to it".to_owned();
    Finding { name: "Kafka's jars", purpose: "`--backend apache`", required: true, found, remedy }
}

/// The first line that a program says of itself.
fn version_of(program: &str, arguments: &[&str]) -> Found {
    let Some(path) = machine::program(program) else { return Found::Missing(format!("{program} is not on the PATH")) };
    match says(&path, arguments) {
        Some(said) => {
            let line = said.lines().map(plain).find(|line| !line.is_empty()).unwrap_or_default();
            Found::There(format!("{line}, {}", path.display()))
        }
        None => Found::Unfit(format!("{} fails", path.display())),
    }
}

/// A line without colours, which Maven gives to pipes, too.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.trim().chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // The end of a colour is its first letter.
            let _ = characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(character);
        }
    }
    text
}

/// `17` of `openjdk version "17.0.15"`, and 8 of the old `"1.8.0_292"`.
fn java_version(said: &str) -> Option<u32> {
    let mut numbers = quoted(said)?.split(|character: char| !character.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        version => Some(version),
    }
}

/// What stands between the first two quotation marks.
fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::{java_version, plain};

    #[test]
    fn the_versions_of_java_are_read() {
        for (said, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("java version \"1.8.0_292\"", Some(8)),
            ("The operation couldn’t be completed. Unable to locate a Java Runtime.", None),
        ] {
            assert_eq!(java_version(said), version, "{said}");
        }
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(plain("\u{1b}[1mApache Maven 3.8.7\u{1b}[m "), "Apache Maven 3.8.7");
    }
}
