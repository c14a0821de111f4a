// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command that `record` runs and waits for. Exit codes are those of env(1)
//! and timeout(1).

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

/// A command that has not been started. It is created before netstacklat raises
/// its resource limits, and remembers the original ones.
#[derive(Debug)]
pub struct Command {
    words: Vec<OsString>,
    limits: Limits,
}

/// A command that was started. It may have ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    code: Option<u8>,
    signalled: bool,
}

impl Command {
    /// # Panics
    ///
    /// If `words` is empty.
    pub fn new(words: &[OsString]) -> Command {
        assert!(!words.is_empty(), "a command has a name");
        Command {
            words: words.to_vec(),
            limits: Limits::current(),
        }
    }

    /// The program as the user wrote it.
    pub(crate) fn name(&self) -> String {
        self.words[0].to_string_lossy().into_owned()
    }

    /// Starts it with our standard input, output and error.
    ///
    /// # Errors
    ///
    /// If the kernel cannot start it. [`start_error_code`] is the exit code for
    /// that error.
    pub fn start(&self) -> io::Result<Running> {
        let mut command = std::process::Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        let limits = self.limits.clone();
        let restore = move || limits.restore();
        // SAFETY: between fork and exec the closure only makes system calls on
        // values that it owns. It allocates no memory and takes no lock.
        unsafe { command.pre_exec(restore) };
        Ok(Running {
            child: command.spawn()?,
            code: None,
            signalled: false,
        })
    }
}

/// The exit code for a command that could not be started: 127 if there is no
/// such program, else 126.
pub fn start_error_code(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound => 127,
        _ => 126,
    }
}

impl Running {
    /// The exit code if the command has ended, else `None`. A command killed by
    /// signal n has the exit code `128 + n`, as in a shell.
    ///
    /// # Errors
    ///
    /// If waitpid(2) fails.
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

    /// Forwards a signal that we received. The second one becomes SIGKILL. The
    /// first SIGINT or SIGQUIT is not forwarded while the command is in the
    /// terminal's foreground: the terminal has sent it to the command already.
    pub fn forward_signal(&mut self, signal: i32) {
        let second = std::mem::replace(&mut self.signalled, true);
        let from_keys = matches!(signal, SIGINT | SIGQUIT) && in_foreground();
        let signal = match (second, from_keys) {
            (true, _) => SIGKILL,
            (false, true) => return,
            (false, false) => signal,
        };
        // The PID still belongs to the command: it is reaped only by
        // `exit_code`, which then sets `code`.
        if self.code.is_none()
            && let Ok(signal) = Signal::try_from(signal)
        {
            let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Waits until it ends, forwards signals meanwhile, and returns its exit
    /// code.
    ///
    /// # Errors
    ///
    /// If waitpid(2) fails.
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

/// Whether Ctrl-C and Ctrl-\ at our terminal send signals to us and to the
/// command.
fn in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
}
