// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What can be chosen above the panels, and what is marked in all of them.

use serde_json::{Value, json};

use super::grid::source;
use super::questions::{CHOSEN, EITHER, of_either_clock};
use crate::monitoring::queries::{LATENCY, select};

pub(super) fn annotations() -> Value {
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

pub(super) fn variables() -> Value {
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
