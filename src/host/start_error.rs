// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why a host cannot measure at all, and what to do about it. Each obstacle
//! has a section of that name in docs/troubleshooting.md.

use std::fmt;

use crate::host::settings::Settings;
use crate::model::check::{CheckItem, Status};

/// One row for each: what `netstacklat check` files it under, and how its
/// message begins, which is what users search for.
macro_rules! start_errors {
    ($($(#[$meaning:meta])* $name:ident, $subject:literal, $title:literal;)+) => {
        /// What keeps a host from measuring.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StartErrorKind {
            $($(#[$meaning])* $name,)+
        }

        impl StartErrorKind {
            /// All of them.
            pub const ALL: &[StartErrorKind] = &[$(StartErrorKind::$name,)+];

            /// What `netstacklat check` files it under.
            pub fn subject(self) -> &'static str {
                match self { $(StartErrorKind::$name => $subject,)+ }
            }

            /// How its message begins.
            pub fn title(self) -> &'static str {
                match self { $(StartErrorKind::$name => $title,)+ }
            }
        }
    };
}

start_errors! {
    /// Older than what this is built for.
    OldKernel, "kernel", "the kernel is too old";
    /// RLIMIT_NOFILE.
    OpenFiles, "open-files", "the limit of open files is too low";
    /// Capabilities.
    Privileges, "privileges", "missing privileges";
    /// RLIMIT_MEMLOCK, on kernels that count maps as locked memory.
    LockedMemory, "locked-memory", "the limit of locked memory is too low";
    /// The kernel's description of the machine.
    Sysfs, "sysfs", "no /sys here";
    /// The kernel's type information.
    Btf, "btf", "no type information (BTF) of the running kernel";
    /// `kernel.ftrace_enabled`.
    Ftrace, "ftrace", "ftrace is switched off";
    /// Neither way to compare stamps with a clock.
    Clock, "clock", "no clock to compare packet stamps with";
    /// None of the functions exists.
    NothingLeft, "tracing", "nothing left to measure";
    /// EPERM or EACCES from the kernel, capabilities or not.
    Policy, "tracing", "the kernel refuses tracing programs";
    /// ENOMEM.
    Memory, "tracing", "no memory for the BPF programs";
    /// The kernel does not take the programs.
    Rejected, "tracing", "the kernel did not take the BPF programs";
    /// The kernel attaches none of the programs.
    NotAttached, "tracing", "no hook could be attached";
    /// The kernel does not stamp packets.
    Stamping, "timestamps", "no software RX timestamps";
    /// The kernel does not measure programs (`--bpf-stats`).
    Statistics, "bpf-stats", "no BPF run-time statistics";
}

/// Why this host cannot measure, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What is in the way.
    pub kind: StartErrorKind,
    /// How it looks here.
    pub detail: String,
    /// Why that keeps it from measuring, or what is probably behind it.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl StartError {
    /// A error in four sentences without full stop.
    pub fn new(
        kind: StartErrorKind,
        detail: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> StartError {
        StartError {
            kind,
            detail: detail.into(),
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// As `netstacklat check` shows it.
    pub fn check_item(&self) -> CheckItem {
        CheckItem::new(
            Status::Problem,
            self.kind.subject(),
            format!("{}: {}", self.kind.title(), self.detail),
            &self.cause,
        )
        .remedy(&self.remedy)
    }

    /// EPERM or EACCES for a process that has the capabilities.
    pub fn policy(error: &dyn fmt::Display, settings: &Settings) -> StartError {
        let (cause, remedy) = if settings.user_namespace == Some(true) {
            (
                "this process is in a user namespace, whose capabilities do not count for BPF",
                "run netstacklat on the host itself: it sees the containers' packets too",
            )
        } else if settings.seccomp_filter == Some(true) {
            (
                "a seccomp filter is on this process, as in containers, and probably forbids \
                 bpf(2), though the process has the capabilities",
                "run netstacklat on the host itself: it sees the containers' packets too; or \
                 under a filter that lets bpf(2) pass (Docker: --security-opt seccomp=PROFILE; \
                 systemd: SystemCallFilter=)",
            )
        } else {
            (
                "a policy of this host, though the process has the capabilities: a security \
                 module (SELinux, AppArmor), or the kernel of a managed or sandboxed host",
                "look for a denial in the kernel's log (dmesg, journalctl -k) and allow it, or \
                 measure on a host whose kernel allows BPF tracing",
            )
        };
        StartError::new(StartErrorKind::Policy, error.to_string(), cause, remedy)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.kind.title();
        write!(f, "{title}: {}\n  Cause: {}", self.detail, self.cause)?;
        write!(f, "\n  Remedy: {}", self.remedy)
    }
}

impl std::error::Error for StartError {}

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
            StartError::policy(&"EPERM", &settings).cause
        };
        assert!(policy(true, true).contains("user namespace"));
        assert!(policy(false, true).contains("seccomp"));
        assert!(policy(false, false).contains("security module"));
    }

    /// Users paste the message into a search box.
    #[test]
    fn every_obstacle_has_its_section_in_the_documentation() {
        let documented = include_str!("../../docs/troubleshooting.md");
        for obstacle in StartErrorKind::ALL {
            let heading = format!("\n### {}\n", obstacle.title());
            assert!(documented.contains(&heading), "no section{heading}");
        }
    }
}
