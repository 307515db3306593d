//! Words of a command line that somebody is to copy.

use std::borrow::Cow;

/// The word as a POSIX shell has to read it: as it is, or in quotes where a shell would make something else of it.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        let words = ["a/b-1.toml", "kafka-1:9092,kafka-2:9092", "my runs", "it's", "$HOME", ""].map(word);
        assert_eq!(words, ["a/b-1.toml", "kafka-1:9092,kafka-2:9092", "'my runs'", "'it'\\''s'", "'$HOME'", "''"]);
    }
}
