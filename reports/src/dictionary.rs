//! `identities.txt` and `keys.txt`: the text behind interned names, line n for the n-th name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Every how many lines the index keeps a position.
const INDEX_STRIDE: u64 = 4096;

/// Appends a name as one line. Backslashes and line breaks are escaped, so that a line is a name whatever it holds.
pub(crate) fn append_line(buffer: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => buffer.extend_from_slice(b"\\\\"),
            b'\n' => buffer.extend_from_slice(b"\\n"),
            b'\r' => buffer.extend_from_slice(b"\\r"),
            other => buffer.push(other),
        }
    }
    buffer.push(b'\n');
}

/// Finds names by number without holding them: findings ask for few.
#[derive(Debug)]
pub(crate) struct Dictionary {
    path: PathBuf,
    /// Where each [`INDEX_STRIDE`]-th line begins; built at the first question.
    index: OnceLock<Vec<u64>>,
}

impl Dictionary {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, index: OnceLock::new() }
    }

    /// The name of this number, `None` if the dictionary does not have it or cannot be read.
    pub(crate) fn text(&self, number: u64) -> Option<String> {
        let mut reader = BufReader::new(File::open(&self.path).ok()?);
        let index = self.index.get_or_init(|| build_index(&self.path).unwrap_or_default());
        let start = index.get(usize::try_from(number / INDEX_STRIDE).ok()?)?;
        reader.seek(SeekFrom::Start(*start)).ok()?;
        let mut line = Vec::new();
        for _ in 0..=number % INDEX_STRIDE {
            line.clear();
            reader.read_until(b'\n', &mut line).ok()?;
        }
        let text = line.strip_suffix(b"\n")?;
        Some(unescape(&String::from_utf8_lossy(text)))
    }
}

fn build_index(path: &PathBuf) -> io::Result<Vec<u64>> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let (mut index, mut position, mut lines) = (vec![0], 0, 0);
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(index);
        }
        for (offset, _) in chunk.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            lines += 1;
            if lines % INDEX_STRIDE == 0 {
                index.push(position + offset as u64 + 1);
            }
        }
        let length = chunk.len();
        position += length as u64;
        reader.consume(length);
    }
}

fn unescape(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_on_both_sides_of_an_index_entry() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("names.txt");
        let mut bytes = Vec::new();
        for number in 0..2 * INDEX_STRIDE + 10 {
            append_line(&mut bytes, &format!("name-{number}"));
        }
        std::fs::write(&path, bytes).expect("the dictionary is written");
        let dictionary = Dictionary::new(path);
        for number in [0, 1, INDEX_STRIDE - 1, INDEX_STRIDE, INDEX_STRIDE + 1, 2 * INDEX_STRIDE + 9] {
            assert_eq!(dictionary.text(number), Some(format!("name-{number}")));
        }
        assert_eq!(dictionary.text(2 * INDEX_STRIDE + 10), None);
        assert_eq!(dictionary.text(u64::MAX >> 1), None);
    }

    #[test]
    fn a_name_may_hold_line_breaks_and_backslashes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("names.txt");
        let names = ["two\nlines\r", "C:\\new", "", "plain"];
        let mut bytes = Vec::new();
        names.iter().for_each(|name| append_line(&mut bytes, name));
        std::fs::write(&path, bytes).expect("the dictionary is written");
        let dictionary = Dictionary::new(path);
        for (number, name) in (0..).zip(names) {
            assert_eq!(dictionary.text(number).as_deref(), Some(name));
        }
    }
}
