// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What people look at, on real data: our object in the real ebpf_exporter,
//! scraped by the real Prometheus with `exporter/prometheus.yml` and
//! `exporter/alerts.yml`. Every expression of the rules and of the dashboard must
//! give something. All of it runs on any kernel alike: `tools/vm/test` runs this
//! file on one, in a guest of its own.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netstacklat::model::hooks::Hook;

use super::dashboard::Dashboard;
use super::groups::Cgroup;
use super::snippet;
use testlab::clock::Settings;
use testlab::exporter::{Exporter, Listen, config};
use testlab::links::Link;
use testlab::load::{Background, Rate};
use testlab::prometheus::{Prometheus, Rule, Sample};
use testlab::tcp::{Connection, Load};
use testlab::udp::{Flow, exchange, until_stamped};
use testlab::{Family, Undo};

const README: &str = include_str!("../../../exporter/README.md");
const SECOND_NS: i64 = 1_000_000_000;
/// 2^34 ns, and some.
const OVER_RANGE: Duration = Duration::from_millis(17_500);

#[test]
fn every_expression_gives_something() {
    let both = "netstacklat,netstacklat-groups";
    let exporter = Exporter::start_with(&config(), both, Listen::Port(snippet::PORT));
    let prometheus = Prometheus::start();
    let alerts = Alerts::of(&prometheus);
    let traffic = Background::start(Rate::Moderate, 8800);

    // Nobody has asked for stamps yet.
    alerts.fires("NetstacklatNotStamped");
    let _stamping = Flow::open(Family::V4, 8790).with_stamps();
    until_stamped(true);
    exchange(&[flow_in(&snippet::of_a_container(), 8780)], 10);
    let late = Flow::open(Family::V4, 8791);
    late.send(0);
    let sent = Instant::now();
    alerts.fires("NetstacklatSamplesLost");
    let provoked_below = [
        "NetstacklatOverRange",
        "NetstacklatClockStepped",
        "NetstacklatStalled",
    ];
    for name in provoked_below {
        assert!(alerts.query(name).is_empty(), "{name} for no reason");
    }
    over_loopback();
    sleep(OVER_RANGE.saturating_sub(sent.elapsed()));
    late.receive();
    alerts.fires("NetstacklatOverRange");
    assert!(alerts.query("NetstacklatNotStamped").is_empty());
    // Forward, and back only when Prometheus is gone: it goes by this clock.
    let clock = Settings::keep();
    clock.step(SECOND_NS);
    alerts.fires("NetstacklatClockStepped");
    alerts.fires("NetstacklatStackSlow");
    alerts.fires("NetstacklatServiceSlow");
    alerts.fires("NetstacklatAbsent");
    alerts.fires("NetstacklatProgramNotAttached");
    alerts.fires("NetstacklatDecoderErrors");
    alerts.fires("NetstacklatReadsLeftOut");
    alerts.fires("NetstacklatNotExported");
    look_without_reading();
    records(&prometheus);
    dashboard(&prometheus);
    readme(&prometheus);
    traffic.stop_ignoring_loss();
    snippet::holds(&exporter, &prometheus);

    let off = Undo::after(
        "sysctl -qw kernel.ftrace_enabled=0",
        "sysctl -qw kernel.ftrace_enabled=1",
    );
    alerts.fires("NetstacklatStalled");
    drop(off);
    exporter.stop();
    alerts.fires("NetstacklatTargetDown");
    assert_eq!(alerts.fired(), alerts.names(), "not all were looked at");
    drop(prometheus);
    drop(clock);
}

/// What `make bpf GROUP_BY=local-port,family` has made, in place of ours.
#[test]
fn every_expression_by_other_keys_gives_something() {
    let made = config().join("by-port");
    let read = |name: &str| std::fs::read_to_string(made.join(name)).expect("it was made");
    let both = "netstacklat,netstacklat-groups";
    let exporter = Exporter::start_with(&made, both, Listen::Port(snippet::PORT));
    let prometheus = Prometheus::with_rules(&read("alerts.yml"));
    let _stamping = Flow::open(Family::V4, 8795).with_stamps();
    until_stamped(true);
    let traffic = Background::start(Rate::Moderate, 8800);
    let over_range = Flow::open(Family::V4, 8796);
    over_range.send(0);
    over_loopback();
    look_without_reading();
    sleep(OVER_RANGE);
    over_range.receive();
    // Back only when Prometheus is gone, as above.
    let clock = Settings::keep();
    clock.step(SECOND_NS);
    let dashboard = Dashboard::read(&read("grafana-netstacklat.json"), &prometheus);
    records(&prometheus);
    of_dashboard(&prometheus, &dashboard);
    let by_port = prometheus.wait_for(
        "sum by (local_port) (rate(ebpf_exporter_netstack_group_latency_seconds_count{hook=\"udp-socket-read\"}[1m])) > 0",
    );
    let ports: BTreeSet<_> = by_port
        .iter()
        .map(|sample| sample.metric["local_port"].as_str())
        .collect();
    assert!(ports.contains("8800"), "{ports:?}");
    traffic.stop_ignoring_loss();
    exporter.stop();
    drop(prometheus);
    drop(clock);
}

