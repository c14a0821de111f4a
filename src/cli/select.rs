// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is measured: the options that live view, `record` and `compare` share.
//!
//! An option is added to [`SelectArgs`] and nowhere else. Then all three have
//! it, and [`SelectArgs::selection`], which names every option, puts it into
//! run files. The tests below fail for an option that is missing in either.

use clap::Args;

use std::path::PathBuf;

use crate::cli::hook_parser::{HookParser, union};
use crate::cli::listing::{ListingArgs, sort_parser, top_parser};
use crate::cli::sizes::{Size, parse_size};
use crate::model::flow_choice::{FlowChoice, IpVersion, Network, PortRange, QueueRange, Transport};
use crate::model::group::MAX_GROUPS;
use crate::model::grouping::{GroupKey, Grouping};
use crate::model::hook_choice::HookChoice;
use crate::model::hooks::{Hook, HookSet};
use crate::model::listing::{GroupSort, Listing};
use crate::model::owner_choice::{CommChoice, WorkloadChoice};
use crate::model::packet_choice::{
    CgroupChoice, InterfaceChoice, NamespaceChoice, PacketChoice, parse_pid,
};
use crate::model::sampling::Sampling;
use crate::model::slow::SlowLimit;
use crate::model::tables;

/// What to measure.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What to measure")]
pub struct SelectArgs {
    /// Measure only these hooks, comma-separated: names, kernel functions,
    /// quoted globs ('tcp*'), or the sets light, original, forwarding, softirq,
    /// default and all. A glob matches optional hooks only if it matches no others
    #[arg(
        short = 'e',
        long,
        alias = "enable-probes",
        value_name = "HOOK,GLOB,SET",
        value_delimiter = ',',
        value_parser = HookParser,
        hide_possible_values = true,
        conflicts_with = "exclude_hooks"
    )]
    pub hooks: Vec<HookChoice>,

    /// Measure the default hooks except these
    #[arg(
        short = 'd',
        long,
        alias = "disable-probes",
        value_name = "HOOK,GLOB,SET",
        value_delimiter = ',',
        value_parser = HookParser,
        hide_possible_values = true
    )]
    pub exclude_hooks: Vec<HookChoice>,

    /// Measure only packets received on these interfaces (names or indexes). They
    /// are looked up in the network namespace of -n, or in netstacklat's own
    #[arg(short = 'i', long, value_name = "INTERFACE", value_delimiter = ',')]
    pub interfaces: Vec<InterfaceChoice>,

    /// Measure only packets of this network namespace: a name of `ip netns`, a
    /// path, pid:123, an inode number, self, or all (the default)
    #[arg(short = 'n', long, value_name = "NETNS")]
    pub network_namespace: Option<NamespaceChoice>,

    /// Measure only packets that these processes read
    #[arg(short = 'p', long, value_name = "PID", value_delimiter = ',', value_parser = parse_pid)]
    pub pids: Vec<u32>,

    /// Measure only packets of sockets made in these cgroups (v2), or in cgroups
    /// below them: paths, or ids
    #[arg(short = 'c', long, value_name = "CGROUP", value_delimiter = ',')]
    pub cgroups: Vec<CgroupChoice>,

    /// Where cgroup v2 is mounted; default: look for it
    #[arg(short = 'm', long, value_name = "DIRECTORY")]
    pub cgroup_mount: Option<PathBuf>,

    /// Measure only packets with one of these ports, local or remote: numbers, or
    /// ranges as in 8000-8080
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub port: Vec<PortRange>,

    /// Measure only packets to these ports (destination port)
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub local_port: Vec<PortRange>,

    /// Measure only packets from these ports (source port)
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub remote_port: Vec<PortRange>,

    /// Measure only packets from or to these addresses or networks, as in
    /// 192.0.2.0/24 or 2001:db8::/32
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub ip: Vec<Network>,

    /// Measure only IPv4; with -6, both
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// Measure only IPv6; with -4, both
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// Measure only TCP; with --udp, TCP and UDP
    #[arg(long)]
    pub tcp: bool,

    /// Measure only UDP; with --tcp, TCP and UDP
    #[arg(long)]
    pub udp: bool,

    /// Measure only packets received on these receive queues: numbers from 0 to
    /// 1023, or ranges
    #[arg(long, value_name = "QUEUE", value_delimiter = ',')]
    pub rx_queue: Vec<QueueRange>,

    /// Measure only reads that leave at least this many packets in the socket's
    /// queue
    #[arg(
        short = 'q',
        long,
        alias = "min-queuelength",
        value_name = "PACKETS",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub min_queue_length: Option<u32>,

    /// Also measure TCP reads that waited for a missing segment. The network
    /// delayed them, not this host
    #[arg(short = 'y', long)]
    pub include_tcp_hol_delay: bool,

    /// Measure only one in N packets, the same ones at every hook, which costs
    /// less. Counts are then shown multiplied by N, with a ~
    #[arg(long, value_name = "1/N")]
    pub sample: Option<Sampling>,

    /// Also measure stages: how long each packet took from one hook to the next
    #[arg(long, overrides_with = "no_stages")]
    pub stages: bool,

    /// Measure no stages (the default)
    #[arg(
        long,
        overrides_with = "stages",
        conflicts_with_all = ["notes", "slower_than", "slowest"]
    )]
    pub no_stages: bool,

    /// The size of the table of notes of --stages: 1024 to 1048576, rounded up to a
    /// power of two (default: 16384). A larger table loses fewer notes
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(
            i64::from(tables::MIN_NOTES)..=i64::from(tables::MAX_NOTES)
        )
    )]
    pub notes: Option<u32>,

    /// Show the slowest packets in full, of those that are at least this old at HOOK
    /// (default: the last hook of each path). Turns on --stages
    #[arg(long, value_name = "[HOOK:]TIME", value_delimiter = ',')]
    pub slower_than: Vec<SlowLimit>,

    /// How many slow packets to show in each report, at most (default: 10). Without
    /// --slower-than: of all packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_SLOW))]
    pub slowest: Option<u32>,

    /// Hide addresses, network namespaces, cgroups and processes of slow packets, and
    /// the values of --ip, --pids and similar filters, here and in run files
    #[arg(long)]
    pub redact: bool,

    /// Measure only packets of sockets made in these containers: names, quoted
    /// globs, or the beginnings of ids
    #[arg(long, value_name = "NAME,ID", value_delimiter = ',')]
    pub container: Vec<WorkloadChoice>,

    /// Measure only packets of sockets made in these pods: names, NAMESPACE/NAME,
    /// quoted globs, or the beginnings of UIDs
    #[arg(long, value_name = "NAME,UID", value_delimiter = ',')]
    pub pod: Vec<WorkloadChoice>,

    /// Measure only packets that processes of these names read, as /proc/PID/comm
    /// shows them (names or quoted globs). Any user can give a process any name
    #[arg(long, value_name = "NAME,GLOB", value_delimiter = ',')]
    pub comm: Vec<CommChoice>,

    /// Group packets by interface, netns, cgroup, container, pod, process,
    /// local-port, remote-ip, cpu, rx-queue or family, or by several of them
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub by: Vec<GroupKey>,

    /// Same as --by interface
    #[arg(short = 'I', long, hide = true)]
    pub groupby_interface: bool,

    /// Same as --by cgroup
    #[arg(short = 'C', long, hide = true)]
    pub groupby_cgroup: bool,

    /// With --by: how many groups are told apart; packets of more are counted
    /// in the group "other" [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_GROUPS as i64))]
    pub max_groups: Option<u32>,

    /// With --by: kernel memory for the groups' histograms [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub group_memory: Option<Size>,

    /// With --by: list the first N groups; JSON and run files hold all. `compare`
    /// judges the N groups with most packets [default: 10]
    #[arg(long, value_name = "N", value_parser = top_parser())]
    pub top: Option<u32>,

    /// With --by: the order of groups: slow (largest share of packets above the
    /// p99 of all packets), p99, p50, count or name [default: slow]
    #[arg(long, value_name = "ORDER", hide_possible_values = true, value_parser = sort_parser())]
    pub sort: Option<GroupSort>,
}

