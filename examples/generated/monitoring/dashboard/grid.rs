// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Grafana's panels as JSON, and their places.

use serde_json::{Value, json};

/// Columns of Grafana's grid.
pub(super) const COLUMNS: u64 = 24;

/// Places panels from left to right, and then below.
#[derive(Default)]
pub(super) struct Grid {
    pub(super) panels: Vec<Value>,
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

    pub(super) fn row(&mut self, title: &str, repeat: Option<&str>) {
        self.end_line();
        let mut row = json!({"type": "row", "title": title, "collapsed": false, "panels": []});
        if let Some(variable) = repeat {
            row["repeat"] = json!(variable);
        }
        self.place(row, COLUMNS, 1);
        self.end_line();
    }

    pub(super) fn panel(&mut self, kind: &str, w: u64, h: u64, panel: Panel) {
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

    pub(super) fn stat(&mut self, w: u64, mut panel: Panel) {
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

    pub(super) fn series(&mut self, w: u64, h: u64, scale: Scale, mut panel: Panel) {
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

pub(super) enum Scale {
    Log,
    Linear,
}

/// What is drawn.
#[derive(Default)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) unit: &'static str,
    pub(super) targets: Vec<Target>,
    pub(super) options: Value,
    pub(super) custom: Value,
}

impl Panel {
    pub(super) fn new(
        title: impl Into<String>,
        description: impl Into<String>,
        unit: &'static str,
        targets: Vec<Target>,
    ) -> Panel {
        Panel {
            title: title.into(),
            description: description.into(),
            unit,
            targets,
            options: json!({}),
            custom: json!({}),
        }
    }
}

pub(super) struct Target {
    pub(super) expression: String,
    pub(super) legend: String,
}

pub(super) fn target(legend: &str, expression: impl Into<String>) -> Target {
    Target {
        expression: expression.into(),
        legend: legend.into(),
    }
}

pub(super) fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}
