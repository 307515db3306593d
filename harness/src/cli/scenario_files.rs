//! Which scenarios somebody means who types files and folders.

use std::io;
use std::path::{Path, PathBuf};

/// Where systems lie, which are TOML and no scenarios.
const SYSTEMS: &str = "systems";

/// Why nobody knows which.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    /// A folder without scenarios.
    #[error(
        "there is no scenario in {}\n  a scenario is a file that ends in .toml, in this folder or beneath it; those in folders \
         called `{SYSTEMS}` are none",
        folder.display()
    )]
    Empty {
        /// The folder as it was typed.
        folder: PathBuf,
    },
    /// A folder that cannot be looked into.
    #[error("cannot look into {}: {source}", folder.display())]
    Unreadable {
        /// Which.
        folder: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// The files in the order in which they were typed, with each folder's in the order of their names. A file is taken as it
/// is, whatever it is called.
///
/// # Errors
/// When a folder has none, or cannot be read.
pub(super) fn find(typed: &[PathBuf]) -> Result<Vec<PathBuf>, FindError> {
    let mut files = Vec::new();
    for path in typed {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        walk(path, &mut files)?;
        if files.len() == before {
            return Err(FindError::Empty { folder: path.clone() });
        }
    }
    Ok(files)
}

/// What lies in a folder or beneath it. Hidden files and folders are nobody's scenarios, and links to folders are not
/// followed: they may lead in a circle.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FindError> {
    let unreadable = |source| FindError::Unreadable { folder: folder.to_owned(), source };
    let mut entries =
        std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if name != SYSTEMS {
                walk(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes these files, and finds what they are typed as.
    fn found(made: &[&str], typed: &[&str]) -> Result<Vec<String>, FindError> {
        let root = tempfile::tempdir().expect("a temporary folder");
        for file in made {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        let typed: Vec<PathBuf> = typed.iter().map(|path| root.path().join(path)).collect();
        let name = |path: PathBuf| path.strip_prefix(root.path()).expect("beneath it").display().to_string();
        find(&typed).map(|files| files.into_iter().map(name).collect())
    }

    #[test]
    fn a_folder_is_everything_beneath_it_in_the_order_of_names() {
        let made = ["s/b.toml", "s/a.toml", "s/a.fixed.toml", "s/c/z.toml", "s/README.md", "s/d.toml", "t/x.toml"];
        let expected = ["s/a.fixed.toml", "s/a.toml", "s/b.toml", "s/c/z.toml", "s/d.toml"];
        assert_eq!(found(&made, &["s"]).expect("found"), expected);
    }

    #[test]
    fn what_is_typed_comes_in_the_order_of_typing() {
        let made = ["s/b.toml", "s/a.toml", "t/mine"];
        assert_eq!(
            found(&made, &["t/mine", "s", "s/b.toml"]).expect("found"),
            ["t/mine", "s/a.toml", "s/b.toml", "s/b.toml"]
        );
        assert_eq!(found(&made, &["no/such.toml"]).expect("whoever reads it tells"), ["no/such.toml"]);
    }

    #[test]
    fn systems_and_hidden_files_are_no_scenarios() {
        let made = ["s/systems/shop.toml", "s/.git/x.toml", "s/.hidden.toml", "s/a.toml"];
        assert_eq!(found(&made, &["s"]).expect("found"), ["s/a.toml"]);
        assert_eq!(found(&made, &["s/systems"]).expect("whoever reads it tells"), ["s/systems/shop.toml"]);
    }

    #[test]
    fn a_link_that_leads_back_is_not_followed() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(root.path().join("a.toml"), "").expect("a file");
        std::os::unix::fs::symlink(root.path(), root.path().join("again")).expect("a link");
        assert_eq!(find(&[root.path().to_owned()]).expect("found"), [root.path().join("a.toml")]);
    }

    #[test]
    fn a_folder_without_scenarios_is_an_error_that_names_it() {
        let error = found(&["s/systems/shop.toml", "s/README.md", "t/a.toml"], &["t", "s"]).expect_err("it has none");
        let FindError::Empty { folder } = &error else { panic!("another error: {error}") };
        assert!(folder.ends_with("s") && error.to_string().contains(&folder.display().to_string()), "{error}");
    }
}
