//! Small files that are replaced as a whole, with their names: written beside, synced, renamed. A loss of power leaves
//! the one or the other, never a mixture; a checksum in front tells what somebody else has damaged.

use super::io::Io;
use bytes::Bytes;
use std::io;
use std::path::Path;

const CHECKSUM: usize = 4;

/// Replaces a file, and syncs it.
pub(super) fn replace(io: &Io, folder: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    let written = folder.join(format!("{name}.tmp"));
    let mut bytes = Vec::with_capacity(CHECKSUM + contents.len());
    bytes.extend_from_slice(&crc32c::crc32c(contents).to_be_bytes());
    bytes.extend_from_slice(contents);
    let file = io.create(&written)?;
    io.write(&file, &bytes, 0)?;
    io.sync(&file)?;
    io.rename(&written, &folder.join(name))?;
    io.sync_folder(folder)
}

/// What was last written; `None` where nothing was.
pub(super) fn read(path: &Path) -> io::Result<Option<Bytes>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => Bytes::from(read?),
    };
    let (checksum, contents) = bytes.split_first_chunk::<CHECKSUM>().ok_or(io::ErrorKind::UnexpectedEof)?;
    if u32::from_be_bytes(*checksum) != crc32c::crc32c(contents) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not match its checksum"));
    }
    Ok(Some(bytes.slice(CHECKSUM..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_wholly_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("vote");
        assert_eq!(read(&path).expect("no file is no error"), None);
        replace(&Io::default(), folder.path(), "vote", b"for 1").expect("room");
        for changes in 0..5 {
            let io = Io::default();
            io.fuse.set(changes);
            replace(&io, folder.path(), "vote", b"for 2").expect_err("the process ends before it is done");
            let expected: &[u8] = if changes < 4 { b"for 1" } else { b"for 2" };
            assert_eq!(read(&path).expect("a whole file").as_deref(), Some(expected), "after {changes} changes");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("vote");
        replace(&Io::default(), folder.path(), "vote", b"for 1").expect("room");
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[6] ^= 1;
        std::fs::write(&path, &bytes).expect("room");
        assert_eq!(read(&path).expect_err("damaged").to_string(), "it does not match its checksum");
        std::fs::write(&path, b"x").expect("room");
        read(&path).expect_err("cut off");
    }
}
