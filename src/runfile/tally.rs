// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Sums of lines, which stay within 64 bits.

use crate::model::hooks::HOOK_COUNT;
use crate::model::snapshot::HookStats;
use crate::runfile::Tally;
use crate::runfile::line::Report;

impl Tally {
    /// Nothing yet.
    pub fn empty() -> Tally {
        Tally {
            intervals: 0,
            duration_ns: 0,
            missed_intervals: 0,
            clock_steps: 0,
            tx_stamped: 0,
            hooks: vec![None; HOOK_COUNT],
        }
    }

    /// What one line says.
    pub(super) fn of(report: Report) -> Tally {
        let mut tally = Tally {
            intervals: 1,
            duration_ns: report.duration_ns,
            missed_intervals: report.missed_intervals,
            clock_steps: report.clock_steps,
            tx_stamped: report.tx_stamped,
            ..Tally::empty()
        };
        for (hook, stats) in report.hooks {
            tally.hooks[hook.index()] = Some(stats);
        }
        tally
    }

    /// Adds what `other` has, of the same resolution; `None`: something
    /// exceeds 64 bits.
    #[must_use]
    pub(super) fn add(&mut self, other: &Tally) -> Option<()> {
        let add = |mine: &mut u64, theirs| {
            *mine = mine.checked_add(theirs)?;
            Some(())
        };
        add(&mut self.intervals, other.intervals)?;
        add(&mut self.duration_ns, other.duration_ns)?;
        add(&mut self.missed_intervals, other.missed_intervals)?;
        add(&mut self.clock_steps, other.clock_steps)?;
        add(&mut self.tx_stamped, other.tx_stamped)?;
        for (mine, theirs) in self.hooks.iter_mut().zip(&other.hooks) {
            match (mine, theirs) {
                (_, None) => {}
                (Some(mine), Some(theirs)) => add_hook(mine, theirs)?,
                (mine, theirs) => *mine = theirs.clone(),
            }
        }
        Some(())
    }
}

/// Of what has been read or added: the sum of its counts fits.
fn runs(stats: &HookStats) -> u64 {
    stats.histogram.count() + stats.skips.total() + stats.missed
}

fn add_hook(mine: &mut HookStats, theirs: &HookStats) -> Option<()> {
    runs(mine).checked_add(runs(theirs))?;
    mine.cost.runs.checked_add(theirs.cost.runs)?;
    mine.cost.time_ns.checked_add(theirs.cost.time_ns)?;
    mine.histogram.merge(&theirs.histogram);
    mine.skips += &theirs.skips;
    mine.missed += theirs.missed;
    mine.cost += theirs.cost;
    Some(())
}
