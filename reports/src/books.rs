//! The books of a run: what services and stand-ins say they did for each entity, one line of `books-<name>.jsonl` a fact.
//!
//! A stream (see [`crate::record`]) knows a message by its identity and asks whether it arrived; a book knows an order by
//! its name and says what happened to it, step by step. The rules of conservation compare books.

use crate::directory::DirectoryError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

/// One thing that somebody says happened to an entity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fact {
    /// Where it stands in its book: rises, from 1, not necessarily by one.
    pub position: u64,
    /// When, in microseconds since the Unix epoch, by the clock of whoever says it; 0 where nobody says.
    pub at_us: i64,
    /// Whom it is about: an order's id.
    pub entity: String,
    /// What happened: `accepted`, `captured`, `declined`, `refunded`, `reserved`, `released`, `shipped`, `emailed`, ...
    pub kind: String,
    /// Which thing of the entity, where it has several: a product.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// Money in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// The entity's version after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The entity's status after it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The event that it is, or is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// Whose it is: a user's id, by which events are ordered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// A product's stock after it: on hand, reserved, shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<[i64; 3]>,
}

/// The file of a book.
#[must_use]
pub fn file_name(book: &str) -> String {
    format!("books-{book}.jsonl")
}

/// Writes a book. What is written reaches the operating system at [`BookWriter::flush`], or when it is dropped.
#[derive(Debug)]
pub struct BookWriter {
    file: String,
    out: BufWriter<File>,
}

impl BookWriter {
    /// Opens the book of this name in a run directory; a book has one writer.
    ///
    /// # Errors
    /// When the file cannot be made, or was already.
    pub fn create(directory: &Path, book: &str) -> Result<Self, DirectoryError> {
        let file = file_name(book);
        let out = File::create_new(directory.join(&file)).map_err(|source| DirectoryError::write(&file, source))?;
        Ok(Self { file, out: BufWriter::new(out) })
    }

    /// Appends a fact.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn write(&mut self, fact: &Fact) -> Result<(), DirectoryError> {
        let written = serde_json::to_writer(&mut self.out, fact).map_err(io::Error::from);
        written.and_then(|()| self.out.write_all(b"\n")).map_err(|source| DirectoryError::write(&self.file, source))
    }

    /// Hands what was written to the operating system: it survives the death of this process.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn flush(&mut self) -> Result<(), DirectoryError> {
        self.out.flush().map_err(|source| DirectoryError::write(&self.file, source))
    }
}

/// Reads a book to its end, fact by fact. A last line that was torn by a killed harness is no fact.
///
/// # Errors
/// When there is no such book, or a line of it is no fact.
pub fn read(directory: &Path, book: &str, visit: &mut dyn FnMut(Fact)) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(directory.join(file_name(book)))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 || line.last() != Some(&b'\n') {
            return Ok(());
        }
        visit(serde_json::from_slice(&line)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn all(directory: &Path) -> Vec<Fact> {
        let mut facts = Vec::new();
        read(directory, "payments", &mut |fact| facts.push(fact)).expect("a good book");
        facts
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().expect("a folder");
        let captured = Fact {
            position: 1,
            entity: "o-1".to_owned(),
            kind: "captured".to_owned(),
            amount: Some(1250),
            ..Fact::default()
        };
        let moved = Fact { position: 7, stock: Some([3, 1, 0]), part: "tea".to_owned(), ..captured.clone() };
        let mut book = BookWriter::create(directory.path(), "payments").expect("a new book");
        for fact in [&captured, &moved] {
            book.write(fact).expect("written");
        }
        book.flush().expect("flushed");
        assert_eq!(all(directory.path()), [captured, moved]);
        assert!(BookWriter::create(directory.path(), "payments").is_err(), "a book has one writer");
    }

    #[test]
    fn a_torn_last_line_is_no_fact_and_a_wrong_one_is_an_error() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join(file_name("payments"));
        fs::write(&path, "{\"position\":1,\"kind\":\"captured\"}\n{\"position\":2,\"ki").expect("written");
        assert_eq!(all(directory.path()).len(), 1);
        fs::write(&path, "nonsense\n{\"position\":2}\n").expect("written");
        assert!(read(directory.path(), "payments", &mut |_| ()).is_err());
        assert!(read(directory.path(), "refunds", &mut |_| ()).is_err(), "there is no such book");
    }
}
