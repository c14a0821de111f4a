// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The alerts: when they fire, what that means, and what a person does then.

use std::borrow::Cow;

use netstacklat::model::exported::{ExportedKey, ExportedKeys};

use crate::monitoring::grouped::{is_one, labels, recorded};
use crate::monitoring::queries::{GROUP_LATENCY, GROUP_SKIPPED, LATENCY, SKIPPED};

/// Where the documents are read. `make install DOCS_URL=...` puts another address
/// in its place.
const DOCS_URL: &str = "https://netstacklat.example/";

pub struct Alert {
    pub name: &'static str,
    pub expression: String,
    /// For how long; empty: at once.
    pub lasting: &'static str,
    pub severity: &'static str,
    pub summary: Cow<'static, str>,
    /// What is true when it fires.
    pub meaning: &'static str,
    /// What to do.
    pub action: &'static str,
    /// Document and section.
    pub see: &'static str,
}

impl Alert {
    pub fn runbook_url(&self) -> String {
        format!("{DOCS_URL}{}", self.see)
    }
}

/// Name, remark and alerts of each group of rules.
pub fn groups(keys: &ExportedKeys) -> Vec<(&'static str, &'static str, Vec<Alert>)> {
    vec![
        (
            "netstacklat-exporter",
            "Is anything measured?",
            exporter(keys),
        ),
        (
            "netstacklat-left-out",
            "What the figures leave out.",
            excluded(),
        ),
        (
            "netstacklat-latency",
            "The network itself: examples. Choose hooks and thresholds to suit.",
            latency(keys),
        ),
    ]
}

/// Latencies of either object are under one name each.
fn of_either(query: impl Fn(&str) -> String, hooks: &str, groups: &str) -> String {
    format!("{}\n  or\n{}", query(hooks), query(groups))
}

const CLOCK: &str = "ebpf_exporter_netstack_clock";
const GROUP_CLOCK: &str = "ebpf_exporter_netstack_group_clock";

fn exporter(keys: &ExportedKeys) -> Vec<Alert> {
    let not_stamped = |skipped: &str, latency: &str, labels: &str| {
        format!(
            "sum without (hook, reason) (rate({skipped}{{reason=\"no-timestamp\"}}[5m])) > 0\n  unless\n\
             sum without ({labels}) (rate({latency}_count[5m])) > 0"
        )
    };
    vec![
        Alert {
            name: "NetstacklatAbsent",
            // Of several clusters one may be gone: within an hour it is missed.
            expression: "absent(up{job=\"netstacklat\"})\n  or\n\
                         (group by (cluster, job) (up{job=\"netstacklat\"} offset 1h)\n  \
                         unless group by (cluster, job) (up{job=\"netstacklat\"}))"
                .into(),
            lasting: "10m",
            severity: "warning",
            summary: "Prometheus has no target of the job netstacklat".into(),
            meaning: "No host is measured, and no other alert here can fire: the job is gone from the configuration of \
                      Prometheus, or its service discovery finds nothing.",
            action: "Look for the job on the page of targets of Prometheus. If it was taken out on purpose, take these \
                     rules out, too.",
            see: "exporter/README.md#quick-start",
        },
        Alert {
            name: "NetstacklatTargetDown",
            expression: "up{job=\"netstacklat\"} == 0".into(),
            lasting: "5m",
            severity: "warning",
            summary: "No answer from ebpf_exporter on {{ $labels.instance }}".into(),
            meaning: "Prometheus cannot scrape it. Nothing has been recorded since then, and no other alert can fire for this \
                      host.",
            action: "On the host: `systemctl status ebpf_exporter`, and `curl http://{{ $labels.instance }}/metrics`. If it \
                     exits at its start, its log says which program the kernel refused; `sudo netstacklat check` says why.",
            see: "docs/troubleshooting.md#startup-errors",
        },
        Alert {
            name: "NetstacklatNotExported",
            // The labels of `up` are those of the target, as are those of the clock.
            expression: format!(
                "up{{job=\"netstacklat\"}} == 1\n  unless\n({CLOCK}_updates_total or {GROUP_CLOCK}_updates_total)"
            ),
            lasting: "5m",
            severity: "warning",
            summary: "{{ $labels.instance }} answers, and serves nothing of netstacklat".into(),
            meaning: "No latencies come from this target, and none of the alerts below can fire.",
            action: "Is netstacklat, or netstacklat-groups, among the --config.names of its ebpf_exporter? Is it \
                     ebpf_exporter that answers on this port?",
            see: "exporter/README.md#quick-start",
        },
        Alert {
            name: "NetstacklatProgramNotAttached",
            expression: "ebpf_exporter_ebpf_program_info{config=~\"netstacklat.*\"}\n  \
                         and ignoring (config, program, tag)\n\
                         (ebpf_exporter_ebpf_program_attached == 0)"
                .into(),
            lasting: "5m",
            severity: "warning",
            summary: "{{ $labels.program }} is not attached on {{ $labels.instance }}".into(),
            meaning: "The kernel took this BPF program and refused to attach it. Its hook measures nothing, or half of the \
                      packets (IPv4 or IPv6). If it is the one of update_vsyscall, no hook measures anything.",
            action: "The exporter's log has the reason; `sudo netstacklat check` on the host has the remedy.",
            see: "docs/troubleshooting.md#no-hook-could-be-attached",
        },
        Alert {
            name: "NetstacklatDecoderErrors",
            expression:
                "increase(ebpf_exporter_decoder_errors_total{config=~\"netstacklat.*\"}[10m]) > 0"
                    .into(),
            lasting: "",
            severity: "warning",
            summary: "ebpf_exporter cannot read maps of {{ $labels.config }} on {{ $labels.instance }}".into(),
            meaning: "The metric whose map could not be read is missing from the scrape; the exporter's log names it.",
            action: "Object and YAML come from different versions, most likely: install both again, and restart the \
                     exporter.",
            see: "exporter/README.md#quick-start",
        },
        Alert {
            name: "NetstacklatStalled",
            expression: of_either(
                |clock| format!("rate({clock}_updates_total[5m]) == 0"),
                CLOCK,
                GROUP_CLOCK,
            ),
            lasting: "5m",
            severity: "warning",
            summary: "The kernel on {{ $labels.instance }} calls no tracing programs any more".into(),
            meaning: "The program that follows the kernel's clock, which runs many times a second on any host, has not run \
                      for five minutes: no hook measures, and silence means nothing.",
            action: "Most likely somebody has set kernel.ftrace_enabled to 0. `sysctl kernel.ftrace_enabled` shows it, \
                     `sysctl -w kernel.ftrace_enabled=1` puts it right at once.",
            see: "docs/troubleshooting.md#stalled-the-kernel-called-no-bpf-program-in-this-interval",
        },
        Alert {
            name: "NetstacklatNotStamped",
            expression: format!(
                "({})\n  or\n({})",
                not_stamped(SKIPPED, LATENCY, "hook"),
                not_stamped(
                    GROUP_SKIPPED,
                    GROUP_LATENCY,
                    &format!("hook, {}", labels(keys))
                )
            ),
            lasting: "5m",
            severity: "warning",
            summary: "Packets on {{ $labels.instance }} have no receive timestamps, so nothing is measured".into(),
            meaning: "{{ $value | humanize }} times a second a hook saw a packet without a timestamp, and none with one. The \
                      kernel timestamps packets while any socket asks for it, and no socket does.",
            action: "Start ebpf_exporter by ebpf_exporter.socket, which asks for it (`systemctl status \
                     ebpf_exporter.socket`), or run `netstacklat hold-timestamps`.",
            see: "docs/troubleshooting.md#not-measured-no-timestamp",
        },
    ]
}

