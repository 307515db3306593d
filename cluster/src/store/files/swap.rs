//! Segments that are replaced by another: wholly or not at all, whatever ends the process meanwhile.
//!
//! As Kafka's cleaner does it: what comes is written as `.cleaned` and synced; renamed to `.swap` it is decided, and
//! whoever finds it in that name later does the rest. The name says which segments go: those from one offset to below
//! another.

use super::io::Io;
use super::names::{segment_base, segment_file};
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};

const CLEANED: &str = ".cleaned";
const SWAP: &str = ".swap";

/// Bytes that are written at once.
const WRITE: usize = 1024 * 1024;

/// A segment that has to take the place of others.
pub(super) struct Swap<'a> {
    folder: &'a Path,
    /// The name in which it is found.
    file: PathBuf,
    /// The name in which it was written.
    cleaned: PathBuf,
    base: i64,
}

/// Writes the segment that is to take the place of those from one offset to below another. Nothing is decided yet.
pub(super) fn prepare<'a>(
    io: &Io,
    folder: &'a Path,
    (base, below): (i64, i64),
    batches: &[Bytes],
) -> io::Result<Swap<'a>> {
    let size: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
    u32::try_from(size).map_err(|_| io::Error::other(format!("{size} bytes are too many for one segment")))?;
    let name = format!("{base:020}-{below:020}");
    let cleaned = folder.join(format!("{name}{CLEANED}"));
    let written = write(io, &cleaned, batches);
    if let Err(error) = written {
        // What is left of it nobody takes for anything.
        let _ = io.delete(&cleaned);
        return Err(error);
    }
    let file = folder.join(format!("{name}{SWAP}"));
    Ok(Swap { folder, file, cleaned, base })
}

fn write(io: &Io, path: &Path, batches: &[Bytes]) -> io::Result<()> {
    let file = io.create(path)?;
    let mut at = 0;
    let mut run = Vec::with_capacity(WRITE);
    let mut left = batches.iter().peekable();
    while let Some(batch) = left.next() {
        run.extend_from_slice(batch);
        if run.len() >= WRITE || left.peek().is_none() {
            io.write(&file, &run, at)?;
            at += run.len() as u64;
            run.clear();
        }
    }
    io.sync(&file)
}

impl Swap<'_> {
    /// Decides that the segment takes the place of the others. Where this fails nobody can say whether it is decided: it
    /// may have its name, and whoever comes next then goes by that.
    pub(super) fn decide(&self, io: &Io) -> io::Result<()> {
        io.rename(&self.cleaned, &self.file)?;
        io.sync_folder(self.folder)
    }

    /// Deletes the others and takes the place of the first.
    pub(super) fn carry_out(self, io: &Io, others: impl IntoIterator<Item = i64>) -> io::Result<()> {
        // While the swap has its name whoever comes next finds out that the others have to go.
        for other in others {
            io.delete(&self.folder.join(segment_file(other)))?;
        }
        io.rename(&self.file, &self.folder.join(segment_file(self.base)))?;
        io.sync_folder(self.folder)
    }
}

/// Does what was decided and not done.
pub(super) fn finish(io: &Io, folder: &Path) -> io::Result<()> {
    let mut segments = Vec::new();
    let mut swaps = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        segments.extend(segment_base(name));
        if name.ends_with(CLEANED) {
            io.delete(&entry.path())?;
        } else if let Some((base, below)) = name.strip_suffix(SWAP).and_then(|range| range.split_once('-')) {
            let range = base.parse::<i64>().ok().zip(below.parse::<i64>().ok());
            swaps.extend(range.map(|(base, below)| (base, below, entry.path())));
        }
    }
    for (base, below, file) in swaps {
        let others = segments.iter().copied().filter(|other| *other > base && *other < below);
        Swap { folder, cleaned: file.clone(), file, base }.carry_out(io, others)?;
    }
    Ok(())
}
