// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A TCP forwarder in the namespace right, between programs in the left one:
//! it reads into a buffer and writes to the next connection what it has read,
//! or has the kernel move it. Which, and the buffer's size, can be changed while
//! it runs.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
use nix::sys::stat::Mode;
use testlab::links::Way;
use testlab::tcp::{Connection, echo};
use testlab::{Family, Ns};

use crate::pace::Pace;

/// A FIFO: a line written to it is the buffer's new size, in bytes, or
/// [`SPLICE`].
const CONTROL: &str = "/run/forwarder";
const SPLICE: &str = "splice";
/// Where the forwarder listens, and where the program behind it does.
pub const PORTS: [u16; 2] = [6000, 6001];
const LARGEST: usize = 64 << 10;
/// Left to itself the kernel would give a slow reader more and more, and the
/// comparison would be of that.
const RECEIVE_BUFFER: usize = 128 << 10;
const WRITES_A_SECOND: f64 = 300.0;

/// Of the buffer; 0: none.
static SIZE: AtomicUsize = AtomicUsize::new(LARGEST);

/// What is sent through it.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// One way, as fast as it is taken
    Bulk,
    /// 32 bytes to and fro
    Exchange,
    /// Segments one way, to another process, which reads them
    Stream,
}

/// Makes the FIFO. What it returns is the command that writes a line to it.
pub fn control() -> Result<impl Fn(&str) -> String> {
    nix::unistd::mkfifo(CONTROL, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(|line: &str| format!("echo {line} >{CONTROL}"))
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
            start(Box::new(|| write_at_times(source, [7; 32], true)));
        }
        Kind::Stream => {
            start(Box::new(|| forward(from, to)));
            start(Box::new(|| read_in_another_process(sink)));
            start(Box::new(|| write_at_times(source, [7; 1000], false)));
        }
    }
    failure.recv()?
}

type Work = Box<dyn FnOnce() -> Result<()> + Send>;

/// The forwarder itself.
fn forward(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    let mut buffer = vec![0; LARGEST];
    let pipe = Pipe::new()?;
    loop {
        let size = SIZE.load(Ordering::Relaxed);
        if size == 0 {
            pipe.pass(&from, &to)?;
            continue;
        }
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
            let size = match line.trim() {
                SPLICE => 0,
                size => {
                    let size = size.parse().context(line)?;
                    ensure!((1..=LARGEST).contains(&size), "a buffer of {size} bytes");
                    size
                }
            };
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

fn write_at_times<const N: usize>(
    mut to: TcpStream,
    mut data: [u8; N],
    echoed: bool,
) -> Result<()> {
    let mut pace = Pace::new(WRITES_A_SECOND, 1);
    loop {
        pace.wait();
        to.write_all(&data)?;
        if echoed {
            to.read_exact(&mut data)?;
        }
    }
}

fn read_in_another_process(sink: TcpStream) -> Result<()> {
    let mut dd = Command::new("dd");
    dd.args(["bs=64K", "of=/dev/null"]).stderr(Stdio::null());
    let status = dd.stdin(OwnedFd::from(sink)).status()?;
    bail!("dd has ended: {status}")
}

/// By splice(2), which is no read to netstacklat: what remains of its reads
/// are the forwarder's.
fn swallow(sink: TcpStream) -> Result<()> {
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    let pipe = Pipe::new()?;
    loop {
        pipe.pass(&sink, &nowhere)?;
    }
}

/// splice(2) goes from or to a pipe only.
struct Pipe {
    read: PipeReader,
    write: PipeWriter,
}

impl Pipe {
    fn new() -> Result<Pipe> {
        let (read, write) = std::io::pipe()?;
        Ok(Pipe { read, write })
    }

    /// Waits for data, and moves as much as there is.
    fn pass(&self, from: &impl AsRawFd, to: &impl AsRawFd) -> Result<()> {
        let n = splice(from, &self.write)?;
        ensure!(n > 0, "a connection has ended");
        let mut left = n;
        while left > 0 {
            left -= splice(&self.read, to)?;
        }
        Ok(())
    }
}

fn splice(from: &impl AsRawFd, to: &impl AsRawFd) -> Result<usize> {
    let none = std::ptr::null_mut();
    // SAFETY: takes descriptors that are open, and no memory.
    let n = unsafe { libc::splice(from.as_raw_fd(), none, to.as_raw_fd(), none, LARGEST, 0) };
    Ok(usize::try_from(Errno::result(n).context("splice")?)?)
}
