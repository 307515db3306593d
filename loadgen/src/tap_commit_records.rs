//! The records of `__consumer_offsets`, in Kafka's own formats: what groups commit, and who is in them.
//!
//! The first two bytes of a key say what the record is (`CoordinatorRecordType` of Apache Kafka 4.1): 0 and 1 a commit, 2 the
//! metadata of a classic group, 3 and 5 the epoch and a member of a group of the consumer protocol (KIP-848). Other types
//! say nothing about commits and are passed over. All numbers are big endian; what lies is refused, never believed.

use std::str;

/// What one record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OffsetRecord {
    /// A group's place in a partition.
    Commit {
        group: String,
        topic: String,
        partition: i32,
        /// `None` where it was removed.
        committed: Option<Committed>,
    },
    /// A classic group as it is now; `None` where it was removed.
    Group { group: String, generation: Option<ClassicGroup> },
    /// The epoch of a group of the consumer protocol; `None` where it was removed.
    Epoch { group: String, epoch: Option<i32> },
    /// A member of such a group came, or left.
    Member { group: String, member: String, joined: bool },
    /// Nothing about commits.
    Other,
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) committed_ms: i64,
}

/// A generation of a classic group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassicGroup {
    pub(crate) generation: i32,
    pub(crate) members: i32,
}

/// Reads a record; `value` is `None` for a tombstone.
///
/// # Errors
/// With the part that is not what Kafka writes.
pub(crate) fn read(key: &[u8], value: Option<&[u8]>) -> Result<OffsetRecord, &'static str> {
    let mut key = Bytes(key);
    let kind = key.i16().ok_or("its key has no type")?;
    let of_key = "its key is cut short";
    Ok(match kind {
        0 | 1 => OffsetRecord::Commit {
            group: key.text().ok_or(of_key)?,
            topic: key.text().ok_or(of_key)?,
            partition: key.i32().ok_or(of_key)?,
            committed: value.map(read_committed).transpose()?,
        },
        2 => OffsetRecord::Group { group: key.text().ok_or(of_key)?, generation: value.map(read_group).transpose()? },
        3 => OffsetRecord::Epoch {
            group: key.text().ok_or(of_key)?,
            epoch: value.map(|value| read_epoch(value).ok_or("its value has no epoch")).transpose()?,
        },
        5 => OffsetRecord::Member {
            group: key.text().ok_or(of_key)?,
            member: key.text().ok_or(of_key)?,
            joined: value.is_some(),
        },
        _ => OffsetRecord::Other,
    })
}

/// `OffsetCommitValue`, versions 0 to 4.
fn read_committed(value: &[u8]) -> Result<Committed, &'static str> {
    let mut value = Bytes(value);
    let mut parts = || {
        let version = value.i16()?;
        let offset = value.i64()?;
        let leader_epoch = if version >= 3 { value.i32()? } else { -1 };
        // What the committer wrote beside it: nobody judges that.
        if version >= 4 {
            value.skip_compact_text()?;
        } else {
            value.skip_text()?;
        }
        Some((version, Committed { offset, leader_epoch, committed_ms: value.i64()? }))
    };
    match parts() {
        Some((0..=4, committed)) => Ok(committed),
        Some(_) => Err("its value is of a version that this program does not know"),
        None => Err("its value is cut short"),
    }
}

/// `GroupMetadataValue`, versions 0 to 3, as far as the number of members.
fn read_group(value: &[u8]) -> Result<ClassicGroup, &'static str> {
    let mut value = Bytes(value);
    let mut parts = || {
        let version = value.i16()?;
        value.skip_text()?;
        let generation = value.i32()?;
        value.skip_text()?;
        value.skip_text()?;
        if version >= 2 {
            value.i64()?;
        }
        Some((version, ClassicGroup { generation, members: value.i32()? }))
    };
    match parts() {
        Some((0..=3, group)) => Ok(group),
        Some(_) => Err("its value is of a version that this program does not know"),
        None => Err("its value is cut short"),
    }
}

/// `ConsumerGroupMetadataValue`, version 0.
fn read_epoch(value: &[u8]) -> Option<i32> {
    let mut value = Bytes(value);
    value.i16()?;
    value.i32()
}

