// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Settings of this host that decide whether programs run, or that distort what
//! they measure. `check::evaluate` judges them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// Settings of the kernel, and restrictions on this process. `None` if a setting
/// cannot be read, or does not exist in this kernel.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `kernel.ftrace_enabled`. At 0 the kernel never runs attached programs, or
    /// refuses to attach them.
    pub ftrace_enabled: Option<u64>,
    /// `net.core.bpf_jit_enable`. At 0 programs are interpreted.
    pub bpf_jit_enable: Option<u64>,
    /// `kernel.bpf_stats_enabled`. At 1 the kernel measures every run of every
    /// program.
    pub bpf_stats_enabled: Option<u64>,
    /// `net.core.netdev_tstamp_prequeue`. At 0 packets get their timestamp after RPS.
    pub tstamp_prequeue: Option<u64>,
    /// The kernel's lockdown mode.
    pub lockdown: Option<String>,
    /// Whether this process is in a user namespace other than the initial one.
    pub user_namespace: Option<bool>,
    /// Whether a seccomp filter restricts the system calls of this process.
    pub seccomp_filter: Option<bool>,
}

impl Settings {
    /// Reads the settings. This needs no privileges.
    pub fn probe() -> Settings {
        Settings {
            ftrace_enabled: number("kernel/ftrace_enabled"),
            bpf_jit_enable: number("net/core/bpf_jit_enable"),
            bpf_stats_enabled: number("kernel/bpf_stats_enabled"),
            tstamp_prequeue: number("net/core/netdev_tstamp_prequeue"),
            lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
                .ok()
                .and_then(|modes| chosen(&modes).map(str::to_owned)),
            user_namespace: fs::metadata("/proc/self/ns/user")
                .ok()
                .map(|namespace| namespace.ino() != FIRST_USER_NAMESPACE),
            seccomp_filter: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|status| seccomp_filter(&status)),
        }
    }
}

/// The inode number of the initial user namespace, the same on every kernel
/// (PROC_USER_INIT_INO).
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// Reads a setting below `/proc/sys`, without the newline.
pub(super) fn sysctl(path: &str) -> Option<String> {
    let value = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
    Some(value.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    sysctl(path)?.parse().ok()
}

/// The mode in brackets, as in `none [integrity] confidentiality`.
fn chosen(modes: &str) -> Option<&str> {
    let mode = modes.split_once('[')?.1;
    Some(mode.split_once(']')?.0)
}

/// Reads the seccomp mode in `/proc/self/status`: 0 is off, 1 strict, 2 a filter.
fn seccomp_filter(status: &str) -> Option<bool> {
    let mode = status.lines().find_map(|l| l.strip_prefix("Seccomp:"))?;
    Some(mode.trim() == "2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lockdown_mode_is_the_one_in_brackets() {
        assert_eq!(
            chosen("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(chosen("[none] integrity confidentiality\n"), Some("none"));
        assert_eq!(chosen("none\n"), None);
    }

    #[test]
    fn a_seccomp_filter_is_told_from_none() {
        assert_eq!(
            seccomp_filter("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"),
            Some(true)
        );
        assert_eq!(seccomp_filter("Seccomp:\t0\n"), Some(false));
        assert_eq!(seccomp_filter("Name:\tx\n"), None);
    }
}
