// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What `metric_relabel_configs` of `exporter/prometheus.yml` make of what
//! ebpf_exporter serves.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use netstacklat::model::exported::Object;
use netstacklat::model::hooks::Hook;
use netstacklat::model::skips::SkipReason;

use testlab::exporter::Exporter;
use testlab::hooks::hooks_of;
use testlab::prometheus::{Labels, Prometheus, Sample};
use testlab::{PATIENCE, wait_until};

/// Where the configuration looks for ebpf_exporter.
pub const PORT: u16 = 9435;
const GROUP: &str = "ebpf_exporter_netstack_group_";
/// The bounds that are kept: 2^7 to 2^30 ns.
const KEPT: RangeInclusive<usize> = 7..=30;
const BOUNDS: usize = 24;
/// As a container runtime and a kubelet name them.
const CONTAINER: &str = "3f1c9a7be2d40586a1b2c3d4e5f60718293a4b5c6d7e8f901234567890abcdef";
const POD: &str = "0f9a2b3c-1d4e-4f5a-8b6c-7d8e9f0a1b2c";

/// The path of that container's cgroup, by systemd's rules.
pub fn of_a_container() -> String {
    let pod = POD.replace('-', "_");
    format!("kubepods.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{CONTAINER}.scope")
}

/// Series by series, what is stored is what the exporter says, under the names
/// that are promised. No datagrams come any more.
pub fn holds(exporter: &Exporter, prometheus: &Prometheus) {
    let raw = exporter.scrape();
    let lines = raw.text.lines().filter(|line| !line.starts_with('#'));
    let (ours, others): (Vec<_>, Vec<_>) =
        lines.partition(|line| line.starts_with("ebpf_exporter_netstack_"));
    let (by_group, ours): (Vec<_>, Vec<_>) =
        ours.into_iter().partition(|line| line.starts_with(GROUP));
    let (hooks, reasons) = (Hook::default_ones().count(), SkipReason::all().len());
    // 35 bounds, +Inf, the sum and the count; the clock's two states and three more.
    assert_eq!(ours.len(), hooks * (35 + 3 + reasons) + 5);

    let mut expected = BTreeSet::new();
    let mut promise = |name: &str, labels: &[(&str, &str)]| {
        let name = ("__name__", format!("ebpf_exporter_netstack_{name}"));
        let labels = labels
            .iter()
            .map(|(name, value)| (*name, value.to_string()));
        let all = labels.chain([name]).map(|(n, value)| (n.to_owned(), value));
        expected.insert(all.collect::<Labels>());
    };
    for hook in Hook::default_ones() {
        let hook = ("hook", hook.name());
        for (index, (le, _)) in raw.cumulative(hook.1).into_iter().enumerate() {
            if KEPT.contains(&index) || le == "+Inf" {
                promise("latency_seconds_bucket", &[hook, ("le", le)]);
            }
        }
        promise("latency_seconds_sum", &[hook]);
        promise("latency_seconds_count", &[hook]);
        for reason in SkipReason::all() {
            promise("skipped_total", &[hook, ("reason", reason.name())]);
        }
    }
    for state in ["settled", "settling"] {
        let labels = [("source", "update_vsyscall"), ("state", state)];
        promise("clock_info", &labels);
    }
    for name in ["steps_total", "tai_offset_seconds", "updates_total"] {
        promise(&format!("clock_{name}"), &[]);
    }
    let stored = prometheus.series(r#"{__name__=~"ebpf_exporter_netstack.*"}"#);
    let stored = stored.into_iter().map(without_target);
    let (grouped, stored): (BTreeSet<_>, BTreeSet<Labels>) =
        stored.partition(|labels| labels["__name__"].starts_with(GROUP));
    groups_hold(&by_group, grouped);
    let missing: Vec<_> = expected.difference(&stored).collect();
    let left_over: Vec<_> = stored.difference(&expected).collect();
    assert!(missing.is_empty(), "{missing:?}; left over: {left_over:?}");
    assert!(left_over.is_empty(), "{left_over:?}");
    assert_eq!(stored.len(), hooks * (BOUNDS + 3 + reasons) + 5);
    let (scraped, kept) = (
        prometheus.value("scrape_samples_scraped"),
        prometheus.value("scrape_samples_post_metric_relabeling"),
    );
    let programs = prometheus.value("count(ebpf_exporter_ebpf_program_info)");
    println!(
        "series: {} of ours and {} others; {scraped} scraped, {kept} kept, {} of them ours; {programs} programs",
        ours.len(),
        others.len(),
        stored.len()
    );
    // The values, at hooks that have no more packets.
    let stored = |what: &str, labels: &str| {
        let name = format!("ebpf_exporter_netstack_latency_seconds_{what}");
        let samples = prometheus.query(&format!("{name}{{{labels}}}"));
        samples.first().map(Sample::value)
    };
    let same_at = |hook: &str| {
        let bounds = raw.cumulative(hook).into_iter().enumerate();
        let mut kept = bounds.filter(|(index, (le, _))| KEPT.contains(index) || *le == "+Inf");
        let (sum, count) = raw.sum_and_count(hook);
        let of_hook = format!("hook=\"{hook}\"");
        stored("sum", &of_hook) == sum.parse().ok()
            && stored("count", &of_hook) == Some(count as f64)
            && kept.all(|(_, (le, count))| {
                stored("bucket", &format!("{of_hook}, le=\"{le}\"")) == Some(count as f64)
            })
    };
    let same = || {
        let mut quiet = hooks_of("UDP").into_iter();
        quiet.all(|hook| same_at(hook.name()))
    };
    // The last scrape may have been before the last datagram.
    wait_until(PATIENCE, "what is stored is what was served", same);
}

/// The same of the grouped object, whose groups are what traffic has made them.
fn groups_hold(raw: &[&str], stored: BTreeSet<Labels>) {
    let histograms = raw.iter().filter(|line| line.contains("_seconds_count{"));
    let histograms = histograms.count();
    assert!(histograms > 0, "{raw:?}");
    let hooks = Object::Groups.hooks();
    let reasons = SkipReason::all().len();
    let expected = histograms * (BOUNDS + 3) + hooks.len() * reasons + 5;
    assert_eq!(stored.len(), expected, "{stored:?}");
    let mut of_pods = 0;
    for labels in stored {
        let name = labels["__name__"].strip_prefix(GROUP).expect("filtered");
        let wanted = match name {
            "latency_seconds_bucket" => vec!["cgroup", "hook", "interface", "le"],
            "latency_seconds_sum" | "latency_seconds_count" => vec!["cgroup", "hook", "interface"],
            "skipped_total" => vec!["hook", "reason"],
            "clock_info" => vec!["source", "state"],
            "clock_steps_total" | "clock_tai_offset_seconds" | "clock_updates_total" => vec![],
            other => panic!("left over: {other}"),
        };
        // To Prometheus an empty label is none: the cgroup where there is no
        // socket yet.
        let is_start = labels
            .get("hook")
            .is_some_and(|hook| hook.ends_with("-start"));
        if labels
            .get("cgroup")
            .is_some_and(|cgroup| cgroup.contains("kubepods"))
        {
            of_pods += 1;
            assert_eq!(
                labels.get("container_id").map(String::as_str),
                Some(CONTAINER)
            );
            assert_eq!(labels.get("pod_uid").map(String::as_str), Some(POD));
        }
        let found = labels
            .keys()
            .filter(|key| !["__name__", "container_id", "pod_uid"].contains(&key.as_str()));
        let wanted = wanted
            .into_iter()
            .filter(|name| !(is_start && *name == "cgroup"));
        assert!(found.eq(wanted), "{labels:?}");
        if let Some(hook) = labels.get("hook") {
            assert!(hooks.iter().any(|known| known.name() == hook), "{hook}");
        }
    }
    assert!(of_pods > 0);
}

fn without_target(mut labels: Labels) -> Labels {
    assert_eq!(labels.remove("job").as_deref(), Some("netstacklat"));
    assert_eq!(labels.remove("instance"), Some(format!("localhost:{PORT}")));
    labels
}
