// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Is it measuring, and what: all hooks at a glance.

use netstacklat::model::hooks::{Hook, Protocol};
use serde_json::{Value, json};

use super::grid::{COLUMNS, Grid, Panel, Scale, Target, target};
use super::questions::{CHOSEN, NOW, PRESENT, SHOWN, of_hook, of_those_up, or_zero, share_lost};
use crate::monitoring::queries::{LATENCY, SKIPPED, TRANSMIT, buckets, samples, seconds, select};

pub(super) fn is_it_measuring(grid: &mut Grid) {
    grid.stat(
        4,
        Panel::new(
            "Exporters up",
            "Targets whose ebpf_exporter answered the last scrape, of those selected. All panels of this row are of the end of the \
             time shown, and rates of the five minutes before it.",
            "none",
            vec![
                target("up", format!("sum(up{{{CHOSEN}}})")),
                target("of", format!("count(up{{{CHOSEN}}})")),
            ],
        ),
    );
    grid.stat(
        4,
        Panel::new(
            "Samples",
            "Latencies recorded a second, all hooks together. A packet is recorded once at each hook that it passes.",
            "cps",
            vec![target("samples", or_zero(&format!("sum({})", of_those_up(&samples(CHOSEN, PRESENT)))))],
        ),
    );
    grid.stat(
        4,
        Panel::new(
            "Not measured, at the worst hook",
            "Of the packets that should have been measured at a hook, the share that was not; the worst hook. Which and why: \
             below. TCP over loopback or veth (tx-timestamp) is not among them: it has a panel of its own.",
            "percentunit",
            vec![target("not measured", or_zero(&format!("max({})", share_lost(PRESENT))))],
        ),
    );
    let programs = select(
        "ebpf_exporter_ebpf_program_info",
        &[CHOSEN, "config=~\"netstacklat.*\""],
    );
    grid.stat(
        4,
        Panel::new(
            "Programs not attached",
            "BPF programs of netstacklat that the kernel refused to attach. Their hooks measure nothing, or half of the packets.",
            "none",
            vec![target(
                "not attached",
                or_zero(&format!(
                    "count({programs} and ignoring (config, program, tag) \
                     (ebpf_exporter_ebpf_program_attached{{{CHOSEN}}} == 0))"
                )),
            )],
        ),
    );
    grid.stat(
        4,
        Panel::new(
            "Clocks",
            "Hosts by the state of the clock. settled: as it should be. settling: for half a minute after the clock was set, \
             with every latency looked at twice. No data: no clock program has run.",
            "none",
            vec![target(
                "{{state}}",
                format!(
                    "count by (state) (max without (source) \
                     ({{__name__=~\"ebpf_exporter_netstack_(group_)?clock_info\", {CHOSEN}}} == 1))"
                ),
            )],
        ),
    );
    grid.stat(
        4,
        Panel::new(
            "TCP over loopback or veth",
            "Of packets at ip-start, the share that carries a transmit time (tx-timestamp): TCP between programs, containers or \
             namespaces of a host. ip-start leaves them out; the kernel timestamps them anew at local delivery, and all tcp-* \
             hooks measure from there. Nothing is broken: do not compare the tcp-* figures of such a host with others.",
            "percentunit",
            vec![target(
                "of packets",
                or_zero(&format!(
                    "sum(rate({transmit}[{PRESENT}])) / (sum(rate({transmit}[{PRESENT}])) + sum({}) > 0)",
                    samples(&format!("{CHOSEN}, hook=\"ip-start\""), PRESENT),
                    transmit = select(SKIPPED, &[CHOSEN, &format!("reason=\"{TRANSMIT}\"")]),
                )),
            )],
        ),
    );
}

/// A target for each, so that legends are in path order.
fn each(hooks: impl Iterator<Item = Hook>, query: impl Fn(&str) -> String) -> Vec<Target> {
    hooks
        .map(|hook| {
            target(
                "{{hook}}",
                format!("sum by (hook) ({})", query(&of_hook(hook))),
            )
        })
        .collect()
}

