// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The process that `compare` starts to run its commands; not for users.

use std::io::stdin;
use std::os::fd::AsFd as _;

use anyhow::Result;
use nix::sys::stat::{SFlag, fstat};

use crate::error::UsageError;
use crate::experiment::guardian::process;

/// Serves a comparison until its end.
///
/// # Errors
///
/// If no comparison has started it, or the kernel refuses a descriptor.
pub fn run() -> Result<()> {
    let mode = fstat(stdin().as_fd())?.st_mode;
    if mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
        let text = "guardian is a part of compare, which starts it".into();
        return Err(UsageError(text).into());
    }
    process::run()
}
