// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why a host cannot measure at all, and how to fix it. Each kind of error has a
//! section in docs/troubleshooting.md, whose heading is the title of the error.

use std::fmt;

use crate::host::settings::Settings;
use crate::model::check::{CheckItem, Status};

/// One row for each kind: its subject in `netstacklat check`, and its title, which
/// begins the message. Users search for the title.
macro_rules! start_errors {
    ($($(#[$meaning:meta])* $name:ident, $subject:literal, $title:literal;)+) => {
        /// What prevents measuring.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StartErrorKind {
            $($(#[$meaning])* $name,)+
        }

        impl StartErrorKind {
            /// All kinds.
            pub const ALL: &[StartErrorKind] = &[$(StartErrorKind::$name,)+];

            /// The subject in `netstacklat check`.
            pub fn subject(self) -> &'static str {
                match self { $(StartErrorKind::$name => $subject,)+ }
            }

            /// The beginning of the message.
            pub fn title(self) -> &'static str {
                match self { $(StartErrorKind::$name => $title,)+ }
            }
        }
    };
}

start_errors! {
    /// The kernel is older than Linux 5.10.
    OldKernel, "kernel", "the kernel is too old";
    /// RLIMIT_NOFILE is too low.
    OpenFiles, "open-files", "the limit of open files is too low";
    /// A capability is missing.
    Privileges, "privileges", "missing privileges";
    /// RLIMIT_MEMLOCK is too low, on a kernel that counts maps as locked memory.
    LockedMemory, "locked-memory", "the limit of locked memory is too low";
    /// The number of CPUs cannot be read from /sys.
    Sysfs, "sysfs", "no /sys here";
    /// The kernel's type information cannot be read.
    Btf, "btf", "no type information (BTF) of the running kernel";
    /// `kernel.ftrace_enabled` is 0.
    Ftrace, "ftrace", "ftrace is switched off";
    /// Neither of the two ways to read the clock exists.
    Clock, "clock", "no clock to compare packet timestamps with";
    /// The kernel has none of the functions.
    NothingLeft, "tracing", "nothing left to measure";
    /// EPERM or EACCES from the kernel, although the process has the capabilities.
    Policy, "tracing", "the kernel refuses tracing programs";
    /// ENOMEM from the kernel.
    Memory, "tracing", "no memory for the BPF programs";
    /// The kernel rejects the programs for another reason.
    Rejected, "tracing", "the kernel rejected the BPF programs";
    /// The kernel attached none of the programs.
    NotAttached, "tracing", "no hook could be attached";
    /// The kernel does not timestamp packets.
    Timestamping, "timestamps", "no software RX timestamps";
    /// The kernel does not measure run times (`--bpf-stats`).
    Statistics, "bpf-stats", "no BPF run-time statistics";
}

/// Why this host cannot measure, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// The kind of error.
    pub kind: StartErrorKind,
    /// What was found on this host.
    pub detail: String,
    /// Why that prevents measuring, or the probable cause.
    pub cause: String,
    /// The fix.
    pub remedy: String,
}

impl StartError {
    /// Creates an error. The texts are clauses without a full stop.
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

    /// The finding that `netstacklat check` shows.
    pub fn check_item(&self) -> CheckItem {
        CheckItem::new(
            Status::Problem,
            self.kind.subject(),
            format!("{}: {}", self.kind.title(), self.detail),
            &self.cause,
        )
        .remedy(&self.remedy)
    }

    /// The error for EPERM or EACCES although the process has the capabilities.
    pub fn policy(error: &dyn fmt::Display, settings: &Settings) -> StartError {
        let (cause, remedy) = if settings.user_namespace == Some(true) {
            (
                "this process is in a user namespace, whose capabilities do not count for BPF",
                "run netstacklat on the host, where it sees the containers' packets too",
            )
        } else if settings.seccomp_filter == Some(true) {
            (
                "the process has the capabilities, but a seccomp filter (as in containers) \
                 probably forbids bpf(2)",
                "run netstacklat on the host, where it sees the containers' packets too; or \
                 use a filter that allows bpf(2) (Docker: --security-opt seccomp=PROFILE; \
                 systemd: SystemCallFilter=)",
            )
        } else {
            (
                "the process has the capabilities, but a policy of this host forbids it: a \
                 security module (SELinux, AppArmor), or a managed or sandboxed kernel",
                "look for a denial in the kernel's log (dmesg, journalctl -k) and allow it, or \
                 use a host whose kernel allows BPF tracing",
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
    fn the_cause_of_a_policy_error_depends_on_the_restrictions() {
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
    fn every_kind_has_a_section_in_the_documentation() {
        let documented = include_str!("../../docs/troubleshooting.md");
        for kind in StartErrorKind::ALL {
            let heading = format!("\n### {}\n", kind.title());
            assert!(documented.contains(&heading), "no section{heading}");
        }
    }
}
