// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the first round tells of the others: whether there is traffic, and what
//! can be judged at this packet rate.

use std::time::Duration;

use crate::analysis::outlook::{Lacking, Outlook, outlook};
use crate::model::comparison::{Comparison, Place};
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::skips::SkipReason;
use crate::model::snapshot::Interval;

/// Latencies of each hook, those over range too.
pub(crate) fn counts(interval: &Interval) -> Vec<(Hook, u64)> {
    let count =
        |stats: &HookCounters| stats.histogram.count() + stats.skips.get(SkipReason::OVER_RANGE);
    let hooks = interval.counters.hooks();
    hooks.map(|(hook, stats)| (hook, count(stats))).collect()
}

/// Tells after the first round what will come of it.
#[derive(Default)]
pub(crate) struct FirstRound {
    periods: u32,
    /// The least of its periods at each hook.
    least: Vec<(Hook, u64)>,
    silent: bool,
}

impl FirstRound {
    /// Looks at a period; what there is to tell, if that is now.
    pub(crate) fn look_at(
        &mut self,
        comparison: &Comparison,
        place: Place,
        interval: &Interval,
    ) -> Option<String> {
        if place.round != Some(1) {
            return None;
        }
        self.periods += 1;
        let counts = counts(interval);
        let lost = interval
            .counters
            .hooks()
            .any(|(_, stats)| stats.skips.total() > 0);
        if !self.silent && !lost && counts.iter().all(|&(_, count)| count == 0) {
            self.silent = true;
            let name = &comparison.side(place.arm).name;
            return Some(format!(
                "netstacklat: no packet passed in a period of {name}: without traffic there is \
                 nothing to compare (--load makes some).\n"
            ));
        }
        if self.least.is_empty() {
            self.least = counts;
        } else {
            for (least, (_, count)) in self.least.iter_mut().zip(counts) {
                least.1 = least.1.min(count);
            }
        }
        match self.periods {
            4 if !self.silent => {
                let sampled = interval.counters.sampling.is_on();
                let what = if sampled { "samples" } else { "packets" };
                what_can_be_judged(&self.least, comparison.period, what)
            }
            _ => None,
        }
    }
}

/// What can be judged at this rate, if that is not all; `what` are counted.
fn what_can_be_judged(least: &[(Hook, u64)], period: Duration, what: &str) -> Option<String> {
    let Outlook { judged, lacking } = outlook(least, period)?;
    let Lacking {
        quantity,
        hook,
        had,
        period,
    } = lacking?;
    let judged: Vec<String> = judged.into_iter().map(Quantity::name).collect();
    let judged = match judged.as_slice() {
        [] => "nothing".into(),
        names => names.join(" and "),
    };
    let remedy = period.map_or(String::new(), |period| {
        format!(
            " (--period {})",
            humantime::format_duration(period)
                .to_string()
                .replace(' ', "")
        )
    });
    Some(format!(
        "netstacklat: at this packet rate {judged} can be judged. {quantity} needs {} {what} a \
         period; there are {had} at {hook}{remedy}.\n",
        quantity.samples_to_compare()
    ))
}
