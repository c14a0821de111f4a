// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Hosts as operators have them, and which alerts fire there: two hours each,
//! through promtool. (Values and single alerts: `exporter/alerts_test.yml`.)

use std::fmt::Write as _;
use std::path::Path;

use netstacklat::model::hooks::{Hook, Protocol};
use netstacklat::model::skips::SkipReason;

use super::{ALERTS, promtool};

/// How long each is looked at.
const MINUTES: u64 = 120;
/// Between looks.
const LOOK: u64 = 5;

/// What Prometheus has scraped.
struct Scenario {
    name: &'static str,
    interval_s: u64,
    series: Vec<(String, Vec<Option<f64>>)>,
    /// Alerts, how many of them, and from which minute on to which.
    fires: Vec<(&'static str, u64, u64, u64)>,
}

impl Scenario {
    fn new(name: &'static str) -> Scenario {
        Scenario {
            name,
            interval_s: 15,
            series: Vec::new(),
            fires: Vec::new(),
        }
    }

    fn scraped_every(mut self, interval_s: u64) -> Scenario {
        self.interval_s = interval_s;
        self
    }

    /// `value` is given the seconds since the beginning.
    fn series(&mut self, name: &str, value: impl Fn(u64) -> Option<f64>) {
        let scrapes = MINUTES * 60 / self.interval_s;
        let values = (0..=scrapes).map(|n| value(n * self.interval_s));
        self.series.push((name.to_owned(), values.collect()));
    }

    /// A host that is well, with these packets a second at a hook.
    fn host(&mut self, target: &Target, packets: impl Fn(Hook) -> f64) {
        self.series(&format!("up{{{target}}}"), |_| Some(1.0));
        self.clock("netstack", target);
        for hook in Hook::default_ones() {
            self.hook(target, hook, packets(hook), 0.001);
            for reason in SkipReason::all() {
                self.skips(target, hook, reason, |_| 0.0);
            }
        }
    }

    fn clock(&mut self, object: &str, target: &Target) {
        let name = |what: &str| format!("ebpf_exporter_{object}_clock_{what}{{{target}}}");
        self.series(&name("updates_total"), |s| Some(100.0 * s as f64));
        self.series(&name("steps_total"), |_| Some(0.0));
    }

    /// `slow`: the share of packets above 2^23 ns.
    fn hook(&mut self, target: &Target, hook: Hook, packets: f64, slow: f64) {
        let labels = format!("{target}, hook=\"{hook}\"");
        self.histogram("netstack", &labels, packets, slow);
    }

    fn histogram(&mut self, object: &str, labels: &str, packets: f64, slow: f64) {
        let family = format!("ebpf_exporter_{object}_latency_seconds");
        for (le, share) in [
            ("4.096e-06", 0.95),
            ("0.008388608", 1.0 - slow),
            ("0.016777216", 1.0),
            ("+Inf", 1.0),
        ] {
            let name = format!("{family}_bucket{{{labels}, le=\"{le}\"}}");
            self.series(&name, |s| Some((packets * share * s as f64).round()));
        }
        for (what, each) in [("count", 1.0), ("sum", 3e-6)] {
            let name = format!("{family}_{what}{{{labels}}}");
            self.series(&name, |s| Some((packets * s as f64).round() * each));
        }
    }

    fn skips(
        &mut self,
        target: &Target,
        hook: Hook,
        reason: SkipReason,
        count: impl Fn(u64) -> f64,
    ) {
        let name = format!(
            "ebpf_exporter_netstack_skipped_total{{{target}, hook=\"{hook}\", reason=\"{}\"}}",
            reason.name()
        );
        self.series.retain(|(known, _)| *known != name);
        self.series(&name, |s| Some(count(s)));
    }

    /// What has been added is not scraped at these times.
    fn lost(&mut self, is_lost: impl Fn(u64) -> bool) {
        for (name, values) in &mut self.series {
            for (n, value) in values.iter_mut().enumerate() {
                if is_lost(n as u64 * self.interval_s) {
                    // Prometheus itself makes this one, whatever happens.
                    *value = name.starts_with("up{").then_some(0.0);
                }
            }
        }
    }

