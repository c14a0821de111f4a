// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Messages on standard error, and below them a line that shows progress.
//!
//! A thread writes them, so printing never blocks. Messages that do not fit
//! into the queue are dropped, and their number is printed later.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::monitor::Monitor;
use crate::text::without_controls;

/// Maximum bytes of messages in the queue.
const CAPACITY: usize = 256 << 10;
/// Moves to the start of the line and clears it (ECMA-48: EL).
const CLEAR: &str = "\r\x1b[K";

/// The queue of messages to standard error. Clones share it.
#[derive(Clone, Debug)]
pub struct Messages {
    shared: Arc<Monitor<State>>,
    /// Whether standard error is a terminal, where a progress line can be
    /// drawn.
    terminal: bool,
}

#[derive(Debug, Default)]
struct State {
    queue: String,
    /// The progress line, and whether it differs from the drawn one.
    line: String,
    redraw: bool,
    /// The thread is in write(2).
    writing: bool,
    /// Dropped lines that were not yet reported.
    dropped: u64,
    /// How many writes have returned.
    writes: u64,
    failed: bool,
}

impl State {
    fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.redraw || self.dropped > 0
    }
}

impl Messages {
    /// Starts the thread that writes to standard error.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started or a descriptor cannot be opened.
    pub fn start() -> io::Result<Messages> {
        // Use a copy of the descriptor: `std::io::stderr` is locked while it is
        // written to, and a panic message must still get through.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let terminal = io::stderr().is_terminal();
        Messages::to(stderr, terminal)
    }

    /// Messages to /dev/null, for tests.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started or a descriptor cannot be opened.
    pub fn discarded() -> io::Result<Messages> {
        Messages::to(File::options().write(true).open("/dev/null")?, false)
    }

    fn to(target: File, terminal: bool) -> io::Result<Messages> {
        let shared = Arc::new(Monitor::default());
        let threads_copy = Arc::clone(&shared);
        super::spawn("messages", move || write_all(target, &threads_copy))?;
        Ok(Messages { shared, terminal })
    }

    /// Prints complete lines. Control characters are replaced: file names and
    /// output of commands can contain sequences that a terminal interprets.
    ///
    /// Errors of writing are ignored here, for all callers: standard error may
    /// be a closed pipe, and nothing else could report it.
    pub fn print(&self, text: &str) {
        let text = without_controls(text);
        let mut state = self.shared.lock();
        if state.queue.len() + text.len() > CAPACITY {
            state.dropped += text.lines().count() as u64;
        } else {
            state.queue.push_str(&text);
        }
        self.shared.notify();
    }

    /// Whether standard error is a terminal. Progress lines are drawn only there.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Sets the progress line; an empty one removes it. Nothing is drawn if
    /// standard error is not a terminal.
    pub(crate) fn set_progress(&self, line: String) {
        if !self.terminal {
            return;
        }
        let mut state = self.shared.lock();
        if state.line != line {
            state.line = line;
            state.redraw = true;
            self.shared.notify();
        }
    }

    /// Waits until all messages are written, or until nothing was written for
    /// `patience`.
    pub fn flush(&self, patience: Option<Duration>) {
        let pending = |state: &State| !state.failed && (state.has_work() || state.writing);
        self.shared
            .wait_while(patience, pending, |state| state.writes);
    }
}

fn write_all(mut target: File, shared: &Monitor<State>) {
    let mut drawn = false;
    loop {
        let mut state = shared.lock();
        while !state.has_work() {
            state = shared.wait(state);
        }
        let mut text = String::new();
        if drawn {
            text.push_str(CLEAR);
        }
        text.push_str(&state.queue);
        state.queue.clear();
        match std::mem::take(&mut state.dropped) {
            0 => {}
            1 => text
                .push_str("netstacklat: 1 line was dropped here: standard error was not read.\n"),
            n => text.push_str(&format!(
                "netstacklat: {n} lines were dropped here: standard error was not read.\n"
            )),
        }
        text.push_str(&state.line);
        drawn = !state.line.is_empty();
        state.redraw = false;
        state.writing = true;
        drop(state);
        // See `Messages::print` for why an error only sets `failed`.
        let written = target.write_all(text.as_bytes());
        let mut state = shared.lock();
        state.writing = false;
        state.writes += 1;
        state.failed = written.is_err();
        if state.failed {
            // After an error all messages are discarded.
            state.queue.clear();
            state.redraw = false;
            state.dropped = 0;
        }
        shared.notify();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn pipe() -> (File, File) {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        (read.into(), write.into())
    }

    fn read_all(read: &mut File) -> String {
        let mut buffer = vec![0; 1 << 20];
        let n = read.read(&mut buffer).expect("a pipe");
        String::from_utf8(buffer[..n].to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_stalled_reader_does_not_block_printing() {
        let (read, write) = pipe();
        let messages = Messages::to(write, false).expect("a thread");
        // More than a pipe holds.
        for _ in 0..10_000 {
            messages.print(&("x".repeat(99) + "\n"));
        }
        messages.flush(Some(Duration::from_millis(10)));
        assert!(messages.shared.lock().writing);
        drop(read);
        messages.flush(None);
        assert!(messages.shared.lock().failed);
    }

    #[test]
    fn dropped_lines_are_counted() {
        let (mut read, write) = pipe();
        let messages = Messages::to(write, false).expect("a thread");
        let line = "x".repeat(99) + "\n";
        for _ in 0..10_000 {
            messages.print(&line);
        }
        let text = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut text = String::new();
                while !text.ends_with("end\n") {
                    text += &read_all(&mut read);
                }
                text
            });
            // Lines can be dropped more than once: read all of it. The queue is
            // empty after this, so the last line is not dropped.
            messages.flush(None);
            messages.print("end\n");
            reader.join().expect("a text")
        });
        let printed = text.lines().filter(|text| text.len() == 99).count();
        let dropped: usize = text
            .lines()
            .filter_map(|line| line.strip_prefix("netstacklat: ")?.split(' ').next())
            .map(|n| n.parse::<usize>().expect("a number"))
            .sum();
        assert_eq!(printed + dropped, 10_000);
        assert!(dropped > 0);
    }

    #[test]
    fn messages_are_printed_above_the_progress_line() {
        let (mut read, write) = pipe();
        let messages = Messages::to(write, true).expect("a thread");
        messages.set_progress("half".into());
        messages.flush(None);
        assert_eq!(read_all(&mut read), "half");
        messages.print("a word\n");
        messages.flush(None);
        assert_eq!(read_all(&mut read), format!("{CLEAR}a word\nhalf"));
        messages.set_progress(String::new());
        messages.flush(None);
        assert_eq!(read_all(&mut read), CLEAR);
    }
}
