//! The files of one log: a row of segments, of which the last one grows.
//!
//! Owns the files and where they end; which batches lie in them, and which of those count, is the store's. Whatever ends a
//! process in the middle of a change leaves a log that is a beginning of the old or the new one: segments behind a cut go
//! before the cut itself, from the last to the first, and those in front of a log's beginning from the first on.

use super::Place;
use super::handles::{Handles, SegmentKey};
use super::io::Io;
use super::names::{DELETED, folder_of, segment_base, segment_file};
use super::scan::{Found, scan};
use super::swap;
use bytes::{Bytes, BytesMut};
use shakedown_broker::log::store::LogName;
use shakedown_broker::log::store::logs::Entry;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Where the logs of a node lie, and how their files are reached.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) root: PathBuf,
    pub(super) io: Io,
    pub(super) handles: Handles,
    /// A segment that would grow beyond this is followed by another (Kafka's `segment.bytes`).
    pub(super) segment_bytes: u32,
}

/// A file with batches.
#[derive(Debug)]
struct Segment {
    /// Counts up along the log, though not by one where segments were replaced.
    number: u32,
    /// The first offset that it was made for.
    base: i64,
    /// Bytes of its batches.
    length: u32,
}

/// What became of segments that could not be replaced.
#[derive(Debug)]
pub(super) enum Replacing {
    /// They are as they were.
    NotBegun(io::Error),
    /// They may be replaced when the log is loaded.
    Begun(io::Error),
}

/// The files of a log.
#[derive(Debug)]
pub(super) struct Segments {
    log: u32,
    name: LogName,
    has_folder: bool,
    segments: VecDeque<Segment>,
    /// The first segment with bytes that power loss may take.
    unsynced: Option<u32>,
    /// Whether files came since their names were synced.
    names_unsynced: bool,
    /// Whether the folder itself came since its name was synced.
    folder_unsynced: bool,
}

impl Segments {
    /// Those of a log whose files were not looked at yet.
    pub(super) fn new(log: u32, name: LogName, has_folder: bool) -> Self {
        let segments = VecDeque::new();
        Self { log, name, has_folder, segments, unsynced: None, names_unsynced: false, folder_unsynced: false }
    }

    /// Whose they are.
    pub(super) fn name(&self) -> LogName {
        self.name
    }

    fn folder(&self, drive: &Drive) -> PathBuf {
        drive.root.join(folder_of(self.name))
    }

    fn key(&self, number: u32) -> SegmentKey {
        (self.log as usize, number)
    }

    /// Where the segment with this number, or the next one behind it, stands in the row.
    fn index(&self, number: u32) -> usize {
        self.segments.partition_point(|segment| segment.number < number)
    }

    fn numbered(&self, number: u32) -> Option<&Segment> {
        self.segments.get(self.index(number)).filter(|segment| segment.number == number)
    }

    fn last_number(&self) -> Option<u32> {
        self.segments.back().map(|segment| segment.number)
    }

    /// Looks what is there, cuts off what no batch can begin with, and syncs the rest: what a node finds when it starts
    /// survives from then on.
    pub(super) fn load(&mut self, drive: &mut Drive) -> io::Result<Vec<Entry<Place>>> {
        self.segments.clear();
        drive.handles.close_log(self.log as usize);
        (self.unsynced, self.names_unsynced) = (None, false);
        let mut entries = Vec::new();
        if !self.has_folder {
            return Ok(entries);
        }
        let folder = self.folder(drive);
        swap::finish(&drive.io, &folder)?;
        let mut bases = Vec::new();
        for file in folder.read_dir()? {
            bases.extend(file?.file_name().to_str().and_then(segment_base));
        }
        bases.sort_unstable();
        for (nth, base) in bases.iter().enumerate() {
            let number = u32::try_from(nth).map_err(io::Error::other)?;
            let path = folder.join(segment_file(*base));
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let after = entries.last().map_or(-1, |entry: &Entry<Place>| entry.last.0);
            let Found { entries: found, sound, length } = scan(&file, self.log, number, after)?;
            entries.extend(found);
            self.segments.push_back(Segment { number, base: *base, length: sound });
            let torn = u64::from(sound) < length;
            if torn {
                let behind = bases.len() - nth - 1;
                tracing::warn!(path = %path.display(), sound, length, behind, "a log is cut behind its last whole batch");
                for lost in bases[nth + 1..].iter().rev() {
                    drive.io.delete(&folder.join(segment_file(*lost)))?;
                }
                drive.io.cut(&file, sound.into())?;
            }
            drive.io.sync(&file)?;
            if torn {
                break;
            }
        }
        drive.io.sync_folder(&folder)?;
        Ok(entries)
    }

