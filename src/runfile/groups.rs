// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The groups of a run file: their keys, and what the file has of some of them.

use crate::error::UsageError;
use crate::model::counters::Counters;
use crate::model::group::Group;
use crate::model::hook_counters::Latencies;
use crate::model::sparse::Sparse;
use crate::runfile::{Content, Period, RunFile, Totals};

impl RunFile {
    /// Whether what was recorded can be told apart by these keys.
    ///
    /// # Errors
    ///
    /// Names the keys that the file has.
    pub fn check_keys(&self, wanted: &[String]) -> Result<(), UsageError> {
        let known = &self.info.selection.by;
        let missing: Vec<&str> = wanted
            .iter()
            .filter(|key| !known.contains(key))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        let missing = missing.join(",");
        Err(UsageError(if known.is_empty() {
            format!(
                "--by {missing}: {path} has no groups, because it was recorded without --by. \
                 Record again with --by {missing}"
            )
        } else {
            format!(
                "--by {missing}: {path} does not have this key. It was recorded with --by {}",
                known.join(",")
            )
        }))
    }

    /// The same with other names of groups. What has no new name is left out, and
    /// so are all groups where a sum exceeds 64 bits.
    #[must_use]
    pub fn regrouped(&self, name: impl Fn(&Group) -> Option<Group>) -> RunFile {
        self.with(
            |counters| regrouped(counters, &name),
            |counters| regrouped(counters, &name),
        )
    }

    /// What the file has of one of its groups, as if that were all packets.
    #[must_use]
    pub fn of_group(&self, group: &Group) -> RunFile {
        self.with(
            |counters| counters.of_group(group),
            |counters| counters.of_group(group),
        )
    }

    fn with(
        &self,
        of_totals: impl Fn(&Counters) -> Counters,
        of_period: impl Fn(&Counters<Sparse>) -> Counters<Sparse>,
    ) -> RunFile {
        let totals = |totals: &Totals| Totals {
            interval: totals.interval.with(of_totals(&totals.interval.counters)),
            ..*totals
        };
        let period = |period: &Period| Period {
            interval: period.interval.with(of_period(&period.interval.counters)),
            ..*period
        };
        RunFile {
            path: self.path.clone(),
            info: self.info.clone(),
            excluded: self.excluded.clone(),
            problems: self.problems.clone(),
            content: match &self.content {
                Content::Recording(all) => Content::Recording(totals(all)),
                Content::Comparison { periods, a, b } => Content::Comparison {
                    periods: periods.iter().map(period).collect(),
                    a: totals(a),
                    b: totals(b),
                },
            },
            ..*self
        }
    }
}

fn regrouped<L: Latencies>(
    counters: &Counters<L>,
    name: &impl Fn(&Group) -> Option<Group>,
) -> Counters<L> {
    let regrouped = counters.regrouped(name);
    regrouped
        .or_else(|| counters.regrouped(|_| None))
        .expect("no sum")
}
