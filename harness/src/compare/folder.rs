//! Where the runs of a comparison lie: `pair-001/a/<scenario>/<time>`, beside the plan and the reports. A comparison that was
//! interrupted goes on from there.

use super::error::CompareError;
use super::plan::ComparisonPlan;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PLAN_FILE: &str = "plan.json";

/// The file that every run directory has.
const RUN_FILE: &str = "run.json";

/// What a run that ended by itself has left.
const LAST_FILES: [&str; 3] = ["summary.json", "verdict.json", "ending.json"];

/// The folder of one comparison.
#[derive(Debug, Clone)]
pub struct ComparisonFolder {
    path: PathBuf,
}

impl ComparisonFolder {
    /// Makes the folder, or finds the runs of the same comparison in it.
    ///
    /// # Errors
    /// When it cannot be made, or holds another comparison.
    pub fn open(path: &Path, plan: &ComparisonPlan) -> Result<Self, CompareError> {
        fs::create_dir_all(path).map_err(CompareError::io("make the folder", path))?;
        let file = path.join(PLAN_FILE);
        match fs::read(&file) {
            Ok(bytes) => {
                let earlier: ComparisonPlan = serde_json::from_slice(&bytes)
                    .map_err(|error| CompareError::io("read", &file)(io::Error::from(error)))?;
                if let Some(what) = plan.difference(&earlier) {
                    return Err(CompareError::AnotherPlan { folder: path.to_owned(), what });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = serde_json::to_vec_pretty(plan).map_err(io::Error::from);
                text.and_then(|text| fs::write(&file, text)).map_err(CompareError::io("write", &file))?;
            }
            Err(error) => return Err(CompareError::io("read", &file)(error)),
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the run of this side of this pair goes; pairs count from 1.
    #[must_use]
    pub fn side(&self, pair: usize, is_a: bool) -> PathBuf {
        self.path.join(format!("pair-{pair:03}")).join(if is_a { "a" } else { "b" })
    }

    /// The run of this side of this pair, if it is there to its end.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn finished(&self, pair: usize, is_a: bool) -> Result<Option<PathBuf>, CompareError> {
        let side = self.side(pair, is_a);
        if !side.is_dir() {
            return Ok(None);
        }
        let is_whole = |run: &PathBuf| LAST_FILES.iter().all(|file| run.join(file).is_file());
        Ok(runs_beneath(&side)?.into_iter().rfind(is_whole))
    }
}

/// The run directories in a folder and beneath it, in the order of their names; the folder itself, if it is one. Hidden
/// folders are not looked into, and links to folders are not followed.
///
/// # Errors
/// When a folder cannot be read.
pub fn runs_beneath(folder: &Path) -> Result<Vec<PathBuf>, CompareError> {
    if folder.join(RUN_FILE).is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let unreadable = || CompareError::io("look into", folder);
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable())?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut runs = Vec::new();
    for entry in entries {
        let is_folder = entry.file_type().map_err(unreadable())?.is_dir();
        if is_folder && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            runs.extend(runs_beneath(&entry.path())?);
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::plan::SidePlan;

    fn plan(seed: u64) -> ComparisonPlan {
        let side = SidePlan {
            label: "A".to_owned(),
            scenario: PathBuf::from("a.toml"),
            scenario_text: String::new(),
            settings: Vec::new(),
            program: PathBuf::from("shakedown"),
            program_unix_ms: 0,
        };
        let (a, b) = (side.clone(), side);
        ComparisonPlan { format: 1, a, b, arguments: Vec::new(), seed, pairs: 12, extend: true }
    }

    fn make_run(path: &Path, files: &[&str]) {
        fs::create_dir_all(path).expect("a folder");
        for file in files {
            fs::write(path.join(file), "{}").expect("a file");
        }
    }

    #[test]
    fn what_is_finished_is_found_again_and_what_was_killed_is_not() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = ComparisonFolder::open(root.path(), &plan(1)).expect("new");
        assert_eq!(folder.finished(1, true).expect("looked"), None);
        let run = folder.side(1, true).join("scenario/20261122T100000");
        make_run(&run, &["run.json", "summary.json", "verdict.json"]);
        assert_eq!(folder.finished(1, true).expect("looked"), None, "it has no ending");
        make_run(&run, &["ending.json"]);
        assert_eq!(folder.finished(1, true).expect("looked"), Some(run));
        assert_eq!(folder.finished(1, false).expect("looked"), None, "the other side");

        ComparisonFolder::open(root.path(), &plan(1)).expect("the same");
        let error = ComparisonFolder::open(root.path(), &plan(2)).expect_err("another");
        assert!(error.to_string().contains("holds another comparison: its seed is not the one"), "{error}");
    }

    #[test]
    fn runs_are_found_at_any_depth_in_the_order_of_names() {
        let root = tempfile::tempdir().expect("a folder");
        for run in ["b/2", "a/x/1", ".hidden/3"] {
            make_run(&root.path().join(run), &["run.json"]);
        }
        let found = runs_beneath(root.path()).expect("looked");
        assert_eq!(found, [root.path().join("a/x/1"), root.path().join("b/2")]);
        assert_eq!(runs_beneath(&root.path().join("b/2")).expect("looked"), [root.path().join("b/2")]);
    }
}
