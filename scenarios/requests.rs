// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A client in the namespace left that asks the web server in the right one for
//! a file, and takes the time that each answer takes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use testlab::{Family, Ns, PATIENCE};

use crate::pace::{Pace, QUIET};

/// What the server has to serve as `/`. With its header it fits into one
/// segment.
pub const FILE: &[u8] = &[b'x'; 512];
/// How long the server is stopped for each request, with `--stop`.
pub const STOPPED: Duration = Duration::from_millis(50);

/// Requests, one after the other, each answered before the next is made.
#[derive(Args, Clone, Debug)]
pub struct Requests {
    /// Port of the server
    #[arg(long)]
    port: u16,
    /// How many
    #[arg(long)]
    requests: usize,
    /// Over so many connections, in turn; without it one for each request
    #[arg(long)]
    kept: Option<usize>,
    /// Requests a second
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Stop this process before each request, and let it go on 50 ms after that
    #[arg(long, value_name = "PID")]
    stop: Option<i32>,
    /// Where to write what the client has seen
    #[arg(long)]
    report: PathBuf,
}

/// What the client has seen.
#[derive(Serialize, Deserialize)]
pub struct Seen {
    pub pid: u32,
    pub connections: u64,
    /// Reads that brought data.
    pub reads: u64,
    /// Of each request: from before it was written, or before the connection
    /// was opened for it, to the last byte of the answer.
    pub times_ns: Vec<u64>,
}

impl Requests {
    pub fn run(&self) -> Result<()> {
        Ns::Left.enter();
        std::thread::sleep(QUIET);
        let seen = match self.kept {
            Some(connections) => self.over_kept(connections)?,
            None => self.one_connection_each()?,
        };
        std::thread::sleep(QUIET);
        seen.write(&self.report)
    }

    fn over_kept(&self, connections: usize) -> Result<Seen> {
        ensure!(connections > 0, "--kept takes one connection or more");
        let opened = (0..connections).map(|_| self.connect());
        let mut opened = opened.collect::<Result<Vec<_>>>()?;
        let mut seen = Seen::new();
        seen.connections = u64::try_from(connections)?;
        let mut pace = self.pace();
        for number in 0..self.requests {
            pace.wait();
            let begin = Instant::now();
            seen.reads += self.ask(&mut opened[number % connections], "keep-alive")?;
            seen.took(begin)?;
        }
        Ok(seen)
    }

    fn one_connection_each(&self) -> Result<Seen> {
        let mut seen = Seen::new();
        let mut pace = self.pace();
        for _ in 0..self.requests {
            pace.wait();
            let begin = Instant::now();
            let mut connection = self.connect()?;
            seen.connections += 1;
            seen.reads += self.ask(&mut connection, "close")?;
            seen.took(begin)?;
            let more = connection.read(&mut [0])?;
            ensure!(more == 0, "the server goes on after the answer");
        }
        Ok(seen)
    }

    fn pace(&self) -> Pace {
        Pace::new(self.rate, self.port.into())
    }

    fn connect(&self) -> Result<TcpStream> {
        let connection = TcpStream::connect(Ns::Right.at(Family::V4, self.port))?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Returns how many reads the answer took.
    fn ask(&self, connection: &mut TcpStream, connection_is: &str) -> Result<u64> {
        let request =
            format!("GET / HTTP/1.1\r\nHost: right\r\nConnection: {connection_is}\r\n\r\n");
        match self.stop.map(Pid::from_raw) {
            Some(server) => {
                kill(server, Signal::SIGSTOP)?;
                connection.write_all(request.as_bytes())?;
                std::thread::sleep(STOPPED);
                kill(server, Signal::SIGCONT)?;
            }
            None => connection.write_all(request.as_bytes())?,
        }
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        let mut reads = 0;
        loop {
            let n = connection.read(&mut buffer)?;
            ensure!(n > 0, "the connection has ended within an answer");
            reads += 1;
            answer.extend_from_slice(&buffer[..n]);
            if is_whole(&answer)? {
                return Ok(reads);
            }
        }
    }
}

/// Whether this is all of an answer. It must be the file.
fn is_whole(answer: &[u8]) -> Result<bool> {
    const BLANK: &[u8] = b"\r\n\r\n";
    let ends = answer.windows(BLANK.len()).position(|four| four == BLANK);
    let Some(end) = ends else {
        return Ok(false);
    };
    let (head, body) = (&answer[..end], &answer[end + BLANK.len()..]);
    let head = String::from_utf8_lossy(head);
    ensure!(head.starts_with("HTTP/1.1 200 "), "an answer: {head}");
    ensure!(FILE.starts_with(body), "this is not the file");
    Ok(body == FILE)
}

impl Seen {
    pub fn new() -> Seen {
        Seen {
            pid: std::process::id(),
            connections: 0,
            reads: 0,
            times_ns: Vec::new(),
        }
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self)?;
        std::fs::write(path, json).with_context(|| path.display().to_string())
    }

    pub fn took(&mut self, begin: Instant) -> Result<()> {
        self.times_ns.push(begin.elapsed().as_nanos().try_into()?);
        Ok(())
    }

    pub fn median_ns(&self) -> u64 {
        let mut times = self.times_ns.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }

    pub fn total_ns(&self) -> u64 {
        self.times_ns.iter().sum()
    }
}
