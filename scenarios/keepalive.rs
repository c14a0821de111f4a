// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What part of the time that a web server's clients wait is spent in the
//! receive path: over kept connections, and with one connection per request.
//! One port of a server that has two is recorded, by process. What was recorded
//! must agree with what the client, nginx and the firewall have seen.

use anyhow::{Context as _, Result};
use testlab::lines::{Counts, Report};
use testlab::sh;

use crate::checks::Checks;
use crate::nginx::{Nginx, OTHER_PORT, PORT, Packets, Served};
use crate::requests::{STOPPED, Seen};
use crate::trial::{netstacklat, record};

/// A way to ask.
struct Way {
    name: &'static str,
    requests: u64,
    /// What the client is told.
    options: String,
}

/// What was recorded, and what others have seen of the same.
struct Recorded {
    name: &'static str,
    requests: u64,
    /// Names of the groups.
    nginx: String,
    client: String,
    report: Report,
    seen: Seen,
    bystander: Seen,
    served: Served,
    packets: Packets,
}

const CONNECTIONS: u64 = 4;
const REQUESTS: u64 = 1000;
/// Of another client, on the other port.
const BYSTANDERS: u64 = 300;
/// Requests while nginx is stopped.
const HELD_UP: u64 = 40;
const READ: &str = "tcp-socket-read";

pub fn run() -> Result<()> {
    let nginx = Nginx::start()?;
    // A clock that counts instructions jumps while all is idle, also if a packet
    // is on the wire. So something runs that lets everything else go first.
    sh("chrt --idle 0 scenario hog >/dev/null 2>&1 &");
    let kept = nginx.record(Way {
        name: "kept",
        requests: REQUESTS,
        options: format!(" --kept {CONNECTIONS}"),
    })?;
    let each = nginx.record(Way {
        name: "one-each",
        requests: REQUESTS,
        options: String::new(),
    })?;
    let held_up = nginx.record(Way {
        name: "nginx-stopped",
        requests: HELD_UP,
        options: format!(" --rate 10 --kept {CONNECTIONS} --stop {}", nginx.worker),
    })?;
    for recorded in [&kept, &each] {
        netstacklat(&["show", &recorded.file(), "-e", READ])?;
    }
    netstacklat(&["diff", &kept.file(), &each.file()])?;

    println!();
    kept.tell();
    each.tell();
    held_up.tell();

    println!();
    let mut checks = Checks::default();
    for recorded in [&kept, &each, &held_up] {
        recorded.counts(&mut checks)?;
        recorded.times(&mut checks);
    }
    checks.of_tcp(&kept, &each);
    checks.of_latency(&kept, &each);
    checks.of_held_up(&held_up);
    checks.end()
}

impl Nginx {
    fn record(&self, way: Way) -> Result<Recorded> {
        let Way {
            name,
            requests,
            options,
        } = way;
        let report = |who: &str| format!("/root/{name}-{who}.json");
        let client = format!(
            "scenario requests --port {PORT} --requests {requests}{options} --report {}",
            report("client")
        );
        let bystander = format!(
            "scenario requests --port {OTHER_PORT} --requests {BYSTANDERS} --kept 1 --report {}",
            report("bystander")
        );
        let load = format!("{bystander} & {client}; wait");
        let (file, port) = (file(name), PORT.to_string());
        let before = (Packets::until_now()?, self.log_lines()?);
        let options = ["--name", name, "--port", &port, "--by", "process"];
        let run = record(&file, &options, &load)?;
        let packets = Packets::until_now()? - before.0;
        let served = self.served(before.1)?;
        let seen = |who| -> Result<Seen> {
            let json = std::fs::read(report(who)).with_context(|| report(who))?;
            Ok(serde_json::from_slice(&json)?)
        };
        let (seen, bystander) = (seen("client")?, seen("bystander")?);
        Ok(Recorded {
            name,
            requests,
            nginx: format!("nginx({})", self.worker),
            client: format!("scenario({})", seen.pid),
            report: run.total,
            seen,
            bystander,
            served,
            packets,
        })
    }
}

impl Recorded {
    fn file(&self) -> String {
        file(self.name)
    }

    /// All that was recorded at a hook.
    fn all(&self, hook: &str) -> Counts {
        self.sum(hook, |_| true, false)
    }

