// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The result of a comparison at one hook, or of one stage: plain data.

use crate::model::group::Group;
use crate::model::hooks::Hook;
use crate::model::quantile::Quantile;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::stage::Stage;
use crate::stats::shift::Shift;

/// The result at a hook.
#[derive(Clone, Debug)]
pub struct HookResult {
    /// The hook that the result is about.
    pub hook: Hook,
    /// The stage that the result is about, which ends at this hook. `None`: the age of
    /// packets there.
    pub stage: Option<Stage>,
    /// Whether quantities get verdicts, if they can be judged.
    pub asked: bool,
    /// The group whose packets they are. `None`: all packets.
    pub group: Option<Group>,
    /// Whether the files of each side have the hook.
    pub measured: PerSide<bool>,
    /// The number of latencies of each side.
    pub counts: PerSide<u64>,
    /// The number of packets of each side that were not in the sample (`--sample`).
    pub sampled_out: PerSide<u64>,
    /// The number of latencies of each side in the units used, if they are so
    /// different that the larger side was thinned to as many.
    pub thinned: Option<PerSide<u64>>,
    /// Indexed by [`Quantity`].
    pub(super) rows: Vec<Row>,
}

/// The result for one quantity of a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub quantity: Quantity,
    /// Geometric means over periods or files, in ns. The tail is a share.
    pub levels: PerSide<Option<f64>>,
    /// The number of rounds or files that have the quantity.
    pub units: PerSide<usize>,
    /// The numbers of the rounds that are excluded because a period was disturbed.
    pub excluded: Vec<u64>,
    /// B against A. `None` if too few units show how much they vary.
    pub shift: Option<Shift>,
    /// The number of each round, and the change that it shows as ln(B / A).
    pub by_round: Vec<(u64, Option<f64>)>,
    /// Width of the bucket, as ln of the ratio of its bounds. 0 for the tail.
    pub bucket_ln: f64,
    /// Width of the bucket, ns.
    pub bucket_ns: Option<f64>,
    /// Lower bound of B's bucket, ns.
    pub b_low_ns: Option<f64>,
    /// Adjusted for all questions. `None` if the quantity could not be judged.
    pub p_value: Option<f64>,
    pub verdict: Option<Verdict>,
    /// The smallest change, as ln, that would have had a verdict with the variation
    /// that was seen.
    pub least_ln: Option<f64>,
    /// A warning may explain the verdict.
    pub in_doubt: bool,
}

/// The answer to the question whether the sides differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// B is slower.
    Slower,
    /// B is faster.
    Faster,
    /// The sides differ, by less than the width of a bucket.
    BelowBucket,
    /// No change is seen.
    NotFound,
}

impl Verdict {
    /// Whether it is slower or faster.
    pub fn is_change(self) -> bool {
        matches!(self, Verdict::Slower | Verdict::Faster)
    }

    /// The name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::BelowBucket => "below-bucket",
            Verdict::NotFound => "not-found",
        }
    }
}

impl Row {
    /// Whether the quantity could be another if so many of all were missing, and the
    /// slowest.
    pub(super) fn depends_on(&self, missing: u64, of: u64) -> bool {
        // The tail begins at the p99.9 of both sides.
        let quantile = self.quantity.quantile().unwrap_or(Quantile::P999);
        quantile.depends_on(missing, of)
    }

    /// ln(B / A), also if there is no [`Row::shift`].
    pub fn ln(&self) -> Option<f64> {
        self.shift
            .map(|shift| shift.ln)
            .or_else(|| Some((self.levels.b? / self.levels.a?).ln()))
    }
}

impl HookResult {
    /// The name of the hook, or of the stage.
    pub fn name(&self) -> String {
        match self.stage {
            Some(stage) => stage.to_string(),
            None => self.hook.to_string(),
        }
    }

    /// Whether there were packets, of which none was in the sample.
    pub fn is_unsampled(&self) -> bool {
        !self.has_samples() && self.sampled_out != PerSide::both(0)
    }

    /// Whether either side has a latency.
    pub fn has_samples(&self) -> bool {
        self.counts != PerSide::both(0)
    }

    /// The result for one quantity.
    pub fn row(&self, quantity: Quantity) -> &Row {
        &self.rows[quantity as usize]
    }

    /// The results for all quantities.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }
}
