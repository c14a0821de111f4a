// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Limits that measuring raises for itself, and commands are to find as they
//! were.

use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

const RAISED: [Resource; 2] = [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK];

/// The limits at some time.
#[derive(Clone, Debug)]
pub struct Limits(Vec<(Resource, rlim_t, rlim_t)>);

impl Limits {
    /// As they are: to be asked before they are raised.
    pub fn current() -> Limits {
        let limits = RAISED.iter().filter_map(|&limit| {
            let (soft, hard) = getrlimit(limit).ok()?;
            Some((limit, soft, hard))
        });
        Limits(limits.collect())
    }

    /// Makes them so again. Makes system calls only: safe between fork and exec.
    ///
    /// # Errors
    ///
    /// If the kernel refuses one.
    pub fn restore(&self) -> io::Result<()> {
        for &(limit, soft, hard) in &self.0 {
            setrlimit(limit, soft, hard)?;
        }
        Ok(())
    }
}