    /// The first offset that the segment behind another was made for.
    pub(super) fn base_behind(&self, number: u32) -> Option<i64> {
        self.segments.get(self.index(number) + 1).map(|segment| segment.base)
    }

    /// The first offset that the first segment was made for.
    pub(super) fn begins(&self) -> Option<i64> {
        self.segments.front().map(|segment| segment.base)
    }

    /// Writes a batch behind the last one. It is in the system's hands then: the process may end, the power may not.
    pub(super) fn append(&mut self, drive: &mut Drive, base: i64, bytes: &[u8]) -> io::Result<Place> {
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let most = drive.segment_bytes;
        let fits = |segment: &Segment| segment.length.checked_add(size).is_some_and(|end| end <= most);
        match self.segments.back() {
            // It only told where a log without batches begins.
            Some(empty) if empty.length == 0 && empty.base != base => {
                self.delete_last(drive)?;
                self.roll(drive, base)?;
            }
            Some(segment) if segment.length == 0 || fits(segment) => {}
            _ => self.roll(drive, base)?,
        }
        let last = self.segments.back_mut().expect("one was made if there was none");
        let (segment, at) = (last.number, last.length);
        let (root, name) = (&drive.root, self.name);
        let path = || root.join(folder_of(name)).join(segment_file(last.base));
        let file = drive.handles.get((self.log as usize, segment), path)?;
        if let Err(error) = drive.io.write(file, bytes, at.into()) {
            // What was written of it counts for nothing, and the next batch is written over it; should that be shorter, the
            // rest must not be there. A disk that does not even cut shows it to the next start, which does.
            let _ = drive.io.cut(file, at.into());
            return Err(error);
        }
        last.length += size;
        self.unsynced = Some(self.unsynced.map_or(segment, |first| first.min(segment)));
        Ok(Place { log: self.log, segment, at, size })
    }

    fn roll(&mut self, drive: &mut Drive, base: i64) -> io::Result<()> {
        let folder = self.folder(drive);
        if !self.has_folder {
            drive.io.create_folder(&folder)?;
            (self.has_folder, self.folder_unsynced) = (true, true);
        }
        let file = drive.io.create(&folder.join(segment_file(base)))?;
        self.names_unsynced = true;
        let number = self.last_number().map_or(0, |last| last + 1);
        self.segments.push_back(Segment { number, base, length: 0 });
        drive.handles.put(self.key(number), file);
        Ok(())
    }

    /// Reads batches, with one call for those that lie behind each other.
    pub(super) fn read(&self, drive: &mut Drive, entries: &[Entry<Place>]) -> io::Result<Vec<Bytes>> {
        let mut batches = Vec::with_capacity(entries.len());
        for run in entries.chunk_by(|one, next| one.body.is_followed_by(next.body)) {
            let first = run[0].body;
            let segment = self.numbered(first.segment).ok_or(io::ErrorKind::NotFound)?;
            let (root, name) = (&drive.root, self.name);
            let path = || root.join(folder_of(name)).join(segment_file(segment.base));
            let file = drive.handles.get(self.key(first.segment), path)?;
            let mut bytes = BytesMut::zeroed(run.iter().map(|entry| entry.body.size as usize).sum());
            file.read_exact_at(&mut bytes, first.at.into())?;
            let mut bytes = bytes.freeze();
            batches.extend(run.iter().map(|entry| bytes.split_to(entry.body.size as usize)));
        }
        Ok(batches)
    }

    /// Forgets everything from a place on. It is synced.
    pub(super) fn cut(&mut self, drive: &mut Drive, place: Place) -> io::Result<()> {
        let kept = self.index(place.segment) + usize::from(place.at > 0);
        while self.segments.len() > kept {
            self.delete_last(drive)?;
        }
        let folder = self.folder(drive);
        let key = self.key(place.segment);
        if place.at > 0
            && let Some(segment) = self.segments.back_mut()
        {
            let file = drive.handles.get(key, || folder.join(segment_file(segment.base)))?;
            drive.io.cut(file, place.at.into())?;
            segment.length = place.at;
            drive.io.sync(file)?;
        }
        drive.io.sync_folder(&folder)
    }

