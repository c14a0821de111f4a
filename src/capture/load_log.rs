// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What libbpf says while it loads the object: which program the kernel refused, and
//! what that means for the user.

use std::sync::Mutex;

use libbpf_rs::{ErrorKind, PrintLevel};

use crate::host::settings::Settings;
use crate::host::start_error::{StartError, StartErrorKind};

/// What libbpf last said: shown when something fails, and only then.
static LIBBPF_LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
const LOG_LINES: usize = 200;

pub(super) fn keep_libbpf_log(_level: PrintLevel, message: String) {
    if let Ok(mut log) = LIBBPF_LOG.lock() {
        if log.len() == LOG_LINES {
            log.remove(0);
        }
        log.push(message);
    }
}

pub(super) fn take_libbpf_log() -> Vec<String> {
    let taken = LIBBPF_LOG.lock().map(|mut log| std::mem::take(&mut *log));
    taken.unwrap_or_default()
}

/// The program that a line of libbpf's log says has failed to load.
pub(super) fn refused_program(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("libbpf: prog '")?;
    let (name, what) = rest.split_once("': ")?;
    let failed =
        what.starts_with("failed to load") || what.starts_with("failed to find kernel BTF");
    failed.then_some(name)
}

/// Whether a policy stands behind a error: EPERM, or EACCES (SELinux), which
/// are one to libbpf-rs; and not the verifier, whose answers can be the same,
/// but which gives its reasons.
pub(super) fn is_policy(kind: ErrorKind, log: &[String]) -> bool {
    let reasons = |line: &String| line.contains("BEGIN PROG LOAD LOG");
    kind == ErrorKind::PermissionDenied && !log.iter().any(reasons)
}

/// What a failed load means for the user.
pub(super) fn explain_load(error: &libbpf_rs::Error, log: &[String]) -> anyhow::Error {
    if is_policy(error.kind(), log) {
        return StartError::policy(error, &Settings::probe()).into();
    }
    if error.kind() == ErrorKind::OutOfMemory {
        let cause = "maps and programs count as memory of this cgroup, whose limit is reached, or \
                     the host has none left";
        let remedy = "raise the cgroup's memory limit (systemd: MemoryMax=)";
        return StartError::new(StartErrorKind::Memory, error.to_string(), cause, remedy).into();
    }
    let mut text = error.to_string();
    let tail = log.len().saturating_sub(12);
    for line in log[tail..].iter().flat_map(|message| message.lines()) {
        text.push_str("\n  ");
        text.push_str(line.trim_end());
    }
    let cause = "this kernel differs from those that netstacklat is tested with";
    let remedy = "please report this with the lines above";
    StartError::new(StartErrorKind::Rejected, text, cause, remedy).into()
}

#[cfg(test)]
mod tests {
    use libbpf_rs::ErrorKind;

    use super::{is_policy, refused_program};

    #[test]
    fn a_policy_gives_no_reasons_and_the_verifier_does() {
        let policy = |lines: &[&str]| {
            let log: Vec<_> = lines.iter().map(|line| line.to_string()).collect();
            is_policy(ErrorKind::PermissionDenied, &log)
        };
        let probing = "libbpf: Error in bpf_object__probe_loading(): ";
        assert!(policy(&[&format!(
            "{probing}-EPERM. Couldn't load trivial BPF program."
        )]));
        assert!(policy(&[&format!(
            "{probing}-EACCES. Couldn't load trivial BPF program."
        )]));
        assert!(!policy(&[
            "libbpf: prog 'nsl_udp_rcv': BPF program load failed: -EACCES\n",
            "libbpf: prog 'nsl_udp_rcv': -- BEGIN PROG LOAD LOG --\n0: R1=ctx() R10=fp0\n",
        ]));
    }

    #[test]
    fn the_refused_program_is_read_from_libbpfs_log() {
        let line =
            "libbpf: prog 'nsl_udp_rcv': failed to find kernel BTF type ID of 'udp_rcv': -3\n";
        assert_eq!(refused_program(line), Some("nsl_udp_rcv"));
        assert_eq!(
            refused_program("libbpf: prog 'nsl_tcp_v4_rcv': failed to load: -22\n"),
            Some("nsl_tcp_v4_rcv")
        );
        assert_eq!(
            refused_program("libbpf: prog 'x': BPF program load failed: EPERM"),
            None
        );
        assert_eq!(refused_program("libbpf: failed to load object"), None);
    }
}
