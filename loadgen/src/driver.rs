//! Which client offers a load on a topic: librdkafka ([`crate::topic_load`]) or our own ([`crate::direct`]).

use crate::direct::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The client that most services have, in whatever language: every property, TLS, SASL, all codecs.
    #[default]
    Librdkafka,
    /// A producer of our own that does nothing for a single message that it could do for a batch: more messages for less processor
    /// time, fewer properties.
    Direct,
}

impl Driver {
    /// The faster one, where it has all these properties, and can do what they say.
    #[must_use]
    pub fn fastest_with(client: &BTreeMap<String, String>) -> Self {
        if Settings::new(client).is_ok() { Self::Direct } else { Self::Librdkafka }
    }

    /// Its word, as serde has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::Direct => "direct",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_only_librdkafka_has_choose_it() {
        let driver = |properties: &[(&str, &str)]| {
            let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Driver::fastest_with(&properties.collect())
        };
        assert_eq!(driver(&[]), Driver::Direct);
        assert_eq!(driver(&[("acks", "1"), ("linger.ms", "0")]), Driver::Direct);
        assert_eq!(driver(&[("security.protocol", "ssl")]), Driver::Librdkafka);
        assert_eq!(driver(&[("compression.type", "zstd")]), Driver::Librdkafka);
    }
}
