//! Which client offers a load on a topic.

use serde::{Deserialize, Serialize};

/// The client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The client that most services have, in whatever language: every property, TLS, SASL, all codecs.
    #[default]
    Librdkafka,
    /// A producer of our own that does nothing for a single message that it could do for a batch: more messages for less processor
    /// time, fewer properties ([`crate::direct`]).
    Direct,
}

impl Driver {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Librdkafka, Self::Direct];

    /// Its word, as serde has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::Direct => "direct",
        }
    }
}
