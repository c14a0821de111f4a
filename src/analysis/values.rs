// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is compared: a hook's quantile in each unit of repetition.

use crate::analysis::Input;
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::model::quantile::REPORTED;
use crate::model::skips::SkipReason;
use crate::runfile::{Content, Period, RunFile, Tally};
use crate::stats::rounds::{Level, Order, levels};
use crate::stats::shift::Shift;

/// Rounds below which nothing is said to differ.
pub const MIN_ROUNDS: usize = 6;
/// Files a side below which how they vary is not known well enough.
pub const MIN_FILES: usize = 3;

/// One hook's quantile in each unit that has it.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// By round, A and B.
    Rounds(Vec<[Level; 2]>),
    /// By file, of A and of B.
    Files([Vec<Level>; 2]),
}

/// The rounds of a comparison that can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds<'a> {
    rounds: Vec<[&'a Period; 4]>,
    /// Left out, because the clock was stepped in them.
    pub(super) stepped: u64,
}

impl<'a> Rounds<'a> {
    /// Whole rounds, two periods a side, without a step of the clock.
    pub(super) fn of(periods: &'a [Period]) -> Rounds<'a> {
        let mut found = Rounds::default();
        for round in periods.chunk_by(|one, next| one.round == next.round) {
            let [a, b, c, d] = round else { continue };
            let round = [a, b, c, d];
            if round.iter().filter(|period| period.arm == Arm::A).count() != 2 {
                continue;
            }
            match round.iter().all(|period| period.clock_steps == 0) {
                true => found.rounds.push(round),
                false => found.stepped += 1,
            }
        }
        found
    }

    pub(super) fn len(&self) -> usize {
        self.rounds.len()
    }

    fn values(&self, hook: Hook, quantile: usize) -> Values {
        let rounds = self.rounds.iter().filter_map(|round| {
            let order: Order = round.map(|period| period.arm);
            let quantiles = round.map(|period| usable(period.quantiles[hook.index()][quantile]));
            levels(order, quantiles)
        });
        Values::Rounds(rounds.collect())
    }
}

/// A quantile has a logarithm; a file can hold anything.
fn usable(quantile_ns: Option<f64>) -> Option<f64> {
    quantile_ns.filter(|ns| ns.is_finite() && *ns > 0.0)
}

/// All that a file has of a side. A recording is of one side only.
pub fn tally(file: &RunFile, arm: Arm) -> &Tally {
    match (&file.content, arm) {
        (Content::Recording(tally), _) => tally,
        (Content::Comparison { a, .. }, Arm::A) => a,
        (Content::Comparison { b, .. }, Arm::B) => b,
    }
}

fn of_file(file: &RunFile, arm: Arm, hook: Hook, quantile: usize) -> Option<Level> {
    let stats = tally(file, arm).hook(hook)?;
    let over_range = stats.skips.get(SkipReason::OVER_RANGE);
    let ns = REPORTED[quantile].to_compare(&stats.histogram, over_range);
    usable(ns).map(Level::of)
}

impl Values {
    pub(super) fn of(input: &Input, rounds: &Rounds, hook: Hook, quantile: usize) -> Values {
        match input {
            Input::Comparison(_) => rounds.values(hook, quantile),
            Input::Recordings { sides, .. } => Values::Files([0, 1].map(|side: usize| {
                let files = sides[side].iter();
                files
                    .filter_map(|file| of_file(file, Arm::BOTH[side], hook, quantile))
                    .collect()
            })),
        }
    }

    /// Units that have the quantile, of A and of B.
    pub(super) fn units(&self) -> [usize; 2] {
        match self {
            Values::Rounds(rounds) => [rounds.len(); 2],
            Values::Files(sides) => [sides[0].len(), sides[1].len()],
        }
    }

    /// Whether it is known how they vary.
    pub(super) fn can_be_judged(&self) -> bool {
        let least = match self {
            Values::Rounds(_) => MIN_ROUNDS,
            Values::Files(_) => MIN_FILES,
        };
        self.units().iter().all(|&units| units >= least)
    }

    /// The geometric mean over the units of each side, ns: B / A is then what
    /// [`Values::shift`] estimates.
    pub(super) fn means(&self) -> [Option<f64>; 2] {
        let mean = |ln: &mut dyn ExactSizeIterator<Item = f64>| {
            let n = ln.len();
            (n > 0).then(|| (ln.sum::<f64>() / n as f64).exp())
        };
        [0, 1].map(|side: usize| match self {
            Values::Rounds(rounds) => mean(&mut rounds.iter().map(|round| round[side].ln)),
            Values::Files(sides) => mean(&mut sides[side].iter().map(|level| level.ln)),
        })
    }

    /// ln(B / A). Of files only from so many a side; rounds have an interval
    /// from two on, which is no verdict yet.
    pub(super) fn shift(&self) -> Option<Shift> {
        self.shift_of(|level| level.ln)
    }

    /// B - A, ns.
    pub(super) fn shift_ns(&self) -> Option<Shift> {
        self.shift_of(|level| level.ns)
    }

    fn shift_of(&self, of: impl Fn(&Level) -> f64) -> Option<Shift> {
        match self {
            Values::Rounds(rounds) => {
                let differences: Vec<f64> = rounds.iter().map(|[a, b]| of(b) - of(a)).collect();
                Shift::of_rounds(&differences)
            }
            Values::Files(sides) if self.can_be_judged() => {
                let [a, b] = [0, 1].map(|side: usize| sides[side].iter().map(&of).collect());
                let (a, b): (Vec<f64>, Vec<f64>) = (a, b);
                Shift::of_runs(&a, &b)
            }
            Values::Files(_) => None,
        }
    }

    /// ln of B, ns, as if it were a shift from 1 ns.
    pub(super) fn level(&self) -> Option<Shift> {
        let levels: Vec<f64> = match self {
            Values::Rounds(rounds) => rounds.iter().map(|[_, b]| b.ln).collect(),
            Values::Files([_, b]) => b.iter().map(|level| level.ln).collect(),
        };
        Shift::of_rounds(&levels)
    }
}
