//! A guard in front of the codec: walks a request's bytes by the shape of its message before anything is decoded.
//!
//! `kafka-protocol` 0.18 reserves whatever array length the wire claims, so that ten hostile bytes abort the process.
//! Here every claimed length must be backed by bytes that are really there, and the number of array elements in one
//! request is bounded. The walker knows shapes only; meaning is the codec's and the handlers' business.

use std::sync::OnceLock;

/// Most array elements in one request, over all its arrays. A fetch of every partition of a large test cluster stays
/// far below; what an element costs once decoded (some hundred bytes) bounds the memory that a request can claim.
pub const MAX_ELEMENTS: usize = 200_000;

/// Why a request's bytes cannot be what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A length or a fixed-width field reaches past the end of the frame.
    #[error("{field} needs {needed} bytes, {left} are left")]
    Short {
        /// The field's name in Kafka's message definitions.
        field: &'static str,
        /// Bytes it claims.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length below what "null" is written as.
    #[error("{field} claims the length {length}")]
    Negative {
        /// The field's name.
        field: &'static str,
        /// The length on the wire.
        length: i32,
    },
    /// A variable-length integer of more than five bytes.
    #[error("{field} has an unterminated variable-length integer")]
    Varint {
        /// The field's name.
        field: &'static str,
    },
    /// More array elements than any request needs.
    #[error("{field} brings the request to more than {MAX_ELEMENTS} array elements")]
    TooManyElements {
        /// The field's name.
        field: &'static str,
    },
    /// No shape is known for the API, so nothing may decode it.
    #[error("no API has the key {key}")]
    UnknownApi {
        /// The API key on the wire.
        key: i16,
    },
}

/// Checks the body of a request (what follows its header).
///
/// # Errors
/// The first place where the bytes cannot be a request of that API and version.
pub fn check_body(key: i16, version: i16, body: &[u8]) -> Result<(), Malformed> {
    let api = table().iter().find(|api| api.key == key).ok_or(Malformed::UnknownApi { key })?;
    let mut walker = Walker { left: body, version, flexible: api.flexible.contains(version), elements: 0 };
    walker.fields(&api.fields, api.name)
}

#[derive(Debug, Clone, Copy)]
struct Versions {
    min: i16,
    max: i16,
}

impl Versions {
    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().expect("the schema has version numbers");
        match (text.strip_suffix('+'), text.split_once('-')) {
            _ if text == "none" => Self { min: i16::MAX, max: i16::MIN },
            (Some(min), _) => Self { min: number(min), max: i16::MAX },
            (None, Some((min, max))) => Self { min: number(min), max: number(max) },
            (None, None) => Self { min: number(text), max: number(text) },
        }
    }

    fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

#[derive(Debug)]
enum Shape {
    Fixed(usize),
    Text,
    Bytes,
    Struct { nullable: bool, fields: Vec<Field> },
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    shape: Shape,
    array: bool,
    versions: Versions,
    tag: Option<u32>,
}

#[derive(Debug)]
struct Api {
    key: i16,
    name: &'static str,
    flexible: Versions,
    fields: Vec<Field>,
}

fn table() -> &'static [Api] {
    static TABLE: OnceLock<Vec<Api>> = OnceLock::new();
    TABLE.get_or_init(|| parse(include_str!("requests.schema")))
}

fn parse(text: &'static str) -> Vec<Api> {
    let lines: Vec<&'static str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut at = 0;
    let mut apis = Vec::new();
    while at < lines.len() {
        let words: Vec<&'static str> = lines[at].split_whitespace().collect();
        let key = words[0].parse().expect("the schema has API keys");
        at += 1;
        let fields = parse_fields(&lines, &mut at, 1);
        apis.push(Api { key, name: words[1], flexible: Versions::parse(words[2]), fields });
    }
    apis
}

fn parse_fields(lines: &[&'static str], at: &mut usize, depth: usize) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(line) = lines.get(*at) {
        if line.len() - line.trim_start().len() != depth * 2 {
            break;
        }
        *at += 1;
        let words: Vec<&'static str> = line.split_whitespace().collect();
        let (array, base) = words[1].strip_prefix("[]").map_or((false, words[1]), |base| (true, base));
        let shape = match base {
            "string" => Shape::Text,
            "bytes" => Shape::Bytes,
            "struct" => Shape::Struct { nullable: false, fields: parse_fields(lines, at, depth + 1) },
            "struct?" => Shape::Struct { nullable: true, fields: parse_fields(lines, at, depth + 1) },
            width => Shape::Fixed(width.parse().expect("the schema has widths in bytes")),
        };
        let tag = words.get(4).map(|tag| tag.parse().expect("the schema has tag numbers"));
        fields.push(Field { name: words[0], shape, array, versions: Versions::parse(words[2]), tag });
    }
    fields
}

