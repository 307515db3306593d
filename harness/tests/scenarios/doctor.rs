//! `shakedown doctor` on machines that have some things and lack others: programs are scripts in a folder that is the whole
//! `PATH`.

use crate::trial;
use libtest_mimic::Trial;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("doctor::an_empty_machine_is_told_how_to_get_everything", || {
            let output = Machine::new().doctor(&[]);
            assert_eq!(output.status.code(), Some(4));
            let text = stdout(&output);
            for line in [
                "Java         missing   java is not on the PATH",
                "Debian: apt-get install default-jre-headless",
                "Kafka's jars missing   SHAKEDOWN_KAFKA_JARS is not set; KAFKA_HOME is not set; ",
                "shakedown doctor --fetch, which needs Maven",
                "kcat         optional  kcat is not on the PATH",
            ] {
                assert!(text.contains(line), "no {line:?} in\n{text}");
            }
        }),
        trial("doctor::what_is_there_is_found_and_nothing_optional_is_required", || {
            let machine = Machine::new();
            machine.program("java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2");
            machine.jars("home/.cache/shakedown/kafka-4.1.1");
            let output = machine.doctor(&[]);
            let text = stdout(&output);
            assert_eq!(output.status.code(), Some(0), "{text}");
            assert!(text.contains("Java         ok        21.0.1, "), "{text}");
            assert!(text.contains("Kafka's jars ok        4.1.1, "), "{text}");
        }),
        trial("doctor::an_old_java_is_no_java", || {
            let machine = Machine::new();
            machine.program("java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2");
            machine.jars("home/.cache/shakedown/kafka-4.1.1");
            let output = machine.doctor(&[]);
            assert_eq!(output.status.code(), Some(4));
            let text = stdout(&output);
            assert!(text.contains("Java         unfit     11.0.2, ") && text.contains("17 or newer"), "{text}");
        }),
        trial("doctor::fetching_brings_the_jars_once", fetch_once),
        trial("doctor::a_maven_that_fails_leaves_nothing_half", fetch_in_vain),
        trial("doctor::without_maven_nothing_is_fetched", || {
            let output = Machine::new().doctor(&["--fetch"]);
            assert_eq!(output.status.code(), Some(4));
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(error.contains("cannot fetch Kafka's jars: mvn is not on the PATH"), "{error}");
        }),
    ]
}

/// A Maven that notes each call, keeps the project that it was given, and brings what a real one would.
const MAVEN: &str = r#"case "$1" in -v) echo "Apache Maven 3.9.9"; exit 0;; esac
echo "$@" >> "$HOME/calls"
for argument in "$@"; do
  case "$argument" in
    -DoutputDirectory=*) folder="${argument#-DoutputDirectory=}" ;;
    */pom.xml) while read -r line; do echo "$line"; done < "$argument" > "$HOME/pom.xml" ;;
  esac
done
/bin/mkdir -p "$folder"
: > "$folder/kafka-clients-4.1.1.jar"
: > "$folder/kafka_2.13-4.1.1.jar""#;

fn fetch_once() {
    let machine = Machine::new();
    machine.program("java", "echo 'openjdk version \"17.0.15\"' >&2");
    machine.program("mvn", MAVEN);
    for _ in 0..2 {
        let output = machine.doctor(&["--fetch"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(stdout(&output).contains("shakedown/kafka-4.1.1"), "{}", stdout(&output));
    }
    let read = |path: &str| std::fs::read_to_string(machine.0.path().join(path)).expect("a file");
    assert_eq!(read("home/calls").lines().count(), 1, "what is there is not fetched again: {}", read("home/calls"));
    assert!(read("home/calls").contains("dependency:copy-dependencies"), "{}", read("home/calls"));
    for artefact in ["kafka_2.13", "kafka-tools", "log4j-slf4j-impl"] {
        assert!(
            read("home/pom.xml").contains(&format!("<artifactId>{artefact}</artifactId>")),
            "{}",
            read("home/pom.xml")
        );
    }
    assert_eq!(machine.cached(), ["kafka-4.1.1"], "nothing else is left");
}

fn fetch_in_vain() {
    let machine = Machine::new();
    machine.program("mvn", &format!("{MAVEN}\nexit 1"));
    let output = machine.doctor(&["--fetch"]);
    assert_eq!(output.status.code(), Some(4));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("Maven cannot get them: it exited with code 1"), "{error}");
    assert!(machine.cached().is_empty(), "{:?}", machine.cached());
}

/// A machine with nothing but what a test gives it.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["bin", "home"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self(folder)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.0.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its permissions");
    }

    fn jars(&self, folder: &str) {
        let folder = self.0.path().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["kafka-clients-4.1.1.jar", "kafka_2.13-4.1.1.jar"] {
            std::fs::write(folder.join(name), "").expect("a jar");
        }
    }

    /// What is in the cache.
    fn cached(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join("home/.cache/shakedown")).expect("the cache");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        let (bin, home): (&Path, &Path) = (&self.0.path().join("bin"), &self.0.path().join("home"));
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_shakedown"));
        doctor.arg("doctor").args(arguments).env_clear().env("PATH", bin).env("HOME", home);
        doctor.output().expect("the tool starts")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}
