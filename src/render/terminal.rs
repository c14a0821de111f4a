// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Standard output, and its properties if it is a terminal.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};

use clap::ColorChoice;

use crate::render::screen::Screen;

/// Writes a result to stdout. A closed pipe is no error, as in `| head`.
///
/// # Errors
///
/// If the result cannot be written.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

/// The look of text on stdout.
pub(crate) fn screen(colour: ColorChoice) -> Screen {
    Screen::new(size().0, use_colour(colour))
}

/// The number of rows, if stdout is a terminal.
pub(crate) fn rows() -> Option<usize> {
    size().1
}

/// Whether to use colour: always, never, or if stdout is a terminal with colours and
/// NO_COLOR (<https://no-color.org>) is not set.
fn use_colour(colour: ColorChoice) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match colour {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
    }
}

/// The number of columns, and of rows if stdout is a terminal.
fn size() -> (usize, Option<usize>) {
    if !io::stdout().is_terminal() {
        return (Screen::DEFAULT_WIDTH, None);
    }
    match terminal_size::terminal_size() {
        Some((columns, rows)) => (columns.0.into(), Some(rows.0.into())),
        None => (Screen::DEFAULT_WIDTH, None),
    }
}
