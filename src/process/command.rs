// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command that `record` runs and waits for, as env(1) and timeout(1) do.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Child;

use anyhow::{Context as _, Result};
use nix::libc::{SIGINT, SIGKILL, SIGQUIT};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use crate::process::rlimits::Limits;
use crate::runtime::event_loop::EventLoop;

/// A command, not yet run: made before limits are raised.
#[derive(Debug)]
pub struct Command {
    words: Vec<OsString>,
    limits: Limits,
}

/// A command that runs, or has ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    code: Option<u8>,
    signalled: bool,
}

impl Command {
    /// # Panics
    ///
    /// If there is no word.
    pub fn new(words: &[OsString]) -> Command {
        assert!(!words.is_empty(), "a command has a name");
        Command {
            words: words.to_vec(),
            limits: Limits::current(),
        }
    }

    /// What the user calls it.
    pub fn name(&self) -> String {
        self.words[0].to_string_lossy().into_owned()
    }

    /// Runs it with our own standard input, output and error.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`start_error_code`] is its exit code.
    pub fn start(&self) -> io::Result<Running> {
        let mut command = std::process::Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        let limits = self.limits.clone();
        let restore = move || limits.restore();
        // SAFETY: between fork and exec it makes system calls on values of its
        // own, and nothing else: no memory is allocated, no lock is taken.
        unsafe { command.pre_exec(restore) };
        Ok(Running {
            child: command.spawn()?,
            code: None,
            signalled: false,
        })
    }
}

/// The exit code of a command that could not be run.
pub fn start_error_code(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound => 127,
        _ => 126,
    }
}

impl Running {
    /// Its exit code once it has ended: 128 + n where signal n ended it.
    ///
    /// # Errors
    ///
    /// If the kernel knows of no such child.
    pub fn exit_code(&mut self) -> Result<Option<u8>> {
        if self.code.is_none() {
            let status = self.child.try_wait().context("waiting for the command")?;
            let code = status.and_then(|status| {
                let signal = status.signal().map(|signal| 128 + signal);
                status.code().or(signal)
            });
            self.code = code.map(|code| code as u8);
        }
        Ok(self.code)
    }

    /// Passes a signal on that came to us; a second one kills it. What a
    /// terminal's keys send has reached it already.
    pub fn forward_signal(&mut self, signal: i32) {
        let second = std::mem::replace(&mut self.signalled, true);
        let from_keys = matches!(signal, SIGINT | SIGQUIT) && in_foreground();
        let signal = match (second, from_keys) {
            (true, _) => SIGKILL,
            (false, true) => return,
            (false, false) => signal,
        };
        // It is not reaped before `exit_code` has been told of its end, so that the
        // number is its own.
        if self.code.is_none()
            && let Ok(signal) = Signal::try_from(signal)
        {
            let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Waits for its end; its exit code.
    ///
    /// # Errors
    ///
    /// If the kernel knows of no such child.
    pub fn wait_for_end(&mut self, events: &mut EventLoop) -> Result<u8> {
        loop {
            if let Some(code) = self.exit_code()? {
                return Ok(code);
            }
            if let Some(signal) = events.wait()?.signal {
                self.forward_signal(signal);
            }
        }
    }
}

/// Whether keys of our terminal send signals to us, and to the command.
fn in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
}
