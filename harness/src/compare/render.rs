//! A comparison in every format that somebody asks for.

use super::error::CompareError;
use shakedown_reports::compare::{Comparison, html, junit, markdown, text};
use std::io;
use std::path::Path;

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For a pull request.
    Markdown,
    /// For programs.
    Json,
    /// For CI servers.
    Junit,
    /// For a browser: with both percentile curves.
    Html,
}

impl Format {
    /// All of them, each with the name of its file.
    pub const FILES: [(Self, &'static str); 5] = [
        (Self::Text, "comparison.txt"),
        (Self::Markdown, "comparison.md"),
        (Self::Json, "comparison.json"),
        (Self::Junit, "junit.xml"),
        (Self::Html, "comparison.html"),
    ];

    /// The comparison in this format.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn render(self, comparison: &Comparison) -> Result<String, CompareError> {
        match self {
            Self::Text => Ok(text::render(comparison)),
            Self::Markdown => Ok(markdown::render(comparison)),
            Self::Json => {
                let json = serde_json::to_string_pretty(comparison).map_err(io::Error::from);
                json.map(|json| json + "\n").map_err(CompareError::io("write", "JSON"))
            }
            Self::Junit => Ok(junit::render(comparison)?),
            Self::Html => Ok(html::render(comparison)),
        }
    }
}

/// Writes every format into this folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write_all(comparison: &Comparison, folder: &Path) -> Result<(), CompareError> {
    for (format, file) in Format::FILES {
        let path = folder.join(file);
        std::fs::write(&path, format.render(comparison)?).map_err(CompareError::io("write", &path))?;
    }
    Ok(())
}
