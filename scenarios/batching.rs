// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a server saves by taking requests in batches, and how long they wait for
//! it.

use std::fs;

use anyhow::Result;
use clap::ValueEnum as _;
use testlab::lines::Counts;

use crate::ask::RATE;
use crate::checks::Checks;
use crate::finding::Expected::{NotSlower, Same, SlowerStages};
use crate::finding::Finding;
use crate::requests::Seen;
use crate::scenarios::PLAIN;
use crate::serve::{Took, Way};
use crate::trial::{Trial, record};

const REQUESTS: u64 = 960;
const BATCH: u64 = 8;
const QUEUED: &str = "udp-socket-enqueued";
const READ: &str = "udp-socket-read";
/// The kernel counts the calls of each process there.
const SYSCALLS: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter";
const COUNTING: &str = "hist:keys=common_pid";

/// A server, and what it must take.
struct Server {
    name: &'static str,
    arguments: String,
    /// System calls for all requests, at most: while one answers, more than is
    /// waited for can come.
    syscalls: u64,
    /// Whether requests are read when the last one of a batch has come, and
    /// whether they are answered then.
    reads_late: bool,
    answers_late: bool,
}

/// What was recorded of it.
struct Measured {
    took: Took,
    seen: Seen,
    read: Counts,
    counted: u64,
}

/// A call to wait, one to receive and one to send: three a request. With
/// io_uring one call submits answers and waits for the next requests: one a
/// request, or one a batch, and one more for the last answers.
///
/// If the program waits for a batch of eight, and has its ring's work deferred,
/// each request but the last one waits for the others: the seven others, six, five
/// and so on, whose times are known. netstacklat has that in
/// the stage of waiting for the reader, and in no other. If the ring's work is
/// not deferred, the kernel reads each request when it comes, and the program
/// sees it only when there are eight. To netstacklat it is read by then: the time
/// behind that is in no hook, although the client waits as long.
pub fn run() -> Result<()> {
    let each = Server {
        name: "each",
        arguments: "each".into(),
        syscalls: 3 * REQUESTS,
        reads_late: false,
        answers_late: false,
    };
    let servers = [
        each,
        Server::with_ring("ring", Way::Ring, 1),
        Server::with_ring("ring-of-8", Way::Ring, BATCH),
        Server::with_ring("deferred-8", Way::Deferred, BATCH),
    ];
    let mut measured = Vec::new();
    for server in &servers {
        measured.push(server.measure()?);
    }
    println!();
    for (server, measured) in servers.iter().zip(&measured) {
        server.tell(measured);
    }
    println!();
    let mut checks = Checks::default();
    for (server, measured) in servers.iter().zip(&measured) {
        server.check(measured, &mut checks);
    }
    checks.end()?;

    let [each, ring, _, deferred] = &servers;
    let late = SlowerStages(&[(QUEUED, READ, &["p50"])]);
    each.compare_with(deferred)?
        .check(&[Same("ip-start"), late])?;
    let found = each.compare_with(ring)?;
    found.check(&[Same("ip-start"), SlowerStages(&[]), NotSlower(READ)])
}

const STOP: &str = "kill $(cat /run/server)";

impl Server {
    fn with_ring(name: &'static str, way: Way, batch: u64) -> Server {
        let word = way.to_possible_value().expect("none is skipped");
        Server {
            name,
            arguments: format!("{} --batch {batch}", word.get_name()),
            syscalls: REQUESTS / batch + 1,
            reads_late: way == Way::Deferred,
            answers_late: batch > 1,
        }
    }

    /// Judges the server's packets only: the client reads, too.
    fn compare_with(&self, other: &Server) -> Result<Finding> {
        Trial {
            names: [self.name, other.name],
            a: [&self.start(), STOP],
            b: [&other.start(), STOP],
            load: "scenario ask",
            options: &["--stages", "--network-namespace", "right"],
            ..PLAIN
        }
        .run()
    }

