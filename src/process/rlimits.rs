// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The resource limits that netstacklat raises for itself. Commands get the
//! original ones.

use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

const RAISED: [Resource; 2] = [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK];

/// Resource limits at one moment: soft and hard.
#[derive(Clone, Debug)]
pub struct Limits(Vec<(Resource, rlim_t, rlim_t)>);

impl Limits {
    /// The current limits. Call it before raising them.
    pub fn current() -> Limits {
        let limits = RAISED.iter().filter_map(|&limit| {
            let (soft, hard) = getrlimit(limit).ok()?;
            Some((limit, soft, hard))
        });
        Limits(limits.collect())
    }

    /// Sets these limits again. It only makes system calls, so it may run
    /// between fork and exec.
    ///
    /// # Errors
    ///
    /// If setrlimit(2) fails.
    pub(crate) fn restore(&self) -> io::Result<()> {
        for &(limit, soft, hard) in &self.0 {
            setrlimit(limit, soft, hard)?;
        }
        Ok(())
    }
}
