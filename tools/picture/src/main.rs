// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Draws the dashboard from what Prometheus has answered to each of its queries:
//! `picture DASHBOARD.json ANSWERS >dashboard.svg`. Of the answers those lines
//! count that begin with PANEL (tests/kernel/exporter/picture.rs).
//!
//! Not Grafana: places, titles, units and legends are the dashboard's own, lines
//! and colours are ours.

mod draw;
mod units;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// A panel where it is drawn, in cells of the grid.
struct Placed<'a> {
    panel: &'a Value,
    hook: Option<String>,
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

/// The answer to one query.
#[derive(Deserialize)]
struct Answer {
    panel: u64,
    hook: Option<String>,
    letter: String,
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// By panel, hook and letter.
type Answers = HashMap<(u64, Option<String>, String), Vec<Series>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dashboard, answers] = &arguments[..] else {
        bail!("usage: picture DASHBOARD.json ANSWERS >dashboard.svg");
    };
    let dashboard =
        std::fs::read_to_string(dashboard).with_context(|| format!("reading {dashboard}"))?;
    let dashboard: Value = serde_json::from_str(&dashboard)?;
    let text = std::fs::read_to_string(answers).with_context(|| format!("reading {answers}"))?;
    let mut known = Answers::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("PANEL ") {
            let answer: Answer = serde_json::from_str(line)?;
            known.insert((answer.panel, answer.hook, answer.letter), answer.series);
        }
    }
    if known.is_empty() {
        bail!("{answers} has no answers");
    }
    let placed = place(&dashboard)?;
    print!("{}", draw::all(&placed, &known)?);
    Ok(())
}

/// Rows that are repeated for each hook are there once for each, as Grafana has
/// them.
fn place(dashboard: &Value) -> Result<Vec<Placed<'_>>> {
    let hooks = dashboard["templating"]["list"]
        .as_array()
        .context("variables")?;
    let hooks = hooks.iter().find(|variable| variable["name"] == "hook");
    let hooks = hooks.context("the variable hook")?["current"]["value"]
        .as_array()
        .context("hooks")?;
    let mut placed = Vec::new();
    let panels = dashboard["panels"].as_array().context("panels")?;
    let rows = panels.chunk_by(|_, next| next["type"] != "row");
    let mut below = 0;
    for row in rows {
        let at = |panel: &Value, key: &str| panel["gridPos"][key].as_u64().unwrap_or(0);
        let top = at(&row[0], "y");
        let height = row
            .iter()
            .map(|panel| at(panel, "y") + at(panel, "h") - top)
            .max()
            .unwrap_or(0);
        let repeats: Vec<Option<String>> = if row[0]["repeat"].is_string() { hooks
                .iter()
                .map(|hook| hook.as_str().map(str::to_owned))
                .collect() } else { vec![None] };
        for (n, hook) in (0..).zip(&repeats) {
            for panel in row {
                placed.push(Placed {
                    panel,
                    hook: hook.clone(),
                    x: at(panel, "x"),
                    y: at(panel, "y") + below + n * height,
                    w: at(panel, "w"),
                    h: at(panel, "h"),
                });
            }
        }
        below += (repeats.len() as u64 - 1) * height;
    }
    Ok(placed)
}