    fn start(&self) -> String {
        format!(
            "scenario serve {} >/dev/null 2>&1 & echo $! >/run/server",
            self.arguments
        )
    }

    fn measure(&self) -> Result<Measured> {
        let name = self.name;
        let [server, client, file] =
            ["server.json", "client.json", "nsl"].map(|end| format!("/root/{name}-{end}"));
        let load = format!(
            "scenario serve {} --requests {REQUESTS} --report {server} & \
             scenario ask --requests {REQUESTS} --report {client}; wait",
            self.arguments
        );
        let options = ["--name", name, "-e", "default", "--network-namespace"];
        let trigger = format!("{SYSCALLS}/trigger");
        fs::write(&trigger, COUNTING)?;
        let run = record(
            &file,
            &[&options[..], &["right", "--stages"]].concat(),
            &load,
        );
        let counted = fs::read_to_string(format!("{SYSCALLS}/hist"))?;
        fs::write(&trigger, format!("!{COUNTING}"))?;
        let took: Took = serde_json::from_slice(&fs::read(server)?)?;
        Ok(Measured {
            counted: hits(&counted, took.pid),
            took,
            seen: serde_json::from_slice(&fs::read(client)?)?,
            read: run?.hook(READ),
        })
    }

    fn tell(&self, measured: &Measured) {
        let Measured {
            took, seen, read, ..
        } = measured;
        let (least, most) = read.stage(QUEUED).median();
        println!(
            "{:10}: {:.3} system calls a request; waiting for the reader p50 {:8.1} us, the \
             client for the answer {:8.1} us",
            self.name,
            took.syscalls as f64 / REQUESTS as f64,
            (least + (most - least) / 2) as f64 / 1000.0,
            seen.median_ns() as f64 / 1000.0
        );
    }

    fn check(&self, measured: &Measured, checks: &mut Checks) {
        let name = self.name;
        let Measured {
            took,
            seen,
            read,
            counted,
        } = measured;
        checks.equal(
            &format!("{name}: requests that were read, and answered"),
            [read.count, seen.reads],
            REQUESTS,
        );
        let most = self.syscalls;
        checks.that(
            &format!("{name}: system calls for them"),
            (most / 2..=most).contains(&took.syscalls),
            format!("{}, at most {most}", took.syscalls),
        );
        checks.that(
            &format!("{name}: the kernel counts these, and those of its start and end"),
            (took.syscalls..took.syscalls + START).contains(counted),
            counted,
        );
        let (_, waited) = read.stage(QUEUED).median();
        let times = [
            ("until it is read", waited),
            ("for its answer", seen.median_ns()),
        ];
        for ((what, ns), late) in times.into_iter().zip([self.reads_late, self.answers_late]) {
            let gaps = ns as f64 * RATE / 1e9;
            let (holds, when) = if late {
                (IN_BATCH.contains(&gaps), "as a batch takes")
            } else {
                (gaps < 0.5, "without waiting for others")
            };
            checks.that(
                &format!("{name}: a request waits {what} {when}"),
                holds,
                format!("median {gaps:.2} times the time between two requests"),
            );
        }
    }
}

/// The median time from a request to the last one of its batch, in times between
/// two requests: none for the last one, seven for the first, and in between for
/// the others.
const IN_BATCH: std::ops::Range<f64> = 2.5..4.5;
/// More calls than a process makes to start, open 32 sockets and end.
const START: u64 = 400;

/// That of a process in what the kernel has counted.
fn hits(histogram: &str, pid: u32) -> u64 {
    let mut lines = histogram.lines();
    let of_it = lines.find_map(|line| {
        let (key, hits) = line.trim().strip_prefix("{ common_pid:")?.split_once('}')?;
        let is_it = key.trim().parse() == Ok(pid);
        is_it.then(|| hits.rsplit(' ').next())?
    });
    of_it.and_then(|hits| hits.parse().ok()).unwrap_or(0)
}
