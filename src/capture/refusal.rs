// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why a host cannot measure at all, and what to do about it. Each obstacle
//! has a section of that name in docs/troubleshooting.md.

use std::fmt;

use crate::capture::settings::Settings;
use crate::model::finding::{Finding, State};

/// What keeps a host from measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Older than what this is built for.
    OldKernel,
    /// RLIMIT_NOFILE.
    OpenFiles,
    /// Capabilities.
    Privileges,
    /// RLIMIT_MEMLOCK, on kernels that count maps as locked memory.
    LockedMemory,
    /// The kernel's description of the machine.
    Sysfs,
    /// The kernel's type information.
    Btf,
    /// `kernel.ftrace_enabled`.
    Ftrace,
    /// Neither way to compare stamps with a clock.
    Clock,
    /// None of the functions exists.
    NothingLeft,
    /// EPERM from the kernel, capabilities or not.
    Policy,
    /// The kernel does not take the programs.
    Rejected,
    /// The kernel attaches none of the programs.
    NotAttached,
    /// The kernel does not stamp packets.
    Stamping,
    /// The kernel does not measure programs (`--bpf-stats`).
    Statistics,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Obstacle; 14] = [
        Obstacle::OldKernel,
        Obstacle::OpenFiles,
        Obstacle::Privileges,
        Obstacle::LockedMemory,
        Obstacle::Sysfs,
        Obstacle::Btf,
        Obstacle::Ftrace,
        Obstacle::Clock,
        Obstacle::NothingLeft,
        Obstacle::Policy,
        Obstacle::Rejected,
        Obstacle::NotAttached,
        Obstacle::Stamping,
        Obstacle::Statistics,
    ];

    /// What `netstacklat check` files it under.
    pub fn subject(self) -> &'static str {
        match self {
            Obstacle::OldKernel => "kernel",
            Obstacle::OpenFiles => "open-files",
            Obstacle::Privileges => "privileges",
            Obstacle::LockedMemory => "locked-memory",
            Obstacle::Sysfs => "sysfs",
            Obstacle::Btf => "btf",
            Obstacle::Ftrace => "ftrace",
            Obstacle::Clock => "clock",
            Obstacle::Stamping => "stamps",
            Obstacle::Statistics => "bpf-stats",
            Obstacle::NothingLeft
            | Obstacle::Policy
            | Obstacle::Rejected
            | Obstacle::NotAttached => "tracing",
        }
    }

    /// How its message begins: what users search for.
    pub fn title(self) -> &'static str {
        match self {
            Obstacle::OldKernel => "the kernel is too old",
            Obstacle::OpenFiles => "the limit of open files is too low",
            Obstacle::Privileges => "missing privileges",
            Obstacle::LockedMemory => "the limit of locked memory is too low",
            Obstacle::Sysfs => "no /sys here",
            Obstacle::Btf => "no type information (BTF) of the running kernel",
            Obstacle::Ftrace => "ftrace is switched off",
            Obstacle::Clock => "no clock to compare packet stamps with",
            Obstacle::NothingLeft => "nothing left to measure",
            Obstacle::Policy => "the kernel refuses tracing programs",
            Obstacle::Rejected => "the kernel did not take the BPF programs",
            Obstacle::NotAttached => "no hook could be attached",
            Obstacle::Stamping => "no software RX timestamps",
            Obstacle::Statistics => "no BPF run-time statistics",
        }
    }
}

/// Why this host cannot measure, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is in the way.
    pub obstacle: Obstacle,
    /// How it looks here.
    pub detail: String,
    /// Why that keeps it from measuring, or what is probably behind it.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refusal {
    /// A refusal in four sentences without full stop.
    pub fn new(
        obstacle: Obstacle,
        detail: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Refusal {
        Refusal {
            obstacle,
            detail: detail.into(),
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// As `netstacklat check` shows it.
    pub fn finding(&self) -> Finding {
        Finding::new(
            State::Problem,
            self.obstacle.subject(),
            format!("{}: {}", self.obstacle.title(), self.detail),
            &self.cause,
        )
        .remedy(&self.remedy)
    }

    /// EPERM for a process that has the capabilities.
    pub fn policy(error: &dyn fmt::Display, settings: &Settings) -> Refusal {
        let (cause, remedy) = if settings.user_namespace == Some(true) {
            (
                "this process is in a user namespace, whose capabilities do not count for BPF",
                "run netstacklat on the host itself: it sees the containers' packets too",
            )
        } else if settings.seccomp_filter == Some(true) {
            (
                "a seccomp filter is on this process, as in containers, and probably forbids bpf(2)",
                "run netstacklat on the host itself: it sees the containers' packets too; or \
                 give the container the capabilities, which makes Docker's filter let bpf(2) \
                 pass: --cap-add BPF --cap-add PERFMON",
            )
        } else {
            (
                "a policy of this host, though the process has the capabilities: a security \
                 module (SELinux, AppArmor), or the kernel of a managed or sandboxed host",
                "look for a denial in the kernel's log (dmesg, journalctl -k) and allow it, or \
                 measure on a host whose kernel allows BPF tracing",
            )
        };
        Refusal::new(Obstacle::Policy, error.to_string(), cause, remedy)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.obstacle.title();
        write!(f, "{title}: {}\n  Cause: {}", self.detail, self.cause)?;
        write!(f, "\n  Remedy: {}", self.remedy)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_blamed_on_what_confines_the_process() {
        let policy = |user_namespace, seccomp_filter| {
            let settings = Settings {
                user_namespace: Some(user_namespace),
                seccomp_filter: Some(seccomp_filter),
                ..Settings::default()
            };
            Refusal::policy(&"EPERM", &settings).cause
        };
        assert!(policy(true, true).contains("user namespace"));
        assert!(policy(false, true).contains("seccomp"));
        assert!(policy(false, false).contains("security module"));
    }

    /// Users paste the message into a search box.
    #[test]
    fn every_obstacle_has_its_section_in_the_documentation() {
        let documented = include_str!("../../docs/troubleshooting.md");
        for obstacle in Obstacle::ALL {
            let heading = format!("\n### {}\n", obstacle.title());
            assert!(documented.contains(&heading), "no section{heading}");
        }
    }
}