    /// That of one process.
    fn of(&self, hook: &str, process: &str) -> Counts {
        self.sum(hook, |found| found == process, true)
    }

    /// That of all processes but these.
    fn of_others(&self, hook: &str, known: &[&str]) -> Counts {
        self.sum(hook, |found| !known.contains(&found), true)
    }

    fn sum(&self, hook: &str, wanted: impl Fn(&str) -> bool, by_group: bool) -> Counts {
        let mut counts = Counts::default();
        for line in self.report.hooks.iter().filter(|line| line.hook == hook) {
            let process = line.group.as_ref().map(|group| {
                // A group without a key is that of what found no room.
                group.get("process").map_or("other", String::as_str)
            });
            let wanted = match process {
                Some(process) => by_group && wanted(process),
                None => !by_group,
            };
            if wanted {
                counts.add(line);
            }
        }
        counts
    }

    /// Packets until nginx, and until the client, had read them: of the time
    /// that the client waited.
    fn shares(&self) -> [f64; 2] {
        [&self.nginx, &self.client].map(|process| {
            let in_kernel = self.of(READ, process).sum_ns;
            100.0 * in_kernel as f64 / self.seen.total_ns() as f64
        })
    }

    /// The client's mean holds what the wire takes, and that is QEMU on a machine
    /// that may be busy. Its median hardly does.
    fn tell(&self) {
        let us = |ns: u64| format!("{:9.1} us", ns as f64 / 1000.0);
        println!(
            "{}: {} requests, {} connections, {:.1} packets a request",
            self.name,
            self.seen.times_ns.len(),
            self.seen.connections,
            self.packets.web as f64 / self.requests as f64
        );
        let mean = self.seen.total_ns() / self.requests;
        let median = self.seen.median_ns();
        println!("  {:38}        mean         p50  of all", "");
        println!(
            "  {:38}{}{}",
            "a request, by the client's clock",
            us(mean),
            us(median)
        );
        let reads = [
            (&self.nginx, "nginx's read"),
            (&self.client, "the client's"),
        ];
        for ((process, read), share) in reads.into_iter().zip(self.shares()) {
            let counts = self.of(READ, process);
            let (lo, hi) = counts.median();
            println!(
                "  {:38}{}{}  {share:4.1} %",
                format!("from the stack's entry to {read}"),
                us(counts.sum_ns / counts.count),
                us(lo + (hi - lo) / 2)
            );
        }
    }

    /// Each packet and each read of the port, and none of the other one.
    fn counts(&self, checks: &mut Checks) -> Result<()> {
        let name = self.name;
        let requests = self.requests;
        let opened = self.seen.connections;
        let load = [
            self.seen.times_ns.len().try_into()?,
            self.served.requests.try_into()?,
        ];
        checks.equal(
            &format!("{name}: requests that the client and nginx count"),
            load,
            requests,
        );
        let load = [self.served.connections.try_into()?, self.packets.syn];
        checks.equal(
            &format!("{name}: connections in nginx's log, and SYNs in the firewall"),
            load,
            opened,
        );
        let others = u64::try_from(self.bystander.times_ns.len())?;
        checks.equal(
            &format!("{name}: requests on the other port"),
            [others],
            BYSTANDERS,
        );

        for hook in ["ip-start", "tcp-start"] {
            let all = self.all(hook);
            checks.equal(
                &format!("{name}: packets at {hook}, as many as the firewall counts"),
                [all.count],
                self.packets.web,
            );
            checks.equal(
                &format!("{name}: packets left out at {hook}, those of the other port"),
                [all.skip("filtered"), all.runs() - all.count],
                self.packets.other,
            );
        }

        checks.equal(
            &format!("{name}: nginx's reads, one a request"),
            [self.of(READ, &self.nginx).count],
            requests,
        );
        checks.equal(
            &format!("{name}: the client's reads, as many as it counts, one a request"),
            [self.of(READ, &self.client).count, self.seen.reads],
            requests,
        );
        let others = self.of_others(READ, &[&self.nginx, &self.client]).count;
        checks.equal(&format!("{name}: reads of other processes"), [others], 0);
        let all = self.all(READ);
        let left_out = all.skip("filtered");
        let at_least = self.bystander.reads + BYSTANDERS;
        checks.that(
            &format!("{name}: the bystander's reads and nginx's for it are left out"),
            left_out >= at_least,
            format!("{left_out} left out, {at_least} had data"),
        );

        // Before somebody has read from it, nobody knows whose a new connection is:
        // neither at its first request, nor at the answer to that.
        const QUEUED: &str = "tcp-socket-enqueued";
        let unknown = self.of(QUEUED, "unknown").count;
        checks.that(
            &format!("{name}: the first segments of connections are nobody's at {QUEUED}"),
            unknown >= 2 * opened,
            format!("{unknown} unknown, {opened} connections"),
        );
        let later = requests - opened;
        if later > 0 {
            let known = self.of(QUEUED, &self.nginx).count;
            checks.that(
                &format!("{name}: later ones are nginx's there"),
                known >= later,
                format!("{known} are, {later} later requests"),
            );
        }
        Ok(())
    }

