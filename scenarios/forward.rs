// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A TCP forwarder in the namespace right, between programs in the left one:
//! it reads into a buffer, whose size can be changed while it runs, and writes
//! to the next connection what it has read.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
use testlab::links::Way;
use testlab::tcp::{Connection, echo};
use testlab::{Family, Ns};

use crate::pace::Pace;

/// A FIFO: a line written to it is the new size, in bytes.
pub const CONTROL: &str = "/run/forwarder";
const PORTS: [u16; 2] = [6000, 6001];
const LARGEST: usize = 64 << 10;
/// Left to itself the kernel would give a slow reader more and more, and the
/// comparison would be of that.
const RECEIVE_BUFFER: usize = 128 << 10;
const EXCHANGES_A_SECOND: f64 = 300.0;

static SIZE: AtomicUsize = AtomicUsize::new(LARGEST);

/// What is sent through it.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// One way, as fast as it is taken
    Bulk,
    /// 32 bytes to and fro
    Exchange,
}

/// Until one of its threads fails, or the process is killed.
pub fn run(kind: Kind) -> Result<()> {
    let connect = |from, to, port| {
        let way = Way::wire(from, to, Family::V4, port);
        let Connection { tx, rx } = Connection::without_timeouts(way);
        (tx, rx)
    };
    let (source, from) = connect(Ns::Left, Ns::Right, PORTS[0]);
    let (to, sink) = connect(Ns::Right, Ns::Left, PORTS[1]);
    setsockopt(&from, RcvBuf, &RECEIVE_BUFFER)?;
    let (failed, failure) = std::sync::mpsc::channel();
    let start = |work: Work| {
        let failed = failed.clone();
        std::thread::spawn(move || failed.send(work()));
    };
    start(Box::new(take_sizes));
    match kind {
        Kind::Bulk => {
            start(Box::new(|| forward(from, to)));
            start(Box::new(|| swallow(sink)));
            start(Box::new(|| pour(source)));
        }
        Kind::Exchange => {
            let (back_from, back_to) = (to.try_clone()?, from.try_clone()?);
            start(Box::new(|| forward(from, to)));
            start(Box::new(|| forward(back_from, back_to)));
            start(Box::new(|| Ok(echo(sink)?)));
            start(Box::new(|| ask(source)));
        }
    }
    failure.recv()?
}

type Work = Box<dyn FnOnce() -> Result<()> + Send>;

/// The forwarder itself.
fn forward(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    let mut buffer = vec![0; LARGEST];
    loop {
        let size = SIZE.load(Ordering::Relaxed);
        let n = from.read(&mut buffer[..size])?;
        ensure!(n > 0, "a connection has ended");
        to.write_all(&buffer[..n])?;
    }
}

fn take_sizes() -> Result<()> {
    loop {
        let control = std::fs::File::open(CONTROL).context(CONTROL)?;
        for line in BufReader::new(control).lines() {
            let line = line?;
            let size = line.trim().parse().context(line)?;
            ensure!((1..=LARGEST).contains(&size), "a buffer of {size} bytes");
            SIZE.store(size, Ordering::Relaxed);
        }
    }
}

fn pour(mut source: TcpStream) -> Result<()> {
    let data = vec![7; LARGEST];
    loop {
        source.write_all(&data)?;
    }
}

fn ask(mut source: TcpStream) -> Result<()> {
    let mut pace = Pace::new(EXCHANGES_A_SECOND, 1);
    let mut data = [7; 32];
    loop {
        pace.wait();
        source.write_all(&data)?;
        source.read_exact(&mut data)?;
    }
}

/// By splice(2), which is no read to netstacklat: what remains of its reads
/// are the forwarder's.
fn swallow(sink: TcpStream) -> Result<()> {
    let (read, write) = std::io::pipe()?;
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    loop {
        let n = splice(sink.as_raw_fd(), write.as_raw_fd())?;
        ensure!(n > 0, "a connection has ended");
        let mut left = n;
        while left > 0 {
            left -= splice(read.as_raw_fd(), nowhere.as_raw_fd())?;
        }
    }
}

fn splice(from: RawFd, to: RawFd) -> Result<usize> {
    let none = std::ptr::null_mut();
    // SAFETY: takes descriptors that are open, and no memory.
    let n = unsafe { libc::splice(from, none, to, none, LARGEST, 0) };
    Ok(usize::try_from(Errno::result(n).context("splice")?)?)
}
