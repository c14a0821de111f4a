// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! exporter/grafana-netstacklat.json: panels from top to bottom.

mod details;
mod grid;
mod overview;
mod questions;
mod variables;

use netstacklat::model::exported::{ExportedKey, ExportedKeys};
use serde_json::json;

use crate::exporter::made_by;
use crate::monitoring::grouped::spoken;
use details::{clock_and_exporter, not_measured, one_hook, services};
use grid::Grid;
use overview::{all_hooks, is_it_measuring};
use variables::{annotations, variables};

/// Of a grouped object that counts by these keys: file name and text.
pub fn dashboard(keys: &ExportedKeys) -> Vec<(String, String)> {
    let mut grid = Grid::default();
    grid.row("Is it measuring?", None);
    is_it_measuring(&mut grid);
    grid.row("All hooks", None);
    all_hooks(&mut grid);
    grid.row("$hook", Some("hook"));
    one_hook(&mut grid);
    grid.row(&format!("{} (netstacklat-groups)", title(keys)), None);
    services(&mut grid, keys);
    grid.row("What was not measured", None);
    not_measured(&mut grid);
    grid.row("Clock and exporter", None);
    clock_and_exporter(&mut grid);
    let json = json!({
        "annotations": {"list": annotations()},
        "description": "How long packets take from entering the Linux network stack to ten points further up, as netstacklat \
                        measures it through ebpf_exporter. Needs the metric_relabel_configs of exporter/prometheus.yml. Made \
                        by `MADE_BY` from examples/generated/monitoring."
            .replace("MADE_BY", &made_by(keys)),
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

/// Of the row of panels by group.
fn title(keys: &ExportedKeys) -> String {
    if *keys == ExportedKeys::default() {
        return "Services and interfaces".into();
    }
    let names: Vec<_> = keys.iter().map(ExportedKey::name).collect();
    format!("By {}", spoken(&names))
}
