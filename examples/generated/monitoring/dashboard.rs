// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! exporter/grafana-netstacklat.json: panels from top to bottom.

use netstacklat::model::hooks::Hook;
use serde_json::{Value, json};

use crate::monitoring::queries::{
    GROUP_LATENCY, LATENCY, SKIPPED, TRANSMIT, buckets, lost, nothing_to_measure, samples, seconds,
    select,
};

/// What the variables have chosen.
const CHOSEN: &str = "cluster=~\"$cluster\", job=~\"$job\", instance=~\"$instance\"";
const NOW: &str = "$__rate_interval";
const SHOWN: &str = "$__range";
/// Of the panels that show the present: `$__rate_interval` grows with the time
/// shown, and a long one would go on showing what is no more.
const PRESENT: &str = "5m";
/// Of either object: both have a clock.
const EITHER: &str = "{__name__=~\"ebpf_exporter_netstack_(group_)?clock_updates_total\"";

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

pub fn dashboard() -> Vec<(String, String)> {
    let mut grid = Grid::default();
    grid.row("Is it measuring?", None);
    is_it_measuring(&mut grid);
    grid.row("All hooks", None);
    all_hooks(&mut grid);
    grid.row("$hook", Some("hook"));
    one_hook(&mut grid);
    grid.row("Services and interfaces (netstacklat-groups)", None);
    services(&mut grid);
    grid.row("What was not measured", None);
    not_measured(&mut grid);
    grid.row("Clock and exporter", None);
    clock_and_exporter(&mut grid);
    let json = json!({
        "annotations": {"list": annotations()},
        "description": "How long packets take from entering the Linux network stack to ten points further up, as netstacklat \
                        measures it through ebpf_exporter. Needs the metric_relabel_configs of exporter/prometheus.yml. Made \
                        by `make generated` from examples/generated/monitoring.",
        "editable": true,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": null,
        "links": [],
        "panels": grid.panels,
        "refresh": "1m",
        "schemaVersion": 39,
        "tags": ["netstacklat", "network", "latency"],
        "templating": {"list": variables()},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": "netstacklat: latency in the receive stack",
        "uid": "netstacklat",
        "version": 1,
        "weekStart": "",
    });
    let text = serde_json::to_string_pretty(&json).expect("JSON") + "\n";
    vec![("grafana-netstacklat.json".into(), text)]
}

/// Places panels from left to right, and then below.
#[derive(Default)]
struct Grid {
    panels: Vec<Value>,
    x: u64,
    y: u64,
    height: u64,
}

impl Grid {
    fn place(&mut self, mut panel: Value, w: u64, h: u64) {
        if self.x + w > COLUMNS {
            self.end_line();
        }
        panel["gridPos"] = json!({"x": self.x, "y": self.y, "w": w, "h": h});
        panel["id"] = json!(self.panels.len() + 1);
        self.panels.push(panel);
        self.x += w;
        self.height = self.height.max(h);
    }

    fn end_line(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }

    fn row(&mut self, title: &str, repeat: Option<&str>) {
        self.end_line();
        let mut row = json!({"type": "row", "title": title, "collapsed": false, "panels": []});
        if let Some(variable) = repeat {
            row["repeat"] = json!(variable);
        }
        self.place(row, COLUMNS, 1);
        self.end_line();
    }

    fn panel(&mut self, kind: &str, w: u64, h: u64, panel: Panel) {
        let Panel {
            title,
            description,
            unit,
            targets,
            options,
            custom,
        } = panel;
        let letters = ('A'..='Z').map(String::from);
        let targets = targets.into_iter().zip(letters).map(|(target, letter)| {
            let instant = kind == "stat" || kind == "table";
            let mut value = json!({
                "datasource": source(),
                "editorMode": "code",
                "expr": target.expression,
                "instant": instant,
                "legendFormat": target.legend,
                "range": !instant,
                "refId": letter,
            });
            match kind {
                "table" => value["format"] = json!("table"),
                "heatmap" => value["format"] = json!("heatmap"),
                _ => {}
            }
            value
        });
        let mut value = json!({
            "datasource": source(),
            "description": description,
            "fieldConfig": {"defaults": custom, "overrides": []},
            "options": options,
            "targets": targets.collect::<Vec<_>>(),
            "title": title,
            "type": kind,
        });
        if kind != "heatmap" {
            value["fieldConfig"]["defaults"]["unit"] = json!(unit);
        }
        self.place(value, w, h);
    }