    /// A request reaches nginx, and then the answer reaches the client: two times
    /// that do not overlap, within the one that the client waits.
    fn times(&self, checks: &mut Checks) {
        let in_kernel = [&self.nginx, &self.client].map(|process| self.of(READ, process).sum_ns);
        let sum: u64 = in_kernel.iter().sum();
        let total = self.seen.total_ns();
        checks.that(
            &format!(
                "{}: time to both reads is a part of the client's time",
                self.name
            ),
            in_kernel.iter().all(|ns| *ns > 0) && sum < total,
            format!("{} us of {} us", sum / 1000, total / 1000),
        );
    }
}

impl Checks {
    /// A connection takes three segments to open (SYN, SYN and ACK, ACK), and two
    /// (FIN) to four to close. A request and its answer are two, and each may
    /// have an ACK of its own.
    fn of_tcp(&mut self, kept: &Recorded, each: &Recorded) {
        for way in [kept, each] {
            let (requests, opened) = (way.requests, way.seen.connections);
            let allowed = 2 * requests + 5 * opened..=4 * requests + 7 * opened;
            let found = way.all("tcp-start").count;
            self.that(
                &format!("{}: packets at tcp-start are what TCP needs", way.name),
                allowed.contains(&found),
                format!("{found} of {} to {}", allowed.start(), allowed.end()),
            );
        }
    }

    /// Opening a connection takes a client's time; and its request has come
    /// before nginx has accepted it.
    fn of_latency(&mut self, kept: &Recorded, each: &Recorded) {
        let [a, b] = [kept, each].map(|way| way.seen.median_ns());
        self.that(
            "the client waits longer with one connection each",
            a < b,
            format!("median {} us, {} us", a / 1000, b / 1000),
        );
        let [a, b] = [kept, each].map(|way| way.of(READ, &way.nginx).median());
        self.that(
            "requests wait longer for nginx's read with one connection each",
            a.1 <= b.0,
            format!("median {} us, {} us", a.1 / 1000, b.1 / 1000),
        );
    }

    /// How long nginx could not read is known: the client has stopped it.
    fn of_held_up(&mut self, way: &Recorded) {
        // The packet may take its time to the card.
        let most = u64::try_from(STOPPED.as_nanos()).expect("some ms") / 5 * 4;
        let held_up = way.of(READ, &way.nginx).above(most);
        self.equal(
            &format!(
                "{}: nginx's reads that took more than {} ms",
                way.name,
                most / 1_000_000
            ),
            [held_up],
            way.requests,
        );
        for (hook, who) in [
            ("tcp-start", "all packets"),
            ("tcp-socket-enqueued", "all segments"),
        ] {
            self.equal(
                &format!("{}: {who} that took so long to {hook}", way.name),
                [way.all(hook).above(most)],
                0,
            );
        }
        let client = way.of(READ, &way.client).above(most);
        self.equal(
            &format!("{}: reads of the client that took so long", way.name),
            [client],
            0,
        );
        let [share, _] = way.shares();
        self.that(
            &format!("{}: nearly all of the client's time", way.name),
            share > 80.0,
            format!("{share:.1} %"),
        );
    }
}

fn file(name: &str) -> String {
    format!("/root/{name}.nsl")
}
