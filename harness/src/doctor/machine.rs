//! The programs and variables of a machine.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a variable says; nothing for one that is empty.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A program on the `PATH`.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
}

/// What Kafka is run with: `bin/java` in `JAVA_HOME`, if that is set, or `java` on the `PATH`.
pub(super) fn java() -> Option<PathBuf> {
    match variable("JAVA_HOME") {
        Some(home) => Some(PathBuf::from(home).join("bin").join("java")).filter(|program| is_program(program)),
        None => program("java"),
    }
}

/// What a program says, on standard output and then on standard error; nothing where it fails.
pub(super) fn says(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    output.status.success().then_some(text)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
