// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One thread waits in one epoll. It always watches signals, the report timer,
//! the deadline, child processes, writer threads, and the closing of standard
//! output. Other sources are registered by their owners: see
//! [`EventLoop::watch`].

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

/// What has happened. Several events can come together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    /// Expirations of the report timer. More than 1 means that reports are
    /// late.
    pub(crate) reports: u64,
    /// A signal asks for the end.
    pub(crate) stop: bool,
    /// Which signal that was, the last one if there were several. Set only in a
    /// loop made by [`EventLoop::uninterruptible`].
    pub(crate) signal: Option<i32>,
    /// The deadline has passed.
    pub(crate) deadline: bool,
    /// A child process has ended or stopped. The owner must ask each child for
    /// its state.
    pub(crate) child: bool,
    /// A [`super::sink::Sink`] has written something, or writing has failed.
    pub(crate) written: bool,
    /// The reader of standard output has closed it.
    pub(crate) output_closed: bool,
    /// Registered sources that can be read or have failed.
    ready: Vec<Source>,
}

impl Events {
    /// Whether a registered source can be read or has failed.
    pub(crate) fn is_ready(&self, source: Source) -> bool {
        self.ready.contains(&source)
    }
}

/// A source registered by [`EventLoop::watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u64);

/// Waits for `Events`.
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
/// Registered sources have the numbers from this one on.
const FIRST_REGISTERED: u64 = 6;
/// How many events one epoll_wait(2) returns. Further events come with the next
/// call.
const MAX_EVENTS: usize = 16;

/// A signal has asked for the end.
static END_REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether a signal has asked for the end. Blocked output must then not delay
/// it.
pub fn end_requested() -> bool {
    END_REQUESTED.load(Ordering::Relaxed)
}

impl EventLoop {
    /// Handles SIGINT and SIGTERM. The first signal is an event. The second
    /// ends the process at once with exit status 128 plus its number, and
    /// unprinted output is lost.
    ///
    /// `interval` and `duration` count from now.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub(crate) fn new(interval: Option<Duration>, duration: Option<Duration>) -> Result<EventLoop> {
        let signals = catch_first_signal().context("installing signal handlers")?;
        let events = EventLoop::with(signals, Arc::default(), interval)?;
        if let Some(duration) = duration {
            events.set_deadline(duration)?;
        }
        Ok(events)
    }

    /// For commands that must undo something before they end. Handles SIGINT,
    /// SIGTERM, SIGQUIT, and SIGHUP unless nohup(1) has set that to be ignored.
    /// Each is an event; none of them ends the process. Child processes are
    /// watched.
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
        // Watch only for errors, that is a pipe without a reader. Ignore the
        // error of epoll_ctl(2): regular files and closed descriptors cannot be
        // watched.
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

    /// Replaces the deadline by one that is `duration` from now.
    ///
    /// # Errors
    ///
    /// If timerfd_settime(2) fails.
    pub(crate) fn set_deadline(&self, duration: Duration) -> Result<()> {
        // Setting a timer to zero would disarm it.
        let duration = duration.max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(duration.into());
        let set = self.deadline.set(expiration, TimerSetTimeFlags::empty());
        set.context("setting a timer")
    }

    /// Registers descriptors as one source. `Events::is_ready` is true as long
    /// as one of them can be read. The caller keeps the descriptors; closing
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

    /// Returns what wakes this loop from another thread, as [`Events::written`].
    pub(crate) fn waker(&self) -> Waker {
        Arc::clone(&self.waker)
    }

    /// Waits until `pending` returns 0 bytes. After a signal has asked for the
    /// end, it gives up when nothing was written for [`STALL_TIMEOUT`]. Returns
    /// the number of bytes left.
    ///
    /// # Errors
    ///
    /// Those of [`EventLoop::wait`].
    pub(crate) fn drain(&mut self, pending: impl Fn() -> usize) -> Result<usize> {
        let mut before = usize::MAX;
        loop {
            let left = pending();
            if left == 0 || (end_requested() && left == before) {
                return Ok(left);
            }
            before = left;
            let deadline = Instant::now() + STALL_TIMEOUT;
            // Each write wakes the loop, so wait until the deadline or the last
            // write.
            while pending() > 0 && Instant::now() < deadline {
                self.set_deadline(deadline.saturating_duration_since(Instant::now()))?;
                self.wait()?;
            }
        }
    }

    /// Stops watching standard output, for commands that go on when its reader
    /// has gone.
    pub(crate) fn ignore_output(&self) {
        // Ignore an error: standard output may not be watched at all.
        let _ = self.epoll.delete(std::io::stdout());
    }

    /// Watches child processes from now on. Call it before starting a child, so
    /// that no end is missed.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a descriptor or a signal handler.
    pub(crate) fn watch_children(&mut self) -> Result<()> {
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
    /// If epoll_wait(2) or reading a timer fails. Being interrupted is not an
    /// error.
    pub(crate) fn wait(&mut self) -> Result<Events> {
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

/// From now on each terminating signal ends the process at once. Called when
/// nothing is left to undo.
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

/// Installs handlers for all terminating signals, and returns the self-pipe
/// that they write to.
fn catch_every_signal(latest_signal: &Arc<AtomicUsize>) -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in ending_signals() {
        // Register in this order: whoever the pipe wakes must find the signal's
        // number.
        signal_hook::flag::register_usize(signal, Arc::clone(latest_signal), signal as usize)?;
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// The signals that ask for an orderly end.
fn ending_signals() -> impl Iterator<Item = i32> {
    let nohup = is_ignored(SIGHUP);
    let wanted = move |&signal: &i32| signal != SIGHUP || !nohup;
    [SIGINT, SIGTERM, SIGQUIT, SIGHUP]
        .into_iter()
        .filter(wanted)
}

fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action sigaction(2) only writes to `action`, which
    // has the type that it expects. If it fails, the zeroed value is valid.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Like [`catch_every_signal`] for SIGINT and SIGTERM, but the second signal
/// ends the process and does not reach the pipe.
fn catch_first_signal() -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Register in this order: the first signal must find the flag unset,
        // and then set it.
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

/// How often a timer has expired since the last call.
fn expirations(timer: Option<&TimerFd>) -> Result<u64> {
    let Some(timer) = timer else { return Ok(0) };
    let mut count = [0; 8];
    match nix::unistd::read(timer, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(error) => Err(error).context("reading a timer"),
    }
}
