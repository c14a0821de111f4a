// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Text of others (files, names, paths, errors that quote them) made fit for a
//! terminal: a terminal interprets control characters instead of showing them.

/// What is shown in place of a character that a terminal would interpret.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// One line of at most `limit` characters without control characters: newlines
/// and tabs become spaces. Characters without width and those that turn the
/// direction of writing are replaced too: they hide what a name is.
pub fn one_line(text: &str, limit: usize) -> String {
    let invisible = |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut characters = text.chars().map(|c| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || invisible(c) => REPLACEMENT,
        c => c,
    });
    let mut cleaned: String = characters.by_ref().take(limit).collect();
    if characters.next().is_some() {
        cleaned.pop();
        cleaned.push('…');
    }
    cleaned
}

/// The same lines without control characters, for messages of our own that
/// quote others: newlines and tabs stay.
pub fn without_controls(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        '\r' => '\n',
        c if c.is_control() => REPLACEMENT,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The first `limit` characters, and `...` if that is not all. Control
/// characters stay: for what is cleaned when it is shown.
pub fn truncated(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleaned_text_is_one_harmless_line() {
        assert_eq!(
            one_line("a\x1b[31mb\u{9b}c\x07", 20),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}"
        );
        assert_eq!(
            one_line("two\nlines\tand \u{202e}more", 20),
            "two lines and \u{fffd}more"
        );
        assert_eq!(one_line("höher", 5), "höher");
        assert_eq!(one_line("höherer", 5), "höhe…");
    }

    #[test]
    fn messages_keep_their_lines() {
        assert_eq!(
            without_controls("one\ttwo\r\n\x1b[2J\u{9b}three"),
            "one\ttwo\n\n\u{fffd}[2J\u{fffd}three"
        );
    }

    #[test]
    fn truncation_counts_characters() {
        assert_eq!(truncated("höher", 5), "höher");
        assert_eq!(truncated("höherer", 5), "höher...");
    }
}
