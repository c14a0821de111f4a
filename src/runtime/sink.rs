// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Output that never blocks the caller: a thread writes it from a bounded
//! queue.
//!
//! write(2) blocks, possibly for ever, on a pipe that nobody reads, a terminal
//! stopped by Ctrl-S, or a disk that hangs. The thread that handles signals and
//! undoes changes must not block with it. `O_NONBLOCK` does not help: it
//! belongs to the open file description, which the user's shell shares with us.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use crate::runtime::monitor::Monitor;

/// How long to wait for blocked output after a signal has asked for the end.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(1);

/// Wakes an event loop: see [`super::event_loop::EventLoop::waker`].
pub(crate) type Waker = Arc<EventFd>;

/// A copy of standard output's descriptor for a writer thread. With
/// `std::io::stdout` the thread would hold its lock while it is blocked, and
/// exiting the program would wait for that lock.
///
/// # Errors
///
/// If the descriptor cannot be copied.
pub(crate) fn stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// A bounded queue of bytes, and the thread that writes them.
#[derive(Debug)]
pub(crate) struct Sink<W> {
    shared: Arc<Monitor<State>>,
    capacity: usize,
    thread: JoinHandle<W>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// Bytes in the queue and in the thread's current write.
    pending: usize,
    /// Bytes written so far.
    written: u64,
    /// The first error. Nothing is written after it.
    error: Option<io::Error>,
    failed: bool,
    /// The owner sends no more bytes.
    closed: bool,
    /// Wake the event loop after each write.
    wake_on_write: bool,
}

/// The queue was full, and the bytes were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<W: Write + Send + 'static> Sink<W> {
    /// Starts the thread. It wakes `waker` when writing fails and, after a call
    /// of [`Sink::pending_with_wakeups`], after each write.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub(crate) fn new(target: W, capacity: usize, waker: Option<Waker>) -> io::Result<Sink<W>> {
        let shared = Arc::new(Monitor::default());
        let threads_copy = Arc::clone(&shared);
        let thread = super::spawn("writer", move || {
            write_all(target, &threads_copy, waker.as_ref())
        })?;
        Ok(Sink {
            shared,
            capacity,
            thread,
        })
    }

    /// Queues bytes, which are written in one piece. An empty queue accepts any
    /// amount.
    ///
    /// # Errors
    ///
    /// If they do not fit into the queue.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.pending > 0 && state.pending + bytes.len() > self.capacity {
            return Err(Full);
        }
        if !state.failed && !bytes.is_empty() {
            state.pending += bytes.len();
            state.queue.push_back(bytes);
            self.shared.notify();
        }
        Ok(())
    }

    /// How many bytes have not been written yet.
    pub(crate) fn pending(&self) -> usize {
        self.shared.lock().pending
    }

    /// Like [`Sink::pending`], and from now on each write wakes the event loop.
    pub(crate) fn pending_with_wakeups(&self) -> usize {
        let mut state = self.shared.lock();
        state.wake_on_write = true;
        state.pending
    }

    /// The error that ended writing. Returns it once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.shared.lock().error.take()
    }

    /// Waits until all bytes are written or writing has failed, and returns the
    /// target. Returns `None` if nothing was written for `patience`: the rest
    /// is lost when the process ends.
    pub(crate) fn close(self, patience: Option<Duration>) -> Option<W> {
        self.shared.lock().closed = true;
        self.shared.notify();
        let pending = |state: &State| state.pending > 0;
        let written = self
            .shared
            .wait_while(patience, pending, |state| state.written);
        written.then(|| self.thread.join().ok())?
    }
}

fn write_all<W: Write>(mut target: W, shared: &Monitor<State>, waker: Option<&Waker>) -> W {
    loop {
        let mut state = shared.lock();
        let bytes = loop {
            match state.queue.pop_front() {
                Some(bytes) => break bytes,
                None if state.closed => return target,
                None => state = shared.wait(state),
            }
        };
        drop(state);
        let written = target.write_all(&bytes).and_then(|()| target.flush());
        let mut state = shared.lock();
        match written {
            Ok(()) => {
                state.pending -= bytes.len();
                state.written += bytes.len() as u64;
            }
            Err(error) => {
                state.queue.clear();
                state.pending = 0;
                state.failed = true;
                state.error = Some(error);
            }
        }
        shared.notify();
        let wake = state.wake_on_write || state.failed;
        drop(state);
        if let Some(waker) = waker.filter(|_| wake) {
            // Ignore the error of a full eventfd counter: the event loop is
            // awake already.
            let _ = waker.write(1);
        }
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

    #[test]
    fn a_stalled_reader_blocks_only_the_thread() {
        let (mut read, write) = pipe();
        let sink = Sink::new(write, 100_000, None).expect("a thread");
        // More than a pipe holds (64 KiB), so the thread blocks.
        assert_eq!(sink.send(vec![b'a'; 90_000]), Ok(()));
        assert_eq!(sink.send(vec![b'b'; 20_000]), Err(Full));
        assert_eq!(sink.send(vec![b'c'; 10_000]), Ok(()));
        assert!(sink.pending() > 0);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            read.read_to_string(&mut text).expect("text");
            text
        });
        drop(sink.close(None).expect("it is read"));
        let text = reader.join().expect("no panic");
        assert_eq!(text, "a".repeat(90_000) + &"c".repeat(10_000));
    }

    #[test]
    fn close_gives_up_after_its_timeout() {
        let (read, write) = pipe();
        let sink = Sink::new(write, 1 << 20, None).expect("a thread");
        assert_eq!(sink.send(vec![0; 200_000]), Ok(()));
        let closed = sink.close(Some(Duration::from_millis(30)));
        assert!(closed.is_none());
        drop(read);
    }

    #[test]
    fn an_error_ends_writing_and_wakes() {
        let waker = Arc::new(EventFd::new().expect("an eventfd"));
        let (read, write) = pipe();
        drop(read);
        let sink = Sink::new(write, 100, Some(Arc::clone(&waker))).expect("a thread");
        assert_eq!(sink.send(vec![0; 10]), Ok(()));
        assert_eq!(waker.read(), Ok(1));
        let error = sink.take_error().expect("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        // Bytes sent after the error are accepted and discarded.
        assert_eq!(sink.send(vec![0; 10]), Ok(()));
        assert_eq!(sink.pending(), 0);
        sink.close(None).expect("it has ended");
    }
}
