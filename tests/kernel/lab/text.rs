// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! netstacklat as people see it: its reports on a screen of 80 columns.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::prepare;
use super::tool::wait_for_exit;

pub struct TextTool {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl TextTool {
    /// Starts it and returns when it says that it measures. Its reports are to
    /// fit in a pipe (64 KiB): they are read at the end.
    pub fn start(args: &[&str]) -> TextTool {
        prepare();
        let mut command = Command::new("netstacklat");
        command.args(args).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("netstacklat is in the guest");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut greeting = String::new();
        stderr.read_line(&mut greeting).expect("UTF-8");
        assert!(greeting.contains("attached"), "{greeting}");
        TextTool { child, stderr }
    }

    /// Ctrl-C; all that it has printed.
    pub fn finish(mut self) -> String {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGINT).expect("it runs");
        let status = wait_for_exit(&mut self.child);
        let (mut text, mut errors) = (String::new(), String::new());
        self.stderr.read_to_string(&mut errors).expect("UTF-8");
        assert_eq!(status.code(), Some(0), "{status}: {errors}");
        let mut stdout = self.child.stdout.take().expect("piped");
        stdout.read_to_string(&mut text).expect("UTF-8");
        text
    }
}

/// A failed test leaves no netstacklat to disturb the next.
impl Drop for TextTool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
