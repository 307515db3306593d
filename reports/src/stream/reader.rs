//! Reading a stream file, whole or torn.

use super::deltas;
use super::entry::{Entry, sealed};
use super::layout::{self, BlockHead};
use crate::record::RecordError;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Blocks are read through a buffer of several, so that reading costs few calls of the system.
const READ_BUFFER_SIZE: usize = 1 << 18;

/// One stream file whose readable extent is known.
#[derive(Debug)]
pub(crate) struct StreamFile<E> {
    path: PathBuf,
    name: String,
    /// Where the last readable block ends.
    readable_bytes: u64,
    entries_count: u64,
    cut_bytes: u64,
    finished: bool,
    entries: PhantomData<fn() -> E>,
}

impl<E: Entry> StreamFile<E> {
    /// Measures the file: from head to head of its blocks, without reading the entries between them.
    pub(crate) fn open(directory: &Path, name: &str) -> Result<Self, RecordError> {
        let mut stream = Self {
            path: directory.join(name),
            name: name.to_owned(),
            readable_bytes: 0,
            entries_count: 0,
            cut_bytes: 0,
            finished: false,
            entries: PhantomData,
        };
        let mut file = File::open(&stream.path).map_err(|error| stream.io(error))?;
        let size = file.metadata().map_err(|error| stream.io(error))?.len();
        if size < layout::HEAD_SIZE as u64 {
            stream.cut_bytes = size;
            return Ok(stream);
        }
        stream.check_head(&mut file)?;
        stream.measure(&mut file, size)?;
        Ok(stream)
    }

