//! Finding and reading the files of a scenario.

use super::merge::Merged;
use crate::language::document::Node;
use crate::language::names;
use crate::language::problem::{Problem, Problems, ScenarioError, Sources};
use crate::language::raw::{RawScenario, RawSystem};
use crate::language::setting::Setting;
use std::path::{Path, PathBuf};

/// How far above the scenario's folder a `systems/` folder is looked for.
const LEVELS_UP: usize = 3;

/// A scenario with its system, read but not yet validated.
#[derive(Debug)]
pub struct ScenarioFiles {
    /// The texts, for messages.
    pub sources: Sources,
    /// The scenario laid over its system.
    pub merged: Merged,
    /// The text of the scenario file, for the run directory.
    pub text: String,
    /// The scenario file as it was given.
    pub path: PathBuf,
}

/// Reads a scenario and the system it names.
///
/// # Errors
/// When a file cannot be read, is not TOML, or has keys or values that the language does not know.
pub fn read(path: &Path) -> Result<ScenarioFiles, ScenarioError> {
    read_as(path, read_text(path)?)
}

/// Reads this text as that of a scenario at this path, and the system it names.
///
/// # Errors
/// As [`read`].
pub fn read_as(path: &Path, text: String) -> Result<ScenarioFiles, ScenarioError> {
    assemble(path, text, &|name| match find_system(path, name) {
        Ok(found) => Ok(SystemFile::Found { text: read_text(&found)?, path: found.display().to_string() }),
        Err(known) => Ok(SystemFile::Missing { known }),
    })
}

/// What there is under the name of a system.
pub enum SystemFile {
    /// Its file.
    Found {
        /// As messages show it.
        path: String,
        /// Its text.
        text: String,
    },
    /// Nothing.
    Missing {
        /// The names under which there is something.
        known: Vec<String>,
    },
}

/// Puts a scenario and its system together, wherever their texts are from.
///
/// # Errors
/// As [`read`], and those of `system`.
pub fn assemble(
    path: &Path,
    text: String,
    system: &dyn Fn(&str) -> Result<SystemFile, ScenarioError>,
) -> Result<ScenarioFiles, ScenarioError> {
    let mut sources = Sources::default();
    let file = sources.add(path.display().to_string(), text.clone());
    let scenario: RawScenario = read_file(&sources, file)?;
    let system = match &scenario.system {
        None => None,
        Some(name) => match system(&name.value)? {
            SystemFile::Found { path, text } => {
                let file = sources.add(path, text);
                Some(read_file::<RawSystem>(&sources, file)?)
            }
            SystemFile::Missing { known } => {
                let message = format!("there is no system `{}`", name.value);
                let problem = Problem::new(&sources, name.place, message, "no such system")
                    .with_help(advice(&name.value, &known));
                return Err(ScenarioError::Invalid(vec![problem]));
            }
        },
    };
    Ok(ScenarioFiles { merged: Merged::new(scenario, system), sources, text, path: path.to_owned() })
}

/// Which systems there are; where there is none, where they would have to be.
fn advice(name: &str, known: &[String]) -> String {
    if !known.is_empty() {
        return names::advice(name, known.iter().map(String::as_str));
    }
    let ours: Vec<&str> = shakedown_services::systems().collect();
    let near = names::nearest(name, ours.iter().copied()).map(|near| format!("did you mean `{near}`? "));
    format!(
        "{}there is no folder `systems` beside the scenario, nor beside a folder that it is in; ours has {}: copy it there, or \
         name a file, `system = \"../systems/mine.toml\"`",
        near.unwrap_or_default(),
        names::list(&ours)
    )
}

/// The text of a file of the scenario.
///
/// # Errors
/// When it cannot be read.
pub fn read_text(path: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(path)
        .map_err(|source| ScenarioError::Unreadable { file: path.display().to_string(), source })
}

fn read_file<T: Setting>(sources: &Sources, file: usize) -> Result<T, ScenarioError> {
    let root = Node::parse(sources, file).map_err(|problem| ScenarioError::Invalid(vec![*problem]))?;
    let mut problems = Problems::new(sources);
    let read = T::read(&root, "", &mut problems);
    problems.finish()?;
    Ok(read.expect("a table that cannot be read always leaves a problem"))
}

/// The file of a system: a path that ends in `.toml`, or a name under the nearest `systems/` folder. Failing that, the
/// names that exist.
fn find_system(scenario: &Path, name: &str) -> Result<PathBuf, Vec<String>> {
    let folder = scenario.parent().unwrap_or(Path::new(""));
    let is_path = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    if is_path && folder.join(name).is_file() {
        return Ok(folder.join(name));
    }
    let mut known = Vec::new();
    // Joined with `..` rather than taken from the absolute path, so that messages show the path as the user knows it.
    let mut level = folder.to_owned();
    for _ in 0..LEVELS_UP {
        let systems = level.join("systems");
        let candidate = systems.join(format!("{name}.toml"));
        if candidate.is_file() {
            return Ok(candidate);
        }
        known.extend(names_in(&systems));
        level = match level.parent() {
            Some(parent) if level.file_name().is_some() => parent.to_owned(),
            _ => level.join(".."),
        };
    }
    known.sort();
    known.dedup();
    Err(known)
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::path::Path;

    const SCENARIO: &str = "name = \"n\"\nsystem = \"trackr\"\n";

    fn told(scenario: &Path) -> String {
        std::fs::write(scenario, SCENARIO).expect("a scenario");
        let error = read(scenario).expect_err("there is no such system").render(false);
        error.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_system_that_there_is_not_is_answered_with_those_that_there_are() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("a/b")).expect("folders");
        let scenario = folder.path().join("a/b/s.toml");
        let nowhere = told(&scenario);
        assert!(
            nowhere.contains("did you mean `tracker`? there is no folder `systems` beside the scenario"),
            "{nowhere}"
        );
        assert!(nowhere.contains("ours has `billing`, `fanout`, `platform`, `storefront`, `tracker`"), "{nowhere}");
        std::fs::create_dir(folder.path().join("systems")).expect("a folder");
        for system in ["mine", "tracker"] {
            std::fs::write(folder.path().join(format!("systems/{system}.toml")), "").expect("a system");
        }
        let somewhere = told(&scenario);
        assert!(somewhere.contains("did you mean `tracker`? allowed: `mine`, `tracker`"), "{somewhere}");
    }
}
