// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The files for Prometheus and Grafana in `exporter/`: Prometheus takes them,
//! the rules do what they say, and the dashboard is in order. (That expressions
//! give something, `tests/kernel/exporter/promql.rs` shows.)

#[path = "exporter/alertmanager.rs"]
mod alertmanager;
#[path = "exporter/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use netstacklat::model::hooks::Hook;
use netstacklat::model::skips::SkipReason;
use serde_json::Value;

const ALERTS: &str = include_str!("../exporter/alerts.yml");
const DASHBOARD: &str = include_str!("../exporter/grafana-netstacklat.json");

fn promtool(args: &[&str]) -> String {
    said_by("promtool", args)
}

/// What a program says of files in `exporter/`; it must be content with them.
fn said_by(program: &str, args: &[&str]) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("exporter");
    let done = Command::new(program)
        .args(args)
        .current_dir(directory)
        .output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}: run tools/install-deps exporter"));
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        done.status.success(),
        "{program} {}:\n{said}",
        args.join(" ")
    );
    said
}

/// As strictly as it can: 2.31, which Ubuntu 22.04 has, does not lint.
fn check(what: &str, file: &str) {
    let mut args = vec!["check", what];
    if promtool(&["check", what, "--help"]).contains("--lint-fatal") {
        args.extend(["--lint=all", "--lint-fatal"]);
    }
    args.push(file);
    promtool(&args);
}

#[test]
fn prometheus_takes_the_configuration() {
    check("config", "prometheus.yml");
}

#[test]
fn rules_do_what_they_say() {
    check("rules", "alerts.yml");
    promtool(&["test", "rules", "alerts_test.yml"]);
}

/// The values that label `name` is compared with, in selectors as `name=~"a|b"`.
fn compared(text: &str, name: &str) -> BTreeSet<String> {
    let quoted = text.replace("\\\"", "\"");
    let mut values = BTreeSet::new();
    for operator in ["=~\"", "!~\"", "!=\"", "=\""] {
        let start = format!("{name}{operator}");
        for (at, _) in quoted.match_indices(&start) {
            let (value, _) = quoted[at + start.len()..].split_once('"').expect("a quote");
            values.insert(value.to_owned());
        }
    }
    values
}

/// What no selector may miss when a hook or a reason is added or renamed.
#[test]
fn selectors_know_hooks_and_reasons() {
    let not_lost: Vec<_> = SkipReason::all().filter(|r| !r.is_loss()).collect();
    let not_lost = not_lost.iter().map(|reason| reason.name());
    let nothing_to_measure = not_lost.collect::<Vec<_>>().join("|");
    let reasons: Vec<_> = SkipReason::all().map(SkipReason::name).collect();
    let hooks: Vec<_> = Hook::default_ones().map(Hook::name).collect();
    for text in [ALERTS, DASHBOARD] {
        for value in compared(text, "reason") {
            if value.contains("peek") {
                let with_transmit = format!("{nothing_to_measure}|tx-timestamp");
                assert!([nothing_to_measure.clone(), with_transmit].contains(&value));
            }
            for reason in value.split('|') {
                assert!(reasons.contains(&reason), "{reason} in {value}");
            }
        }
        for value in compared(text, "hook").iter().filter(|v| *v != "$hook") {
            for hook in value.split('|') {
                let known = |name: &&str| match hook.split_once(".*") {
                    Some((start, end)) => name.starts_with(start) && name.ends_with(end),
                    None => *name == hook,
                };
                assert!(hooks.iter().any(known), "{hook} in {value}");
            }
        }
    }
}

/// GitHub's names of headings: `## It runs, but` is `#it-runs-but`.
fn anchors(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn alerts_lead_to_sections_that_exist() {
    let links: Vec<_> = ALERTS
        .lines()
        .filter_map(|l| {
            l.trim()
                .strip_prefix("runbook_url: https://netstacklat.example/")
        })
        .collect();
    assert_eq!(links.len(), ALERTS.matches("- alert: ").count());
    for link in links {
        let (file, anchor) = link.split_once('#').expect("an anchor");
        assert!(anchors(file).iter().any(|a| a == anchor), "{link}");
    }
}

/// What is drawn, rows left out.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all = dashboard["panels"].as_array().expect("panels").iter();
    all.filter(|panel| panel["type"] != "row").collect()
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).expect("JSON")
}

/// Keys sorted, two spaces: what is saved from Grafana can be compared with it.
#[test]
fn the_dashboard_is_in_canonical_form() {
    let canonical = serde_json::to_string_pretty(&dashboard()).expect("JSON");
    assert!(DASHBOARD.trim_end() == canonical, "run: jq -S . on it");
}

