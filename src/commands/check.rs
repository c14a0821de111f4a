// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat check`: what this host offers, and what follows.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

use crate::check::HostCheck;
use crate::cli::CheckArgs;
use crate::model::check::CheckOutcome;
use crate::render::check::Check;
use crate::render::terminal;

/// Looks, tries, and tells; what it comes to is up to the caller.
///
/// # Errors
///
/// If the kernel tells nothing of itself, or the output cannot be written.
pub fn run(args: &CheckArgs) -> Result<CheckOutcome> {
    let survey = HostCheck::take()?;
    let check = Check {
        version: crate::VERSION,
        host: &survey.facts.host,
        kernel: &survey.facts.kernel,
        arch: &survey.facts.arch,
        outcome: survey.outcome,
        findings: &survey.findings,
        hooks: &survey.hooks,
    };
    let mut out = io::stdout().lock();
    let written = if args.json {
        check.json(&mut out)
    } else {
        check.text(&mut out, &terminal::screen(args.color))
    };
    match written.and_then(|()| out.flush()) {
        // Whoever asked has gone: `netstacklat check | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(survey.outcome),
        written => written
            .map(|()| survey.outcome)
            .context("writing to standard output"),
    }
}
