//! Batches of records as text in which two clusters can agree. The id of a producer is drawn by each cluster for itself, and
//! the checksum covers it; so the id is named as everywhere else, and of the checksum it is said whether it is right.

use shakedown_broker::batch::header::{BatchHeader, CHECKED_FROM, MAGIC_AT};
use shakedown_broker::batch::validate;
use std::ops::Range;

/// Where the checksum lies in a batch.
const CHECKSUM: Range<usize> = MAGIC_AT + 1..CHECKED_FROM;

/// Where the producer's id lies in a batch.
const PRODUCER_ID: Range<usize> = 43..51;

/// What `Debug` writes of bytes, as text of batches; text of anything else as it is. `name` is what a producer is called.
pub(crate) fn readable(text: &str, mut name: impl FnMut(&str) -> String) -> String {
    let Some(escaped) = text.strip_prefix('b') else { return text.to_owned() };
    let bytes = unescaped(escaped);
    let mut left = &bytes[..];
    let mut batches = Vec::new();
    while !left.is_empty() {
        let whole = BatchHeader::read(left).and_then(|header| Some((header, left.split_at_checked(header.size()?)?)));
        let (checksum, batch) = match whole {
            Some((header, (batch, rest))) => {
                left = rest;
                (if validate::is_sound(batch, &header) { "sound" } else { "broken" }, batch)
            }
            None => ("cut", std::mem::take(&mut left)),
        };
        let producer = batch.get(PRODUCER_ID).and_then(|id| id.try_into().ok()).map(i64::from_be_bytes);
        let producer = match producer {
            Some(-1) => String::from("nobody"),
            Some(id) => name(&id.to_string()),
            None => String::from("unknown"),
        };
        batches.push(format!("{checksum} of {producer}: {}", without_what_differs(batch).escape_ascii()));
    }
    batches.join(", ")
}

fn without_what_differs(batch: &[u8]) -> Vec<u8> {
    let differs = |at: &usize| CHECKSUM.contains(at) || PRODUCER_ID.contains(at);
    batch.iter().enumerate().map(|(at, byte)| if differs(&at) { 0 } else { *byte }).collect()
}

/// The bytes that `Debug` of bytes writes so.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escape = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match escape {
            None => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let both = digit(rest.next()).zip(digit(rest.next())).expect("two digits");
                u8::try_from(both.0 * 16 + both.1).expect("two digits make a byte")
            }
            Some(same) => same,
        });
    }
    bytes
}

/// That all of a batch is compared but for what each cluster draws for itself.
pub(crate) fn batches_are_compared_but_for_their_producers_ids() {
    use crate::requests::{NOBODY, batch};
    let shown = |bytes: &[u8]| {
        let tree = crate::tree::Tree::of(&bytes::Bytes::copy_from_slice(bytes));
        let crate::tree::Tree::Leaf(text) = tree else { panic!("bytes are a leaf: {tree:?}") };
        readable(&text, |id| format!("producer {id}"))
    };
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let crate::tree::Tree::Leaf(text) = crate::tree::Tree::of(&bytes::Bytes::copy_from_slice(&all_bytes)) else {
        panic!("bytes are a leaf")
    };
    assert_eq!(unescaped(text.strip_prefix('b').expect("bytes")), all_bytes);
    let of = |id| batch(2, 1_000, (id, 0, 0)).to_vec();
    assert_eq!(shown(&of(7)).replace("producer 7", "producer 8"), shown(&of(8)));
    assert!(shown(&of(7)).starts_with("sound of producer 7: "));
    let nobody = batch(1, 1_000, NOBODY).to_vec();
    let both = [nobody.clone(), of(7)].concat();
    assert_eq!(shown(&both), format!("{}, {}", shown(&nobody), shown(&of(7))));
    assert!(shown(&nobody).starts_with("sound of nobody: "));
    let mut broken = of(7);
    broken[CHECKSUM.start] ^= 1;
    assert!(shown(&broken).starts_with("broken of producer 7: "));
    for (end, said) in [(both.len() - 1, ", cut of producer 7: "), (nobody.len() + 30, ", cut of unknown: ")] {
        assert!(shown(&both[..end]).contains(said), "{}", shown(&both[..end]));
    }
    for at in (0..both.len()).filter(|at| !(CHECKSUM.contains(at) || PRODUCER_ID.contains(at))) {
        let mut other = both.clone();
        other[at] ^= 0x10;
        assert_ne!(shown(&other), shown(&both), "byte {at}");
    }
}
