// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What rules and dashboard ask of the grouped object, by the keys that it counts
//! by.

use netstacklat::model::exported::{ExportedKey, ExportedKeys};

/// What one value of the key is, and several.
pub fn nouns(key: ExportedKey) -> (&'static str, &'static str) {
    match key.name() {
        "cgroup" => ("a service (cgroup)", "services"),
        "interface" => ("an interface", "interfaces"),
        "netns" => ("a network namespace", "network namespaces"),
        "local-port" => ("a local port", "local ports"),
        "rx-queue" => ("a receive queue", "receive queues"),
        "cpu" => ("a CPU", "CPUs"),
        "family" => ("an IP version", "IP versions"),
        other => unreachable!("{other} is a new key"),
    }
}

/// Keys of what records and alerts are: whose packets they are, if that is told,
/// and otherwise each key.
pub fn recorded(keys: &ExportedKeys) -> Vec<ExportedKey> {
    let whose = |key: &ExportedKey| ["cgroup", "netns", "local-port"].contains(&key.name());
    let of_owners: Vec<_> = keys.iter().filter(whose).collect();
    if of_owners.is_empty() {
        keys.iter().collect()
    } else {
        of_owners
    }
}

/// Selects the hooks at which the key is known: elsewhere its label is empty.
pub fn known(key: ExportedKey) -> String {
    match key.name() {
        "cgroup" | "local-port" => format!("{{{}!=\"\"}}", key.label()),
        _ => String::new(),
    }
}

/// Leaves out what stands for many.
pub fn is_one(key: ExportedKey) -> String {
    let label = key.label();
    match key.name() {
        "cgroup" => format!("{label}!~\"other|unknown_cgroup_id:.*\""),
        "local-port" => format!("{label}!~\"other|ephemeral\""),
        "interface" => format!("{label}!~\"other|other-netns\""),
        _ => format!("{label}!=\"other\""),
    }
}

/// Adds series up that differ in other keys only.
pub fn by_this_alone(key: ExportedKey, keys: &ExportedKeys, series: &str) -> String {
    let others: Vec<_> = keys
        .iter()
        .filter(|other| *other != key)
        .map(ExportedKey::label)
        .collect();
    if others.is_empty() {
        series.into()
    } else {
        format!("sum without ({}) ({series})", others.join(", "))
    }
}

/// The labels of a group, those included that exporter/prometheus.yml makes.
pub fn labels(keys: &ExportedKeys) -> String {
    let mut labels: Vec<_> = keys.iter().map(ExportedKey::label).collect();
    if keys.has("cgroup") {
        labels.extend(["container_id", "pod_uid"]);
    }
    labels.join(", ")
}

/// "cgroup and interface"
pub fn spoken(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
