// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guest: its two namespaces with a card each, and commands in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::libc;

/// A namespace with a card.
#[derive(Clone, Copy)]
pub enum Ns {
    Left,
    Right,
}

impl Ns {
    pub fn name(self) -> &'static str {
        match self {
            Ns::Left => "left",
            Ns::Right => "right",
        }
    }

    /// An address on its card.
    pub fn at(self, v6: bool, port: u16) -> SocketAddr {
        let address = match (self, v6) {
            (Ns::Left, false) => "10.0.0.1",
            (Ns::Right, false) => "10.0.0.2",
            (Ns::Left, true) => "fd00::1",
            (Ns::Right, true) => "fd00::2",
        };
        let address: IpAddr = address.parse().expect("an address");
        SocketAddr::new(address, port)
    }

    /// Brings the calling thread there. Sockets opened then stay there.
    pub fn enter(self) -> Result<()> {
        let path = format!("/run/netns/{}", self.name());
        let ns = File::open(path).context("not in a guest with a pair of cards")?;
        // SAFETY: takes a descriptor that is open, and no memory.
        let status = unsafe { libc::setns(ns.as_raw_fd(), libc::CLONE_NEWNET) };
        Errno::result(status).context("setns")?;
        Ok(())
    }

    /// Runs `f` on a thread that is there.
    pub fn run<T: Send>(self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let thread = || {
            self.enter()?;
            f()
        };
        let done = std::thread::scope(|scope| scope.spawn(thread).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Both ends of a TCP connection, the second in `to`.
pub fn connect(from: Ns, to: Ns, v6: bool, port: u16) -> Result<(TcpStream, TcpStream)> {
    let at = to.at(v6, port);
    let listener = to.run(|| TcpListener::bind(at).with_context(|| format!("bind {at}")))?;
    let tx = from.run(|| TcpStream::connect(at).with_context(|| format!("connect {at}")))?;
    tx.set_nodelay(true)?;
    let (rx, _) = listener.accept()?;
    rx.set_nodelay(true)?;
    Ok((tx, rx))
}

/// Sends back what comes, to the end.
pub fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// Runs a shell command that must succeed; its standard output.
pub fn sh(script: &str) -> Result<String> {
    let done = Command::new("sh").args(["-euc", script]).output()?;
    let stderr = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{script}: {}: {stderr}", done.status);
    Ok(String::from_utf8(done.stdout)?)
}
