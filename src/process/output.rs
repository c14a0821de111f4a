// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads what commands print, line by line. Keeps the last lines, which explain
//! a failure.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// How many lines are kept.
const KEPT_LINES: usize = 10;
/// Longer lines are split.
const MAX_LINE_LENGTH: usize = 1000;

/// The pipe that commands write to. Both ends stay open here, so processes that
/// a command leaves in the background can go on writing.
#[derive(Debug)]
pub struct Output {
    read: OwnedFd,
    write: OwnedFd,
    line: Vec<u8>,
    last: VecDeque<String>,
}

impl Output {
    /// Creates the pipe.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a pipe.
    pub fn open() -> Result<Output> {
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).context("opening a pipe for commands")?;
        // Only the read end is non-blocking: commands do not expect a
        // non-blocking pipe.
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("setting up a pipe")?;
        Ok(Output {
            read,
            write,
            line: Vec::new(),
            last: VecDeque::new(),
        })
    }

    /// The end that commands write to.
    pub(crate) fn writer(&self) -> &OwnedFd {
        &self.write
    }

    /// The end to poll for output.
    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Reads what has been written so far, up to a limit, and returns the
    /// complete lines.
    pub(crate) fn read_lines(&mut self) -> String {
        let mut buffer = [0; 4096];
        let mut lines = String::new();
        // The loop is bounded, so a command that writes without end cannot keep
        // us here.
        for _ in 0..16 {
            match nix::unistd::read(&self.read, &mut buffer) {
                Ok(length) if length > 0 => {
                    for &byte in &buffer[..length] {
                        self.line.push(byte);
                        if byte == b'\n' || self.line.len() >= MAX_LINE_LENGTH {
                            self.finish_line(&mut lines);
                        }
                    }
                }
                _ => break,
            }
        }
        lines
    }

    /// Like [`Output::read_lines`], and also returns an incomplete last line.
    pub(crate) fn read_rest(&mut self) -> String {
        let mut lines = self.read_lines();
        if !self.line.is_empty() {
            self.finish_line(&mut lines);
        }
        lines
    }

    fn finish_line(&mut self, lines: &mut String) {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end_matches(['\n', '\r']);
        lines.push_str(line);
        lines.push('\n');
        if self.last.len() == KEPT_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.into());
        self.line.clear();
    }

    /// Clears the kept lines before another command runs.
    pub(crate) fn clear_last_lines(&mut self) {
        self.last.clear();
    }

    /// The kept lines, indented, to follow an error message.
    pub(crate) fn last_lines(&self) -> String {
        let mut text = String::new();
        for line in &self.last {
            text += "\n  | ";
            text += line;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(output: &Output, text: &[u8]) {
        assert_eq!(nix::unistd::write(output.writer(), text), Ok(text.len()));
    }

    #[test]
    fn whole_lines_are_returned_and_the_last_ten_kept() {
        let mut output = Output::open().unwrap();
        write(&output, b"one\ntw");
        assert_eq!(output.read_lines(), "one\n");
        write(&output, b"o\nthree");
        assert_eq!(output.read_lines(), "two\n");
        assert_eq!(output.read_rest(), "three\n");
        assert_eq!(output.last_lines(), "\n  | one\n  | two\n  | three");
        output.clear_last_lines();
        for n in 0..25 {
            write(&output, format!("{n}\n").as_bytes());
        }
        output.read_lines();
        let words = output.last_lines();
        assert_eq!(words.lines().count(), 1 + 10);
        assert!(words.starts_with("\n  | 15\n") && words.ends_with("| 24"));
    }

    #[test]
    fn a_long_line_is_split() {
        let mut output = Output::open().unwrap();
        write(&output, &[b'x'; 2500]);
        let lines = output.read_lines();
        assert_eq!(
            lines.lines().map(str::len).collect::<Vec<_>>(),
            [1000, 1000]
        );
        write(&output, b"\xff\xfe\n");
        assert!(output.read_lines().contains('\u{fffd}'));
    }
}
