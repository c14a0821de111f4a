// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! BPF run-time statistics: what the programs cost, as the kernel measures it.

use std::os::fd::{FromRawFd as _, OwnedFd};

use libbpf_rs::libbpf_sys;

use crate::host::start_error::{StartError, StartErrorKind};

/// Keeps the kernel's run-time statistics on until dropped, or until the
/// process dies: Linux 5.8 ties them to a descriptor, and the sysctl
/// `kernel.bpf_stats_enabled` stays as it is.
#[derive(Debug)]
pub struct BpfStats(#[allow(dead_code, reason = "held, not used")] OwnedFd);

impl BpfStats {
    /// Turns them on, for every BPF program of the host: each run of any then
    /// reads the clock twice more.
    ///
    /// # Errors
    ///
    /// If the kernel refuses: it wants CAP_SYS_ADMIN.
    pub fn enable() -> Result<BpfStats, StartError> {
        // SAFETY: takes a constant; a result that is not negative is a
        // descriptor that is ours.
        let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
        if fd < 0 {
            let error = std::io::Error::from_raw_os_error(-fd);
            return Err(StartError::new(
                StartErrorKind::Statistics,
                error.to_string(),
                "--bpf-stats has the kernel time every BPF program of the host, for which it \
                 wants CAP_SYS_ADMIN",
                "run as root, or without --bpf-stats",
            ));
        }
        // SAFETY: see above.
        Ok(BpfStats(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}