    fn stat(&mut self, w: u64, mut panel: Panel) {
        panel.options = json!({
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            "textMode": "auto",
        });
        self.panel("stat", w, 4, panel);
    }

    fn series(&mut self, w: u64, h: u64, scale: Scale, mut panel: Panel) {
        panel.options = json!({
            "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "none"},
        });
        panel.custom = json!({"custom": {
            "fillOpacity": 0,
            "lineWidth": 1,
            "scaleDistribution": match scale {
                Scale::Log => json!({"type": "log", "log": 2}),
                Scale::Linear => json!({"type": "linear"}),
            },
            "showPoints": "auto",
            "spanNulls": false,
        }});
        self.panel("timeseries", w, h, panel);
    }
}

enum Scale {
    Log,
    Linear,
}

/// What is drawn.
#[derive(Default)]
struct Panel {
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    targets: Vec<Target>,
    options: Value,
    custom: Value,
}

impl Panel {
    fn new(
        title: &'static str,
        description: &'static str,
        unit: &'static str,
        targets: Vec<Target>,
    ) -> Panel {
        Panel {
            title,
            description,
            unit,
            targets,
            options: json!({}),
            custom: json!({}),
        }
    }
}

struct Target {
    expression: String,
    legend: String,
}

fn target(legend: &str, expression: impl Into<String>) -> Target {
    Target {
        expression: expression.into(),
        legend: legend.into(),
    }
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// 0 where an exporter answers and there is nothing to show; no data where none
/// answers.
fn or_zero(expression: &str) -> String {
    format!("{expression} or 0 * sum(up{{{CHOSEN}}} == 1)")
}

/// The same for series by a label, under the name `none`.
fn or_none(expression: &str, label: &str) -> String {
    let none =
        format!("label_replace(0 * sum(up{{{CHOSEN}}} == 1), \"{label}\", \"none\", \"\", \"\")");
    format!("{expression} or ({none} unless ignoring ({label}) count({expression}))")
}

/// Of the clock of either object, as a host may export one of them only.
fn of_either_clock(function: &str, name: &str) -> String {
    let of = |object: &str| {
        let series = select(
            &format!("ebpf_exporter_netstack_{object}clock_{name}"),
            &[CHOSEN],
        );
        format!("{function}({series}[{NOW}])")
    };
    format!("{} or {}", of(""), of("group_"))
}

/// Of targets that are up: the others have nothing present.
fn of_those_up(series: &str) -> String {
    format!("({series} and ignoring (hook) up{{{CHOSEN}}} == 1)")
}

/// The share of packets that should have been measured and were not, by hook.
fn share_lost(window: &str) -> String {
    let lost = lost(CHOSEN, window);
    format!(
        "sum by (hook) ({lost}) / (sum by (hook) ({lost}) + sum by (hook) ({}) > 0)",
        samples(CHOSEN, window)
    )
}

fn is_it_measuring(grid: &mut Grid) {
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
             namespaces of a host. ip-start leaves them out; the kernel stamps them anew at local delivery, and all tcp-* \
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

/// The selector of one hook beside those chosen.
fn of_hook(hook: Hook) -> String {
    format!("{CHOSEN}, hook=\"{hook}\"")
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

fn all_hooks(grid: &mut Grid) {
    let quantile = |quantile: &str| {
        format!(
            "histogram_quantile({quantile}, sum by (hook, le) ({}))",
            buckets(CHOSEN, SHOWN)
        )
    };
    let place = Hook::all().map(|hook| {
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
    let stages = |others: &'static str| {
        Hook::all()
            .filter(move |hook| !hook.name().starts_with(others))
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
    grid.series(
        12,
        10,
        Scale::Log,
        Panel::new(
            "TCP: from entry to each hook, quantile $quantile",
            "From entering the stack to each hook that TCP passes, in the order of its path. The distance between two lines is \
             where the time goes, by trend only: quantiles do not subtract.",
            "s",
            stages("udp-"),
        ),
    );
    grid.series(
        12,
        10,
        Scale::Log,
        Panel::new(
            "UDP: from entry to each hook, quantile $quantile",
            "From entering the stack to each hook that UDP passes, in the order of its path. udp-socket-read waits for the \
             reader. All selected hosts together: their buckets are added, not their quantiles.",
            "s",
            stages("tcp-"),
        ),
    );
    grid.series(
        12,
        10,
        Scale::Linear,
        Panel::new(
            "Samples per hook",
            "Latencies recorded a second. GRO merges packets before they are counted, and tcp-socket-read counts reads.",
            "cps",
            each(Hook::all(), |selector| samples(selector, NOW)),
        ),
    );
    let means = Hook::all().map(|hook| {
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

fn one_hook(grid: &mut Grid) {
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

fn services(grid: &mut Grid) {
    let selector = format!("{CHOSEN}, hook=~\".*-socket-enqueued\"");
    let rate = |series: &str, window: &str| {
        format!(
            "rate({}[{window}])",
            select(&format!("{GROUP_LATENCY}_{series}"), &[&selector])
        )
    };
    let busiest = |label: &str| format!("topk(10, sum by ({label}) ({}) > 0)", rate("count", NOW));
    for (label, samples, latency, what) in [
        (
            "cgroup",
            "Packets of the ten busiest services",
            "p99 to the sockets of the ten busiest services",
            "From entering the stack to the queue of the socket, by the socket's cgroup. Nothing here where only \
             netstacklat.bpf.o is exported. Latencies over range are not in it.",
        ),
        (
            "interface",
            "Packets of the ten busiest interfaces",
            "p99 to the sockets by interface",
            "The same by the interface that packets came in by. other-netns: interfaces of containers, whose names are known \
             inside only.",
        ),
    ] {
        grid.series(
            12,
            9,
            Scale::Linear,
            Panel::new(
                samples,
                "Packets a second that reached a queue of a socket. other: what came after the first 128 pairs of interface and \
                 cgroup.",
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

fn not_measured(grid: &mut Grid) {
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

fn clock_and_exporter(grid: &mut Grid) {
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

fn annotations() -> Value {
    json!([
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": true,
            "hide": true,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        {
            "datasource": source(),
            "enable": true,
            "expr": format!("({}) > 0", of_either_clock("increase", "steps_total")),
            "hide": false,
            "iconColor": "purple",
            "name": "Clock was set",
            "step": "",
            "textFormat": "{{instance}}",
            "titleFormat": "The wall clock was set",
            "useValueForTime": false,
        },
    ])
}

fn variables() -> Value {
    let source_of_data = json!({
        "current": {},
        "hide": 0,
        "includeAll": false,
        "label": "Data source",
        "multi": false,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": false,
        "type": "datasource",
    });
    let hooks = [
        "tcp-start",
        "tcp-socket-read",
        "udp-start",
        "udp-socket-read",
    ];
    let mut cluster = values("cluster", "Cluster", &format!("{EITHER}}}"), &["$__all"]);
    // Series without this label have it empty, which no list of values has.
    cluster["allValue"] = json!(".*");
    let job = format!("{EITHER}, cluster=~\"$cluster\"}}");
    let host = format!("{EITHER}, cluster=~\"$cluster\", job=~\"$job\"}}");
    let mut instance = values("instance", "Host", &host, &["$__all"]);
    // Also hosts that have served nothing in the time shown.
    instance["allValue"] = json!(".*");
    json!([
        source_of_data,
        cluster,
        values("job", "Job", &job, &["$__all"]),
        instance,
        values(
            "hook",
            "Hooks in detail",
            &select(&format!("{LATENCY}_count"), &[CHOSEN]),
            &hooks
        ),
        quantile(),
    ])
}

/// A variable that offers the values of a label.
fn values(name: &str, label: &str, selector: &str, chosen: &[&str]) -> Value {
    let query = format!("label_values({selector}, {name})");
    let text = match chosen {
        ["$__all"] => json!(["All"]),
        chosen => json!(chosen),
    };
    json!({
        "current": {"selected": true, "text": text, "value": chosen},
        "datasource": source(),
        "definition": query,
        "hide": 0,
        "includeAll": true,
        "label": label,
        "multi": true,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": false,
        "sort": 1,
        "type": "query",
    })
}

fn quantile() -> Value {
    const CHOICES: [&str; 4] = ["0.5", "0.9", "0.99", "0.999"];
    const CHOSEN: &str = "0.99";
    let options = CHOICES
        .map(|choice| json!({"selected": choice == CHOSEN, "text": choice, "value": choice}));
    json!({
        "current": {"selected": true, "text": CHOSEN, "value": CHOSEN},
        "hide": 0,
        "includeAll": false,
        "label": "Quantile of the stages",
        "multi": false,
        "name": "quantile",
        "options": options,
        "query": CHOICES.join(","),
        "skipUrlSync": false,
        "type": "custom",
    })
}