/// Groups that are told apart, unless the user says how many.
const GROUPS: u32 = 256;
/// Memory for their histograms, bytes.
const GROUP_MEMORY: u64 = 64 << 20;
/// Slow packets in a report, if the user says nothing, and at most.
const SLOWEST: usize = 10;
const MOST_SLOW: i64 = 256;

impl SelectArgs {
    /// The packets that the user wants.
    pub fn packets(&self) -> PacketChoice {
        PacketChoice {
            interfaces: self.interfaces.clone(),
            namespace: self.network_namespace.clone().unwrap_or_default(),
            pids: self.pids.clone(),
            cgroups: self.cgroups.clone(),
            cgroup_mount: self.cgroup_mount.clone(),
            min_queue: self.min_queue_length,
            include_hol_blocked: self.include_tcp_hol_delay,
            flow: FlowChoice {
                version: match (self.ipv4, self.ipv6) {
                    (true, false) => Some(IpVersion::V4),
                    (false, true) => Some(IpVersion::V6),
                    // There is no third.
                    (true, true) | (false, false) => None,
                },
                transports: self.transports(),
                ports: self.port.clone(),
                local_ports: self.local_port.clone(),
                remote_ports: self.remote_port.clone(),
                networks: self.ip.clone(),
                rx_queues: self.rx_queue.clone(),
            },
            containers: self.container.clone(),
            pods: self.pod.clone(),
            comms: self.comm.clone(),
        }
    }

