// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The distribution's nginx in the namespace right, and what it and the
//! firewall know of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Sub;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testlab::{PATIENCE, sh, wait_until};

use crate::requests::FILE;

pub const PORT: u16 = 80;
/// The same server, for a client whose packets nobody wants.
pub const OTHER_PORT: u16 = 8080;

const ROOM: &str = "/run/nginx";

pub struct Nginx {
    /// The process that serves.
    pub worker: u32,
}

impl Nginx {
    /// As it comes, but for the paths: one worker, a log of requests.
    pub fn start() -> Result<Nginx> {
        // The last two are where nginx looks before it has read its
        // configuration.
        sh(&format!(
            "mkdir -p {ROOM}/files /var/log/nginx /var/lib/nginx"
        ));
        fs::write(format!("{ROOM}/files/index.html"), FILE)?;
        fs::write(
            format!("{ROOM}/nginx.conf"),
            format!(
                "user nobody nogroup;
                worker_processes 1;
                pid nginx.pid;
                error_log error.log;
                events {{}}
                http {{
                    log_format short '$server_port $connection';
                    access_log access.log short;
                    keepalive_requests 100000;
                    server {{
                        listen {PORT};
                        listen {OTHER_PORT};
                        root files;
                    }}
                }}
                "
            ),
        )?;
        sh(&format!(
            "ip netns exec right nginx -p {ROOM} -c nginx.conf"
        ));
        let master = fs::read_to_string(format!("{ROOM}/nginx.pid")).context("nginx.pid")?;
        let master: u32 = master.trim().parse()?;
        let children = format!("/proc/{master}/task/{master}/children");
        let workers = || -> Vec<u32> {
            let text = fs::read_to_string(&children).expect("nginx runs");
            let pids = text.split_whitespace();
            pids.map(|pid| pid.parse().expect("a process")).collect()
        };
        wait_until(PATIENCE, "nginx has a worker", || !workers().is_empty());
        let workers = workers();
        ensure!(workers.len() == 1, "nginx has the workers {workers:?}");
        count_packets(&["left", "right"])?;
        Ok(Nginx { worker: workers[0] })
    }

    /// How many requests, and over how many connections, nginx says that it has
    /// had on [`PORT`] behind so many lines of its log.
    pub fn served(&self, behind: usize) -> Result<Served> {
        let log = fs::read_to_string(format!("{ROOM}/access.log"))?;
        let port = PORT.to_string();
        let lines = log.lines().skip(behind).filter_map(|l| l.split_once(' '));
        let ours: Vec<_> = lines.filter(|(at, _)| *at == port).collect();
        let connections: BTreeSet<_> = ours.iter().map(|(_, number)| *number).collect();
        Ok(Served {
            requests: ours.len(),
            connections: connections.len(),
        })
    }

    pub fn log_lines(&self) -> Result<usize> {
        Ok(fs::read_to_string(format!("{ROOM}/access.log"))?
            .lines()
            .count())
    }
}

pub struct Served {
    pub requests: usize,
    pub connections: usize,
}

/// Packets that have come by in INPUT, in both namespaces. All of them reach
/// `tcp-start`, one by one, as what GRO has merged is one packet to both.
#[derive(Clone, Copy, Debug)]
pub struct Packets {
    /// From and to [`PORT`].
    pub web: u64,
    /// From and to [`OTHER_PORT`].
    pub other: u64,
    /// That open a connection to [`PORT`].
    pub syn: u64,
}

fn count_packets(namespaces: &[&str]) -> Result<()> {
    let mut rules = String::new();
    for (port, name) in [(PORT, "web"), (OTHER_PORT, "other")] {
        for end in ["sport", "dport"] {
            rules += &format!("tcp {end} {port} counter comment \"{name}\"\n");
        }
    }
    rules += &format!("tcp dport {PORT} tcp flags & (syn | ack) == syn counter comment \"syn\"\n");
    let chain = format!("chain input {{ type filter hook input priority 0; {rules} }}");
    fs::write("counters", format!("table ip scenario {{\n{chain}\n}}\n"))?;
    for name in namespaces {
        sh(&format!("ip netns exec {name} nft -f counters"));
    }
    Ok(())
}

impl Packets {
    pub fn until_now() -> Result<Packets> {
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for name in ["left", "right"] {
            let told = sh(&format!(
                "ip netns exec {name} nft --json list table ip scenario"
            ));
            let told: Value = serde_json::from_str(&told)?;
            let rules = told["nftables"].as_array().context("nft's list")?;
            for rule in rules.iter().filter_map(|item| item.get("rule")) {
                let comment = rule["comment"].as_str().context("a comment")?;
                let parts = rule["expr"].as_array().context("a rule's parts")?;
                let counter = parts.iter().find_map(|part| part.get("counter"));
                let packets = counter.and_then(|counter| counter["packets"].as_u64());
                *counted.entry(comment.into()).or_default() += packets.context("a counter")?;
            }
        }
        let of = |name| counted.get(name).copied().context("a rule of ours");
        Ok(Packets {
            web: of("web")?,
            other: of("other")?,
            syn: of("syn")?,
        })
    }
}

impl Sub for Packets {
    type Output = Packets;

    fn sub(self, earlier: Packets) -> Packets {
        Packets {
            web: self.web - earlier.web,
            other: self.other - earlier.other,
            syn: self.syn - earlier.syn,
        }
    }
}
