// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One thread, one epoll: signals, the report timer, the end of the run, a
//! changed clock, children, and an output that nobody reads any more.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

/// What to do now; several things can come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Report timer expirations: more than 1 means that reports are late.
    pub reports: u64,
    /// A signal asks for the end.
    pub stop: bool,
    /// The run has lasted as long as it should.
    pub deadline: bool,
    /// Look at the system clock.
    pub clock: bool,
    /// A child process has ended or stopped: ask each how it is.
    pub child: bool,
    /// Nobody reads standard output any more.
    pub output_closed: bool,
}

/// Waits for [`Events`].
pub struct EventLoop {
    epoll: Epoll,
    signals: UnixStream,
    report: Option<TimerFd>,
    deadline: Option<TimerFd>,
    children: Option<UnixStream>,
}

const SIGNALS: u64 = 0;
const REPORT: u64 = 1;
const DEADLINE: u64 = 2;
const CLOCK: u64 = 3;
const OUTPUT: u64 = 4;
const CHILD: u64 = 5;

impl EventLoop {
    /// Takes over SIGINT and SIGTERM: the first is an event, a second
    /// ends the process at once (exit status 128 + signal), which skips what is
    /// left to print.
    ///
    /// `interval` and `duration` count from now; the timers in `clock` stay the
    /// caller's.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub fn new<'fd>(
        interval: Option<Duration>,
        duration: Option<Duration>,
        clock: impl Iterator<Item = BorrowedFd<'fd>>,
    ) -> Result<EventLoop> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
        let watch =
            |fd: BorrowedFd<'_>, id| epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, id));
        let signals = catch_signals().context("installing signal handlers")?;
        watch(signals.as_fd(), SIGNALS).context("watching for signals")?;
        let report = interval
            .map(|i| timer(Expiration::Interval(i.into())))
            .transpose();
        let report = report.context("starting the report timer")?;
        let deadline = duration
            .map(|d| timer(Expiration::OneShot(d.into())))
            .transpose();
        let deadline = deadline.context("starting the timer for the end")?;
        for (timer, id) in [(&report, REPORT), (&deadline, DEADLINE)] {
            if let Some(timer) = timer {
                watch(timer.as_fd(), id).context("watching a timer")?;
            }
        }
        for fd in clock {
            watch(fd, CLOCK).context("watching the clock")?;
        }
        // Asks for errors only: a pipe without a reader. Files and closed
        // descriptors cannot be watched, and need not be.
        let none = EpollEvent::new(EpollFlags::empty(), OUTPUT);
        let _ = epoll.add(std::io::stdout(), none);
        Ok(EventLoop {
            epoll,
            signals,
            report,
            deadline,
            children: None,
        })
    }

    /// Tells of child processes from now on, of those too that have ended since
    /// their start if this is called before it.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub fn watch_children(&mut self) -> Result<()> {
        let (read, write) = UnixStream::pair().context("creating a pipe for SIGCHLD")?;
        read.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, write)
            .context("installing a handler of SIGCHLD")?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, CHILD);
        let added = self.epoll.add(&read, event);
        added.context("watching for child processes")?;
        self.children = Some(read);
        Ok(())
    }

    /// Sleeps until something happens.
    ///
    /// # Errors
    ///
    /// If epoll_wait(2) or reading a timer fails; being interrupted is normal.
    pub fn wait(&mut self) -> Result<Events> {
        let mut ready = [EpollEvent::empty(); 8];
        let count = loop {
            match self.epoll.wait(&mut ready, EpollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                other => break other.context("waiting for events")?,
            }
        };
        let mut events = Events::default();
        for event in &ready[..count] {
            match event.data() {
                SIGNALS => {
                    let _ = self.signals.read(&mut [0; 16]);
                    events.stop = true;
                }
                REPORT => events.reports = expirations(self.report.as_ref())?,
                DEADLINE => events.deadline = expirations(self.deadline.as_ref())? > 0,
                CLOCK => events.clock = true,
                CHILD => {
                    if let Some(mut children) = self.children.as_ref() {
                        let _ = children.read(&mut [0; 64]);
                    }
                    events.child = true;
                }
                _ => events.output_closed = true,
            }
        }
        Ok(events)
    }
}

/// The self-pipe that signals are written to.
fn catch_signals() -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset and sets it.
        let second = Arc::clone(&stopping);
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, second)?;
        signal_hook::flag::register(signal, Arc::clone(&stopping))?;
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

fn timer(expiration: Expiration) -> nix::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    timer.set(expiration, TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// How often a timer has expired since it was last asked.
fn expirations(timer: Option<&TimerFd>) -> Result<u64> {
    let Some(timer) = timer else { return Ok(0) };
    let mut count = [0; 8];
    match nix::unistd::read(timer, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(error) => Err(error).context("reading a timer"),
    }
}