    /// Counters begin anew.
    fn restart(&mut self, at_s: u64) {
        let at = (at_s / self.interval_s) as usize;
        for (name, values) in &mut self.series {
            if !name.starts_with("up{") {
                let fresh = values[..values.len() - at].to_vec();
                values.splice(at.., fresh);
            }
        }
    }

    fn fires(mut self, alert: &'static str, count: u64, from: u64, to: u64) -> Scenario {
        self.fires.push((alert, count, from, to));
        self
    }

    /// Just before, and just after, what fires begins and ends; else seldom.
    fn looks(&self) -> Vec<u64> {
        let mut looks: Vec<u64> = (LOOK..=MINUTES).step_by(LOOK as usize).collect();
        for (_, _, from, to) in &self.fires {
            looks.extend([from.saturating_sub(2), *from, *to, to + 2]);
        }
        looks.retain(|minute| *minute <= MINUTES);
        looks.sort_unstable();
        looks.dedup();
        looks
    }

    /// As promtool reads it.
    fn test(&self) -> String {
        let mut text = format!(
            "  # {}\n  - interval: {}s\n    input_series:\n",
            self.name, self.interval_s
        );
        for (name, values) in &self.series {
            let mut shown = String::new();
            for same in values.chunk_by(|one, other| one == other) {
                match same[0] {
                    Some(value) => write!(shown, "{value}x{} ", same.len() - 1),
                    None => write!(shown, "_x{} ", same.len()),
                }
                .expect("a text");
            }
            writeln!(
                text,
                "      - series: '{name}'\n        values: '{}'",
                shown.trim_end()
            )
            .expect("a text");
        }
        text += "    promql_expr_test:\n";
        for minute in self.looks() {
            text += "      - expr: count by (alertname) (ALERTS{alertstate=\"firing\"})\n";
            writeln!(text, "        eval_time: {minute}m").expect("a text");
            let now = self
                .fires
                .iter()
                .filter(|(_, _, from, to)| (*from..=*to).contains(&minute));
            let now: Vec<String> = now
                .map(|(name, count, _, _)| {
                    format!("          - labels: '{{alertname=\"{name}\"}}'\n            value: {count}\n")
                })
                .collect();
            if now.is_empty() {
                text += "        exp_samples: []\n"
            } else {
                text += &format!("        exp_samples:\n{}", now.concat())
            }
        }
        text
    }
}

/// Labels of a target.
struct Target(String);

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn target(instance: &str) -> Target {
    Target(format!("job=\"netstacklat\", instance=\"{instance}\""))
}

/// The hook that all packets pass.
fn first() -> Hook {
    let mut all = Hook::default_ones().filter(|hook| hook.protocol().is_none());
    all.next().expect("ip-start")
}

fn hook(name: &str) -> Hook {
    Hook::find(name).expect("a hook")
}

fn busy(_: Hook) -> f64 {
    100.0
}

fn one(name: &'static str, host: impl FnOnce(&mut Scenario, &Target)) -> Scenario {
    let mut scenario = Scenario::new(name);
    host(&mut scenario, &target("a"));
    scenario
}

/// Nobody is told anything there.
fn silent() -> Vec<Scenario> {
    let mut scenarios = vec![
        one("busy", |it, host| it.host(host, busy)),
        one("idle", |it, host| it.host(host, |_| 0.0)),
        one("no TCP", |it, host| {
            let tcp = Protocol::find("tcp");
            assert!(tcp.is_some());
            it.host(
                host,
                |hook| if hook.protocol() == tcp { 0.0 } else { 100.0 },
            );
        }),
        one("one long read each half hour", |it, host| {
            it.host(host, busy);
            it.skips(host, hook("udp-socket-read"), SkipReason::OVER_RANGE, |s| {
                (s / 1800) as f64
            });
        }),
        one("local TCP only, 82.8 % of it over loopback", |it, host| {
            it.host(host, busy);
            it.skips(host, first(), SkipReason::TX_TIMESTAMP, |s| {
                481.0 * s as f64
            });
        }),
        // 4 of the 100 samples of some windows: too few to say that 1 % are slow.
        one("few packets, some slow", |it, host| {
            it.host(host, |_| 0.0);
            it.series
                .retain(|(name, _)| !name.contains("hook=\"tcp-start\""));
            it.hook(host, hook("tcp-start"), 0.34, 0.04);
        }),
        one("a restart", |it, host| {
            it.host(host, busy);
            it.restart(3000);
        }),
        one("each third scrape is lost", |it, host| {
            it.host(host, busy);
            it.lost(|s| s / 15 % 3 == 1);
        }),
        one("a reboot of three minutes", |it, host| {
            it.host(host, busy);
            it.restart(3000);
            it.lost(|s| (3000..3180).contains(&s));
        }),
    ];
    let mut slowly = Scenario::new("scraped each minute").scraped_every(60);
    slowly.host(&target("a"), busy);
    slowly.restart(3600);
    scenarios.push(slowly);
    // Services that come, have 300 packets, and go.
    scenarios.push(one("short-lived services", |it, host| {
        it.host(host, busy);
        it.clock("netstack_group", host);
        for n in 0..20 {
            let labels = format!(
                "{host}, hook=\"tcp-socket-enqueued\", interface=\"eth0\", cgroup=\"/job-{n}\""
            );
            let before = it.series.len();
            it.histogram("netstack_group", &labels, 5.0, 0.5);
            let lives = n * 300..n * 300 + 60;
            for (_, values) in &mut it.series[before..] {
                for (scrape, value) in values.iter_mut().enumerate() {
                    let s = scrape as u64 * 15;
                    *value = value
                        .filter(|_| lives.contains(&s))
                        .map(|value| value - 5.0 * lives.start as f64);
                }
            }
        }
    }));
    scenarios
}

/// Somebody is told there, and of nothing else.
fn told() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    // On all hosts at once: no more than that it was so.
    let mut leap = Scenario::new("a leap second on six hosts");
    for n in 0..6 {
        let host = target(&format!("host-{n}"));
        leap.host(&host, busy);
        let steps = format!("ebpf_exporter_netstack_clock_steps_total{{{host}}}");
        leap.series.retain(|(name, _)| *name != steps);
        leap.series(&steps, |s| Some(f64::from(u8::from(s >= 3600))));
        leap.skips(&host, first(), SkipReason::CLOCK_STEP, |s| {
            if s >= 3600 { 100.0 } else { 0.0 }
        });
    }
    scenarios.push(leap.fires("NetstacklatClockStepped", 6, 60, 69));

