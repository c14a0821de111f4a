// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Unusual hosts on which measuring works: the findings of `check`, and the counts
//! of the live view.

use std::process::Command;

use netstacklat::model::hooks::{HOOK_COUNT, Hook, Protocol};

use testlab::check::{Check, HostCondition};
use testlab::lines::Run;
use testlab::tool::Tool;
use testlab::{Family, Undo, has_recvmsg_locked, linux_from, sh, udp};

const UNPRIVILEGED: [&str; 2] = ["setpriv", "--bounding-set=-all"];

/// Resets a setting that the lab changes for its own use.
fn usual() -> Undo {
    Undo::after(
        "sysctl -qw kernel.bpf_stats_enabled=0",
        "sysctl -qw kernel.bpf_stats_enabled=1",
    )
}

#[test]
fn with_nothing_missing() {
    let _usual = usual();
    let check = HostCondition::plain().check(0);
    assert_eq!(check.not_ok(), []);
    assert_eq!(check.hooks.len(), HOOK_COUNT);
    // The self-test sends UDP, and names the hooks that it does not pass.
    let tried = Protocol::find("UDP").expect("it has hooks").path();
    let tried: Vec<Hook> = tried.collect();
    let untried = check.finding("self-test").meaning.clone();
    let untried = untried.expect("there are others");
    for hook in Hook::all() {
        let named = untried.split([' ', ',']).any(|word| word == hook.name());
        assert_eq!(named, !tried.contains(&hook), "{hook}: {untried}");
    }
    let release = sh("uname -r");
    assert!(check.finding("kernel").found.contains(release.trim()));
    assert!(check.finding("clock").found.contains("update_vsyscall"));
    let reads = check.hook("tcp-socket-read");
    let function = if has_recvmsg_locked() {
        "tcp_recvmsg_locked"
    } else {
        "tcp_recv_timestamp"
    };
    assert_eq!(reads.found, function);
    // The fallback counts MSG_PEEK reads, and the finding explains that.
    assert_eq!(reads.meaning.is_some(), !has_recvmsg_locked());
}

#[test]
fn with_settings_that_distort() {
    let _set = Undo::after(
        "sysctl -qw kernel.bpf_stats_enabled=1 net.core.bpf_jit_enable=0 \
         net.core.netdev_tstamp_prequeue=0",
        "sysctl -qw net.core.bpf_jit_enable=1 net.core.netdev_tstamp_prequeue=1",
    );
    let check = HostCondition::plain().check_in_both_forms(0);
    let mut expected = vec![
        ("jit", "warning"),
        ("bpf-stats", "warning"),
        ("tstamp-prequeue", "warning"),
    ];
    // From 6.2 on its program calls a kernel function, which needs the JIT.
    if linux_from(6, 2) {
        expected.push(("tcp-socket-read", "warning"));
        let reads = check.hook("tcp-socket-read");
        assert_eq!(reads.found, "tcp_recv_timestamp");
        // So do those of forwarded packets.
        let forwarding = Hook::all().filter(|hook| hook.is_optional() && hook.is_of_packets());
        expected.extend(forwarding.map(|hook| (hook.name(), "warning")));
    }
    assert_eq!(check.not_ok(), expected);
}

/// Behind some devices packets get a new timestamp. The kernels of Debian clear that of
/// redirected packets, so that fq is no danger.
#[test]
fn with_devices_that_renew_timestamps() {
    let _devices = Undo::after(
        "modprobe -a sch_fq tun
         modprobe ifb numifbs=0
         tc -n right qdisc replace dev eth0 root fq
         ip link add ifb9 type ifb
         ip link set ifb9 up
         ip tuntap add dev tun9 mode tun
         ip link set tun9 up",
        "ip link del tun9
         ip link del ifb9
         tc -n right qdisc replace dev eth0 root pfifo limit 100000",
    );
    let check = HostCondition::plain().check(0);
    let renewed = check.finding("renewed-timestamps");
    assert_eq!(renewed.state, "warning");
    assert!(
        ["ifb9", "tun9"]
            .iter()
            .all(|name| renewed.found.contains(name)),
        "{}",
        renewed.found
    );
    let fq = check.finding("fq");
    assert_eq!(
        (fq.state.as_str(), fq.found.as_str()),
        ("ok", "attached to right/eth0")
    );
    let run = Tool::start(&["-r", "1s"]).finish();
    println!("{}", run.stderr);
    assert!(
        run.stderr
            .contains("netstacklat: ifb9: packets that tc redirects")
    );
    assert!(
        run.stderr
            .contains("netstacklat: tun9: packets get a new timestamp")
    );
}

