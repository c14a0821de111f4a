// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Traffic between the namespaces, as many packets a second whatever becomes of
//! them.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nix::errno::Errno;
use nix::libc;
use testlab::links::Way;
use testlab::tcp::{Connection, echo};
use testlab::{Family, Ns};

use crate::burn;
use crate::pace::Pace;

const FIRST_PORT: u16 = 5000;

/// So many flows of each kind, from left to right.
#[derive(Args, Clone, Debug)]
pub struct Traffic {
    /// TCP one way
    #[arg(long, default_value_t = 0)]
    tcp: u16,
    /// TCP to and fro, 32 bytes each way
    #[arg(long, default_value_t = 0)]
    exchange: u16,
    /// UDP one way
    #[arg(long, default_value_t = 0)]
    udp: u16,
    /// Writes a second of each flow
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Bytes of a write
    #[arg(long, default_value_t = 1000)]
    size: usize,
    /// Every second flow over IPv6
    #[arg(long)]
    both: bool,
    /// CPU time that a receiver takes for what one read brings, in microseconds
    #[arg(long, default_value_t = 0)]
    work: u64,
    /// Senders go before all that has no real-time priority
    #[arg(long)]
    punctual: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Exchange,
    Udp,
}

impl Traffic {
    /// Until one of the flows fails, or the process is killed.
    pub fn run(&self) -> Result<()> {
        let kinds = [
            (Kind::Tcp, self.tcp),
            (Kind::Exchange, self.exchange),
            (Kind::Udp, self.udp),
        ];
        let mut port = FIRST_PORT;
        let (failed, failure) = std::sync::mpsc::channel();
        for (kind, count) in kinds {
            for number in 0..count {
                let family = match number % 2 {
                    1 if self.both => Family::V6,
                    _ => Family::V4,
                };
                self.flow(kind, family, port, |work| {
                    let failed = failed.clone();
                    std::thread::spawn(move || failed.send(work()));
                })?;
                port += 1;
            }
        }
        drop(failed);
        failure.recv().context("no traffic asked for")?
    }

    /// Opens a flow, and has both its ends work.
    fn flow(&self, kind: Kind, family: Family, port: u16, start: impl Fn(Work)) -> Result<()> {
        let data = vec![7; self.size];
        let way = Way::wire(Ns::Left, Ns::Right, family, port);
        match kind {
            Kind::Tcp => {
                let Connection { mut tx, mut rx } = Connection::without_timeouts(way);
                start(self.reader(move |buffer| Ok(rx.read(buffer)?)));
                start(self.writer(port, move || Ok(tx.write_all(&data)?)));
            }
            Kind::Exchange => {
                let Connection { mut tx, rx } = Connection::without_timeouts(way);
                start(Box::new(move || Ok(echo(rx)?)));
                start(self.writer(port, move || {
                    let mut data = [7; 32];
                    tx.write_all(&data)?;
                    Ok(tx.read_exact(&mut data)?)
                }));
            }
            Kind::Udp => {
                let rx = way.to.run(|| UdpSocket::bind(way.at))?;
                let tx = way.from.run(|| UdpSocket::bind(Ns::Left.at(family, 0)))?;
                tx.connect(way.at)?;
                start(self.reader(move |buffer| Ok(rx.recv(buffer)?)));
                start(self.writer(port, move || Ok(tx.send(&data).map(drop)?)));
            }
        }
        Ok(())
    }

    fn reader(&self, mut read: impl FnMut(&mut [u8]) -> Result<usize> + Send + 'static) -> Work {
        let work = Duration::from_micros(self.work);
        Box::new(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                ensure!(read(&mut buffer)? > 0, "a connection has ended");
                burn::work(work)?;
            }
        })
    }

    fn writer(&self, port: u16, mut write: impl FnMut() -> Result<()> + Send + 'static) -> Work {
        let punctual = self.punctual;
        let mut pace = Pace::new(self.rate, port.into());
        Box::new(move || {
            if punctual {
                go_first()?;
            }
            loop {
                pace.wait();
                write()?;
            }
        })
    }
}

type Work = Box<dyn FnOnce() -> Result<()> + Send>;

/// The calling thread runs as soon as it can, before all ordinary ones.
fn go_first() -> Result<()> {
    let param = libc::sched_param { sched_priority: 1 };
    // SAFETY: reads a structure that lives until it returns.
    let status = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &param) };
    Errno::result(status).context("SCHED_FIFO")?;
    Ok(())
}