fn excluded() -> Vec<Alert> {
    let enough = "instance_hook:netstack_due:rate5m * 300 >= 1000";
    let ratio = "instance_hook_reason:netstack_skipped:ratio_rate5m";
    vec![
        Alert {
            name: "NetstacklatSamplesLost",
            // Where no packet has a timestamp at all, NetstacklatNotStamped says it
            // once instead of each hook. Of fewer than 1,000 packets a few are a
            // per cent.
            expression: format!(
                "(\n  {ratio}{{reason!~\"no-timestamp|over-range|hol-blocked|mptcp\"}} > 0.01\n    or\n  \
                 {ratio}{{reason=\"no-timestamp\"}} > 0.01\n    \
                 and ignoring (hook, reason) sum without (hook) (instance_hook:netstack_latency_seconds_count:rate5m) > 0\n)\n  \
                 and ignoring (reason) {enough}"
            ),
            lasting: "10m",
            severity: "warning",
            summary: "{{ $value | humanizePercentage }} of packets not measured at {{ $labels.hook }} on {{ $labels.instance }}: \
                      {{ $labels.reason }}"
                .into(),
            meaning: "Quantiles and means of this hook leave these packets out, so a p99 does not speak for all of them.",
            action: "no-timestamp: timestamping was off for a part of the time, see NetstacklatNotStamped. clock-step, \
                     negative: something keeps setting the clock (`chronyc tracking`). clock-not-ready: the clock's program \
                     is not attached. collapsed: these are the slowest reads of TCP; a reader is late, and its receive buffer \
                     is short (`nstat -az TcpExtTCPRcvCollapsed`). entry-missed, map-full: see the reasons in docs/json.md.",
            see: "docs/troubleshooting.md#it-runs-but-the-output-looks-wrong",
        },
        Alert {
            name: "NetstacklatReadsLeftOut",
            expression: format!(
                "{ratio}{{reason=~\"hol-blocked|mptcp\"}} > 0.01\n  and ignoring (reason) {enough}"
            ),
            lasting: "15m",
            severity: "info",
            summary: "{{ $value | humanizePercentage }} of reads not measured at {{ $labels.hook }} on {{ $labels.instance }}: \
                      {{ $labels.reason }}"
                .into(),
            meaning: "Usual where clients send over lossy paths (hol-blocked: the read waited for a lost segment, which is not \
                      this stack's time), or by MPTCP. The other reads are measured; a p99 does not speak for these.",
            action: "Nothing, where it is usual. If hol-blocked is new here, packets are being lost on the way: `nstat -az \
                     TcpExtTCPOFOQueue` counts what came out of order.",
            see: "docs/troubleshooting.md#not-measured-hol-blocked",
        },
        Alert {
            name: "NetstacklatOverRange",
            expression: format!(
                "{ratio}{{reason=\"over-range\"}} > 0.01\n  and ignoring (reason) {enough}"
            ),
            lasting: "15m",
            severity: "info",
            summary: "{{ $value | humanizePercentage }} of latencies at {{ $labels.hook }} on {{ $labels.instance }} are above 17.2 s".into(),
            meaning: "They are in no bucket, no count and no sum; only the recorded quantiles include them.",
            action: "At a socket-read hook, a program leaves data unread for so long: `ss -tum` shows receive queues. At any \
                     other hook, suspect the clock (`chronyc tracking`).",
            see: "docs/json.md#reasons-in-skipped",
        },
        Alert {
            name: "NetstacklatClockStepped",
            expression: of_either(
                |clock| format!("increase({clock}_steps_total[10m]) > 0"),
                CLOCK,
                GROUP_CLOCK,
            ),
            lasting: "",
            severity: "info",
            summary: "The wall clock of {{ $labels.instance }} was set".into(),
            meaning: "A leap second, or somebody has stepped it. Packets that straddle it count as clock-step and are not \
                      measured: after a step back, all packets for as long as it went back, up to 17.2 s. Latencies \
                      recorded are right all the same.",
            action: "Once, and on all hosts: a leap second, nothing to do. Again and again: mend the time server first \
                     (`chronyc tracking`, `timedatectl timesync-status`).",
            see: "docs/troubleshooting.md#not-measured-clock-step",
        },
    ]
}

