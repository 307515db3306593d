//! Finding the `shakedown` executable, whose `service NAME` runs a built-in service.

use super::error::RunError;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The variable that names it.
pub const VARIABLE: &str = "SHAKEDOWN_BIN";

/// The executable the caller knows, or the one of `SHAKEDOWN_BIN`, or the first on `PATH`.
///
/// # Errors
/// When there is none of them, with where it was looked for.
pub fn find(known: Option<&Path>) -> Result<PathBuf, RunError> {
    choose(known, std::env::var_os(VARIABLE).as_deref(), std::env::var_os("PATH").as_deref())
}

fn choose(known: Option<&Path>, variable: Option<&OsStr>, path: Option<&OsStr>) -> Result<PathBuf, RunError> {
    if let Some(known) = known {
        return Ok(known.to_owned());
    }
    if let Some(named) = variable.filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_file() {
            Ok(named)
        } else {
            Err(RunError::Executable { looked: format!("{VARIABLE} names {}, which is no file", named.display()) })
        };
    }
    std::env::split_paths(path.unwrap_or_default())
        .map(|folder| folder.join("shakedown"))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| RunError::Executable { looked: format!("{VARIABLE} is not set, and PATH has none") })
}

#[cfg(test)]
mod tests {
    use super::choose;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_caller_wins_then_the_variable_then_the_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("shakedown");
        std::fs::write(&program, "").expect("a file");
        let found = choose(Some(Path::new("/known")), Some(program.as_os_str()), None).expect("known");
        assert_eq!(found, PathBuf::from("/known"));
        assert_eq!(choose(None, Some(program.as_os_str()), None).expect("by the variable"), program);
        assert_eq!(choose(None, None, Some(folder.path().as_os_str())).expect("by the path"), program);
    }

    #[test]
    fn a_missing_one_is_explained() {
        let error = choose(None, Some("no/such/file".as_ref()), None).expect_err("it is not there").to_string();
        assert!(error.contains("SHAKEDOWN_BIN names no/such/file") && error.contains("give every service a `command`"));
        let error = choose(None, None, Some("".as_ref())).expect_err("there is none").to_string();
        assert!(error.contains("SHAKEDOWN_BIN is not set"), "{error}");
    }
}
