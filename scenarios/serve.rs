// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! An event-driven server of many UDP sockets, which sends back what comes: with
//! system calls for each event, or with io_uring, which takes several at once.

use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, opcode, types};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};
use testlab::{Family, Ns, PATIENCE, wait_until};

/// Of a request and of its answer.
pub const SIZE: usize = 32;
pub const SOCKETS: u16 = 32;
const FIRST_PORT: u16 = 7000;
/// The client's only one: the server's sockets are connected to it.
pub const CLIENT_PORT: u16 = 6999;
/// Where the ring keeps what is to be submitted: a receive and a send of each
/// socket.
const ENTRIES: u32 = 2 * SOCKETS as u32;

/// The port of a request, in turn.
pub fn port(request: usize) -> u16 {
    let socket = request % usize::from(SOCKETS);
    FIRST_PORT + u16::try_from(socket).expect("a socket's number")
}

#[derive(Args, Clone, Debug)]
pub struct Serve {
    way: Way,
    /// With a ring: how many requests to wait for each time
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// End after so many (default: serve until it is killed)
    #[arg(long)]
    requests: Option<usize>,
    /// Where to write what it took, at the end
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// epoll_wait, recv and send for each request
    Each,
    /// A ring that does its work as packets come
    Ring,
    /// A ring that does its work when all that is waited for has come
    Deferred,
}

/// What serving took.
#[derive(Serialize, Deserialize)]
pub struct Took {
    pub pid: u32,
    pub syscalls: u64,
}

impl Serve {
    pub fn run(&self) -> Result<()> {
        Ns::Right.enter();
        let client = Ns::Left.at(Family::V4, CLIENT_PORT);
        let sockets = (0..SOCKETS).map(|number| {
            let at = Ns::Right.at(Family::V4, FIRST_PORT + number);
            let mut bound = None;
            // A server that has just been killed may still have the port.
            wait_until(PATIENCE, "the port is free", || {
                bound = UdpSocket::bind(at).ok();
                bound.is_some()
            });
            let socket = bound.context("a port")?;
            socket.connect(client)?;
            Ok(socket)
        });
        let sockets = sockets.collect::<Result<Vec<_>>>()?;
        let requests = self.requests.unwrap_or(usize::MAX);
        let syscalls = match self.way {
            Way::Each => serve_each(&sockets, requests)?,
            _ => self.serve_with_ring(&sockets, requests)?,
        };
        let pid = std::process::id();
        let json = serde_json::to_vec(&Took { pid, syscalls })?;
        match &self.report {
            Some(path) => std::fs::write(path, json).context("the report"),
            None => Ok(()),
        }
    }

    /// Answers and the next receives are submitted by the call that waits.
    fn serve_with_ring(&self, sockets: &[UdpSocket], requests: usize) -> Result<u64> {
        let mut builder = IoUring::builder();
        if self.way == Way::Deferred {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        let mut ring: IoUring = builder.build(ENTRIES).context("io_uring_setup")?;
        // The kernel may write to their memory for as long as the ring is there.
        let ends = sockets.iter().map(End::new).collect::<Vec<_>>().leak();
        for (number, end) in ends.iter_mut().enumerate() {
            end.receive(&mut ring, number)?;
        }
        let mut syscalls = 0;
        let mut served = 0;
        while served < requests {
            syscalls += 1;
            ring.submit_and_wait(self.batch.min(requests - served))?;
            let came: Vec<_> = ring.completion().collect();
            for completion in came {
                let number = usize::try_from(completion.user_data())?;
                let n = completion.result();
                ensure!(n == i32::try_from(SIZE)?, "a completion of {n}");
                ends[number].answer(&mut ring)?;
                ends[number].receive(&mut ring, number)?;
                served += 1;
            }
        }
        ring.submit()?;
        Ok(syscalls + 1)
    }
}

/// A socket, and its memory that the kernel reads and writes. That of an answer
/// stays as it is until the next request has come.
struct End<'a> {
    socket: &'a UdpSocket,
    request: Box<[u8; SIZE]>,
    answer: Box<[u8; SIZE]>,
}

impl End<'_> {
    fn new(socket: &UdpSocket) -> End<'_> {
        let [request, answer] = [(); 2].map(|()| Box::new([0; SIZE]));
        End {
            socket,
            request,
            answer,
        }
    }

    fn receive(&mut self, ring: &mut IoUring, number: usize) -> Result<()> {
        let fd = types::Fd(self.socket.as_raw_fd());
        let receive = opcode::Recv::new(fd, self.request.as_mut_ptr(), SIZE as u32);
        submit(ring, &receive.build().user_data(number as u64))
    }

    /// No completion tells of it, unless it fails.
    fn answer(&mut self, ring: &mut IoUring) -> Result<()> {
        *self.answer = *self.request;
        let fd = types::Fd(self.socket.as_raw_fd());
        let send = opcode::Send::new(fd, self.answer.as_ptr(), SIZE as u32);
        submit(ring, &send.build().flags(Flags::SKIP_SUCCESS))
    }
}

fn submit(ring: &mut IoUring, entry: &Entry) -> Result<()> {
    // SAFETY: the memory of all entries is that of `ends` in serve_with_ring(), which
    // is never freed. The kernel holds on to their sockets itself.
    let pushed = unsafe { ring.submission().push(entry) };
    pushed.context("the ring is full")
}

fn serve_each(sockets: &[UdpSocket], requests: usize) -> Result<u64> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    for (number, socket) in sockets.iter().enumerate() {
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
    }
    let mut events = [EpollEvent::empty()];
    let mut buffer = [0; SIZE];
    let mut syscalls = 0;
    for _ in 0..requests {
        epoll.wait(&mut events, EpollTimeout::NONE)?;
        let socket = &sockets[usize::try_from(events[0].data())?];
        let n = socket.recv(&mut buffer)?;
        socket.send(&buffer[..n])?;
        syscalls += 3;
    }
    Ok(syscalls)
}
