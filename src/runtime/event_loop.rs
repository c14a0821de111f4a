// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One thread, one epoll. Its own sources are signals, the report timer, the
//! deadline, children, writer threads, and an output that nobody reads any more.
//! Whatever else must be waited for is registered by its owner
//! ([`EventLoop::watch`]).

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::runtime::sink::{STALL_TIMEOUT, Waker};

/// What to do now; several things can come together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Report timer expirations: more than 1 means that reports are late.
    pub reports: u64,
    /// A signal asks for the end.
    pub stop: bool,
    /// Which signal that was, the latest_signal of several
    /// ([`EventLoop::uninterruptible`]).
    pub signal: Option<i32>,
    /// The run has lasted as long as it should.
    pub deadline: bool,
    /// A child process has ended or stopped: ask each how it is.
    pub child: bool,
    /// A [`super::sink::Sink`] has written something, or cannot.
    pub written: bool,
    /// Nobody reads standard output any more.
    pub output_closed: bool,
    /// Registered sources that can be read, or have failed.
    ready: Vec<Source>,
}

impl Events {
    /// Whether a registered source can be read, or has failed.
    pub fn is_ready(&self, source: Source) -> bool {
        self.ready.contains(&source)
    }
}

/// A source of events that its owner has registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u64);

/// Waits for [`Events`].
pub struct EventLoop {
    epoll: Epoll,
    signals: UnixStream,
    latest_signal: Arc<AtomicUsize>,
    report: Option<TimerFd>,
    deadline: TimerFd,
    children: Option<UnixStream>,
    waker: Waker,
    /// How many sources have been registered.
    registered: u64,
}

const SIGNALS: u64 = 0;
const REPORT: u64 = 1;
const DEADLINE: u64 = 2;
const OUTPUT: u64 = 3;
const CHILD: u64 = 4;
const WRITTEN: u64 = 5;
/// Registered sources have the numbers from here on.
const FIRST_REGISTERED: u64 = 6;
/// What epoll_wait(2) tells of at once; the rest comes with the next call.
const MAX_EVENTS: usize = 16;

/// A signal has asked for the end.
static END_REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether a signal has asked for the end: output that is blocked must then not
/// hold it up.
pub fn end_requested() -> bool {
    END_REQUESTED.load(Ordering::Relaxed)
}

