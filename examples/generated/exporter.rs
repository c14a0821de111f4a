// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The configuration of ebpf_exporter for the objects of `make bpf`, from the
//! tables in `src/bpf/tables.h`.

use std::fmt::{Result, Write as _};

use netstacklat::model::exported::{
    BUCKET_MAX, CLOCK_STATES, ExportedKey, ExportedKeys, GROUP_EPHEMERAL, GROUP_NONE, GROUP_OTHER,
    GROUP_OTHER_NETNS, Object,
};
use netstacklat::model::hooks::Hook;
use netstacklat::model::skips::SkipReason;

/// File name and text for each object.
pub fn configurations(
    keys: &ExportedKeys,
) -> std::result::Result<Vec<(String, String)>, std::fmt::Error> {
    [Object::Hooks, Object::Groups]
        .into_iter()
        .map(|object| Ok((format!("{}.yaml", object.name()), describe(object, keys)?)))
        .collect()
}

/// The command that makes what is made for these keys.
pub fn made_by(keys: &ExportedKeys) -> String {
    if *keys == ExportedKeys::default() {
        return "make generated".into();
    }
    format!("make bpf GROUP_BY={}", keys.text())
}

fn describe(object: Object, keys: &ExportedKeys) -> std::result::Result<String, std::fmt::Error> {
    let (labels, made_by) = match object {
        Object::Hooks => (String::new(), made_by(&ExportedKeys::default())),
        Object::Groups => (keys.iter().map(group_label).collect(), made_by(keys)),
    };
    let mut yaml = format!(
        "\
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# netstacklat for ebpf_exporter, beside {}.bpf.o: see README.md here.
# Made by `{made_by}` from src/bpf/tables.h; the names of the metrics
# are those of the object's maps.
metrics:
  histograms:
",
        object.name()
    );
    for hook in object.hooks() {
        histogram(object, &labels, &mut yaml, hook)?;
    }
    yaml += "  counters:\n";
    for hook in object.hooks() {
        skips(object, &mut yaml, hook)?;
    }
    clock(object, &mut yaml)?;
    Ok(yaml)
}

/// Buckets are `(2^(b-1), 2^b]` ns, and ebpf_exporter makes 2^b times the
/// multiplier their `le`; it finds the sum after the last.
fn histogram(object: Object, labels: &str, yaml: &mut String, hook: Hook) -> Result {
    write!(
        yaml,
        "    - name: {}
      help: 'Time from entry into the network stack to {}: {}'
      bucket_type: exp2
      bucket_min: 0
      bucket_max: {BUCKET_MAX}
      bucket_multiplier: 0.000000001
      labels:
{labels}        - name: bucket
          size: 4
          decoders:
            - name: uint
",
        object.latency_map(hook),
        hook.name(),
        hook.meaning(),
    )?;
    Ok(())
}

fn skips(object: Object, yaml: &mut String, hook: Hook) -> Result {
    write!(
        yaml,
        "    - name: {}
      help: 'Packets and calls that were not measured at {}, by reason'
      labels:
",
        object.skips_map(hook),
        hook.name(),
    )?;
    let reasons = SkipReason::all().map(SkipReason::name);
    label(yaml, "reason", 3, &reasons.collect::<Vec<_>>())
}

fn clock(object: Object, yaml: &mut String) -> Result {
    let prefix = object.map("");
    write!(
        yaml,
        "    - name: {prefix}clock_info
      help: 'The state of the clock that latencies are taken from: 1 for the present one'
      labels:
"
    )?;
    label(yaml, "state", 0, CLOCK_STATES)?;
    label(yaml, "source", 2, &["update_vsyscall"])?;
    for (name, help) in [
        (
            "clock_steps_total",
            "Steps of the wall clock by more than 100 us since the start, leap seconds included",
        ),
        (
            "clock_tai_offset_seconds",
            "CLOCK_TAI minus CLOCK_REALTIME; 0: nobody has set it",
        ),
        (
            "clock_updates_total",
            "Runs of the program that follows the clock; standing still: the kernel runs no tracing programs",
        ),
    ] {
        write!(yaml, "    - name: {prefix}{name}\n      help: '{help}'\n")?;
    }
    Ok(())
}

/// Keeps what is before the first byte that is no UTF-8: Go reads such a byte as
/// U+FFFD. Any user can name a cgroup so, and ebpf_exporter ends with a panic at
/// a label that is not UTF-8. Names that are then the same are added up.
const VALID: &str = r"^([^\x{FFFD}]*)";

/// The decoders of a key. Cgroup and interface have the names that they have when
/// first seen; the others are numbers, but for what has a name here.
fn group_label(key: ExportedKey) -> String {
    let other = (GROUP_OTHER, "other");
    let decoders = match key.name() {
        "cgroup" => named(
            &["uint", "cgroup"],
            &[
                ("unknown_cgroup_id:0".into(), "''"),
                (format!("unknown_cgroup_id:{GROUP_OTHER}"), "other"),
            ],
        ),
        "interface" => named(
            &["ifname"],
            &[
                ("unknown:0".into(), "''"),
                (format!("unknown:{GROUP_OTHER}"), "other"),
                (format!("unknown:{GROUP_OTHER_NETNS}"), "other-netns"),
            ],
        ),
        "local-port" => numbered(&[(0, "''"), (GROUP_EPHEMERAL, "ephemeral"), other]),
        "rx-queue" => numbered(&[(GROUP_NONE, "none"), other]),
        "family" => numbered(&[(4, "IPv4"), (6, "IPv6"), other]),
        _ => numbered(&[other]),
    };
    format!(
        "        - name: {}\n          size: 4\n          decoders:\n{decoders}",
        key.label()
    )
}

fn named(decoders: &[&str], names: &[(String, &str)]) -> String {
    let mut yaml = String::new();
    for decoder in decoders {
        yaml += &format!("            - name: {decoder}\n");
    }
    yaml += &format!("            - name: regexp\n              regexps: ['{VALID}']\n");
    yaml + &renamed(names)
}

fn numbered(names: &[(u32, &str)]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|(number, name)| (number.to_string(), *name))
        .collect();
    format!("            - name: uint\n{}", renamed(&names))
}

/// What has no name here stays as it is.
fn renamed(names: &[(String, &str)]) -> String {
    let mut yaml = "            - name: static_map
              allow_unknown: true
              static_map:\n"
        .to_owned();
    for (from, to) in names {
        yaml += &format!("                '{from}': {to}\n");
    }
    yaml
}

/// A label out of one byte of the key: its value counts through `names`.
fn label(yaml: &mut String, label: &str, padding: usize, names: &[&str]) -> Result {
    write!(yaml, "        - name: {label}\n          size: 1\n")?;
    if padding > 0 {
        writeln!(yaml, "          padding: {padding}")?;
    }
    *yaml += "          decoders:
            - name: uint
            - name: static_map
              static_map:
";
    for (value, name) in names.iter().enumerate() {
        writeln!(yaml, "                {value}: {name}")?;
    }
    Ok(())
}