pub(super) fn all_hooks(grid: &mut Grid) {
    let quantile = |quantile: &str| {
        format!(
            "histogram_quantile({quantile}, sum by (hook, le) ({}))",
            buckets(CHOSEN, SHOWN)
        )
    };
    let place = Hook::default_ones().map(|hook| {
        let count = select(&format!("{LATENCY}_count"), &[&of_hook(hook)]);
        format!("group by (hook) ({count}) * {}", hook.index() + 1)
    });
    let columns = [
        ("place", place.collect::<Vec<_>>().join(" or ")),
        (
            "samples",
            format!(
                "sum by (hook) (increase({}[{SHOWN}]))",
                select(&format!("{LATENCY}_count"), &[CHOSEN])
            ),
        ),
        (
            "mean",
            format!(
                "sum by (hook) ({}) / (sum by (hook) ({}) > 0)",
                seconds(CHOSEN, SHOWN),
                samples(CHOSEN, SHOWN)
            ),
        ),
        ("p50", quantile("0.5")),
        ("p99", quantile("0.99")),
        ("p99.9", quantile("0.999")),
        ("not measured", share_lost(SHOWN)),
    ];
    let letters = || ('A'..='Z').map(|letter| format!("Value #{letter}"));
    let renamed: serde_json::Map<String, Value> = letters()
        .zip(&columns)
        .map(|(value, (name, _))| (value, json!(name)))
        .collect();
    let mut order: serde_json::Map<String, Value> = letters()
        .zip(1..=columns.len())
        .map(|(value, place)| (value, json!(place)))
        .collect();
    order.insert("hook".into(), json!(0));
    let mut panel = Panel::new(
        "Each hook over the time shown",
        "Time from entering the network stack to the hook; what comes before (wire, NIC, interrupt, NAPI poll, GRO) is not in \
         it. Hooks in the order of a packet's path. All selected hosts together: their buckets are added.",
        "s",
        columns
            .iter()
            .map(|(_, expression)| target("", expression.clone()))
            .collect(),
    );
    panel.options = json!({
        "cellHeight": "sm",
        "showHeader": true,
        "sortBy": [{"displayName": "place", "desc": false}],
    });
    grid.panel("table", COLUMNS, 10, panel);
    let table = grid.panels.last_mut().expect("it was placed");
    let unit = |name: &str, properties: Value| json!({"matcher": {"id": "byName", "options": name}, "properties": properties});
    table["fieldConfig"]["overrides"] = json!([
        unit(
            "samples",
            json!([{"id": "unit", "value": "short"}, {"id": "decimals", "value": 0}])
        ),
        unit(
            "not measured",
            json!([{"id": "unit", "value": "percentunit"}])
        ),
        unit("place", json!([{"id": "custom.hidden", "value": true}])),
    ]);
    table["transformations"] = json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": true},
            "indexByName": order,
            "renameByName": renamed,
        }},
        {"id": "sortBy", "options": {"sort": [{"field": "place", "desc": false}]}},
    ]);
    let path = |protocol: Protocol| {
        protocol
            .path()
            .map(|hook| {
                target(
                    "{{hook}}",
                    format!(
                        "histogram_quantile($quantile, sum by (hook, le) ({}))",
                        buckets(&of_hook(hook), NOW)
                    ),
                )
            })
            .collect()
    };
    let exported = |protocol: &Protocol| protocol.path().all(|hook| !hook.is_optional());
    for protocol in Protocol::all().into_iter().filter(exported) {
        grid.series(
            12,
            10,
            Scale::Log,
            Panel::new(
                format!("{protocol}: from entry to each hook, quantile $quantile"),
                format!(
                    "From entering the stack to each hook that {protocol} passes, in the order of its path. The distance \
                     between two lines is where the time goes, by trend only: quantiles do not subtract. All selected \
                     hosts together: their buckets are added, not their quantiles."
                ),
                "s",
                path(protocol),
            ),
        );
    }
    grid.series(
        12,
        10,
        Scale::Linear,
        Panel::new(
            "Samples per hook",
            "Latencies recorded a second. GRO merges packets before they are counted, and tcp-socket-read counts reads.",
            "cps",
            each(Hook::default_ones(), |selector| samples(selector, NOW)),
        ),
    );
    let means = Hook::default_ones().map(|hook| {
        let selector = of_hook(hook);
        target(
            "{{hook}}",
            format!(
                "sum by (hook) ({}) / (sum by (hook) ({}) > 0)",
                seconds(&selector, NOW),
                samples(&selector, NOW)
            ),
        )
    });
    grid.series(
        12,
        10,
        Scale::Log,
        Panel::new(
            "Mean per hook",
            "Sum by count: exact, not from buckets. A few long waits lift it far above the median.",
            "s",
            means.collect(),
        ),
    );
}
