//! What Kafka's flexible messages are made of (KIP-482): numbers, compact texts and arrays, tagged fields.
//!
//! Reading goes by the bytes that are there. What a length claims is compared with them before anything is done by it.

use super::MalformedRecord;
use crate::types::BrokerId;
use bytes::{BufMut, BytesMut};
use uuid::Uuid;

/// Bytes of the longest unsigned varint: 32 bits, seven in each.
const UVARINT_MAX: usize = 5;

/// Fields that are still to be read. Every method takes what its field is called, for the error.
pub(super) struct Fields<'a> {
    left: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Fails if anything is left.
    pub(super) fn end(&self, what: &'static str) -> Result<(), MalformedRecord> {
        if self.left.is_empty() { Ok(()) } else { Err(MalformedRecord { what }) }
    }

    pub(super) fn is_true(&mut self, what: &'static str) -> Result<bool, MalformedRecord> {
        Ok(self.i8(what)? != 0)
    }

    pub(super) fn i8(&mut self, what: &'static str) -> Result<i8, MalformedRecord> {
        self.array(what).map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self, what: &'static str) -> Result<i16, MalformedRecord> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, MalformedRecord> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, MalformedRecord> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, MalformedRecord> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(super) fn uuid(&mut self, what: &'static str) -> Result<Uuid, MalformedRecord> {
        self.array(what).map(Uuid::from_bytes)
    }

    pub(super) fn uvarint(&mut self, what: &'static str) -> Result<u32, MalformedRecord> {
        let mut value = 0_u64;
        for nth in 0..UVARINT_MAX {
            let [byte] = self.array(what)?;
            value |= u64::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| MalformedRecord { what });
            }
        }
        Err(MalformedRecord { what })
    }

    /// A compact length, `None` for that of null.
    pub(super) fn length(&mut self, what: &'static str) -> Result<Option<usize>, MalformedRecord> {
        let length = self.uvarint(what)?.checked_sub(1);
        length.map(usize::try_from).transpose().map_err(|_| MalformedRecord { what })
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, MalformedRecord> {
        self.nullable_text(what)?.ok_or(MalformedRecord { what })
    }

    pub(super) fn nullable_text(&mut self, what: &'static str) -> Result<Option<&'a str>, MalformedRecord> {
        let Some(length) = self.length(what)? else { return Ok(None) };
        let text = str::from_utf8(self.take(length, what)?);
        text.map(Some).map_err(|_| MalformedRecord { what })
    }

    pub(super) fn ids(&mut self, what: &'static str) -> Result<Vec<BrokerId>, MalformedRecord> {
        self.nullable_ids(what)?.ok_or(MalformedRecord { what })
    }

    pub(super) fn nullable_ids(&mut self, what: &'static str) -> Result<Option<Vec<BrokerId>>, MalformedRecord> {
        let Some(count) = self.length(what)? else { return Ok(None) };
        let size = count.checked_mul(4).ok_or(MalformedRecord { what })?;
        let (ids, _) = self.take(size, what)?.as_chunks::<4>();
        Ok(Some(ids.iter().map(|id| BrokerId(i32::from_be_bytes(*id))).collect()))
    }

    /// Gives every tagged field to `read`, which reads all of it.
    pub(super) fn tagged(
        &mut self,
        mut read: impl FnMut(u32, &mut Self) -> Result<(), MalformedRecord>,
    ) -> Result<(), MalformedRecord> {
        let what = "tagged fields";
        for _ in 0..self.uvarint(what)? {
            let tag = self.uvarint(what)?;
            let size = usize::try_from(self.uvarint(what)?).map_err(|_| MalformedRecord { what })?;
            let mut field = Self::new(self.take(size, what)?);
            read(tag, &mut field)?;
            field.end(what)?;
        }
        Ok(())
    }

    /// Passes over tagged fields, where none is known.
    pub(super) fn skip_tagged(&mut self) -> Result<(), MalformedRecord> {
        self.tagged(|_, field| {
            field.skip();
            Ok(())
        })
    }

    /// Passes over everything that is left.
    pub(super) fn skip(&mut self) {
        self.left = &[];
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], MalformedRecord> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(MalformedRecord { what })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], MalformedRecord> {
        let (taken, left) = self.left.split_first_chunk().ok_or(MalformedRecord { what })?;
        self.left = left;
        Ok(*taken)
    }
}

