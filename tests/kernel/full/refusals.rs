// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Hosts on which measuring is impossible: the live view and `check` name the cause
//! and the fix. Each condition is real, not simulated.

use testlab::check::HostCondition;
use testlab::{Undo, linux_from};

const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

#[test]
fn without_privileges() {
    let before = [&NOBODY[..], &["--bounding-set=-all"]].concat();
    let found = HostCondition::behind(&before).refused("privileges", "missing privileges");
    assert_eq!(found.found, "missing privileges: CAP_BPF and CAP_PERFMON");
    let remedy = found.remedy.expect("a remedy");
    assert!(remedy.contains("sudo netstacklat"), "{remedy}");
    assert_eq!(
        remedy.contains("cap_bpf,cap_perfmon,cap_sys_resource=ep"),
        !linux_from(5, 11)
    );
}

#[test]
fn with_one_capability_of_two() {
    for (held, missing) in [("bpf", "CAP_PERFMON"), ("perfmon", "CAP_BPF")] {
        let inherited = format!("--inh-caps=-all,+{held}");
        let ambient = format!("--ambient-caps=-all,+{held}");
        let before = [&NOBODY[..], &[&inherited, &ambient]].concat();
        let found = HostCondition::behind(&before).refused("privileges", "missing privileges");
        assert_eq!(found.found, format!("missing privileges: {missing}"));
    }
    // Root without one capability.
    let found = HostCondition::behind(&["setpriv", "--bounding-set=-perfmon,-sys_admin"])
        .refused("privileges", "missing privileges");
    assert_eq!(found.found, "missing privileges: CAP_PERFMON");
}

/// Root in a user namespace has all capabilities, but they do not count for BPF. So
/// do rootless containers.
#[test]
fn in_a_user_namespace() {
    let container = HostCondition::behind(&["unshare", "-Ur"]);
    let found = container.refused("tracing", "the kernel refuses tracing programs");
    let cause = found.meaning.expect("a cause");
    assert!(cause.contains("user namespace"), "{cause}");
    let check = container.check(1);
    assert_eq!(check.finding("privileges").state, "ok");
    assert_eq!(check.finding("confinement").state, "warning");
}

#[test]
fn under_a_seccomp_filter() {
    let sandbox = HostCondition::without(nix::libc::SYS_bpf);
    let found = sandbox.refused("tracing", "the kernel refuses tracing programs");
    let cause = found.meaning.expect("a cause");
    assert!(cause.contains("seccomp"), "{cause}");
    sandbox.check_in_both_forms(1);
}

#[test]
fn without_type_information() {
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let found = HostCondition::behind(&["unshare", "-m", "bash", "-c", script, "bash"])
        .refused("btf", "no type information (BTF) of the running kernel");
    assert!(found.found.contains("/sys/kernel/btf/vmlinux"));
}

#[test]
fn without_sysfs() {
    let script = "mount -t tmpfs none /sys && exec \"$@\"";
    let found = HostCondition::behind(&["unshare", "-m", "bash", "-c", script, "bash"])
        .refused("sysfs", "no /sys here");
    assert!(found.found.contains("/sys/devices/system/cpu/possible"));
}

#[test]
fn with_few_open_files() {
    let limit = |n| ["prlimit", n];
    let found = HostCondition::behind(&limit("--nofile=8"))
        .refused("open-files", "the limit of open files is too low");
    assert!(found.found.ends_with(": 8 allowed"));
    // The lowest limit that is accepted is enough.
    HostCondition::behind(&limit("--nofile=72")).measures();
    // Too few for the dynamic linker, whose message is documented too.
    let output = HostCondition::behind(&limit("--nofile=3")).run(&["check"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    println!("{said}");
    let (_, message) = said.trim().split_once(": ").expect("a message");
    assert!(include_str!("../../../docs/troubleshooting.md").contains(message));
}

/// 5.10 counts maps as locked memory, of which Debian allows 64 KiB to those
/// who cannot raise the limit.
#[test]
fn with_little_locked_memory() {
    let caps = [
        "--inh-caps=-all,+bpf,+perfmon",
        "--ambient-caps=-all,+bpf,+perfmon",
    ];
    let little = ["prlimit", "--memlock=65536"];
    let before = [&little[..], &NOBODY, &caps].concat();
    let poor = HostCondition::behind(&before);
    if linux_from(5, 11) {
        return poor.measures();
    }
    let found = poor.refused("locked-memory", "the limit of locked memory is too low");
    let remedy = found.remedy.expect("a remedy");
    assert!(remedy.contains("ulimit -l unlimited"), "{remedy}");
    let unlimited = ["prlimit", "--memlock=unlimited"];
    HostCondition::behind(&[&unlimited[..], &NOBODY, &caps].concat()).measures();
}

/// 6.1 and 6.12 would attach all programs and never run them.
#[test]
fn with_ftrace_switched_off() {
    if linux_from(7, 0) {
        // This kernel does not allow it.
        let written = std::fs::write("/proc/sys/kernel/ftrace_enabled", "0");
        let refused = written.expect_err("it was switched off");
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EOPNOTSUPP));
        return;
    }
    let _off = Undo::after(
        "sysctl -qw kernel.ftrace_enabled=0",
        "sysctl -qw kernel.ftrace_enabled=1",
    );
    let found = HostCondition::plain().refused("ftrace", "ftrace is switched off");
    assert_eq!(
        found.found,
        "ftrace is switched off: kernel.ftrace_enabled = 0"
    );
}

#[test]
fn without_a_function_of_the_only_hook() {
    let hiding = HostCondition::hiding("skb_consume_udp");
    let output = hiding.run(&["-e", "udp-socket-read", "--duration", "10ms"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(said.starts_with("netstacklat: nothing left to measure: skb_consume_udp"));
}