/// The check looks at packets, which needs no privileges.
#[test]
fn with_timestamping_on_for_another_process() {
    let others = |check: &Check| check.finding("other-timestamping").found.clone();
    let unprivileged = HostCondition::behind(&UNPRIVILEGED);
    udp::until_stamped(false);
    let before = others(&unprivileged.check(1));
    assert!(before.starts_with("none"), "{before}");
    let _held = udp::Flow::open(Family::V4, 7850).with_stamps();
    udp::until_stamped(true);
    let check = unprivileged.check(1);
    assert_eq!(others(&check), "RX timestamping is on already");
    assert_eq!(check.finding("timestamps").state, "ok");
}

/// In a new namespace, as in a container, lo is down, and settings of the host are
/// not visible.
#[test]
fn in_a_network_namespace_without_lo() {
    let _usual = usual();
    let check = HostCondition::behind(&["unshare", "-n"]).check(0);
    let unseen = [
        "jit",
        "tstamp-prequeue",
        "other-timestamping",
        "timestamps",
        "self-test",
    ];
    assert_eq!(check.not_ok(), unseen.map(|subject| (subject, "unknown")));
}

#[test]
fn with_sysfs_read_only() {
    let script = "mount -o remount,bind,ro /sys && exec \"$@\"";
    HostCondition::behind(&["unshare", "-m", "bash", "-c", script, "bash"]).measures();
}

#[test]
fn without_one_function() {
    let check = HostCondition::hiding("tcp_data_queue").check_in_both_forms(3);
    let off = check.hook("tcp-data-queue");
    assert_eq!((off.state.as_str(), off.found.as_str()), ("problem", "off"));
    assert_eq!(check.finding("self-test").state, "ok");

    let tool = Tool::start_hiding("tcp_data_queue", &["-r", "1"]);
    for hook in tool.started().hooks {
        let off = hook.hook == "tcp-data-queue";
        let known = Hook::find(&hook.hook).expect("a hook of the table");
        assert_eq!(hook.attached, !off && !known.is_optional(), "{hook:?}");
        let reason = hook.reason.unwrap_or_default();
        assert_eq!(reason.contains("tcp_data_queue"), off, "{reason}");
    }
    let run = datagrams_are_counted(tool);
    let measured = |hook: &str| run.total.hooks.iter().any(|line| line.hook == hook);
    assert!(!measured("tcp-data-queue"));
}

/// Counts exactly 100 datagrams more than before timestamping was on.
fn datagrams_are_counted(tool: Tool) -> Run {
    let warm = tool.warm_up();
    udp::exchange(&udp::Flow::several(Family::V6, 7800..7801), 100);
    let run = tool.finish();
    assert_eq!(run.hook("udp-socket-read").count, 100 + warm.with);
    run
}

/// CAP_BPF and CAP_PERFMON. On 5.10 also CAP_SYS_RESOURCE, for the memory of maps.
fn needed(plus: &str) -> String {
    let names = if linux_from(5, 11) {
        &["bpf", "perfmon"][..]
    } else {
        &["bpf", "perfmon", "sys_resource"]
    };
    let names: Vec<_> = names.iter().map(|name| format!("{plus}{name}")).collect();
    names.join(",")
}

/// As a systemd unit does it (AmbientCapabilities=).
#[test]
fn as_nobody_with_ambient_capabilities() {
    let _usual = usual();
    let inherited = format!("--inh-caps=-all,{}", needed("+"));
    let ambient = format!("--ambient-caps=-all,{}", needed("+"));
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &inherited,
        &ambient,
    ];
    assert_eq!(HostCondition::behind(&nobody).check(0).not_ok(), []);
    let mut command = Command::new(nobody[0]);
    command.args(&nobody[1..]).arg("netstacklat");
    let tool = Tool::start_behind(&mut command, &["-r", "1", "-e", "udp-socket-read"]);
    let status = sh(&format!("cat /proc/{}/status", tool.pid()));
    assert!(
        status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
        "{status}"
    );
    datagrams_are_counted(tool);
}

/// With the setcap command of the README.
#[test]
fn as_nobody_with_capabilities_of_the_file() {
    const COPY: &str = "/usr/local/bin/netstacklat-of-nobody";
    let script = format!("cp /usr/local/bin/netstacklat {COPY}; chmod 755 {COPY}");
    let _copy = Undo::after(&script, "rm -f /usr/local/bin/netstacklat-of-nobody");
    let caps = format!("{}=ep", needed("cap_"));
    let readme = include_str!("../../../README.md");
    assert!(readme.contains("sudo setcap cap_bpf,cap_perfmon=ep /usr/local/bin/netstacklat"));
    sh(&format!("setcap {caps} {COPY}"));
    let mut as_nobody = Command::new("setpriv");
    as_nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", COPY]);
    let tool = Tool::start_behind(&mut as_nobody, &["-r", "1"]);
    let run = datagrams_are_counted(tool);
    // Each report reads the count of missed runs, so that works too.
    assert_eq!(run.total.hooks.len(), Hook::default_ones().count());
}