    /// Whether the files have anything, be it of batches that do not count any more.
    pub(super) fn hold_bytes(&self) -> bool {
        self.segments.iter().any(|segment| segment.length > 0)
    }

    /// Forgets everything. It is synced.
    pub(super) fn clear(&mut self, drive: &mut Drive) -> io::Result<()> {
        while !self.segments.is_empty() {
            self.delete_last(drive)?;
        }
        drive.io.sync_folder(&self.folder(drive))
    }

    fn delete_last(&mut self, drive: &mut Drive) -> io::Result<()> {
        let Some(segment) = self.segments.back() else { return Ok(()) };
        drive.handles.close(self.key(segment.number));
        drive.io.delete(&self.folder(drive).join(segment_file(segment.base)))?;
        self.segments.pop_back();
        Ok(())
    }

    /// Deletes the segments in front of one; without one, all that have batches. An empty one then says where the log
    /// begins: it must not begin at 0 again if the power fails before that was noted.
    pub(super) fn forget_before(&mut self, drive: &mut Drive, kept: Option<u32>, offset: i64) -> io::Result<()> {
        let kept = match (kept, self.segments.back()) {
            (Some(kept), _) => kept,
            (None, None) => return Ok(()),
            (None, Some(last)) => {
                if last.length > 0 || last.base < offset {
                    self.roll(drive, offset)?;
                    drive.io.sync_folder(&self.folder(drive))?;
                }
                self.last_number().unwrap_or(0)
            }
        };
        while let Some(segment) = self.segments.front().filter(|segment| segment.number < kept) {
            drive.handles.close(self.key(segment.number));
            drive.io.delete(&self.folder(drive).join(segment_file(segment.base)))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Makes what was appended survive a loss of power.
    pub(super) fn sync(&mut self, drive: &mut Drive) -> io::Result<()> {
        if let Some(from) = self.unsynced {
            for segment in self.segments.range(self.index(from)..) {
                let (root, name) = (&drive.root, self.name);
                let path = || root.join(folder_of(name)).join(segment_file(segment.base));
                drive.io.sync(drive.handles.get(self.key(segment.number), path)?)?;
            }
            self.unsynced = None;
        }
        if self.names_unsynced {
            drive.io.sync_folder(&self.folder(drive))?;
            self.names_unsynced = false;
        }
        if self.folder_unsynced {
            drive.io.sync_folder(&drive.root)?;
            self.folder_unsynced = false;
        }
        Ok(())
    }

    /// Puts batches in the place of all that the segments from one to another have; it is synced. Where each of them lies
    /// then.
    pub(super) fn replace(
        &mut self,
        drive: &mut Drive,
        (first, last): (u32, u32),
        batches: &[Bytes],
    ) -> Result<Vec<Place>, Replacing> {
        let (from, to) = (self.index(first), self.index(last) + 1);
        let base = self.segments[from].base;
        let below = self.segments.get(to).map_or(i64::MAX, |segment| segment.base);
        let folder = self.folder(drive);
        let swap = swap::prepare(&drive.io, &folder, (base, below), batches).map_err(Replacing::NotBegun)?;
        for segment in self.segments.range(from..to) {
            drive.handles.close(self.key(segment.number));
        }
        swap.decide(&drive.io).map_err(Replacing::Begun)?;
        let old = self.segments.range(from + 1..to).map(|segment| segment.base);
        swap.carry_out(&drive.io, old).map_err(Replacing::Begun)?;
        let mut at = 0;
        let mut places = Vec::with_capacity(batches.len());
        for batch in batches {
            let size = u32::try_from(batch.len()).expect("the swap has room for all of them");
            places.push(Place { log: self.log, segment: first, at, size });
            at += size;
        }
        self.segments.drain(from + 1..to);
        self.segments[from].length = at;
        Ok(places)
    }

    /// Gives the folder a name under which nobody looks for it. Returns that, for [`Io::delete_folder`].
    pub(super) fn hide(&mut self, drive: &mut Drive) -> io::Result<Option<PathBuf>> {
        drive.handles.close_log(self.log as usize);
        if !self.has_folder {
            return Ok(None);
        }
        let hidden = drive.root.join(format!("{}{DELETED}", folder_of(self.name)));
        drive.io.rename(&self.folder(drive), &hidden)?;
        Ok(Some(hidden))
    }
}
