// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A client in the left namespace of the server of [`serve`](crate::serve).

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use testlab::{Family, Ns, PATIENCE};

use crate::pace::{Pace, QUIET};
use crate::requests::Seen;
use crate::serve::{CLIENT_PORT, SIZE, port};

/// A second.
pub const RATE: f64 = 400.0;

/// Requests to all of the server's sockets in turn, whatever became of earlier
/// ones.
#[derive(Args, Clone, Debug)]
pub struct Ask {
    /// So many, which must all be answered (default: until it is killed)
    #[arg(long)]
    requests: Option<usize>,
    /// Where to write what the client has seen
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Ask {
    pub fn run(&self) -> Result<()> {
        Ns::Left.enter();
        let socket = UdpSocket::bind(Ns::Left.at(Family::V4, CLIENT_PORT))?;
        socket.set_read_timeout(self.requests.map(|_| PATIENCE))?;
        let socket = Arc::new(socket);
        let begin = Instant::now();
        let requests = self.requests.unwrap_or(usize::MAX);
        let answers = Arc::clone(&socket);
        let reader = std::thread::spawn(move || take_answers(&answers, begin, requests));
        std::thread::sleep(QUIET);
        let mut pace = Pace::new(RATE, 1);
        for number in 0..requests {
            pace.wait();
            let mut request = [0; SIZE];
            let now = u64::try_from(begin.elapsed().as_nanos())?;
            request[..8].copy_from_slice(&now.to_ne_bytes());
            socket.send_to(&request, Ns::Right.at(Family::V4, port(number)))?;
        }
        let seen = reader.join().expect("no panic")?;
        std::thread::sleep(QUIET);
        match &self.report {
            Some(path) => seen.write(path),
            None => Ok(()),
        }
    }
}

/// Each has the moment at which its request was sent.
fn take_answers(socket: &UdpSocket, begin: Instant, requests: usize) -> Result<Seen> {
    let mut seen = Seen::new();
    for number in 0..requests {
        let mut answer = [0; SIZE];
        let n = socket.recv(&mut answer);
        n.with_context(|| format!("{number} of {requests} requests are answered"))?;
        let sent = u64::from_ne_bytes(answer[..8].try_into()?);
        seen.reads += 1;
        if requests < usize::MAX {
            seen.took(begin + Duration::from_nanos(sent))?;
        }
    }
    Ok(seen)
}
