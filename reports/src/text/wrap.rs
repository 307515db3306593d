//! Breaking lines.

use super::WIDTH;

/// Appends `text` to `out`, whose last line already holds `indent` columns, breaking it between words so that every line
/// fits. A word that is wider than a whole line stays whole: paths and identities are there to be copied.
pub(crate) fn append(out: &mut String, indent: usize, text: &str) {
    let mut column = indent;
    let mut first = true;
    for word in text.split(' ') {
        let width = word.chars().count();
        if !first && column + 1 + width > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if !first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        first = false;
    }
    let trimmed = out.trim_end().len();
    out.truncate(trimmed);
    out.push('\n');
}

/// The text, or its beginning with a mark that there is more.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(2)).collect();
    cut.push_str("..");
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        let mut out = "  label    ".to_owned();
        append(&mut out, 11, &"word ".repeat(40));
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        assert!(lines[1..].iter().all(|line| line.starts_with("           word")), "{out}");
    }

    #[test]
    fn a_long_word_is_not_broken() {
        let word = "x".repeat(150);
        let mut out = String::new();
        append(&mut out, 0, &format!("a {word} b"));
        assert_eq!(out, format!("a\n{word}\nb\n"));
    }

    #[test]
    fn cut_text_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcd..");
    }
}
