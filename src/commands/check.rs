// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat check`: what this host offers, and what follows.

use anyhow::Result;

use crate::check::HostCheck;
use crate::cli::OutArgs;
use crate::model::check::CheckOutcome;
use crate::render::check::Check;
use crate::render::terminal;

/// Looks, tries, and tells; what it comes to is up to the caller.
///
/// # Errors
///
/// If the kernel tells nothing of itself, or the output cannot be written.
pub fn run(args: &OutArgs) -> Result<CheckOutcome> {
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
    let mut text = Vec::new();
    if args.json {
        check.json(&mut text)?;
    } else {
        check.text(&mut text, &terminal::screen(args.color))?;
    }
    terminal::print(&text)?;
    Ok(survey.outcome)
}
