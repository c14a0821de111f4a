// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! If the kernel stops calling the programs while they are attached, the report
//! says so. (That it never says so for an idle host is checked in each run.)

use nix::errno::Errno;

use testlab::text::TextTool;
use testlab::{PATIENCE, Undo, linux_from, wait_until};

const SWITCH: &str = "/proc/sys/kernel/ftrace_enabled";
const NOTE: &str = "stalled: the kernel called no BPF program";

fn reports(text: &str) -> usize {
    text.matches(" UTC  ").count()
}

#[test]
fn ftrace_is_switched_off_while_it_runs() {
    let tool = TextTool::start(&["-r", "1s", "-e", "udp-socket-read"]);
    if !linux_from(6, 1) || linux_from(7, 0) {
        // This kernel refuses to switch ftrace off while programs use it.
        let refused = std::fs::write(SWITCH, "0").expect_err("it was switched off");
        let expected = if linux_from(7, 0) {
            Errno::EOPNOTSUPP
        } else {
            Errno::EBUSY
        };
        assert_eq!(refused.raw_os_error(), Some(expected as i32));
        let (text, _) = tool.finish();
        assert!(!text.contains(NOTE), "{text}");
        return;
    }
    wait_until(PATIENCE, "a report", || reports(&tool.stdout()) > 0);
    // Check this before switching it off, which may take as long as a report.
    assert!(!tool.stdout().contains(NOTE));
    let off = Undo::after(
        "sysctl -qw kernel.ftrace_enabled=0",
        "sysctl -qw kernel.ftrace_enabled=1",
    );
    wait_until(PATIENCE, "the note appears", || {
        tool.stdout().contains(NOTE)
    });
    drop(off);
    // How many more reports have the note depends on how long the switch takes.
    wait_until(PATIENCE, "the note no longer appears", || {
        let text = tool.stdout();
        let (_, since) = text.rsplit_once(NOTE).expect("the note appeared");
        reports(since) >= 5
    });
    let (text, _) = tool.finish();
    println!("{text}");
}