    // The same `instance` in two clusters, one of them with a program that is not
    // attached: the other is not told of it, and rules do not fail.
    let mut clusters = Scenario::new("two clusters with the same instance");
    for (cluster, attached) in [("east", 0.0), ("west", 1.0)] {
        let host = Target(format!(
            "cluster=\"{cluster}\", job=\"netstacklat\", instance=\"a\""
        ));
        clusters.host(&host, busy);
        let id = format!("{host}, id=\"12\"");
        clusters.series(
            &format!("ebpf_exporter_ebpf_program_attached{{{id}}}"),
            |_| Some(attached),
        );
        let info = format!(
            "ebpf_exporter_ebpf_program_info{{{id}, config=\"netstacklat\", program=\"nsl_tcp_v4_rcv\", tag=\"bb\"}}"
        );
        clusters.series(&info, |_| Some(1.0));
        let lost = if cluster == "east" { 5.0 } else { 0.0 };
        clusters.skips(&host, first(), SkipReason::CLOCK_STEP, |s| lost * s as f64);
    }
    let clusters = clusters.fires("NetstacklatProgramNotAttached", 1, 5, MINUTES);
    scenarios.push(clusters.fires("NetstacklatSamplesLost", 1, 12, MINUTES));

    // Gone from service discovery.
    let mut gone = Scenario::new("the job disappears");
    gone.host(&target("a"), busy);
    for (_, values) in &mut gone.series {
        values.truncate(30 * 60 / 15);
    }
    scenarios.push(gone.fires("NetstacklatAbsent", 1, 45, MINUTES));

