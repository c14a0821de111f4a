// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Hosts on which it cannot measure, or not all: it says what is missing.

use std::process::{Command, Output};

use crate::lab::tool::Tool;
use crate::lab::{Family, udp};

fn refused(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it is in the guest");
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    println!("{stderr}");
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stdout.is_empty(), "data on standard output");
    assert!(stderr.starts_with("netstacklat: "), "{stderr}");
    stderr
}

#[test]
fn without_privileges() {
    let said = refused(Command::new("setpriv").args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "netstacklat",
    ]));
    assert!(said.contains("missing privileges: CAP_BPF and CAP_PERFMON"));
    assert!(said.contains("sudo"));
}

#[test]
fn without_type_information() {
    let script = "mount -t tmpfs none /sys/kernel/btf && exec netstacklat";
    let said = refused(Command::new("unshare").args(["-m", "bash", "-c", script]));
    assert!(said.contains("BTF") && said.contains("/sys/kernel/btf/vmlinux"));
}

#[test]
fn without_one_function() {
    let tool = Tool::start_hiding("tcp_data_queue", &["-r", "1"]);
    for hook in tool.started().hooks {
        let off = hook.hook == "tcp-data-queue";
        assert_eq!(hook.attached, !off, "{hook:?}");
        let reason = hook.reason.unwrap_or_default();
        assert_eq!(reason.contains("tcp_data_queue"), off, "{reason}");
    }
    let warm = tool.warm_up();
    udp::exchange(&udp::Flow::several(Family::V6, 7800..7801), 100);
    let run = tool.finish();
    assert_eq!(run.hook("udp-socket-read").count, 100 + warm.with);
    assert!(
        run.total
            .hooks
            .iter()
            .all(|line| line.hook != "tcp-data-queue")
    );
}
