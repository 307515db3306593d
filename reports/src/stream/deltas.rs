//! A row of numbers as its distances from the row before it.
//!
//! Entries that follow each other are alike: of one batch, of one partition, a microsecond apart. So each number is written as
//! what it differs by, zigzag and in groups of seven bits (LEB128), which for most is one byte or two. An operation takes about
//! 20 bytes so, and 64 as it is in memory: at millions a second the disk is what limits a record.

use std::fmt::Debug;

/// Bytes that a number takes at most.
pub(super) const NUMBER_SIZE_MAX: usize = 10;
/// Numbers that a row has at most.
const ROW_MAX: usize = 16;

/// The numbers of an entry.
pub trait Row: AsRef<[i64]> + AsMut<[i64]> + Copy + Default + Debug + Send {
    /// How many there are.
    const LENGTH: usize;
}

impl<const LENGTH: usize> Row for [i64; LENGTH]
where
    Self: Default + Debug,
{
    const LENGTH: usize = LENGTH;
}

/// Appends a row behind another one; a block begins behind zeros.
pub(super) fn put<R: Row>(row: &R, before: &R, buffer: &mut Vec<u8>) {
    const { assert!(R::LENGTH <= ROW_MAX) }
    let mut bytes = [0; ROW_MAX * NUMBER_SIZE_MAX];
    let mut length = 0;
    for (number, before) in row.as_ref().iter().zip(before.as_ref()) {
        let mut rest = zigzag(number.wrapping_sub(*before));
        while rest >= 0x80 {
            bytes[length] = (rest & 0x7f) as u8 | 0x80;
            length += 1;
            rest >>= 7;
        }
        bytes[length] = (rest & 0x7f) as u8;
        length += 1;
    }
    buffer.extend_from_slice(&bytes[..length]);
}

/// Takes a row off the front of these bytes, which follows another one; `None` if they do not begin with one.
pub(super) fn take<R: Row>(bytes: &mut &[u8], before: &R) -> Option<R> {
    let mut row = *before;
    for number in row.as_mut() {
        *number = number.wrapping_add(take_number(bytes)?);
    }
    Some(row)
}

fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for (nth, byte) in bytes.iter().enumerate().take(NUMBER_SIZE_MAX) {
        let group = u64::from(byte & 0x7f);
        let shift = 7 * nth;
        // Of the last group one bit is left; and what is written is never longer than it must be.
        if (group << shift) >> shift != group || (nth > 0 && *byte == 0) {
            return None;
        }
        number |= group << shift;
        if byte & 0x80 == 0 {
            *bytes = &bytes[nth + 1..];
            return Some(unzigzag(number));
        }
    }
    None
}

fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_whatever_is_in_them(rows in prop::collection::vec(any::<[i64; 3]>(), 1..20)) {
            let mut buffer = Vec::new();
            let mut before = [0; 3];
            for row in &rows {
                put(row, &before, &mut buffer);
                before = *row;
            }
            prop_assert!(buffer.len() <= rows.len() * 3 * NUMBER_SIZE_MAX);
            let mut bytes = &buffer[..];
            let mut before = [0; 3];
            for row in &rows {
                before = take(&mut bytes, &before).expect("it was written");
                prop_assert_eq!(&before, row);
            }
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn bytes_that_are_read_are_those_that_are_written(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            if let Some(row) = take(&mut rest, &[0; 2]) {
                let mut again = Vec::new();
                put(&row, &[0; 2], &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }

    #[test]
    fn neighbours_take_a_byte_a_number() {
        let mut buffer = Vec::new();
        put(&[1_000_063, i64::MIN], &[1_000_000, i64::MIN], &mut buffer);
        assert_eq!(buffer, [126, 0]);
        put(&[i64::MIN, 0], &[i64::MAX, 0], &mut buffer);
        assert_eq!(buffer, [126, 0, 2, 0], "the distance goes round");
    }

    #[test]
    fn the_longest_number_has_ten_bytes() {
        let mut buffer = Vec::new();
        put(&[i64::MIN], &[0], &mut buffer);
        assert_eq!(buffer, [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(take(&mut &buffer[..], &[0]), Some([i64::MIN]));
    }

    #[test]
    fn what_ends_early_or_is_too_long_is_no_row() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0x80, 0],
            &[0xff; 10],
            &[0x80; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(take(&mut &bytes[..], &[0]), None, "{bytes:x?}");
        }
    }
}
