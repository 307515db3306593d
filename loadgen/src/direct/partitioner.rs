//! Which partition a key belongs to: as librdkafka has it unless the plan says otherwise, so that a load lands where it did.

/// The ways that can be asked for, by their names in librdkafka's property `partitioner`. Every message of a load has a key, so
/// what they do without one does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partitioner {
    /// `consistent_random` and `consistent`: CRC-32 of the key. librdkafka's default.
    Crc32,
    /// `murmur2_random` and `murmur2`: the Java client's.
    Murmur2,
}

impl Partitioner {
    /// Every name and what it means.
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("consistent_random", Self::Crc32),
        ("consistent", Self::Crc32),
        ("murmur2_random", Self::Murmur2),
        ("murmur2", Self::Murmur2),
    ];

    /// The partition of this key, of so many.
    pub(crate) fn partition(self, key: &[u8], partitions: usize) -> usize {
        let hash = match self {
            Self::Crc32 => crc32fast::hash(key),
            // `Utils.toPositive` of the Java client.
            Self::Murmur2 => murmur2(key) & 0x7fff_ffff,
        };
        hash as usize % partitions
    }
}

/// MurmurHash2 with 32 bits and Kafka's seed (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> R;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the Java client's own test (`UtilsTest.testMurmur2`).
    #[test]
    fn murmur2_is_the_java_clients() {
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key:?}");
        }
    }

    #[test]
    fn crc32_is_the_polynomial_of_librdkafka() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(Partitioner::Crc32.partition(b"123456789", 1_000), 0xcbf4_3926 % 1_000);
    }

    #[test]
    fn every_partition_is_somebodys() {
        for (_, partitioner) in Partitioner::NAMES {
            let mut seen = [0; 7];
            for key in 0..7_000 {
                seen[partitioner.partition(format!("user-{key}").as_bytes(), 7)] += 1;
            }
            assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{partitioner:?}: {seen:?}");
        }
    }
}
