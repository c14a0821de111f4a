// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One hook, services, what was not measured, the clock and the exporter.

use netstacklat::model::exported::{ExportedKey, ExportedKeys};
use serde_json::json;

use super::grid::{Grid, Panel, Scale, target};
use super::questions::{CHOSEN, NOW, SHOWN, of_either_clock, or_none, share_lost};
use crate::monitoring::grouped::{nouns, spoken};
use crate::monitoring::queries::{
    GROUP_LATENCY, LATENCY, SKIPPED, TRANSMIT, buckets, lost, nothing_to_measure, samples, seconds,
    select,
};

pub(super) fn one_hook(grid: &mut Grid) {
    let selector = &format!("{CHOSEN}, hook=~\"$hook\"");
    // Over the time shown: cumulative counts that are neither 0 nor already all. At
    // its end, so that a row is there for all of it, as Grafana expects.
    let bucket = |bound: &str| select(&format!("{LATENCY}_bucket"), &[selector, bound]);
    let counts = format!("sum by (le) (increase({}[{SHOWN}] @ end()))", bucket(""));
    let all = format!(
        "sum(increase({}[{SHOWN}] @ end()))",
        select(&format!("{LATENCY}_count"), &[selector])
    );
    let top = format!(
        "sum by (le) (increase({}[{SHOWN}] @ end()))",
        bucket("le=\"+Inf\"")
    );
    let mut heatmap = Panel::new(
        "$hook: latencies",
        "Samples a second by latency; each row is a power of two of nanoseconds. Rows that are empty over the whole time shown \
         are left out: the top row holds what is above the row below it, over-range latencies (above 17.2 s) among it.",
        "s",
        vec![target(
            "{{le}}",
            format!(
                "sum by (le) ({}) and ({counts} > 0 < ignoring (le) group_left () {all} or {top})",
                buckets(selector, NOW),
            ),
        )],
    );
    heatmap.custom = json!({"custom": {"scaleDistribution": {"type": "linear"}}});
    heatmap.options = json!({
        "calculate": false,
        "cellGap": 1,
        "cellValues": {"unit": "cps"},
        "color": {
            "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": false,
            "scale": "exponential", "scheme": "Oranges", "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": true},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": false, "yHistogram": false},
        "yAxis": {"axisPlacement": "left", "reverse": false, "unit": "s"},
    });
    grid.panel("heatmap", 12, 10, heatmap);
    let quantile = |name: &str, quantile: &str| {
        target(
            name,
            format!(
                "histogram_quantile({quantile}, sum by (le) ({}))",
                buckets(selector, NOW)
            ),
        )
    };
    grid.series(
        12,
        10,
        Scale::Log,
        Panel::new(
            "$hook: quantiles and mean",
            "All selected hosts together. Between two powers of two Prometheus interpolates: a change of less than a factor of \
             two within a bucket may be none. A p99 takes 100 samples in the window, a p99.9 1,000.",
            "s",
            vec![
                quantile("p50", "0.5"),
                quantile("p99", "0.99"),
                quantile("p99.9", "0.999"),
                target(
                    "mean",
                    format!("sum({}) / (sum({}) > 0)", seconds(selector, NOW), samples(selector, NOW)),
                ),
            ],
        ),
    );
}

pub(super) fn services(grid: &mut Grid, keys: &ExportedKeys) {
    let selector = format!("{CHOSEN}, hook=~\".*-socket-enqueued\"");
    let rate = |series: &str, window: &str| {
        format!(
            "rate({}[{window}])",
            select(&format!("{GROUP_LATENCY}_{series}"), &[&selector])
        )
    };
    let busiest = |label: &str| format!("topk(10, sum by ({label}) ({}) > 0)", rate("count", NOW));
    for key in keys.iter() {
        let (label, (_, several)) = (key.label(), nouns(key));
        let (latency, what) = match key.name() {
            "cgroup" => (
                format!("p99 to the sockets of the ten busiest {several}"),
                "From entering the stack to the queue of the socket, by the socket's cgroup. Nothing here where only \
                 netstacklat.bpf.o is exported. Latencies over range are not in it."
                    .to_owned(),
            ),
            "interface" if keys.has("cgroup") => (
                "p99 to the sockets by interface".into(),
                "The same by the interface that packets came in by. other-netns: interfaces of containers, whose names are \
                 known inside only."
                    .into(),
            ),
            name => (
                format!("p99 to the sockets of the ten busiest {several}"),
                format!(
                    "From entering the stack to the queue of the socket, by {name}. Latencies over range are not in it."
                ),
            ),
        };
        grid.series(
            12,
            9,
            Scale::Linear,
            Panel::new(
                format!("Packets of the ten busiest {several}"),
                format!(
                    "Packets a second that reached a queue of a socket. other: what came after the first 128 {}.",
                    groups(keys)
                ),
                "cps",
                vec![target(&format!("{{{{{label}}}}}"), busiest(label))],
            ),
        );
        grid.series(
            12,
            9,
            Scale::Log,
            Panel::new(
                latency,
                what,
                "s",
                vec![target(
                    &format!("{{{{{label}}}}}"),
                    format!(
                        "histogram_quantile(0.99, sum by ({label}, le) ({})) and {}",
                        rate("bucket", NOW),
                        busiest(label)
                    ),
                )],
            ),
        );
    }
}

