// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The configuration of ebpf_exporter for the objects of `make bpf`, from the
//! tables in `src/bpf/tables.h`.

use std::fmt::{Result, Write as _};

use netstacklat::model::exported::{
    BUCKET_MAX, CLOCK_STATES, GROUP_OTHER, GROUP_OTHER_NETNS, Object,
};
use netstacklat::model::hooks::Hook;
use netstacklat::model::skips::SkipReason;

/// File name and text for each object.
pub fn configurations() -> std::result::Result<Vec<(String, String)>, std::fmt::Error> {
    let objects = [Object::Hooks, Object::Groups];
    let texts = objects.map(|object| Ok((format!("{}.yaml", object.name()), describe(object)?)));
    texts.into_iter().collect()
}

fn describe(object: Object) -> std::result::Result<String, std::fmt::Error> {
    let mut yaml = format!(
        "\
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# netstacklat for ebpf_exporter, beside {}.bpf.o: see README.md here.
# Made by `make generated` from src/bpf/tables.h; the names of the metrics
# are those of the object's maps.
metrics:
  histograms:
",
        object.name()
    );
    for hook in object.hooks() {
        histogram(object, &mut yaml, hook)?;
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
fn histogram(object: Object, yaml: &mut String, hook: Hook) -> Result {
    write!(
        yaml,
        "    - name: {}
      help: 'Time from entry into the network stack to {}: {}'
      bucket_type: exp2
      bucket_min: 0
      bucket_max: {BUCKET_MAX}
      bucket_multiplier: 0.000000001
      labels:
{}        - name: bucket
          size: 4
          decoders:
            - name: uint
",
        object.latency_map(hook),
        hook.name(),
        hook.meaning(),
        match object {
            Object::Hooks => String::new(),
            Object::Groups => group_labels(),
        }
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

/// Interface and cgroup, by the names that they have when first seen.
fn group_labels() -> String {
    format!(
        "        - name: cgroup
          size: 4
          decoders:
            - name: uint
            - name: cgroup
            - name: regexp
              regexps: ['{VALID}']
            - name: static_map
              allow_unknown: true
              static_map:
                'unknown_cgroup_id:0': ''
                'unknown_cgroup_id:{GROUP_OTHER}': other
        - name: interface
          size: 4
          decoders:
            - name: ifname
            - name: regexp
              regexps: ['{VALID}']
            - name: static_map
              allow_unknown: true
              static_map:
                'unknown:0': ''
                'unknown:{GROUP_OTHER}': other
                'unknown:{GROUP_OTHER_NETNS}': other-netns
"
    )
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
