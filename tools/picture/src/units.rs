// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Values in Grafana's units.

pub fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" => seconds(value),
        "percentunit" => format!("{}%", short(value * 100.0)),
        "cps" => format!("{} /s", short(value)),
        _ => short(value),
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".into(),
        size if size < 1e-6 => format!("{} ns", short(value * 1e9)),
        size if size < 1e-3 => format!("{} µs", short(value * 1e6)),
        size if size < 1.0 => format!("{} ms", short(value * 1e3)),
        _ => format!("{} s", short(value)),
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.1} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} K", value / 1e3),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