    // One cluster of two is gone from minute 70 on.
    let mut half = Scenario::new("one cluster of two disappears");
    for cluster in ["east", "west"] {
        let host = Target(format!(
            "cluster=\"{cluster}\", job=\"netstacklat\", instance=\"a\""
        ));
        half.host(&host, |_| 0.0);
    }
    for (name, values) in &mut half.series {
        if name.contains("east") {
            values.truncate(70 * 60 / 15);
        }
    }
    scenarios.push(half.fires("NetstacklatAbsent", 1, 85, MINUTES));

    // A container's packets have labels of their own.
    scenarios.push(
        one("a container with and without timestamps", |it, host| {
            let id = "container_id=\"3f1c\", pod_uid=\"0f9a\"";
            let labels = format!("{host}, hook=\"tcp-socket-enqueued\", interface=\"eth0\", cgroup=\"/c\", {id}");
            it.series(&format!("up{{{host}}}"), |_| Some(1.0));
            it.clock("netstack_group", host);
            it.histogram("netstack_group", &labels, 8.0, 0.0);
            let skips = format!(
                "ebpf_exporter_netstack_group_skipped_total{{{host}, hook=\"tcp-socket-enqueued\", reason=\"no-timestamp\"}}"
            );
            it.series(&skips, |s| Some(0.1 * s as f64));
        }),
    );

    // The grouped object alone: its clock stops, and no packet has a timestamp.
    let mut groups = Scenario::new("the grouped object alone");
    let (frozen, unstamped) = (target("frozen"), target("unstamped"));
    for host in [&frozen, &unstamped] {
        groups.series(&format!("up{{{host}}}"), |_| Some(1.0));
        groups.clock("netstack_group", host);
    }
    let updates = format!("ebpf_exporter_netstack_group_clock_updates_total{{{frozen}}}");
    groups.series.retain(|(name, _)| *name != updates);
    groups.series(&updates, |s| Some(100.0 * s.min(1800) as f64));
    let skips = format!(
        "ebpf_exporter_netstack_group_skipped_total{{{unstamped}, hook=\"udp-start\", reason=\"no-timestamp\"}}"
    );
    groups.series(&skips, |s| Some(50.0 * s as f64));
    let groups = groups.fires("NetstacklatNotStamped", 1, 6, MINUTES);
    scenarios.push(groups.fires("NetstacklatStalled", 1, 40, MINUTES));

    scenarios.push(
        one("1.5 % of reads are over range", |it, host| {
            it.host(host, busy);
            it.skips(host, hook("udp-socket-read"), SkipReason::OVER_RANGE, |s| {
                1.5 * s as f64
            });
        })
        .fires("NetstacklatOverRange", 1, 17, MINUTES),
    );
    scenarios.push(
        one("a slow service on a host that is well", |it, host| {
            it.host(host, busy);
            it.clock("netstack_group", host);
            for (cgroup, slow) in [("/slow", 0.02), ("/well", 0.001)] {
                let labels = format!(
                    "{host}, hook=\"tcp-socket-enqueued\", interface=\"eth0\", cgroup=\"{cgroup}\""
                );
                it.histogram("netstack_group", &labels, 50.0, slow);
            }
        })
        .fires("NetstacklatServiceSlow", 1, 12, MINUTES),
    );
    scenarios
}

fn run(name: &str, scenarios: &[Scenario]) {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("exporter/alerts.yml");
    let groups: Vec<&str> = ALERTS
        .lines()
        .filter_map(|line| line.strip_prefix("  - name: "))
        .collect();
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ngroup_eval_order: [{}]\ntests:\n",
        rules.display(),
        groups.join(", ")
    );
    for scenario in scenarios {
        text += &scenario.test();
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("alerts-{name}.yml"));
    std::fs::write(&path, text).expect("a file of ours");
    promtool(&["test", "rules", path.to_str().expect("UTF-8")]);
}

#[test]
fn nobody_is_woken_for_nothing() {
    run("silent", &silent());
}

#[test]
fn somebody_is_told_of_what_matters() {
    run("told", &told());
}