/// What a group is.
fn groups(keys: &ExportedKeys) -> String {
    if *keys == ExportedKeys::default() {
        return "pairs of interface and cgroup".into();
    }
    let names: Vec<_> = keys.iter().map(ExportedKey::name).collect();
    format!("groups by {}", spoken(&names))
}

pub(super) fn not_measured(grid: &mut Grid) {
    grid.series(
        12,
        9,
        Scale::Linear,
        Panel::new(
            "Not measured, by reason",
            "Packets a second that should have been measured and were not; quantiles and means leave them out. no-timestamp: \
             nobody asks for timestamps. clock-step: the clock was set. hol-blocked: the read waited for a lost segment.",
            "cps",
            vec![target(
                "{{reason}}",
                or_none(&format!("sum by (reason) ({}) > 0", lost(CHOSEN, NOW)), "reason"),
            )],
        ),
    );
    grid.series(
        12,
        9,
        Scale::Linear,
        Panel::new(
            "Share not measured, by hook",
            "Of the packets that should have been measured at the hook.",
            "percentunit",
            vec![target("{{hook}}", or_none(&share_lost(NOW), "hook"))],
        ),
    );
    grid.series(
        12,
        9,
        Scale::Linear,
        Panel::new(
            "Not measured, by hook and reason",
            "The same as by reason, to see where.",
            "cps",
            vec![target(
                "{{hook}} {{reason}}",
                or_none(
                    &format!("sum by (hook, reason) ({}) > 0", lost(CHOSEN, NOW)),
                    "reason",
                ),
            )],
        ),
    );
    let reasons = |selector: &str| format!("rate({}[{NOW}])", select(SKIPPED, &[CHOSEN, selector]));
    grid.series(
        12,
        9,
        Scale::Linear,
        Panel::new(
            "Nothing to measure, and TCP over loopback or veth",
            "Runs at which there was no packet to measure: a look with MSG_PEEK, a read or segment without data, IPv4 passing a \
             function of IPv6, a datagram that the socket refused. And tx-timestamp: segments with a transmit time.",
            "cps",
            vec![target(
                "{{hook}} {{reason}}",
                or_none(
                    &format!(
                        "sum by (hook, reason) ({}) > 0",
                        reasons(&format!("reason=~\"{}|{TRANSMIT}\"", nothing_to_measure()))
                    ),
                    "reason",
                ),
            )],
        ),
    );
}

pub(super) fn clock_and_exporter(grid: &mut Grid) {
    let clock = |name: &str| {
        format!("{{__name__=~\"ebpf_exporter_netstack_(group_)?clock_{name}\", {CHOSEN}}}")
    };
    let third = |grid: &mut Grid, panel: Panel| grid.series(8, 8, Scale::Linear, panel);
    let of_config = format!("{CHOSEN}, config=~\"netstacklat.*\"");
    third(
        grid,
        Panel::new(
            "Clock updates",
            "Runs of the program that follows the kernel's clock, many a second on any host. 0: the kernel calls no tracing \
             programs (kernel.ftrace_enabled = 0), and no hook measures.",
            "cps",
            vec![target(
                "{{instance}}",
                format!(
                    "max by (instance) ({})",
                    of_either_clock("rate", "updates_total")
                ),
            )],
        ),
    );
    third(
        grid,
        Panel::new(
            "Clock steps",
            "How often the wall clock was set (leap seconds included). Packets that straddle a step count as clock-step.",
            "none",
            vec![target(
                "{{instance}}",
                format!(
                    "max by (instance) ({})",
                    of_either_clock("increase", "steps_total")
                ),
            )],
        ),
    );
    third(
        grid,
        Panel::new(
            "TAI offset",
            "CLOCK_TAI minus CLOCK_REALTIME as the kernel has it; 0 where nobody has set it, 37 s where a time server has. \
             Latencies are right with either.",
            "s",
            vec![target(
                "{{instance}}",
                format!("max by (instance) ({})", clock("tai_offset_seconds")),
            )],
        ),
    );
    third(
        grid,
        Panel::new(
            "Scrape duration",
            "How long ebpf_exporter took to answer.",
            "s",
            vec![target(
                "{{instance}}",
                format!("scrape_duration_seconds{{{CHOSEN}}}"),
            )],
        ),
    );
    third(
        grid,
        Panel::new(
            "Series per scrape",
            "What the exporter answers with, and what is left after metric_relabel_configs.",
            "short",
            vec![
                target(
                    "{{instance}} scraped",
                    format!("scrape_samples_scraped{{{CHOSEN}}}"),
                ),
                target(
                    "{{instance}} kept",
                    format!("scrape_samples_post_metric_relabeling{{{CHOSEN}}}"),
                ),
            ],
        ),
    );
    third(
        grid,
        Panel::new(
            "Decoder errors",
            "Maps that ebpf_exporter could not read: their metrics are missing. The object and the YAML are of different \
             versions, perhaps.",
            "none",
            vec![target(
                "{{instance}} {{config}}",
                format!(
                    "increase({}[{NOW}])",
                    select("ebpf_exporter_decoder_errors_total", &[&of_config])
                ),
            )],
        ),
    );
}
