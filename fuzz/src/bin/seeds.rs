//! Writes what the fuzz targets begin with, into `corpus/`: a request of every API in every version, batches in every codec,
//! the scenarios of this repository.

// The samples are those of the protocol tests, which have more than is used here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../../broker/tests/protocol/client.rs"]
mod client;
#[allow(dead_code, unused_imports)]
#[path = "../../../broker/tests/protocol/every_version.rs"]
mod every_version;
#[allow(dead_code, unused_imports)]
#[path = "../../../broker/tests/protocol/topics.rs"]
mod topics;

use bytes::BytesMut;
use kafka_protocol::messages::ApiKey;
use shakedown_broker::api;
use shakedown_fuzz::broker::place_of;
use std::fs;
use std::path::{Path, PathBuf};

type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> Done {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    frames(&folder(&corpus, "frames")?)?;
    batches(&folder(&corpus, "batches")?)?;
    scenarios(&folder(&corpus, "scenarios")?)
}

fn folder(corpus: &Path, name: &str) -> std::io::Result<PathBuf> {
    let folder = corpus.join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Each behind one that creates the topic, and with one behind it that says what became of the topic.
fn frames(folder: &Path) -> Done {
    for entry in api::TABLE {
        for version in entry.min..=entry.max {
            let mut input = framed(ApiKey::CreateTopics, 7)?;
            input.extend(framed(entry.key, version)?);
            input.extend(framed(ApiKey::Metadata, 12)?);
            fs::write(folder.join(format!("{:?}-{version}", entry.key)), input)?;
        }
    }
    Ok(())
}

fn framed(key: ApiKey, version: i16) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let entry = api::lookup(key as i16).ok_or("an API of the table")?;
    let mut body = BytesMut::new();
    every_version::sample(key, version, uuid::Uuid::from_u128(1)).encode(&mut body, version)?;
    let mut frame = vec![place_of(key as i16).ok_or("an API of the table")?, u8::try_from(version - entry.min)?];
    frame.extend(u16::try_from(body.len())?.to_be_bytes());
    frame.extend(body);
    Ok(frame)
}

/// One batch with each compression's code. Only the first is one; mutation finds out what the decoders take.
fn batches(folder: &Path) -> Done {
    for codec in 0..=5 {
        let mut batch = client::batch(3, 7, 0, 0).to_vec();
        batch[22] |= codec;
        batch.insert(0, 0);
        fs::write(folder.join(format!("codec-{codec}")), batch)?;
    }
    Ok(())
}

fn scenarios(folder: &Path) -> Done {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for kind in ["correctness", "failures", "load", "systems"] {
        for file in fs::read_dir(scenarios.join(kind))? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
    }
    Ok(())
}
