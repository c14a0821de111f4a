// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison says of one hook: plain data.

use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::stats::shift::Shift;

/// What was found at a hook.
#[derive(Clone, Debug)]
pub struct HookResult {
    /// The hook.
    pub hook: Hook,
    /// Whether the hook is in the files of A and of B.
    pub measured: PerSide<bool>,
    /// Latencies of A and of B.
    pub counts: PerSide<u64>,
    /// The sides had so many in the rounds or files that are used, too unequally
    /// many: quantiles are of as many of each.
    pub thinned: Option<PerSide<u64>>,
    /// By [`Quantity`].
    pub(super) rows: Vec<Row>,
}

/// What was found of a hook's quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is.
    pub quantity: Quantity,
    /// A and B: geometric means over periods or files, in ns; of the tail, as a
    /// share.
    pub levels: PerSide<Option<f64>>,
    /// Rounds or files of A and of B that have it.
    pub units: PerSide<usize>,
    /// Numbers of rounds left out, as one of their periods was disturbed.
    pub excluded: Vec<u64>,
    /// B against A, where it is known how units vary.
    pub shift: Option<Shift>,
    /// The change that each round shows, by its number, as ln.
    pub by_round: Vec<(u64, Option<f64>)>,
    /// Width of the bucket there, as ln of its bounds' ratio; 0: none matters.
    pub bucket_ln: f64,
    /// The same in ns.
    pub bucket_ns: Option<f64>,
    /// Lower bound of the bucket of B, ns.
    pub b_low_ns: Option<f64>,
    /// Of [`Quantity::JUDGED`] that could be judged, adjusted for all questions.
    pub p_value: Option<f64>,
    /// What it comes to.
    pub verdict: Option<Verdict>,
    /// The smallest shift, as ln, that would have had a verdict, had it varied
    /// as much: what a `~` has not excluded.
    pub least_ln: Option<f64>,
    /// A warning says why a verdict may not mean what it seems to.
    pub in_doubt: bool,
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// B is slower.
    Slower,
    /// B is faster.
    Faster,
    /// There is a difference, but of less than a bucket is wide.
    BelowBucket,
    /// No difference was found.
    NotFound,
}

impl Verdict {
    /// Slower or faster.
    pub fn is_change(self) -> bool {
        matches!(self, Verdict::Slower | Verdict::Faster)
    }

    /// As in the JSON.
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
    /// ln(B / A), also where it is not known how it varies.
    pub fn ln(&self) -> Option<f64> {
        self.shift
            .map(|shift| shift.ln)
            .or_else(|| Some((self.levels.b? / self.levels.a?).ln()))
    }
}

impl HookResult {
    /// Whether either side has a latency to show.
    pub fn has_samples(&self) -> bool {
        self.counts != PerSide::both(0)
    }

    /// What was found of a quantity.
    pub fn row(&self, quantity: Quantity) -> &Row {
        &self.rows[quantity as usize]
    }

    /// What was found of all quantities.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }
}
