// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the kernel itself counts: the other side of every comparison.

use std::collections::BTreeMap;
use std::time::Duration;

use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo, MapInfoIter, ProgInfoIter};
use netstacklat::model::hooks::programs;
use serde_json::Value;

use crate::{Ns, PATIENCE, sh, wait_until};

/// SNMP counters of all namespaces together, as `Tcp.InSegs` or
/// `Udp6.InDatagrams`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snmp(BTreeMap<String, i64>);

impl Snmp {
    pub fn read() -> Snmp {
        let mut sum = BTreeMap::new();
        for ns in Ns::ALL {
            for (name, value) in ns.run(of_this_namespace) {
                *sum.entry(name).or_insert(0) += value;
            }
        }
        Snmp(sum)
    }

    /// The same once they stand still: a connection's last segments arrive when
    /// its program is through with it.
    pub fn at_rest() -> Snmp {
        let mut last = Snmp::read();
        wait_until(PATIENCE, "the network comes to rest", || {
            std::thread::sleep(Duration::from_millis(50));
            let earlier = std::mem::replace(&mut last, Snmp::read());
            last == earlier
        });
        last
    }

    /// How much the counters have grown, taken together, since `earlier`.
    pub fn since(&self, earlier: &Snmp, names: &[&str]) -> u64 {
        let grown = names.iter().map(|name| match self.0.get(*name) {
            Some(now) => now - earlier.0[*name],
            None => panic!("the kernel has no counter {name}"),
        });
        u64::try_from(grown.sum::<i64>()).expect("counters only grow")
    }

    /// Fails if anything was dropped on the way to a socket: then the test
    /// was too fast for the guest, and its counts mean nothing.
    pub fn nothing_lost_since(&self, earlier: &Snmp) {
        for name in ["Udp.InErrors", "Udp.RcvbufErrors", "Udp.NoPorts"] {
            let v6 = name.replace("Udp.", "Udp6.");
            assert_eq!(self.since(earlier, &[name, &v6]), 0, "dropped: {name}");
        }
        assert_eq!(self.since(earlier, &["Ip.InDiscards", "Ip6.InDiscards"]), 0);
    }
}

/// /proc/net is that of the process, hence thread-self.
fn of_this_namespace() -> Vec<(String, i64)> {
    let read = |name| {
        let path = format!("/proc/thread-self/net/{name}");
        std::fs::read_to_string(path).expect("/proc")
    };
    let mut counters = Vec::new();
    for file in ["snmp", "netstat"] {
        let text = read(file);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (group, names) = pair[0].split_once(':').expect("a group");
            let (_, values) = pair[1].split_once(':').expect("a group");
            let values = values.split_whitespace();
            for (name, value) in names.split_whitespace().zip(values) {
                let value = value.parse().unwrap_or(0);
                counters.push((format!("{group}.{name}"), value));
            }
        }
    }
    for line in read("snmp6").lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        // As Ip6InReceives, of the group Ip6.
        let six = name.find('6').expect("a counter of IPv6");
        let (group, name) = name.split_at(six + 1);
        let value = value.parse().expect("a number");
        counters.push((format!("{group}.{name}"), value));
    }
    counters
}

/// Packets that each CPU has passed up the stack.
pub fn packets_by_cpu() -> Vec<u64> {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").expect("/proc");
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let hex = |word: String| u64::from_str_radix(&word, 16).expect("hexadecimal");
    text.lines().filter_map(first).map(hex).collect()
}

/// How often a program ran, and how often the kernel left it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    pub run: u64,
    pub missed: u64,
}

/// The tool's programs now in the kernel, by name (cut off at 15 characters).
/// `kernel.bpf_stats_enabled` must be on.
pub fn program_runs() -> BTreeMap<String, Runs> {
    let list: Value = serde_json::from_str(&sh("bpftool prog show -j")).expect("JSON");
    let programs = list.as_array().expect("a list").iter();
    let ours = programs.filter_map(|program| {
        let name = program["name"].as_str()?;
        let number = |key: &str| program[key].as_u64().unwrap_or(0);
        let runs = Runs {
            run: number("run_cnt"),
            missed: number("recursion_misses"),
        };
        name.starts_with("nsl_").then(|| (short(name), runs))
    });
    ours.collect()
}

/// How often the kernel left out the program of that number.
pub fn missed_by(id: u32) -> u64 {
    let program = ProgInfoIter::default().find(|program| program.id == id);
    program.expect("the program").recursion_misses
}

/// [`program_runs`] by hook, without the clock's program.
pub fn hook_runs() -> BTreeMap<String, Runs> {
    let by_program = program_runs();
    let mut by_hook: BTreeMap<String, Runs> = BTreeMap::new();
    for program in programs() {
        if let Some(runs) = by_program.get(&short(program.name)) {
            let sum = by_hook.entry(program.hook.name().into()).or_default();
            sum.run += runs.run;
            sum.missed += runs.missed;
        }
    }
    by_hook
}

/// As much as the kernel keeps of a program's name.
pub fn short(name: &str) -> String {
    name.chars().take(15).collect()
}

/// What the tool has in the kernel: programs, maps and tracing links.
pub fn left_in_the_kernel() -> Vec<String> {
    let named = |what: &str| {
        let list: Value = serde_json::from_str(&sh(&format!("bpftool {what} show -j")))
            .unwrap_or_else(|error| panic!("bpftool {what}: {error}"));
        list.as_array().cloned().unwrap_or_default()
    };
    let mut left = Vec::new();
    for what in ["prog", "map"] {
        for object in named(what) {
            let name = object["name"].as_str().unwrap_or_default();
            if is_ours(name) {
                left.push(format!("{what} {name}"));
            }
        }
    }
    for link in named("link") {
        if link["type"] == "tracing" {
            left.push(format!("link {}", link["id"]));
        }
    }
    left
}

/// .bss and .rodata are named after the object.
fn is_ours(name: &str) -> bool {
    name.starts_with("nsl_") || name.starts_with("netstac")
}

/// How many of these there are. Quick, where bpftool loads a program of its own
/// each time to find out who holds what.
pub fn count_in_the_kernel() -> usize {
    let programs = ProgInfoIter::default().map(|program| program.name);
    let maps = MapInfoIter::default().map(|map| map.name);
    let named = programs.chain(maps);
    let ours = named.filter(|name| is_ours(&name.to_string_lossy()));
    let links = LinkInfoIter::default();
    let tracing = links.filter(|link| matches!(link.info, LinkTypeInfo::Tracing(_)));
    ours.count() + tracing.count()
}
