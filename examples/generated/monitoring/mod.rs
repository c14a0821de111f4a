// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What Prometheus, Alertmanager and Grafana are given: rules and alerts, and the
//! dashboard. Both ask the same questions, which are in [`queries`].

mod alerts;
mod dashboard;
mod queries;
mod rules;

pub use dashboard::dashboard;

/// Rules and alerts: file name and text.
pub fn rules() -> Vec<(String, String)> {
    vec![("alerts.yml".into(), rules::file())]
}