    /// Visits every readable entry, in the order in which they were written.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&E)) -> Result<(), RecordError> {
        let file = File::open(&self.path).map_err(|error| self.io(error))?;
        let mut reader = BufReader::with_capacity(READ_BUFFER_SIZE, file);
        let mut position = layout::HEAD_SIZE as u64;
        reader.seek(SeekFrom::Start(position)).map_err(|error| self.io(error))?;
        let mut entries = Vec::new();
        while position < self.readable_bytes {
            let BlockHead { count, .. } = self.read_block(&mut reader, position, &mut entries)?;
            let (mut bytes, mut row) = (&entries[..], E::Row::default());
            let malformed = || self.malformed(position, "it holds bytes that are no entry");
            for _ in 0..count {
                row = deltas::take(&mut bytes, &row).ok_or_else(malformed)?;
                visit(&E::of(&row).ok_or_else(malformed)?);
            }
            if !bytes.is_empty() {
                return Err(malformed());
            }
            position += (layout::BLOCK_HEAD_SIZE + entries.len()) as u64;
        }
        Ok(())
    }

    /// What is missing from the file, in words; `None` if it was finished.
    pub(crate) fn defect(&self) -> Option<String> {
        (!self.finished).then(|| {
            format!(
                "{} was not finished: {} entries are readable, {} torn bytes were cut off",
                self.name, self.entries_count, self.cut_bytes
            )
        })
    }

    fn check_head(&self, file: &mut File) -> Result<(), RecordError> {
        let mut head = [0; layout::HEAD_SIZE];
        file.read_exact(&mut head).map_err(|error| self.io(error))?;
        let expected = layout::head(<E as sealed::Entry>::MAGIC);
        if head == expected {
            return Ok(());
        }
        let version = u16::from_le_bytes([head[8], head[9]]);
        let reason = if head[..8] == expected[..8] && version != layout::VERSION {
            format!("its format is version {version}, and this program reads version {}", layout::VERSION)
        } else {
            format!("it begins with {head:02x?} instead of {expected:02x?}")
        };
        Err(RecordError::Malformed { file: self.name.clone(), reason })
    }

    fn measure(&mut self, file: &mut File, size: u64) -> Result<(), RecordError> {
        let mut position = layout::HEAD_SIZE as u64;
        let mut last_block = None;
        loop {
            self.readable_bytes = position;
            self.cut_bytes = size - position;
            let mut head = [0; layout::BLOCK_HEAD_SIZE];
            if self.cut_bytes < head.len() as u64 {
                break;
            }
            file.seek(SeekFrom::Start(position)).map_err(|error| self.io(error))?;
            file.read_exact(&mut head).map_err(|error| self.io(error))?;
            if layout::closes(head) {
                return self.check_close(head, position, size);
            }
            let head = self.block_head(head, position)?;
            let end = position + layout::BLOCK_HEAD_SIZE as u64 + u64::from(head.length);
            if end > size {
                break;
            }
            last_block = Some((position, head.count));
            self.entries_count += u64::from(head.count);
            position = end;
        }
        // Behind a whole block something was written: it is not what was torn.
        if self.cut_bytes == 0 { self.drop_torn_block(file, last_block) } else { Ok(()) }
    }

    fn block_head(&self, bytes: [u8; layout::BLOCK_HEAD_SIZE], position: u64) -> Result<BlockHead, RecordError> {
        let head = BlockHead::read(bytes);
        let head = head.ok_or_else(|| self.malformed(position, "its head's CRC does not match its bytes"))?;
        if !head.is_possible::<E>() {
            let BlockHead { length, count, .. } = head;
            return Err(self.malformed(position, &format!("{length} bytes for {count} entries are impossible")));
        }
        Ok(head)
    }

    /// Without a closing mark, the last block may have its length and yet not all of its bytes.
    fn drop_torn_block(&mut self, file: &mut File, last_block: Option<(u64, u32)>) -> Result<(), RecordError> {
        let Some((position, count)) = last_block else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(position)).map_err(|error| self.io(error))?;
        match self.read_block(file, position, &mut Vec::new()) {
            Err(RecordError::Malformed { .. }) => {
                self.cut_bytes += self.readable_bytes - position;
                self.readable_bytes = position;
                self.entries_count -= u64::from(count);
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn check_close(&mut self, close: [u8; layout::CLOSE_SIZE], position: u64, size: u64) -> Result<(), RecordError> {
        if close != layout::close(self.entries_count) || position + close.len() as u64 != size {
            return Err(self.malformed(position, &format!("it does not close {} entries", self.entries_count)));
        }
        self.finished = true;
        self.cut_bytes = 0;
        Ok(())
    }

    fn read_block(
        &self,
        reader: &mut impl Read,
        position: u64,
        entries: &mut Vec<u8>,
    ) -> Result<BlockHead, RecordError> {
        let mut head = [0; layout::BLOCK_HEAD_SIZE];
        reader.read_exact(&mut head).map_err(|error| self.io(error))?;
        let head = self.block_head(head, position)?;
        entries.resize(head.length as usize, 0);
        reader.read_exact(entries).map_err(|error| self.io(error))?;
        if head == BlockHead::of(head.count, entries) {
            return Ok(head);
        }
        Err(self.malformed(position, "its CRC does not match its bytes"))
    }

    fn io(&self, source: io::Error) -> RecordError {
        RecordError::Io { file: self.name.clone(), source }
    }

    fn malformed(&self, position: u64, what: &str) -> RecordError {
        RecordError::Malformed { file: self.name.clone(), reason: format!("block at byte {position}: {what}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Commit;

    /// A stream of one block that was never closed, with these entries, as many as it says.
    fn read(count: u32, entries: &[u8]) -> Result<Vec<Commit>, String> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let head = layout::head(<Commit as sealed::Entry>::MAGIC);
        let block = BlockHead::of(count, entries).write();
        std::fs::write(folder.path().join("commits.bin"), [&head[..], &block, entries].concat()).expect("a file");
        let stream = StreamFile::<Commit>::open(folder.path(), "commits.bin").map_err(|error| error.to_string())?;
        let mut commits = Vec::new();
        stream.visit(&mut |commit| commits.push(*commit)).map_err(|error| error.to_string())?;
        Ok(commits)
    }

    #[test]
    fn a_block_is_as_long_as_its_entries_can_be() {
        // A commit has nine numbers, of one to ten bytes each.
        assert_eq!(read(4_096, &[0; 9 * 4_096]).expect("a full block").len(), 4_096);
        for (count, length) in [(0, 9), (1, 8), (1, 91), (4_097, 9 * 4_097)] {
            assert_eq!(
                read(count, &vec![0; length]).expect_err("it is impossible"),
                format!(
                    "commits.bin is not a readable part of a run: block at byte 16: {length} bytes for {count} entries are \
                     impossible"
                )
            );
        }
    }

    #[test]
    fn a_block_has_its_entries_and_nothing_else() {
        let expected =
            "commits.bin is not a readable part of a run: block at byte 16: it holds bytes that are no entry";
        assert_eq!(read(1, &[0; 9]).expect("one").len(), 1);
        for (what, bytes) in [
            ("more than there should be", [0; 10]),
            ("a last number without an end", [0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x80]),
            ("a kind that there is not", [0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(read(1, &bytes).expect_err(what), expected, "{what}");
        }
    }
}
