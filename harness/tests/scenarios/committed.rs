//! Every committed scenario passes, and its normalised report is the one that was reviewed. A failure case passes by
//! losing, doubling or reordering exactly what it says; each has a fixed twin that does not.
//!
//! The long ones run with `SHAKEDOWN_SOAK=1`; that they are scenarios at all is found out always.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::Runner;
use std::path::{Path, PathBuf};

/// Correctness scenarios of half a minute and more.
const LONG: [&str; 2] = ["black-friday", "storefront-outage"];

pub(crate) fn trials() -> Vec<Trial> {
    let is_soak = std::env::var_os("SHAKEDOWN_SOAK").is_some();
    let mut trials = vec![trial("long::each_can_be_planned", || {
        for file in files("load").into_iter().chain(files("correctness")) {
            Runner::new(&file).plan().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    })];
    for folder in ["correctness", "failures"] {
        let files = files(folder);
        assert!(!files.is_empty(), "there is no scenario in scenarios/{folder}");
        let (long, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| LONG.contains(&&*stem(file)));
        trials.extend(others.into_iter().map(|file| scenario(folder, file)));
        trials.extend(long.into_iter().filter(|_| is_soak).map(|file| scenario("long", file)));
    }
    trials.push(trial("failures::each_case_has_its_fixed_twin", || {
        for file in files("failures") {
            let twin = match file.display().to_string() {
                fixed if fixed.ends_with(".fixed.toml") => fixed.replace(".fixed.toml", ".toml"),
                case => case.replace(".toml", ".fixed.toml"),
            };
            assert!(Path::new(&twin).is_file(), "{} has no twin {twin}", file.display());
        }
    }));
    trials
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn scenario(folder: &str, file: PathBuf) -> Trial {
    let stem = stem(&file);
    trial(&format!("{folder}::{stem}"), move || {
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
