// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The messages between a comparison and its guardian: lines of JSON over a
//! pair of sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::process::group::Group;
use crate::process::shell::Exit;

/// What a command is for. At most one command of each role runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Makes traffic, from before the first period until after the last.
    Load,
    /// Changes the host to a side.
    Start,
    /// Undoes that change.
    Stop,
}

impl Role {
    pub(crate) const ALL: [Role; 3] = [Role::Load, Role::Start, Role::Stop];

    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Load => "the load",
            Role::Start => "a start command",
            Role::Stop => "a stop command",
        }
    }
}

/// A message from the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run a command, and end it after `limit`.
    Run {
        role: Role,
        /// The argument of `/bin/sh -c`.
        command: String,
        limit: Option<Duration>,
    },
    /// End the command and all processes that it started.
    End(Role),
    /// Exit without undoing anything: it is done, or another process does it.
    Leave,
}

/// A message from the guardian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The command runs, in this process group.
    Started(Role, Group),
    /// The command has printed these lines.
    Printed(Role, String),
    /// The command has ended, or could not be run.
    Ended(Role, Ended),
}

/// How a command has ended, and what it printed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) reason: EndReason,
    /// The last lines that it printed, each after a line break.
    pub(crate) last_lines: String,
}

/// How a command has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EndReason {
    /// It exited, or a signal ended or stopped it.
    Exit(Exit),
    /// It ran longer than this limit and was killed.
    TookLongerThan(Duration),
    /// It could not be started, for this reason.
    NotRun(String),
}

impl Ended {
    pub(crate) fn success(&self) -> bool {
        matches!(self.reason, EndReason::Exit(exit) if exit.success())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reason {
            EndReason::Exit(exit) => write!(f, "{exit}"),
            EndReason::TookLongerThan(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "did not end within {limit} and was killed")
            }
            EndReason::NotRun(error) => f.write_str(error),
        }
    }
}

/// One end of the pair of sockets. Never blocks.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    received: Vec<u8>,
    /// Bytes to send that the socket had no room for.
    waiting: VecDeque<u8>,
}

/// The other end is closed, or has sent something that is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Channel {
    /// # Errors
    ///
    /// If the socket cannot be made non-blocking.
    pub(crate) fn new(socket: UnixStream) -> io::Result<Channel> {
        socket.set_nonblocking(true)?;
        Ok(Channel {
            socket,
            received: Vec::new(),
            waiting: VecDeque::new(),
        })
    }

    /// How many bytes the socket had no room for yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sends a message. What the socket has no room for is sent by
    /// [`Channel::flush`].
    ///
    /// # Errors
    ///
    /// If the other end is closed.
    pub(crate) fn send(&mut self, message: &impl Serialize) -> Result<(), Closed> {
        let text = serde_json::to_vec(message).map_err(|_| Closed)?;
        self.waiting.extend(text);
        self.waiting.push_back(b'\n');
        self.flush()
    }

    /// Sends as much as the socket has room for.
    ///
    /// # Errors
    ///
    /// If the other end is closed.
    pub(crate) fn flush(&mut self) -> Result<(), Closed> {
        while !self.waiting.is_empty() {
            match self.socket.write(self.waiting.as_slices().0) {
                Ok(sent) => drop(self.waiting.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }

    /// Returns the messages that have arrived, and whether more can come. The
    /// number of reads is limited, so a peer that sends without end cannot keep
    /// us here.
    pub(crate) fn receive<M: DeserializeOwned>(&mut self) -> (Vec<M>, Result<(), Closed>) {
        const READS: usize = 16;
        let mut buffer = [0; 16 << 10];
        let mut state = Ok(());
        for _ in 0..READS {
            match self.socket.read(&mut buffer) {
                Ok(count) if count > 0 => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                _ => {
                    state = Err(Closed);
                    break;
                }
            }
        }
        let mut messages = Vec::new();
        let whole = self.received.iter().rposition(|&byte| byte == b'\n');
        let lines: Vec<u8> = self
            .received
            .drain(..whole.map_or(0, |end| end + 1))
            .collect();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(message) => messages.push(message),
                Err(_) => return (messages, Err(Closed)),
            }
        }
        (messages, state)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_messages_arrive_whole() {
        let (one, other) = UnixStream::pair().expect("sockets");
        let (mut one, mut other) = (
            Channel::new(one).expect("a socket"),
            Channel::new(other).expect("a socket"),
        );
        let (none, open) = other.receive::<Request>();
        assert!(none.is_empty() && open.is_ok());
        // Larger than the socket's buffer, with characters that JSON escapes.
        let long = Request::Run {
            role: Role::Stop,
            command: "echo \"\n\u{1}\"; ".repeat(40_000),
            limit: Some(Duration::from_millis(1500)),
        };
        let sent = [Request::End(Role::Load), long, Request::Leave];
        for message in &sent {
            one.send(message).expect("open");
        }
        assert!(one.waiting() > 0);
        let mut received: Vec<Request> = Vec::new();
        while received.len() < sent.len() {
            received.extend(other.receive().0);
            one.flush().expect("open");
        }
        assert_eq!(received, sent);
        drop(one);
        assert_eq!(other.receive::<Request>(), (Vec::new(), Err(Closed)));
        assert_eq!(other.send(&Request::Leave), Err(Closed));
    }
}