fn latency(keys: &ExportedKeys) -> Vec<Alert> {
    vec![
        // Hooks in front of the sockets, where it is the kernel's time and not that
        // of the programs that read. The threshold is a bound of a bucket (2^23 ns),
        // at which a quantile is compared exactly; between bounds it is a guess.
        Alert {
            name: "NetstacklatStackSlow",
            expression: "instance_hook:netstack_latency_seconds:p99_rate5m{hook=~\"ip-start|tcp-start|udp-start\"} > 0.008388608\n  \
                         and instance_hook:netstack_latency_seconds_count:rate5m * 300 >= 1000"
                .into(),
            lasting: "10m",
            severity: "warning",
            summary: "More than 1 % of packets on {{ $labels.instance }} need over 8.4 ms to {{ $labels.hook }}".into(),
            meaning: "The p99 from entering the stack to this hook is {{ $value | humanizeDuration }}, in the kernel, before \
                      any program reads.",
            action: "ip-start is slow: CPUs are busy with other softirqs or starved (a virtual machine: `vmstat`, column st). \
                     Only tcp-start or udp-start: firewall rules, conntrack or routing, see what changed. instance_hook:netstack_latency_seconds_count:rate5m \
                     shows how many packets a second that is of.",
            see: "docs/what-is-counted.md#on-the-way-to-the-socket",
        },
        Alert {
            name: "NetstacklatServiceSlow",
            expression: slow_groups(keys),
            lasting: "10m",
            severity: "warning",
            summary: format!(
                "More than 1 % of packets for {} on {{{{ $labels.instance }}}} need over 8.4 ms to its sockets",
                whose(keys)
            )
            .into(),
            meaning: "The p99 from entering the stack to the socket's queue ({{ $labels.hook }}) is {{ $value | \
                      humanizeDuration }}, in the kernel, before the service reads.",
            action: "If NetstacklatStackSlow fires on this host, start there: it is not this service alone. Else look at what \
                     only this service's packets pass: its sockets' locks (many threads on one socket), its firewall rules.",
            see: "docs/what-is-counted.md#on-the-way-to-the-socket",
        },
    ]
}

fn slow_groups(keys: &ExportedKeys) -> String {
    let slow = |key: ExportedKey| {
        let level = format!("instance_{}_hook", key.label());
        let is_one = is_one(key);
        format!(
            "{level}:netstack_group_latency_seconds:p99_rate5m{{hook=~\".*-socket-enqueued\", {is_one}}} > 0.008388608\n  \
             and {level}:netstack_group_latency_seconds_count:rate5m * 300 >= 1000"
        )
    };
    let slow: Vec<_> = recorded(keys).into_iter().map(slow).collect();
    slow.join("\n  or\n")
}

/// The value of the label that the alert has; a number says nothing without it.
fn whose(keys: &ExportedKeys) -> String {
    let value = |key: &ExportedKey| {
        let (name, label) = (key.name(), key.label());
        format!("{{{{ with $labels.{label} }}}}{name} {{{{ . }}}}{{{{ end }}}}")
    };
    match &recorded(keys)[..] {
        [key] if key.name() == "cgroup" => "{{ $labels.cgroup }}".into(),
        several => several.iter().map(value).collect(),
    }
}