impl EventLoop {
    /// Takes over SIGINT and SIGTERM: the first is an event, a second
    /// ends the process at once (exit status 128 + signal), which skips what is
    /// left to print.
    ///
    /// `interval` and `duration` count from now.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub fn new(interval: Option<Duration>, duration: Option<Duration>) -> Result<EventLoop> {
        let signals = catch_first_signal().context("installing signal handlers")?;
        let events = EventLoop::with(signals, Arc::default(), interval)?;
        if let Some(duration) = duration {
            events.set_deadline(duration)?;
        }
        Ok(events)
    }

    /// For those who have something to undo: takes over SIGINT, SIGTERM,
    /// SIGQUIT, and SIGHUP unless nohup(1) has it ignored. None of them ends
    /// the process; each is an event. Children are watched.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub fn uninterruptible(interval: Option<Duration>) -> Result<EventLoop> {
        let latest_signal = Arc::default();
        let signals = catch_every_signal(&latest_signal).context("installing signal handlers")?;
        let mut events = EventLoop::with(signals, latest_signal, interval)?;
        events.watch_children()?;
        Ok(events)
    }

    fn with(
        signals: UnixStream,
        latest_signal: Arc<AtomicUsize>,
        interval: Option<Duration>,
    ) -> Result<EventLoop> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
        let watch =
            |fd: BorrowedFd<'_>, id| epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, id));
        watch(signals.as_fd(), SIGNALS).context("watching for signals")?;
        let report = interval
            .map(|i| timer(Expiration::Interval(i.into())))
            .transpose();
        let report = report.context("starting the report timer")?;
        let deadline = unset_timer().context("making the timer for the end")?;
        for (timer, id) in [(report.as_ref(), REPORT), (Some(&deadline), DEADLINE)] {
            if let Some(timer) = timer {
                watch(timer.as_fd(), id).context("watching a timer")?;
            }
        }
        // Asks for errors only: a pipe without a reader. Files and closed
        // descriptors cannot be watched, and need not be.
        let none = EpollEvent::new(EpollFlags::empty(), OUTPUT);
        let _ = epoll.add(std::io::stdout(), none);
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let waker = EventFd::from_flags(flags).context("creating an eventfd")?;
        watch(waker.as_fd(), WRITTEN).context("watching an eventfd")?;
        Ok(EventLoop {
            epoll,
            signals,
            latest_signal,
            report,
            deadline,
            children: None,
            waker: Arc::new(waker),
            registered: 0,
        })
    }

    /// From now on the deadline is so far away, and no other is.
    ///
    /// # Errors
    ///
    /// If the kernel does not take the time.
    pub fn set_deadline(&self, duration: Duration) -> Result<()> {
        // A timer of zero would be none.
        let duration = duration.max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(duration.into());
        let set = self.deadline.set(expiration, TimerSetTimeFlags::empty());
        set.context("setting a timer")
    }

    /// Registers descriptors as one source: [`Events::is_ready`] tells when one
    /// of them can be read, as long as it can be. They stay the caller's; closing
    /// one ends its registration. `what` is for the error message.
    ///
    /// # Errors
    ///
    /// If epoll_ctl(2) fails.
    pub fn watch<'fd>(
        &mut self,
        descriptors: impl IntoIterator<Item = BorrowedFd<'fd>>,
        what: &str,
    ) -> Result<Source> {
        let source = Source(FIRST_REGISTERED + self.registered);
        self.registered += 1;
        for descriptor in descriptors {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, source.0);
            let added = self.epoll.add(descriptor, event);
            added.with_context(|| format!("watching {what}"))?;
        }
        Ok(source)
    }

    /// Wakes this from another thread, as [`Events::written`].
    pub fn waker(&self) -> Waker {
        Arc::clone(&self.waker)
    }

    /// Waits until `pending` bytes are none. Once a signal has asked for the
    /// end, only as long as they become fewer within [`STALL_TIMEOUT`]. What is left.
    ///
    /// # Errors
    ///
    /// Those of [`EventLoop::wait`].
    pub fn drain(&mut self, pending: impl Fn() -> usize) -> Result<usize> {
        let mut before = usize::MAX;
        loop {
            let left = pending();
            if left == 0 || (end_requested() && left == before) {
                return Ok(left);
            }
            before = left;
            let deadline = Instant::now() + STALL_TIMEOUT;
            // Each write wakes us; only the last of them counts.
            while pending() > 0 && Instant::now() < deadline {
                self.set_deadline(deadline.saturating_duration_since(Instant::now()))?;
                self.wait()?;
            }
        }
    }

    /// Standard output is not ours to write to: whether anybody reads it does
    /// not matter.
    pub fn ignore_output(&self) {
        // What could not be watched is not.
        let _ = self.epoll.delete(std::io::stdout());
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
        let mut ready = [EpollEvent::empty(); MAX_EVENTS];
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
                    END_REQUESTED.store(true, Ordering::Relaxed);
                    events.stop = true;
                    let latest_signal = self.latest_signal.swap(0, Ordering::Relaxed);
                    events.signal = i32::try_from(latest_signal)
                        .ok()
                        .filter(|&signal| signal != 0);
                }
                REPORT => events.reports = expirations(self.report.as_ref())?,
                DEADLINE => events.deadline = expirations(Some(&self.deadline))? > 0,
                CHILD => {
                    if let Some(mut children) = self.children.as_ref() {
                        let _ = children.read(&mut [0; 64]);
                    }
                    events.child = true;
                }
                WRITTEN => {
                    let _ = self.waker.read();
                    events.written = true;
                }
                OUTPUT => events.output_closed = true,
                registered => events.ready.push(Source(registered)),
            }
        }
        Ok(events)
    }
}

/// From now on each signal that asks for the end ends the process at once, for
/// good: there is nothing more to undo.
///
/// # Errors
///
/// If a signal handler cannot be installed.
pub fn end_at_next_signal() -> Result<()> {
    for signal in ending_signals() {
        let at_once = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, at_once)
            .context("installing signal handlers")?;
    }
    Ok(())
}

/// The self-pipe that signals are written to.
fn catch_every_signal(latest_signal: &Arc<AtomicUsize>) -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in ending_signals() {
        // In this order: what is woken finds out which.
        signal_hook::flag::register_usize(signal, Arc::clone(latest_signal), signal as usize)?;
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// Signals that ask for an orderly end.
fn ending_signals() -> impl Iterator<Item = i32> {
    let nohup = is_ignored(SIGHUP);
    let wanted = move |&signal: &i32| signal != SIGHUP || !nohup;
    [SIGINT, SIGTERM, SIGQUIT, SIGHUP]
        .into_iter()
        .filter(wanted)
}

fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action given it only writes to `action`, which is of
    // the type that it expects; zeroed, that is valid where it fails.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// The same; the second signal does not get there.
fn catch_first_signal() -> std::io::Result<UnixStream> {
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

fn unset_timer() -> nix::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)
}

fn timer(expiration: Expiration) -> nix::Result<TimerFd> {
    let timer = unset_timer()?;
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