#[test]
fn panels_have_places_of_their_own() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut bottom = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title}");
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another");
        }
        bottom = bottom.max(y + h);
    }
    // Nor gaps, but at the ends of rows that hold less.
    for y in 0..bottom {
        assert!(taken.contains(&(0, y)), "nothing at {y}");
    }
}

/// A range query would show the last value that there was, of a target that has
/// been down for long.
#[test]
fn what_is_present_is_asked_for_as_such() {
    let dashboard = dashboard();
    let mut found = 0;
    for panel in panels(&dashboard) {
        if panel["type"] == "stat" {
            for target in panel["targets"].as_array().expect("targets") {
                assert_eq!(target["instant"], true, "{}", panel["title"]);
                assert_eq!(target["range"], false, "{}", panel["title"]);
                found += 1;
            }
        }
    }
    assert!(found > 5);
}

#[test]
fn panels_say_what_they_show() {
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        let description = panel["description"].as_str().unwrap_or("");
        assert!(description.len() > 20, "{title} has no description");
        let unit = if panel["type"] == "heatmap" {
            &panel["options"]["yAxis"]["unit"]
        } else {
            &panel["fieldConfig"]["defaults"]["unit"]
        };
        assert!(unit.is_string(), "{title} has no unit");
        let targets = panel["targets"].as_array().expect("targets");
        let mut names = BTreeSet::new();
        for target in targets {
            assert!(names.insert(target["refId"].as_str()), "{title}: refId");
            let expression = target["expr"].as_str().expect("an expression");
            assert!(expression.contains("$instance"), "{title}: {expression}");
            let legend = target["legendFormat"].as_str().expect("a legend");
            // A table's columns are its labels.
            assert_eq!(legend.is_empty(), panel["type"] == "table", "{title}");
            for label in legend.split("{{").skip(1) {
                let (label, _) = label.split_once("}}").expect("braces");
                let grouped = expression.contains(label) || label == "instance";
                assert!(grouped, "{title}: {label} is not in {expression}");
            }
        }
    }
}

/// A fixed window would show gaps or smooth too much, by the zoom.
#[test]
fn windows_follow_the_zoom() {
    let mut found = 0;
    let mut visit = vec![dashboard()];
    while let Some(value) = visit.pop() {
        match value {
            Value::Object(map) => {
                if let Some(expression) = map.get("expr").and_then(Value::as_str) {
                    // What shows the present has a window of its own.
                    let windows = if map.get("instant") == Some(&Value::Bool(true)) {
                        ["[5m]", "[$__range]"]
                    } else {
                        ["[$__rate_interval]", "[$__range]"]
                    };
                    let ours = windows.map(|window| expression.matches(window).count());
                    let all = expression.matches('[').count();
                    assert_eq!(all, ours[0] + ours[1], "{expression}");
                    found += all;
                }
                visit.extend(map.into_iter().map(|(_, inner)| inner));
            }
            Value::Array(list) => visit.extend(list),
            _ => {}
        }
    }
    assert!(found > 20, "{found} windows");
}

/// Wherever it is imported, and whatever its Prometheus is called.
#[test]
fn the_data_source_is_a_variable() {
    let dashboard = dashboard();
    let mut found = 0;
    let mut visit = vec![&dashboard];
    while let Some(value) = visit.pop() {
        match value {
            Value::Object(map) => {
                if let Some(source) = map.get("datasource") {
                    // Grafana's own annotations, which each dashboard has.
                    let own = map.get("builtIn").is_some();
                    assert_eq!(source["uid"] == "${datasource}", !own, "{value}");
                    found += 1;
                }
                visit.extend(map.values());
            }
            Value::Array(list) => visit.extend(list),
            _ => {}
        }
    }
    let queries: usize = panels(&dashboard)
        .iter()
        .map(|panel| 1 + panel["targets"].as_array().expect("targets").len())
        .sum();
    assert!(
        found > queries,
        "{found} data sources for {queries} queries"
    );
    let variables = dashboard["templating"]["list"].as_array().expect("a list");
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!(variables[0]["query"], "prometheus");
    assert_eq!(dashboard["id"], Value::Null, "an id of one Grafana");
}

/// Joins by a list of labels fail where two clusters have the same `instance`:
/// queries match on all labels but those that they name as different.
#[test]
fn nothing_joins_by_a_list_of_labels() {
    for text in [ALERTS, DASHBOARD] {
        assert!(!text.contains(" on (") && !text.contains(" on("));
        assert!(text.matches(" and ignoring (").count() > 0);
    }
}

/// What the README's table says of each alert.
#[test]
fn each_alert_is_in_the_table() {
    let readme = include_str!("../exporter/README.md");
    for line in ALERTS.lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: Netstacklat") {
            let rows = readme
                .lines()
                .filter(|line| line.starts_with(&format!("| {name} |")));
            assert_eq!(rows.count(), 1, "{name}");
        }
    }
}
