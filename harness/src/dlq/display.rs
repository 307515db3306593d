//! Letters as people read them. Whatever is in one may come from anybody: nothing of it reaches a terminal as a command.

use super::letter::Letter;
use shakedown_reports::numbers::grouped;
use std::fmt::Write as _;

/// Bytes of one line of a hexadecimal dump.
const DUMP_BYTES: usize = 16;

/// The longest header, key or reason that is shown, in characters.
const LINE_CHARACTERS_MAX: usize = 200;

/// A letter with everything that is known of it, and so many bytes of its payload.
#[must_use]
pub fn letter(letter: &Letter, is_remembered: bool, payload_bytes_max: usize) -> String {
    let mut text = format!("{}/{} offset {}", letter.topic, letter.partition, letter.offset);
    text.push_str(if is_remembered { "  replayed\n" } else { "\n" });
    let mut row = |name: &str, value: &str| {
        // A string takes everything.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    match letter.origin() {
        Some(origin) => row("from", &format!("{}/{} offset {}", line(&origin.topic), origin.partition, origin.offset)),
        None => row("from", "(no dlq-topic, dlq-partition and dlq-offset)"),
    }
    row("service", &letter.service().as_deref().map_or_else(|| "(no dlq-service)".to_owned(), line));
    row("reason", &letter.reason().as_deref().map_or_else(|| "(no dlq-reason)".to_owned(), line));
    if let Some(ms) = letter.laid_at_ms {
        row("laid", &shakedown_reports::utc::readable(ms));
    }
    if let Some(what) = letter.shortened() {
        row("shortened", &line(&what));
    }
    row("key", &letter.key.as_deref().map_or_else(|| "none".to_owned(), value));
    for (name, bytes) in letter.original_headers() {
        row("header", &format!("{} = {}", line(&name), bytes.as_deref().map_or_else(|| "none".to_owned(), value)));
    }
    match &letter.payload {
        None => row("payload", "none"),
        Some(bytes) => {
            let kind = if as_text(bytes).is_some() { "text" } else { "binary" };
            let whole = letter
                .whole_payload()
                .map(|(length, digest)| format!(", of {} with SHA-256 {}", grouped(length), line(&digest)));
            row("payload", &format!("{} bytes, {kind}{}", grouped(bytes.len() as u64), whole.unwrap_or_default()));
            text.push_str(&payload(bytes, payload_bytes_max));
        }
    }
    text
}

/// At most so many characters of a text, on one line, with whatever would move the cursor or change colours spelt out.
#[must_use]
pub fn one_line(text: &str, characters_max: usize) -> String {
    let mut line = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == characters_max {
            line.push_str("...");
            break;
        }
        push_harmless(&mut line, character);
    }
    line
}

fn line(text: &str) -> String {
    one_line(text, LINE_CHARACTERS_MAX)
}

fn push_harmless(line: &mut String, character: char) {
    // Beside control characters those that reorder a line (Unicode's bidirectional formatting).
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if character.is_control() || reorders {
        line.extend(character.escape_default());
    } else {
        line.push(character);
    }
}

/// A key or a header: as text if it is text, else in hexadecimal digits.
fn value(bytes: &[u8]) -> String {
    if let Some(text) = as_text(bytes) {
        return line(text);
    }
    let shown = &bytes[..bytes.len().min(LINE_CHARACTERS_MAX / 2)];
    let digits = shown.iter().fold("0x".to_owned(), |digits, byte| digits + &format!("{byte:02x}"));
    if shown.len() < bytes.len() { digits + "..." } else { digits }
}

/// The bytes as text: UTF-8 without control characters but for those that lay text out.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_layout = |character| matches!(character, '\n' | '\r' | '\t');
    text.chars().all(|character| !character.is_control() || is_layout(character)).then_some(text)
}

fn payload(bytes: &[u8], bytes_max: usize) -> String {
    let mut text = String::new();
    let shown = match as_text(bytes) {
        Some(whole) => {
            let mut end = bytes_max.min(whole.len());
            while !whole.is_char_boundary(end) {
                end -= 1;
            }
            for part in whole[..end].lines() {
                let _ = writeln!(text, "    {}", one_line(part, usize::MAX));
            }
            end
        }
        None => {
            let shown = &bytes[..bytes.len().min(bytes_max)];
            for (number, row) in shown.chunks(DUMP_BYTES).enumerate() {
                let digits = row.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x} "));
                let is_plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
                let plain = |byte: &u8| if is_plain(byte) { char::from(*byte) } else { '.' };
                let readable: String = row.iter().map(plain).collect();
                let _ = writeln!(text, "    {:08x}  {digits:<48} {readable}", number * DUMP_BYTES);
            }
            shown.len()
        }
    };
    if shown < bytes.len() {
        let more = grouped((bytes.len() - shown) as u64);
        let _ = writeln!(text, "    and {more} bytes more: --payload-bytes says how many are shown");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter as sample;
    use super::*;

    const HEADERS: [(&str, &str); 6] = [
        ("event-id", "e-1"),
        ("dlq-service", "payment"),
        ("dlq-reason", "its payload is not JSON"),
        ("dlq-topic", "orders"),
        ("dlq-partition", "3"),
        ("dlq-offset", "41"),
    ];

    #[test]
    fn a_letter_of_text() {
        insta::assert_snapshot!(letter(&sample("orders.dlq", &HEADERS), true, 4096));
    }

    #[test]
    fn a_letter_that_has_not_all_of_its_event() {
        let shortened = [("dlq-shortened", "payload"), ("dlq-payload-bytes", "999900"), ("dlq-payload-sha256", "e3b0")];
        let headers = [&HEADERS[1..], &shortened].concat();
        let text = letter(&sample("orders.dlq", &headers), false, 4096);
        assert!(text.contains("\n  shortened payload\n"), "{text}");
        assert!(text.contains("\n  payload   8 bytes, text, of 999,900 with SHA-256 e3b0\n"), "{text}");
    }

    #[test]
    fn a_letter_of_bytes_without_anything_else() {
        let mut sample = sample("orders.dlq", &[]);
        sample.key = Some(vec![0, 0xff]);
        sample.payload = Some((0..40).collect());
        sample.headers = vec![("flag".to_owned(), None)];
        insta::assert_snapshot!(letter(&sample, false, 20));
    }

    #[test]
    fn nothing_in_a_letter_commands_a_terminal() {
        let mut sample = sample("orders.dlq", &[("dlq-reason", "\u{1b}[2Jgone\u{202e}"), ("h\u{7}", "\r\nx")]);
        sample.payload = Some("caf\u{e9}\r\n\u{202e}x".as_bytes().to_vec());
        let text = letter(&sample, false, 4096);
        assert!(text.contains("\\u{1b}[2Jgone\\u{202e}") && text.contains("h\\u{7} = \\r\\nx"), "{text}");
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
        assert!(text.contains("    café\n    \\u{202e}x\n"), "{text}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = payload("ééé".as_bytes(), 3);
        assert_eq!(text, "    é\n    and 4 bytes more: --payload-bytes says how many are shown\n");
        assert_eq!(payload(b"", 10), "");
    }
}
