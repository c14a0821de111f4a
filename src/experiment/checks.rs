// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is found out before the host is changed: whether a comparison can be
//! undone, has the time that it takes, and can judge its limits.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::error::UsageError;
use crate::experiment::runner::planned_duration;
use crate::model::comparison::{Arm, Comparison};
use crate::model::fail_if::Limit;
use crate::model::hooks::{Hook, HookSet};
use crate::model::run::{HookStatus, RunInfo};

/// What a start command changes must not be left on the host, nor be measured
/// with the other side.
///
/// # Errors
///
/// [`UsageError`] if not.
pub(crate) fn sides_can_be_undone(comparison: &Comparison) -> Result<()> {
    let lacks =
        |arm: Arm| comparison.side(arm).start.is_some() && comparison.undo_of(arm).is_none();
    match Arm::BOTH.into_iter().find(|&arm| lacks(arm)) {
        None => Ok(()),
        Some(arm) => {
            let (arm, other) = (arm.name(), if arm == Arm::A { "b" } else { "a" });
            let text = format!(
                "--{arm}-start needs --{arm}-stop, which undoes it. Only where each side's start \
                 command undoes the other's, --{other}-start stands in for it: then give neither \
                 --a-stop nor --b-stop"
            );
            Err(UsageError(text).into())
        }
    }
}

/// `--period auto` has room for the shortest period that it chooses.
///
/// # Errors
///
/// [`UsageError`] if not.
pub(crate) fn has_time(comparison: &Comparison, most: Duration) -> Result<()> {
    let least = planned_duration(comparison);
    if least <= most {
        return Ok(());
    }
    let human = |duration| humantime::format_duration(duration).to_string();
    let text = format!(
        "--max-duration {} is too short for --period auto: {} rounds of 4 periods of {} after {} \
         take {} at least",
        human(most),
        comparison.rounds,
        human(comparison.period),
        human(comparison.settle),
        human(least)
    );
    Err(UsageError(text).into())
}

/// What is not measured on demand cannot be judged: said now, not after the
/// last round.
///
/// # Errors
///
/// [`UsageError`] if not.
pub(crate) fn limits_are_of(wanted: HookSet, limits: &[Limit]) -> Result<()> {
    let off = limits.iter().filter_map(|limit| limit.hook);
    match off.into_iter().find(|&hook| !wanted.contains(hook)) {
        None => Ok(()),
        Some(hook) => {
            let text = format!("--fail-if of {hook}, which -e or -d leave out");
            Err(UsageError(text).into())
        }
    }
}

/// Nor can what this kernel does not let us measure.
///
/// # Errors
///
/// If one is of a hook that is off.
pub(crate) fn limits_can_be_judged(info: &RunInfo, limits: &[Limit]) -> Result<()> {
    let judged = |hook: Hook| limits.iter().any(|limit| limit.hook == Some(hook));
    let off = |verdict: &&HookStatus| !verdict.attached() && judged(verdict.hook);
    match info.hooks.iter().find(off) {
        None => Ok(()),
        Some(HookStatus { hook, reason, .. }) => {
            let reason = reason.as_deref().unwrap_or("not attached");
            Err(anyhow!("--fail-if of {hook}, which is off here: {reason}"))
        }
    }
}