/// A flow whose sockets are in this cgroup, which stays.
fn flow_in(cgroup: &str, port: u16) -> Flow {
    let path = std::path::Path::new("/sys/fs/cgroup").join(cgroup);
    let parent = path.parent().expect("it has one");
    std::fs::create_dir_all(parent).expect("cgroups");
    let cgroup = Cgroup::enter(cgroup);
    let flow = Flow::open(Family::V4, port);
    cgroup.leave();
    flow
}

/// TCP whose segments carry a transmit time, as those of scrapes do.
fn over_loopback() {
    let load = Load {
        writes: 3000,
        size: 1000,
        at_once: 1000,
        urgent_every: 0,
    };
    Connection::over(Link::Loopback.way(Family::V4, 8792)).transfer(load);
}

/// "Nothing to measure", of which there must be some.
fn look_without_reading() {
    let flow = Flow::open(Family::V4, 8793);
    flow.send(0);
    assert_eq!(flow.rx.peek(&mut [0; 8]).expect("a datagram"), 8);
    flow.receive();
}

/// The alerts of `exporter/alerts.yml`, and which were seen to fire.
struct Alerts<'a> {
    prometheus: &'a Prometheus,
    rules: Vec<Rule>,
    fired: std::cell::RefCell<BTreeSet<String>>,
}

impl Alerts<'_> {
    fn of(prometheus: &Prometheus) -> Alerts<'_> {
        let mut rules = prometheus.rules();
        rules.retain(|rule| rule.kind == "alerting");
        Alerts {
            prometheus,
            rules,
            fired: Default::default(),
        }
    }

    /// Their conditions are met for real, but for those that would take
    /// minutes, or a kernel that refuses a program.
    fn expression(&self, name: &str) -> String {
        let (from, to) = match name {
            "NetstacklatProgramNotAttached" => ("== 0", "== 1"),
            "NetstacklatDecoderErrors" => ("> 0", ">= 0"),
            "NetstacklatStackSlow" | "NetstacklatServiceSlow" => ("> 0.008388608", "> 0"),
            "NetstacklatOverRange" => ("> 0.01", "> 0"),
            // As if the job were another.
            "NetstacklatAbsent" => ("netstacklat", "nobody"),
            "NetstacklatStalled" => ("[5m]", "[10s]"),
            "NetstacklatReadsLeftOut" => ("> 0.01", ">= 0"),
            // As if neither object were exported.
            "NetstacklatNotExported" => (
                "(ebpf_exporter_netstack_clock_updates_total or ebpf_exporter_netstack_group_clock_updates_total)",
                "nothing_of_netstacklat",
            ),
            _ => ("", ""),
        };
        let rule = self.rules.iter().find(|rule| rule.name == name);
        let query = &rule.expect("an alert").query;
        assert!(query.contains(from), "{name}: {query}");
        query.replacen(from, to, 1)
    }

    fn query(&self, name: &str) -> Vec<Sample> {
        self.prometheus.query(&self.expression(name))
    }

    /// Waits until it has a reason to; how long it must last is for `promtool
    /// test rules`.
    fn fires(&self, name: &str) {
        let samples = self.prometheus.wait_for(&self.expression(name));
        println!("{name}: {}", line(&samples[0]));
        self.fired.borrow_mut().insert(name.to_owned());
    }

    fn fired(&self) -> BTreeSet<String> {
        self.fired.borrow().clone()
    }

    fn names(&self) -> BTreeSet<String> {
        self.rules.iter().map(|rule| rule.name.clone()).collect()
    }
}

/// What is recorded, and the expressions themselves.
fn records(prometheus: &Prometheus) {
    let rules = prometheus.rules();
    for rule in &rules {
        assert_eq!(rule.health, "ok", "{}", rule.name);
        if rule.kind == "recording" {
            gives(prometheus, &rule.name, &rule.name);
            gives(prometheus, &rule.name, &rule.query);
        }
    }
}

fn dashboard(prometheus: &Prometheus) {
    of_dashboard(prometheus, &Dashboard::open(prometheus));
}

fn of_dashboard(prometheus: &Prometheus, dashboard: &Dashboard) {
    assert_eq!(dashboard.hooks().len(), Hook::default_ones().count());
    let expressions = dashboard.expressions();
    println!("{} expressions of the dashboard", expressions.len());
    for (title, expression) in expressions {
        gives(prometheus, &title, &expression);
    }
}

/// What `exporter/README.md` calls right.
fn readme(prometheus: &Prometheus) {
    let blocks = README.split("```promql\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").expect("an end").0);
    let expressions: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(expressions.len() >= 7, "{expressions:?}");
    for expression in expressions {
        gives(prometheus, "README.md", expression);
    }
}

/// Series with a number each; a quantile is one of latencies.
fn gives(prometheus: &Prometheus, title: &str, expression: &str) {
    // Waits, as a scrape may have come too late.
    let samples = prometheus.wait_for(expression);
    println!("{title}: {} series, {}", samples.len(), line(&samples[0]));
    for sample in &samples {
        let value = sample.value();
        assert!(value.is_finite(), "{expression}: {sample:?}");
        if expression.contains("histogram_quantile") {
            assert!(value > 0.0 && value < 1.08, "{expression}: {sample:?}");
        }
    }
}

fn line(sample: &Sample) -> String {
    format!("{:?} {}", sample.metric, sample.value())
}
