// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! exporter/alerts.yml: what is recorded, and what somebody is told.

use netstacklat::model::exported::{ExportedKey, ExportedKeys};

use crate::exporter::made_by;
use crate::monitoring::alerts::{self, Alert};
use crate::monitoring::grouped::{by_this_alone, known, nouns, recorded};
use crate::monitoring::queries::{GROUP_LATENCY, buckets, lost, samples, seconds};

const HEAD: &str = "\
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Recording rules and alerts on the series that prometheus.yml makes. Made by `MADE_BY` from
# examples/generated/monitoring. `promtool test rules alerts_test.yml` tests them.
#
# Windows are 5 minutes: scrape at least once a minute. Names are level:metric:operations, without \"ebpf_exporter_\". Rules
# of a group run in order, each on what those before it recorded. All of them keep the labels of your targets, whatever
# they are (cluster, region, ...), and no rule joins by a list of labels: two targets with the same `instance` do not meet.
#
# Severity: \"warning\" wants somebody to look at it in working hours, since figures are wrong or missing; \"info\" says what
# the figures mean, and is to be seen, not sent. alertmanager.yml has routes for both.
groups:
";

/// Quantiles that are recorded: name, and samples in the window that it needs.
const QUANTILES: [(&str, &str, u32); 3] = [
    ("p50", "0.5", 2),
    ("p99", "0.99", 100),
    ("p999", "0.999", 1000),
];
const WINDOW: &str = "5m";
const WINDOW_S: u32 = 300;

pub fn file(keys: &ExportedKeys) -> String {
    let mut text = HEAD.replace("MADE_BY", &made_by(keys));
    text += "  - name: netstacklat-records\n    rules:\n";
    for (remark, name, expression) in records(keys) {
        for line in remark.lines() {
            text += &format!("      # {line}\n");
        }
        text += &format!(
            "      - record: {name}\n        expr: |\n{}\n",
            indented(&expression, 10)
        );
    }
    for (group, remark, alerts) in alerts::groups(keys) {
        text += &format!("\n  # {remark}\n  - name: {group}\n    rules:\n");
        let alerts: Vec<String> = alerts.iter().map(alert).collect();
        text += &alerts.join("\n");
    }
    text
}

/// Remark, name and expression.
fn records(keys: &ExportedKeys) -> Vec<(String, String, String)> {
    let mut records = Vec::new();
    let mut record = |remark: &str, name: &str, expression: String| {
        records.push((remark.into(), name.into(), expression));
    };
    let latency = "netstack_latency_seconds";
    record(
        "--- a hook of a host. Latencies over range (above 17.2 s) are in no bucket; here they are in +Inf. ---",
        &format!("instance_hook_le:{latency}_bucket:rate5m"),
        format!("sum without (reason) (\n  {}\n)", buckets("", WINDOW)),
    );
    record(
        "Samples a second, those over range not among them.",
        &format!("instance_hook:{latency}_count:rate5m"),
        samples("", WINDOW),
    );
    record(
        "Exact: sums are kept apart from the buckets.",
        &format!("instance_hook:{latency}:mean5m"),
        format!(
            "{} / (instance_hook:{latency}_count:rate5m > 0)",
            seconds("", WINDOW)
        ),
    );
    quantiles(&mut record, "instance_hook", latency);
    record(
        "Packets that should have been measured, a second. Two kinds are not among them: runs without a packet to measure,\n\
         and TCP over loopback and veth (tx-timestamp), which has no receive timestamp.",
        "instance_hook:netstack_due:rate5m",
        format!(
            "sum without (reason) ({})\n  + instance_hook:{latency}_count:rate5m",
            lost("", WINDOW)
        ),
    );
    record(
        "And were not: 0 to 1.",
        "instance_hook_reason:netstack_skipped:ratio_rate5m",
        format!(
            "{}\n  / ignoring (reason) group_left ()\n(instance_hook:netstack_due:rate5m > 0)",
            lost("", WINDOW)
        ),
    );
    record(
        "",
        "instance_hook:netstack_skipped:ratio_rate5m",
        "sum without (reason) (instance_hook_reason:netstack_skipped:ratio_rate5m)".into(),
    );
    record(
        "--- a hook of all hosts of a cluster: buckets are added, quantiles never. ---",
        &format!("cluster_job_hook_le:{latency}_bucket:rate5m"),
        format!("sum by (cluster, job, hook, le) (instance_hook_le:{latency}_bucket:rate5m)"),
    );
    record(
        "",
        &format!("cluster_job_hook:{latency}_count:rate5m"),
        format!("sum by (cluster, job, hook) (instance_hook:{latency}_count:rate5m)"),
    );
    quantiles(&mut record, "cluster_job_hook", latency);
    for key in recorded(keys) {
        of_groups(&mut record, key, keys);
    }
    records
}

/// Of the groups of one value of the key together.
fn of_groups(record: &mut impl FnMut(&str, &str, String), key: ExportedKey, keys: &ExportedKeys) {
    let group = "netstack_group_latency_seconds";
    let level = format!("instance_{}_hook", key.label());
    let rate = |series: &str| {
        let known = known(key);
        let rate = format!("rate({GROUP_LATENCY}_{series}{known}[{WINDOW}])");
        by_this_alone(key, keys, &rate)
    };
    record(
        &format!(
            "--- {} of a host: of netstacklat-groups, where that is exported. Its buckets do not have what is\n\
             over range. ---",
            nouns(key).0
        ),
        &format!("{level}_le:{group}_bucket:rate5m"),
        rate("bucket"),
    );
    record("", &format!("{level}:{group}_count:rate5m"), rate("count"));
    quantiles(record, &level, group);
}

fn quantiles(record: &mut impl FnMut(&str, &str, String), level: &str, metric: &str) {
    for (place, (name, quantile, least)) in QUANTILES.into_iter().enumerate() {
        let remark = match place {
            0 => "Quantile q of fewer than 1/(1-q) samples says nothing, and is left out.",
            _ => "",
        };
        record(
            remark,
            &format!("{level}:{metric}:{name}_rate5m"),
            format!(
                "histogram_quantile({quantile}, {level}_le:{metric}_bucket:rate5m)\n  \
                 and {level}:{metric}_count:rate5m * {WINDOW_S} >= {least}"
            ),
        );
    }
}

fn alert(alert: &Alert) -> String {
    let mut text = format!(
        "      - alert: {}\n        expr: |\n{}\n",
        alert.name,
        indented(&alert.expression, 10)
    );
    if !alert.lasting.is_empty() {
        text += &format!("        for: {}\n", alert.lasting);
    }
    text += &format!(
        "        labels:\n          severity: {}\n        annotations:\n",
        alert.severity
    );
    for (name, value) in [
        ("summary", &*alert.summary),
        ("description", alert.meaning),
        ("action", alert.action),
    ] {
        text += &format!(
            "          {name}: >-\n{}\n",
            indented(&wrapped(value, 106), 12)
        );
    }
    text += &format!("          runbook_url: {}\n", alert.runbook_url());
    text
}

fn indented(text: &str, by: usize) -> String {
    let indent = " ".repeat(by);
    let lines: Vec<String> = text.lines().map(|line| format!("{indent}{line}")).collect();
    lines.join("\n")
}

/// Lines of at most so many characters: YAML folds them again.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.into());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}
