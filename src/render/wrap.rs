// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Breaks text into lines that fit the screen.

use crate::render::Screen;

impl Screen {
    /// Adds `items` with `separator` between them, on as many lines as they need.
    /// All lines but the first are indented.
    pub(super) fn flow<S: AsRef<str>>(
        &self,
        page: &mut String,
        separator: &str,
        items: impl IntoIterator<Item = S>,
    ) {
        self.wrap(page, 0, 2, separator, items);
    }

    /// Adds `label` and the words of `text`. All lines but the first are indented.
    pub(super) fn labelled(&self, page: &mut String, label: &str, text: &str) {
        self.flow(page, " ", std::iter::once(label).chain(text.split(' ')));
    }

    /// Adds `first`, which takes `indent` columns, and `text` to the right of it.
    /// Line breaks in `text` are kept.
    pub(super) fn hang(&self, page: &mut String, first: &str, indent: usize, text: &str) {
        let mut begin = first.to_owned();
        for line in text.lines() {
            page.push_str(&begin);
            self.wrap(page, indent, indent, " ", line.split_whitespace());
            begin = " ".repeat(indent);
        }
    }

    /// The last line of `page` already has `column` columns. An item is not broken at
    /// its spaces, so a figure stays beside its name. An item that is longer than a
    /// line, such as a path, is cut.
    fn wrap<S: AsRef<str>>(
        &self,
        page: &mut String,
        mut column: usize,
        indent: usize,
        separator: &str,
        items: impl IntoIterator<Item = S>,
    ) {
        let room = self.width() - indent;
        let mut is_first = true;
        for item in items {
            for part in cut(item.as_ref(), room) {
                let columns = columns(&part);
                if is_first {
                    is_first = false;
                } else if column + separator.len() + columns <= self.width() {
                    page.push_str(separator);
                    column += separator.len();
                } else {
                    page.push('\n');
                    page.push_str(&" ".repeat(indent));
                    column = indent;
                }
                page.push_str(&part);
                column += columns;
            }
        }
        page.push('\n');
    }
}

/// Parts of a text that fit `room` columns. An empty text has none.
fn cut(text: &str, room: usize) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else if columns(text) <= room || text.contains('\x1b') {
        vec![text.into()]
    } else {
        let chars: Vec<char> = text.chars().collect();
        let parts = chars.chunks(room);
        parts.map(|part| part.iter().collect()).collect()
    }
}

/// The number of columns of a text. Escape codes take none.
fn columns(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, |part| part.chars().count());
    plain
        + parts
            .filter_map(|part| part.split_once('m'))
            .map(|(_, rest)| rest.chars().count())
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_take_no_columns() {
        let screen = Screen::new(80, true);
        assert_eq!(columns(&screen.bold("tcp-start")), 9);
        assert_eq!(columns(&format!("a {} b", screen.dim("idle:"))), 9);
    }

    #[test]
    fn an_item_is_broken_only_if_no_line_holds_it() {
        let screen = Screen::new(60, false);
        let mut page = String::new();
        let (short, long) = ("count 100".repeat(3), "x".repeat(100));
        screen.flow(&mut page, "  ", [short.as_str(), "", &short, &short, &long]);
        let expected = format!(
            "{short}  {short}\n  {short}\n  {}\n  {}\n",
            "x".repeat(58),
            "x".repeat(42)
        );
        assert_eq!(page, expected);
    }

    #[test]
    fn text_hangs_below_its_beginning() {
        let screen = Screen::new(60, false);
        let mut page = String::new();
        screen.hang(
            &mut page,
            "ok  ",
            4,
            &format!("{}\nend", "word ".repeat(12)),
        );
        let expected = format!("ok  {}word\n    word\n    end\n", "word ".repeat(10));
        assert_eq!(page, expected);
    }
}
