// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What Prometheus, Alertmanager and Grafana are given: rules and alerts, and the
//! dashboard. Both ask the same questions, which are in [`queries`].

mod alerts;
mod dashboard;
mod grouped;
mod queries;
mod rules;

pub use dashboard::dashboard;

use netstacklat::model::exported::ExportedKeys;

/// Rules and alerts, of a grouped object that counts by these keys: file name and
/// text.
pub fn rules(keys: &ExportedKeys) -> Vec<(String, String)> {
    vec![("alerts.yml".into(), rules::file(keys))]
}