/// Takes fields off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, left) = self.0.split_first_chunk::<N>()?;
        self.0 = left;
        Some(*taken)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).ok()?;
        self.take(length).and_then(|bytes| str::from_utf8(bytes).ok()).map(str::to_owned)
    }

    /// A text that may be null, which has length -1.
    fn skip_text(&mut self) -> Option<()> {
        match self.i16()? {
            -1 => Some(()),
            length => self.take(usize::try_from(length).ok()?).map(drop),
        }
    }

    /// A text of the flexible encoding (KIP-482): its length plus one, seven bits a byte, 0 for null.
    fn skip_compact_text(&mut self) -> Option<()> {
        let mut length = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return self.take(length.saturating_sub(1)).map(drop);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let length = i16::try_from(text.len()).expect("a short text");
        [&length.to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn key(kind: i16, parts: &[Vec<u8>]) -> Vec<u8> {
        [kind.to_be_bytes().to_vec(), parts.concat()].concat()
    }

    fn commit_key() -> Vec<u8> {
        key(1, &[text("order-tracker"), text("orders"), 7_i32.to_be_bytes().to_vec()])
    }

    fn commit(committed: Option<Committed>) -> OffsetRecord {
        let (group, topic) = ("order-tracker".to_owned(), "orders".to_owned());
        OffsetRecord::Commit { group, topic, partition: 7, committed }
    }

    /// `OffsetCommitValue` of each version, with offset 42, epoch 3, the note "a note" and time 99.
    fn commit_value(version: i16) -> Vec<u8> {
        let mut value = [version.to_be_bytes().to_vec(), 42_i64.to_be_bytes().to_vec()].concat();
        if version >= 3 {
            value.extend(3_i32.to_be_bytes());
        }
        if version >= 4 {
            value.push(7);
            value.extend(b"a note");
        } else {
            value.extend(text("a note"));
        }
        value.extend(99_i64.to_be_bytes());
        match version {
            1 => value.extend(100_i64.to_be_bytes()),
            4 => value.push(0),
            _ => {}
        }
        value
    }

    #[test]
    fn commits_of_every_version_are_read() {
        for (version, leader_epoch) in [(0, -1), (1, -1), (2, -1), (3, 3), (4, 3)] {
            let committed = Committed { offset: 42, leader_epoch, committed_ms: 99 };
            let record = read(&commit_key(), Some(&commit_value(version)));
            assert_eq!(record, Ok(commit(Some(committed))), "version {version}");
        }
        assert_eq!(read(&commit_key(), None), Ok(commit(None)), "a tombstone");
        let error = read(&commit_key(), Some(&commit_value(5))).expect_err("no such version");
        assert_eq!(error, "its value is of a version that this program does not know");
    }

    #[test]
    fn groups_of_every_version_tell_their_generation_and_members() {
        for version in 0..=3_i16 {
            let mut value = [version.to_be_bytes().to_vec(), text("consumer"), 5_i32.to_be_bytes().to_vec()].concat();
            value.extend(text("range"));
            value.extend((-1_i16).to_be_bytes());
            if version >= 2 {
                value.extend(99_i64.to_be_bytes());
            }
            value.extend(2_i32.to_be_bytes());
            let generation = Some(ClassicGroup { generation: 5, members: 2 });
            let expected = OffsetRecord::Group { group: "g".to_owned(), generation };
            assert_eq!(read(&key(2, &[text("g")]), Some(&value)), Ok(expected), "version {version}");
        }
        let removed = OffsetRecord::Group { group: "g".to_owned(), generation: None };
        assert_eq!(read(&key(2, &[text("g")]), None), Ok(removed));
    }

    #[test]
    fn groups_of_the_consumer_protocol_tell_their_epoch_and_members_one_by_one() {
        let group = || "g".to_owned();
        let value = [0_i16.to_be_bytes().to_vec(), 8_i32.to_be_bytes().to_vec(), vec![0]].concat();
        let epoch = OffsetRecord::Epoch { group: group(), epoch: Some(8) };
        assert_eq!(read(&key(3, &[text("g")]), Some(&value)), Ok(epoch));
        let member = |joined| OffsetRecord::Member { group: group(), member: "m".to_owned(), joined };
        assert_eq!(read(&key(5, &[text("g"), text("m")]), Some(&[0, 0])), Ok(member(true)));
        assert_eq!(read(&key(5, &[text("g"), text("m")]), None), Ok(member(false)));
        assert_eq!(read(&key(8, &[text("g"), text("m")]), Some(&[9])), Ok(OffsetRecord::Other));
    }

    #[test]
    fn whatever_is_cut_short_is_refused() {
        let (whole_key, whole_value) = (commit_key(), commit_value(3));
        for length in 0..whole_key.len() {
            assert!(read(&whole_key[..length], None).is_err(), "a key of {length} bytes");
        }
        for length in 0..whole_value.len() {
            assert!(read(&whole_key, Some(&whole_value[..length])).is_err(), "a value of {length} bytes");
        }
        let endless = [4_i16.to_be_bytes().to_vec(), vec![0; 12], vec![0xff; 20]].concat();
        assert_eq!(read(&whole_key, Some(&endless)), Err("its value is cut short"));
    }
}
