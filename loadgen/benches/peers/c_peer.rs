//! `rdkafka_performance`, librdkafka's own: built from the sources that the crate brings along, against the very library
//! that this build has made of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Names a program to use in place of the one that is built here.
pub(crate) const VARIABLE: &str = "SHAKEDOWN_RDKAFKA_PERFORMANCE";

/// The program, or in words why there is none.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{VARIABLE} is {}, which is no file", path.display()))
        };
    }
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // This executable lies in `<target>/<profile>/deps`, and what build scripts have made beside that.
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let builds = executable.parent().and_then(Path::parent).map(|profile| profile.join("build"));
    let builds = builds.ok_or("this executable lies nowhere")?;
    let library = newest(&builds, "rdkafka-sys-", "out/src/librdkafka.a")?;
    let sources = library.parent().and_then(Path::parent).ok_or("the library lies nowhere")?;
    let program = scratch.join("rdkafka_performance");
    let output = Command::new("cc")
        .arg("-O2")
        .arg("-I")
        .arg(sources)
        .arg("-I")
        .arg(sources.join("src"))
        .arg("-o")
        .arg(&program)
        .arg(sources.join("examples/rdkafka_performance.c"))
        .arg(&library)
        .arg(newest(&builds, "zstd-sys-", "out/libzstd.a")?)
        .arg(newest(&builds, "libz-sys-", "out/lib/libz.a")?)
        .args(["-lpthread", "-lm", "-ldl"])
        .output()
        .map_err(|error| format!("cc cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(program),
        false => Err(format!("cc says {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// The file of this name that a build script of this package made last.
fn newest(builds: &Path, package: &str, name: &str) -> Result<PathBuf, String> {
    let entries = builds.read_dir().map_err(|error| format!("{} cannot be read: {error}", builds.display()))?;
    let of_package = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(package));
    let made =
        |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let folders = entries.flatten().map(|entry| entry.path()).filter(of_package);
    let found = folders.map(|folder| folder.join(name)).filter(|file| file.is_file()).max_by_key(made);
    found.ok_or_else(|| format!("no build of {package} in {} has {name}", builds.display()))
}
