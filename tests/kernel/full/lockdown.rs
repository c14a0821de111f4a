// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A kernel in lockdown=confidentiality. Lockdown cannot be undone, so
//! `tools/vm/test` gives this file a guest of its own.

use testlab::check::HostCondition;
use testlab::tool::Tool;
use testlab::{Family, has_recvmsg_locked, linux_from, sh, tcp, udp};

/// Lockdown forbids bpf_probe_read_kernel, not tracing. All hooks measure; if the
/// program at `tcp_recvmsg_locked` needs that helper, the fallback is used.
#[test]
fn all_hooks_measure_in_confidentiality_mode() {
    let mode = "/sys/kernel/security/lockdown";
    let modes = sh(&format!("echo confidentiality >{mode}; cat {mode}"));
    assert_eq!(modes, "none integrity [confidentiality]\n");

    let helper_needed = has_recvmsg_locked() && !linux_from(6, 2);
    let check = HostCondition::plain().check(0);
    let state = |affected| if affected { "warning" } else { "ok" };
    let forwarding = linux_from(6, 2);
    assert_eq!(check.finding("lockdown").state, state(!forwarding));
    assert_eq!(check.hook("ip-forward").state, state(!forwarding));
    assert_eq!(check.finding("tracing").state, "ok");
    assert_eq!(check.finding("self-test").state, "ok");
    let reads = check.hook("tcp-socket-read");
    assert_eq!(reads.state, state(helper_needed));
    let regular = has_recvmsg_locked() && !helper_needed;
    let function = if regular {
        "tcp_recvmsg_locked"
    } else {
        "tcp_recv_timestamp"
    };
    assert_eq!(reads.found, function);

    let tool = Tool::start(&["-r", "1", "-e", "udp-socket-read"]);
    let warm = tool.warm_up();
    udp::exchange(&udp::Flow::several(Family::V4, 7860..7861), 100);
    let load = tcp::Load {
        writes: 50,
        size: 1000,
        at_once: 4096,
        urgent_every: 10,
    };
    tcp::Connection::open(Family::V4, 7861).transfer(load);
    let run = tool.finish();
    assert_eq!(run.hook("udp-socket-read").count, 100 + warm.with);
    for line in &run.total.hooks {
        assert!(line.count > 0, "{} measured nothing", line.hook);
    }
}