    fn transports(&self) -> Vec<Transport> {
        let asked = [(self.tcp, Transport::Tcp), (self.udp, Transport::Udp)];
        let asked = asked.into_iter().filter(|(on, _)| *on);
        asked.map(|(_, transport)| transport).collect()
    }

    /// Which share of the packets is measured.
    pub fn sampling(&self) -> Sampling {
        self.sample.unwrap_or_default()
    }

    /// The same with the sentence that says where the slowest packets spent their time,
    /// if stages are measured. It takes those packets, of which none need be shown. (A
    /// run with groups has no stages, and says so.)
    pub(super) fn with_sentences(mut self) -> SelectArgs {
        let alone = self.notes().is_some() && self.slow_limits().is_empty();
        if alone && self.grouping().is_none() {
            self.slowest = Some(0);
        }
        self
    }

    /// From which ages on packets are slow; empty: none is shown. `--slowest` alone
    /// shows the slowest of all.
    pub fn slow_limits(&self) -> Vec<SlowLimit> {
        if self.slower_than.is_empty() && self.slowest.is_some() {
            return vec![SlowLimit::any()];
        }
        self.slower_than.clone()
    }

    /// How many of them are shown in a report.
    pub fn slowest(&self) -> usize {
        self.slowest.map_or(SLOWEST, |most| most as usize)
    }

    /// Whether what is shown of packets says who uses this host.
    pub fn shows_private_data(&self) -> bool {
        !self.slow_limits().is_empty() && !self.redact
    }

    /// How many notes there is room for; `None`: no stages are measured.
    pub fn notes(&self) -> Option<u32> {
        let asked = self.stages || self.notes.is_some() || !self.slow_limits().is_empty();
        let on = asked && !self.no_stages;
        on.then(|| {
            self.notes
                .unwrap_or(tables::DEFAULT_NOTES)
                .next_power_of_two()
        })
    }

    /// What packets are counted apart by; `None`: they are counted in one.
    pub fn grouping(&self) -> Option<Grouping> {
        let mut keys: Vec<GroupKey> = Vec::new();
        let short = [
            (self.groupby_interface, GroupKey::Interface),
            (self.groupby_cgroup, GroupKey::Cgroup),
        ];
        let short = short.into_iter().filter(|(given, _)| *given);
        for key in self.by.iter().copied().chain(short.map(|(_, key)| key)) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        (!keys.is_empty()).then_some(Grouping {
            keys,
            max_groups: self.max_groups.unwrap_or(GROUPS),
            memory: self.group_memory.map_or(GROUP_MEMORY, |size| size.0),
        })
    }

    /// The groups that are listed, and in which order.
    pub fn listing(&self) -> Listing {
        let (top, sort) = (self.top, self.sort);
        ListingArgs { top, sort }.listing()
    }

    /// The hooks that are listed: all, unless the user chooses some.
    pub fn listed_hooks(&self) -> HookSet {
        if self.hooks.is_empty() && self.exclude_hooks.is_empty() {
            HookSet::ALL
        } else {
            self.wanted_hooks()
        }
    }

    /// The hooks that the user wants.
    pub fn wanted_hooks(&self) -> HookSet {
        let chosen = if self.hooks.is_empty() {
            HookSet::default_ones().minus(union(&self.exclude_hooks))
        } else {
            union(&self.hooks)
        };
        let transports = self.transports();
        if transports.is_empty() {
            return chosen;
        }
        // No packet passes the hooks of the other protocol.
        let is_of = |hook: &Hook, transport: &Transport| {
            let protocol = hook.protocol();
            protocol.is_some_and(|protocol| protocol.name() == transport.name())
        };
        let passes = |hook: &Hook| {
            let mut unwanted = Transport::ALL
                .iter()
                .filter(|transport| !transports.contains(transport));
            !unwanted.any(|transport| is_of(hook, transport))
        };
        chosen.iter().filter(passes).collect()
    }
}
