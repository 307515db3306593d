//! Every committed scenario passes, and its normalised report is the one that was reviewed.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::Runner;
use std::path::{Path, PathBuf};

pub(crate) fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness");
    let entries = std::fs::read_dir(&folder).expect("scenarios/correctness exists");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty(), "there is no scenario in scenarios/correctness");
    files.into_iter().map(scenario).collect()
}

fn scenario(file: PathBuf) -> Trial {
    let stem = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    trial(&format!("correctness::{stem}"), move || {
        let output = tempfile::tempdir().expect("a temporary folder");
        let runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(output.path());
        let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
        report.assert_passed();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../reports/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(stem, report.snapshot()));
    })
}
