//! The Kafka header in which a message carries its own identity. Raw payloads have no header: they begin with its bytes.
//!
//! Fixed binary, little endian, so that a tap reads it without parsing text:
//!
//! | bytes | field |
//! |---|---|
//! | 0 | version (1) |
//! | 1..5 | run |
//! | 5..7 | producer |
//! | 7..15 | sequence, dense over the run |
//! | 15..19 | key |
//! | 19..23 | key sequence, dense over the key |
//! | 23..31 | intended instant, Unix nanoseconds |
//! | 31..39 | value, minor units |
//! | 39..43 | CRC-32C of all before |

use crate::slots::InFlight;

/// The header's name in Kafka.
pub const NAME: &str = "shakedown";
/// Its length in bytes.
pub const LENGTH: usize = 43;
const VERSION: u8 = 1;
const CHECKSUM_AT: usize = LENGTH - 4;

/// Who a message is, and when the schedule wanted it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The run that sent it: a shared cluster may hold messages of earlier ones.
    pub run: u32,
    /// The producer within the run.
    pub producer: u16,
    /// Dense over the run, from 0.
    pub sequence: u64,
    /// The plan's number of its key.
    pub key: u32,
    /// Dense over the key, from 0.
    pub key_sequence: u32,
    /// Unix nanoseconds.
    pub intended_ns: u64,
    /// The amount it carries, in minor units.
    pub value: i64,
}

/// Bytes that are no identity header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityHeaderError {
    /// Not as long as this version writes it.
    #[error("header {NAME} has {received} bytes, {LENGTH} are allowed")]
    Length {
        /// Its length.
        received: usize,
    },
    /// Written by another version.
    #[error("header {NAME} has version {received}, {VERSION} is allowed")]
    Version {
        /// Its version.
        received: u8,
    },
    /// Damaged on its way.
    #[error("header {NAME} has checksum {received:08x}, its bytes have {computed:08x}")]
    Checksum {
        /// What it says.
        received: u32,
        /// What its bytes give.
        computed: u32,
    },
}

impl IdentityHeader {
    /// That of a message on its way.
    pub(crate) const fn of(message: &InFlight, run: u32, producer: u16) -> Self {
        let InFlight { sequence, key, key_sequence, value, intended_ns, .. } = *message;
        Self { run, producer, sequence, key, key_sequence, intended_ns, value }
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.run.to_le_bytes());
        bytes[5..7].copy_from_slice(&self.producer.to_le_bytes());
        bytes[7..15].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[15..19].copy_from_slice(&self.key.to_le_bytes());
        bytes[19..23].copy_from_slice(&self.key_sequence.to_le_bytes());
        bytes[23..31].copy_from_slice(&self.intended_ns.to_le_bytes());
        bytes[31..39].copy_from_slice(&self.value.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header's bytes.
    ///
    /// # Errors
    /// When their length, version or checksum is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityHeaderError> {
        let bytes: &[u8; LENGTH] =
            bytes.try_into().map_err(|_| IdentityHeaderError::Length { received: bytes.len() })?;
        if bytes[0] != VERSION {
            return Err(IdentityHeaderError::Version { received: bytes[0] });
        }
        let received = u32::from_le_bytes(field(bytes, CHECKSUM_AT));
        let computed = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        if received != computed {
            return Err(IdentityHeaderError::Checksum { received, computed });
        }
        Ok(Self {
            run: u32::from_le_bytes(field(bytes, 1)),
            producer: u16::from_le_bytes(field(bytes, 5)),
            sequence: u64::from_le_bytes(field(bytes, 7)),
            key: u32::from_le_bytes(field(bytes, 15)),
            key_sequence: u32::from_le_bytes(field(bytes, 19)),
            intended_ns: u64::from_le_bytes(field(bytes, 23)),
            value: i64::from_le_bytes(field(bytes, 31)),
        })
    }
}

fn field<const SIZE: usize>(bytes: &[u8; LENGTH], at: usize) -> [u8; SIZE] {
    let mut field = [0; SIZE];
    field.copy_from_slice(&bytes[at..at + SIZE]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: IdentityHeader = IdentityHeader {
        run: 0x0102_0304,
        producer: 0x0506,
        sequence: 0x0708_090a_0b0c_0d0e,
        key: 0x0f10_1112,
        key_sequence: 0x1314_1516,
        intended_ns: 0x1718_191a_1b1c_1d1e,
        value: -2,
    };

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = EXAMPLE.encode();
        assert_eq!(bytes[..7], [1, 4, 3, 2, 1, 6, 5]);
        assert_eq!(bytes[7..15], [0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 9, 8, 7]);
        assert_eq!(bytes[15..23], [0x12, 0x11, 0x10, 0x0f, 0x16, 0x15, 0x14, 0x13]);
        assert_eq!(bytes[23..31], [0x1e, 0x1d, 0x1c, 0x1b, 0x1a, 0x19, 0x18, 0x17]);
        assert_eq!(bytes[31..39], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = EXAMPLE.encode();
        for bit in 0..LENGTH * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(IdentityHeader::decode(&damaged).is_err(), "bit {bit}");
        }
        assert_eq!(IdentityHeader::decode(&bytes[1..]), Err(IdentityHeaderError::Length { received: 42 }));
        assert_eq!(IdentityHeader::decode(&[]), Err(IdentityHeaderError::Length { received: 0 }));
    }

    proptest! {
        #[test]
        fn every_header_comes_back(
            run: u32, producer: u16, sequence: u64, key: u32, key_sequence: u32, intended_ns: u64, value: i64,
        ) {
            let header = IdentityHeader { run, producer, sequence, key, key_sequence, intended_ns, value };
            prop_assert_eq!(IdentityHeader::decode(&header.encode()), Ok(header));
        }
    }
}