pub(super) fn put_uvarint(to: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        to.put_u8(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    to.put_u8(low);
}

pub(super) fn put_text(to: &mut BytesMut, text: &str) {
    put_length(to, text.len());
    to.put_slice(text.as_bytes());
}

pub(super) fn put_nullable_text(to: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_text(to, text),
        None => put_uvarint(to, 0),
    }
}

pub(super) fn put_ids(to: &mut BytesMut, ids: &[BrokerId]) {
    put_length(to, ids.len());
    ids.iter().for_each(|id| to.put_i32(id.0));
}

/// A compact length, one more than it is, since 0 says null.
pub(super) fn put_length(to: &mut BytesMut, length: usize) {
    put_uvarint(to, u32::try_from(length + 1).expect("a record fits into a request"));
}

/// Tagged fields on their way out. A field at its default is left away, as Kafka does.
#[derive(Default)]
pub(super) struct TaggedFields {
    count: u32,
    fields: BytesMut,
}

impl TaggedFields {
    /// Adds a field; tags have to rise.
    pub(super) fn put(&mut self, tag: u32, field: &[u8]) {
        self.count += 1;
        put_uvarint(&mut self.fields, tag);
        put_uvarint(&mut self.fields, u32::try_from(field.len()).expect("a record fits into a request"));
        self.fields.put_slice(field);
    }

    /// Adds a field of broker ids.
    pub(super) fn put_ids(&mut self, tag: u32, ids: &[BrokerId]) {
        let mut field = BytesMut::new();
        put_ids(&mut field, ids);
        self.put(tag, &field);
    }

    /// Writes all of them.
    pub(super) fn finish(self, to: &mut BytesMut) {
        put_uvarint(to, self.count);
        to.put_slice(&self.fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_varints_are_kafkas() {
        let known: [(u32, &[u8]); 6] = [
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (16_384, &[0x80, 0x80, 1]),
            (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in known {
            let mut written = BytesMut::new();
            put_uvarint(&mut written, value);
            assert_eq!(written, bytes);
            let mut fields = Fields::new(bytes);
            assert_eq!(fields.uvarint("number"), Ok(value));
            assert_eq!(fields.end("number"), Ok(()));
        }
        let malformed: [&[u8]; 4] = [&[], &[0x80], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0x80, 0x80, 0x80, 0x80, 0x80, 0]];
        for bytes in malformed {
            assert_eq!(Fields::new(bytes).uvarint("number"), Err(MalformedRecord { what: "number" }));
        }
    }

    #[test]
    fn lengths_that_nothing_backs_are_refused() {
        // The largest array that can be claimed: 17 GB of ids, in nine bytes.
        let claimed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1];
        assert_eq!(Fields::new(&claimed).ids("ids"), Err(MalformedRecord { what: "ids" }));
        assert_eq!(Fields::new(&claimed).text("text"), Err(MalformedRecord { what: "text" }));
        assert_eq!(Fields::new(&claimed).skip_tagged(), Err(MalformedRecord { what: "tagged fields" }));
        assert_eq!(Fields::new(&[0]).ids("ids"), Err(MalformedRecord { what: "ids" }), "null where null may not be");
        assert_eq!(Fields::new(&[3, 0xff, 0xff]).text("text"), Err(MalformedRecord { what: "text" }), "not UTF-8");
    }

    #[test]
    fn unknown_tagged_fields_are_passed_over_and_known_ones_are_read_wholly() {
        let mut tagged = TaggedFields::default();
        tagged.put(3, &[1, 2]);
        tagged.put_ids(200, &[BrokerId(5)]);
        let mut bytes = BytesMut::new();
        tagged.finish(&mut bytes);
        assert_eq!(bytes[..], [2, 3, 2, 1, 2, 0xc8, 1, 5, 2, 0, 0, 0, 5]);
        let mut ids = Vec::new();
        let read = Fields::new(&bytes).tagged(|tag, field| {
            match tag {
                200 => ids = field.ids("ids")?,
                _ => field.skip(),
            }
            Ok(())
        });
        assert_eq!((read, ids), (Ok(()), vec![BrokerId(5)]));
        let half = Fields::new(&bytes).tagged(|_, field| field.i8("byte").map(drop));
        assert_eq!(half, Err(MalformedRecord { what: "tagged fields" }));
    }
}
