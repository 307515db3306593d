//! Reading a stream file, whole or torn.

use super::entry::{Entry, sealed};
use super::layout;
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
            self.read_block(&mut reader, position, &mut entries)?;
            for bytes in entries.chunks_exact(E::SIZE) {
                let entry =
                    E::decode(bytes).ok_or_else(|| self.malformed(position, "it holds bytes that are no entry"))?;
                visit(&entry);
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
        let expected = layout::head(<E as sealed::Entry>::MAGIC, E::SIZE);
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
            let length = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]]));
            if length == 0 {
                return self.check_close(file, position, size);
            }
            if length % E::SIZE as u64 != 0 || length > (layout::BLOCK_ENTRIES * E::SIZE) as u64 {
                return Err(self.malformed(position, &format!("its length of {length} bytes is impossible")));
            }
            let end = position + layout::BLOCK_HEAD_SIZE as u64 + length;
            if end > size {
                break;
            }
            last_block = Some((position, length));
            self.entries_count += length / E::SIZE as u64;
            position = end;
        }
        self.drop_torn_block(file, last_block)
    }

    /// Without a closing mark, the last block may have its length and yet not all of its bytes.
    fn drop_torn_block(&mut self, file: &mut File, last_block: Option<(u64, u64)>) -> Result<(), RecordError> {
        let Some((position, length)) = last_block else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(position)).map_err(|error| self.io(error))?;
        match self.read_block(file, position, &mut Vec::new()) {
            Err(RecordError::Malformed { .. }) => {
                self.cut_bytes += self.readable_bytes - position;
                self.readable_bytes = position;
                self.entries_count -= length / E::SIZE as u64;
                Ok(())
            }
            other => other,
        }
    }

    fn check_close(&mut self, file: &mut File, position: u64, size: u64) -> Result<(), RecordError> {
        if self.cut_bytes < layout::CLOSE_SIZE as u64 {
            return Ok(());
        }
        let mut close = [0; layout::CLOSE_SIZE];
        file.seek(SeekFrom::Start(position)).map_err(|error| self.io(error))?;
        file.read_exact(&mut close).map_err(|error| self.io(error))?;
        if close != layout::close(self.entries_count) || position + close.len() as u64 != size {
            return Err(self.malformed(position, &format!("it does not close {} entries", self.entries_count)));
        }
        self.finished = true;
        self.cut_bytes = 0;
        Ok(())
    }

    fn read_block(&self, reader: &mut impl Read, position: u64, entries: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut head = [0; layout::BLOCK_HEAD_SIZE];
        reader.read_exact(&mut head).map_err(|error| self.io(error))?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        entries.resize(length as usize, 0);
        reader.read_exact(entries).map_err(|error| self.io(error))?;
        if head == layout::block_head(entries) {
            return Ok(());
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