struct Walker<'a> {
    left: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walker<'_> {
    fn fields(&mut self, fields: &'static [Field], owner: &'static str) -> Result<(), Malformed> {
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.field(field)?;
            }
        }
        if self.flexible { self.tagged(fields, owner) } else { Ok(()) }
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Malformed> {
        if !field.array {
            return self.one(field);
        }
        let Some(count) = self.array_length(field.name)? else {
            return Ok(());
        };
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            return Err(Malformed::TooManyElements { field: field.name });
        }
        if let Shape::Fixed(width) = field.shape {
            return self.skip(field.name, count.saturating_mul(width));
        }
        (0..count).try_for_each(|_| self.one(field))
    }

    fn one(&mut self, field: &'static Field) -> Result<(), Malformed> {
        match &field.shape {
            Shape::Fixed(width) => self.skip(field.name, *width),
            Shape::Text => {
                let length = self.text_length(field.name)?;
                self.skip(field.name, length)
            }
            Shape::Bytes => {
                let length = self.array_length(field.name)?.unwrap_or(0);
                self.skip(field.name, length)
            }
            Shape::Struct { nullable, fields } => {
                if *nullable {
                    let present = self.take(field.name, 1)?[0];
                    if present == u8::MAX {
                        return Ok(());
                    }
                }
                self.fields(fields, field.name)
            }
        }
    }

    fn tagged(&mut self, fields: &'static [Field], owner: &'static str) -> Result<(), Malformed> {
        for _ in 0..self.varint(owner)? {
            let tag = self.varint(owner)?;
            let size = self.varint(owner)? as usize;
            let known = fields.iter().find(|field| field.tag == Some(tag) && field.versions.contains(self.version));
            let Some(field) = known else {
                self.skip(owner, size)?;
                continue;
            };
            let before = self.left.len();
            self.field(field)?;
            let read = before - self.left.len();
            if read != size {
                return Err(Malformed::Short { field: field.name, needed: read, left: size });
            }
        }
        Ok(())
    }

    /// The length of an array or of bytes; `None` is null.
    fn array_length(&mut self, field: &'static str) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            return Ok((self.varint(field)? as usize).checked_sub(1));
        }
        let length = i32::from_be_bytes(self.take(field, 4)?.try_into().expect("four bytes were taken"));
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed::Negative { field, length }),
        }
    }

    fn text_length(&mut self, field: &'static str) -> Result<usize, Malformed> {
        if self.flexible {
            return Ok((self.varint(field)? as usize).saturating_sub(1));
        }
        let length = i16::from_be_bytes(self.take(field, 2)?.try_into().expect("two bytes were taken"));
        match length {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| Malformed::Negative { field, length: length.into() }),
        }
    }

    fn varint(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.take(field, 1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint { field })
    }

    fn skip(&mut self, field: &'static str, needed: usize) -> Result<(), Malformed> {
        self.take(field, needed).map(|_| ())
    }

    fn take(&mut self, field: &'static str, needed: usize) -> Result<&[u8], Malformed> {
        let (taken, left) =
            self.left.split_at_checked(needed).ok_or(Malformed::Short { field, needed, left: self.left.len() })?;
        self.left = left;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::{
        FetchRequest, MetadataRequest,
        fetch_request::{FetchPartition, FetchTopic},
        metadata_request::MetadataRequestTopic,
    };
    use kafka_protocol::protocol::{Encodable, Message, StrBytes};

    const METADATA: i16 = 3;
    const FETCH: i16 = 1;

    fn fetch(version: i16) -> BytesMut {
        let partition = FetchPartition::default().with_partition(3);
        let mut topic = FetchTopic::default().with_partitions(vec![partition.clone(), partition]);
        if version < 13 {
            topic.topic = StrBytes::from_static_str("orders").into();
        }
        let mut body = BytesMut::new();
        let request = FetchRequest::default().with_topics(vec![topic]);
        request.encode(&mut body, version).expect("the request fits the version");
        body
    }

    #[test]
    fn a_real_request_passes_in_every_version() {
        for version in 4..=FetchRequest::VERSIONS.max {
            assert_eq!(check_body(FETCH, version, &fetch(version)), Ok(()), "version {version}");
        }
        for version in MetadataRequest::VERSIONS.min..=MetadataRequest::VERSIONS.max {
            let topic = MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str("orders").into()));
            let mut body = BytesMut::new();
            let request = MetadataRequest::default().with_topics(Some(vec![topic]));
            request.encode(&mut body, version).expect("the request fits the version");
            assert_eq!(check_body(METADATA, version, &body), Ok(()), "version {version}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for version in [4, 11, 12, 17] {
            let body = fetch(version);
            for length in 0..body.len() {
                assert!(check_body(FETCH, version, &body[..length]).is_err(), "version {version} cut to {length}");
            }
        }
    }

    #[test]
    fn ten_hostile_bytes_reserve_nothing() {
        let claims_two_billion = i32::MAX.to_be_bytes();
        let error = check_body(METADATA, 1, &claims_two_billion).expect_err("no such array is there");
        assert_eq!(error, Malformed::TooManyElements { field: "topics" });
        let claims_many = 150_000_i32.to_be_bytes();
        let error = check_body(METADATA, 1, &claims_many).expect_err("no such array is there");
        assert_eq!(error, Malformed::Short { field: "name", needed: 2, left: 0 });
    }

    #[test]
    fn a_negative_length_is_refused() {
        let error = check_body(METADATA, 1, &(-2_i32).to_be_bytes()).expect_err("only -1 is null");
        assert_eq!(error, Malformed::Negative { field: "topics", length: -2 });
    }
}
