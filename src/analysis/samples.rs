// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is compared: a hook's quantities in each unit of repetition, a round or
//! a file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use crate::analysis::Input;
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::model::sparse::Sparse;
use crate::runfile::{Content, Period, RunFile, Tally};
use crate::stats::looks;
use crate::stats::max_t::{Labels, Question, Variance};
use crate::stats::outlier::disturbed;
use crate::stats::rounds::{Order, contrast, is_baab};
use crate::stats::shift::Shift;

/// Rounds with a quantity below which it is not judged: of C(8, 4) = 70 ways to
/// draw their orders, the clearest two are 2.9 %.
pub const MIN_ROUNDS: usize = 8;
/// Files a side below which nothing is judged: C(10, 5) = 252.
pub const MIN_FILES: usize = 5;
/// Above this ratio of their counts, the richer side is thinned.
const UNEQUAL: u64 = 2;
/// A period with so many samples has quantiles that thinning would not move.
const PLENTY: u64 = 100_000;
/// The tail is above the quantile of this share, of both sides together.
const TAIL: f64 = 0.001;
/// A share above which it is none: there is no bound between it and the rest.
const LARGEST_TAIL: f64 = 0.002;
/// Samples in the tail that a period needs on average.
const TAIL_EVENTS: u64 = 3;
/// A period's tail is disturbed when it is at least so much larger, as ln.
const TAIL_STEP: f64 = 0.1;

/// The rounds of a comparison that can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds<'a> {
    rounds: Vec<[&'a Period; 4]>,
    /// Left out, because the clock was stepped in them.
    pub(super) stepped: u64,
}

impl<'a> Rounds<'a> {
    /// Whole rounds, ABBA or BAAB, without a step of the clock.
    pub(super) fn of(periods: &'a [Period]) -> Rounds<'a> {
        let mut found = Rounds::default();
        for round in periods.chunk_by(|one, next| one.round == next.round) {
            let [a, b, c, d] = round else { continue };
            let round = [a, b, c, d];
            let [first, second, third, last] = round.map(|period| period.arm);
            if first != last || second != third || first == second {
                continue;
            }
            if round.iter().all(|period| period.clock_steps == 0) {
                found.rounds.push(round);
            } else {
                found.stepped += 1;
            }
        }
        found
    }

    pub(super) fn len(&self) -> usize {
        self.rounds.len()
    }

    /// The number of the last one.
    pub(super) fn last(&self) -> Option<usize> {
        Some(self.rounds.last()?[0].round as usize)
    }

    /// Rounds between whose looks the orders were drawn: how many of each block
    /// are used.
    pub(super) fn blocks(&self, auto_rounds: bool) -> Vec<usize> {
        if !auto_rounds {
            return vec![self.rounds.len()];
        }
        let numbers = self.rounds.iter().map(|round| looks::block(round[0].round));
        let mut blocks = vec![0; looks::LOOKS.len()];
        numbers.for_each(|block| blocks[block] += 1);
        blocks.retain(|&length| length > 0);
        blocks
    }

    fn orders(&self) -> Vec<Order> {
        let orders = self.rounds.iter();
        orders.map(|round| round.map(|period| period.arm)).collect()
    }
}

/// All that a file has of a side. A recording is of one side only.
pub fn tally(file: &RunFile, arm: Arm) -> &Tally {
    match (&file.content, arm) {
        (Content::Recording(tally), _) => tally,
        (Content::Comparison { a, .. }, Arm::A) => a,
        (Content::Comparison { b, .. }, Arm::B) => b,
    }
}

/// The latencies of a hook in all periods, or files.
pub(super) struct HookSamples<'a> {
    units: HookUnits<'a>,
    /// The sides had so many samples, and the richer one was thinned.
    pub(super) thinned: Option<PerSide<u64>>,
    /// Of the coarsest buckets, as ln.
    bucket: f64,
    /// The tail is above this, ns.
    tail_ns: Option<u64>,
}

enum HookUnits<'a> {
    /// In the order of time.
    Rounds(Vec<Order>, Vec<[Option<Cow<'a, Sparse>>; 4]>),
    Files(PerSide<Vec<Option<Sparse>>>),
}

impl<'a> HookSamples<'a> {
    pub(super) fn new(
        input: &Input,
        rounds: &Rounds<'a>,
        hook: Hook,
        seed: u64,
    ) -> HookSamples<'a> {
        let resolutions = input.files().map(|file| file.info.resolution);
        let coarsest = resolutions.map(|resolution| resolution.sub_buckets()).min();
        let mut samples = HookSamples {
            units: HookUnits::of(input, rounds, hook),
            thinned: None,
            bucket: (1.0 / f64::from(coarsest.unwrap_or(1))).ln_1p(),
            tail_ns: None,
        };
        samples.thin(seed ^ hook.index() as u64);
        samples.tail_ns = samples.units.tail();
        samples
    }

    /// A quantile of few samples is not off by as much as one of many, where
    /// latencies take one of two levels. So both sides get as many.
    fn thin(&mut self, seed: u64) {
        let counts = self.units.counts();
        let (poorer, richer) = (counts.a.min(counts.b), counts.a.max(counts.b));
        let units = self.units.len() as u64;
        if poorer == 0 || richer <= UNEQUAL.saturating_mul(poorer) || poorer / units > PLENTY {
            return;
        }
        let thin = if counts.a > counts.b { Arm::A } else { Arm::B };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.units.each(thin, |sparse| {
            let keep = u128::from(sparse.count()) * u128::from(poorer) / u128::from(richer);
            sparse.thinned(keep as u64, &mut rng)
        });
        self.thinned = Some(counts);
    }

    pub(super) fn of(&self, quantity: Quantity) -> Samples {
        let of = |sparse: &Sparse| match (quantity.quantile(), self.tail_ns) {
            (Some(quantile), _) => sparse.quantile(quantile),
            (None, Some(bound)) => {
                let (above, all) = (sparse.above(bound) as f64, sparse.count() as f64);
                (all > 0.0).then(|| (above + 0.5) / (all + 1.0))
            }
            (None, None) => None,
        };
        let bucket = match quantity {
            Quantity::Tail => 0.0,
            _ => self.bucket,
        };
        let mut left_out = Vec::new();
        let units = match &self.units {
            HookUnits::Rounds(orders, rounds) => {
                let values = rounds.iter().map(|round| {
                    let values = round
                        .each_ref()
                        .map(|sparse| usable(of(sparse.as_deref()?)));
                    let [Some(first), Some(second), Some(third), Some(last)] = values else {
                        return None;
                    };
                    Some([first, second, third, last])
                });
                let mut values: Vec<Option<[f64; 4]>> = values.collect();
                let logarithms: Vec<_> = values
                    .iter()
                    .map(|round| round.map(|values| values.map(f64::ln)))
                    .collect();
                left_out = disturbed(&logarithms, bucket.max(TAIL_STEP));
                for &round in &left_out {
                    values[round] = None;
                }
                Units::Rounds(orders.clone(), values)
            }
            HookUnits::Files(files) => Units::Files(files.as_ref().map(|files| {
                let values = files.iter().map(|file| usable(of(file.as_ref()?)));
                values.collect()
            })),
        };
        Samples { units, left_out }
    }
}

/// What is compared has a logarithm; a file can hold anything.
fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value > 0.0)
}

impl<'a> HookUnits<'a> {
    fn of(input: &Input, rounds: &Rounds<'a>, hook: Hook) -> HookUnits<'a> {
        match input {
            Input::Comparison(_) => HookUnits::Rounds(
                rounds.orders(),
                rounds
                    .rounds
                    .iter()
                    .map(|round| {
                        round.map(|period| period.hooks[hook.index()].as_ref().map(Cow::Borrowed))
                    })
                    .collect(),
            ),
            Input::Recordings { .. } => HookUnits::Files(PerSide::of(|arm| {
                let files = input.side(arm).iter();
                files
                    .map(|file| {
                        let stats = tally(file, arm).hook(hook)?;
                        let over_range = stats.skips.get(SkipReason::OVER_RANGE);
                        Some(Sparse::new(&stats.histogram, over_range))
                    })
                    .collect()
            })),
        }
    }

    /// Periods or files a side.
    fn len(&self) -> usize {
        match self {
            HookUnits::Rounds(_, rounds) => 2 * rounds.len(),
            HookUnits::Files(files) => files.a.len().max(files.b.len()),
        }
        .max(1)
    }

    fn all(&self) -> impl Iterator<Item = (Arm, &Sparse)> {
        let (rounds, files) = match self {
            HookUnits::Rounds(orders, rounds) => (Some(orders.iter().zip(rounds)), None),
            HookUnits::Files(files) => (None, Some(files)),
        };
        let of_rounds = rounds.into_iter().flatten().flat_map(|(order, round)| {
            let sparse = order.iter().zip(round);
            sparse.filter_map(|(arm, sparse)| Some((*arm, sparse.as_deref()?)))
        });
        let of_files = files.into_iter().flat_map(|files| {
            Arm::BOTH.into_iter().flat_map(|arm| {
                let sparse = files[arm].iter().flatten();
                sparse.map(move |sparse| (arm, sparse))
            })
        });
        of_rounds.chain(of_files)
    }

    fn counts(&self) -> PerSide<u64> {
        let mut counts = PerSide::both(0u64);
        for (arm, sparse) in self.all() {
            counts[arm] = counts[arm].saturating_add(sparse.count());
        }
        counts
    }

    fn each(&mut self, side: Arm, mut change: impl FnMut(&Sparse) -> Sparse) {
        match self {
            HookUnits::Rounds(orders, rounds) => {
                for (order, round) in orders.iter().zip(rounds) {
                    for (arm, sparse) in order.iter().zip(round) {
                        if *arm == side
                            && let Some(sparse) = sparse
                        {
                            *sparse = Cow::Owned(change(sparse));
                        }
                    }
                }
            }
            HookUnits::Files(files) => {
                for sparse in files[side].iter_mut().flatten() {
                    *sparse = change(sparse);
                }
            }
        }
    }

    /// The bound above which the share of all samples is nearest to a thousandth,
    /// of those with events enough above them.
    fn tail(&self) -> Option<u64> {
        let mut above: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut units, mut all) = (0, 0u64);
        for (_, sparse) in self.all() {
            units += 1;
            all = all.saturating_add(sparse.count());
            for (lo, count) in sparse.from_the_top() {
                let sum = above.entry(lo).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut sum = 0u64;
        let mut nearest: Option<(f64, u64)> = None;
        for (&bound, &count) in above.iter().rev() {
            sum = sum.saturating_add(count);
            let share = sum as f64 / all as f64;
            let distance = (share / TAIL).ln().abs();
            let fits = share <= LARGEST_TAIL && sum >= TAIL_EVENTS * units;
            if fits && nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, bound));
            }
        }
        nearest.map(|(_, bound)| bound)
    }
}

/// One of a hook's quantities in each unit.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    units: Units,
    /// Rounds left out, as one of their periods was disturbed: their places.
    pub(super) left_out: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Units {
    /// By round: the values of its periods, in the order of time.
    Rounds(Vec<Order>, Vec<Option<[f64; 4]>>),
    Files(PerSide<Vec<Option<f64>>>),
}

/// In which measure a change is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// As ln: a ratio.
    Ratio,
    /// As a difference.
    Difference,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Scale::Ratio => value.ln(),
            Scale::Difference => value,
        }
    }
}

impl Samples {
    /// Rounds or files that have the quantity, of A and of B.
    pub(super) fn units(&self) -> PerSide<usize> {
        match &self.units {
            Units::Rounds(_, rounds) => PerSide::both(rounds.iter().flatten().count()),
            Units::Files(files) => files.as_ref().map(|files| files.iter().flatten().count()),
        }
    }

    /// Whether it is known well enough how they vary.
    pub(super) fn can_be_judged(&self) -> bool {
        let least = match &self.units {
            Units::Rounds(..) => MIN_ROUNDS,
            Units::Files(_) => MIN_FILES,
        };
        let orders_differ = match &self.units {
            Units::Rounds(..) => self.shift(Scale::Ratio).is_some(),
            Units::Files(_) => true,
        };
        self.units().iter().all(|&units| units >= least) && orders_differ
    }

    /// What the sides show: geometric means, so placed that B / A is the
    /// estimated change.
    pub(super) fn levels(&self) -> PerSide<Option<f64>> {
        let mean = |values: &[f64]| {
            let n = values.len() as f64;
            (n > 0.0).then(|| values.iter().sum::<f64>() / n)
        };
        match &self.units {
            Units::Rounds(_, rounds) => {
                let all: Vec<f64> = rounds.iter().flatten().flatten().map(|v| v.ln()).collect();
                match (mean(&all), self.shift(Scale::Ratio)) {
                    (Some(middle), Some(shift)) => PerSide {
                        a: Some((middle - shift.ln / 2.0).exp()),
                        b: Some((middle + shift.ln / 2.0).exp()),
                    },
                    _ => PerSide::of(|arm| {
                        let values: Vec<f64> = self.of_side(arm).map(f64::ln).collect();
                        mean(&values).map(f64::exp)
                    }),
                }
            }
            Units::Files(_) => PerSide::of(|arm| {
                let values: Vec<f64> = self.of_side(arm).map(f64::ln).collect();
                mean(&values).map(f64::exp)
            }),
        }
    }

    /// All values of a side, of periods or files.
    fn of_side(&self, arm: Arm) -> impl Iterator<Item = f64> {
        let (rounds, files) = match &self.units {
            Units::Rounds(orders, rounds) => (Some(orders.iter().zip(rounds)), None),
            Units::Files(files) => (None, Some(files[arm].iter())),
        };
        let of_rounds = rounds
            .into_iter()
            .flatten()
            .flat_map(move |(order, round)| {
                let values = order.iter().zip(round.iter().flatten());
                let ours = values.filter(move |(side, _)| **side == arm);
                ours.map(|(_, value)| *value)
            });
        of_rounds.chain(files.into_iter().flatten().flatten().copied())
    }

    /// B against A. Of files only from so many a side: rounds have an interval
    /// as soon as there are both orders.
    pub(super) fn shift(&self, scale: Scale) -> Option<Shift> {
        match &self.units {
            Units::Rounds(orders, _) => {
                let (mut abba, mut baab) = (Vec::new(), Vec::new());
                for (order, contrast) in orders.iter().zip(self.contrasts(scale)) {
                    if let Some(contrast) = contrast {
                        if is_baab(*order) {
                            baab.push(contrast);
                        } else {
                            abba.push(contrast);
                        }
                    }
                }
                Shift::of_contrasts(&abba, &baab)
            }
            Units::Files(_) if self.can_be_judged() => {
                let side = |arm| self.of_side(arm).map(|value| scale.of(value));
                let (a, b): (Vec<f64>, Vec<f64>) = (side(Arm::A).collect(), side(Arm::B).collect());
                Shift::of_runs(&a, &b)
            }
            Units::Files(_) => None,
        }
    }

    fn contrasts(&self, scale: Scale) -> Vec<Option<f64>> {
        match &self.units {
            Units::Rounds(_, rounds) => rounds
                .iter()
                .map(|round| round.map(|values| contrast(values.map(|v| scale.of(v)))))
                .collect(),
            Units::Files(_) => Vec::new(),
        }
    }

    /// The change that each round shows by itself, B against A, as ln.
    pub(super) fn by_round(&self) -> Vec<Option<f64>> {
        match &self.units {
            Units::Rounds(orders, _) => {
                let signs = orders.iter().map(|order| sign(*order));
                let contrasts = self.contrasts(Scale::Ratio).into_iter();
                signs.zip(contrasts).map(|(s, c)| Some(s * c?)).collect()
            }
            Units::Files(_) => Vec::new(),
        }
    }

    /// ln of B, as if it were a shift from 1.
    pub(super) fn level(&self) -> Option<Shift> {
        let levels: Vec<f64> = match &self.units {
            Units::Rounds(orders, rounds) => {
                let rounds = orders.iter().zip(rounds);
                rounds
                    .filter_map(|(order, round)| {
                        let values = order.iter().zip((*round)?);
                        let of_b = values.filter(|(arm, _)| **arm == Arm::B);
                        Some(of_b.map(|(_, value)| value.ln() / 2.0).sum())
                    })
                    .collect()
            }
            Units::Files(_) => self.of_side(Arm::B).map(f64::ln).collect(),
        };
        Shift::of_levels(&levels)
    }

    /// Whether B differs from A by more than `at` (or, two-sided, at all).
    pub(super) fn question(
        &self,
        scale: Scale,
        at: f64,
        least_deviation: f64,
        one_sided: bool,
    ) -> Question {
        let values = match &self.units {
            Units::Rounds(orders, _) => {
                let contrasts = self.contrasts(scale).into_iter().zip(orders);
                contrasts
                    .map(|(contrast, order)| Some(contrast? - sign(*order) * at))
                    .collect()
            }
            Units::Files(files) => {
                let side = |arm: Arm, at: f64| {
                    let values = files[arm].iter();
                    values.map(move |value| Some(scale.of((*value)?) - at))
                };
                side(Arm::A, 0.0).chain(side(Arm::B, at)).collect()
            }
        };
        Question {
            values,
            least_deviation,
            one_sided,
        }
    }

    /// Which units have the label that was drawn or given: BAAB rounds, files of
    /// B; and how the two groups are compared.
    pub(super) fn labels(&self, blocks: &[usize]) -> Labels {
        match &self.units {
            Units::Rounds(orders, _) => Labels {
                labels: orders.iter().map(|order| is_baab(*order)).collect(),
                blocks: blocks.to_vec(),
                variance: Variance::Pooled,
            },
            Units::Files(files) => {
                let of_a = std::iter::repeat_n(false, files.a.len());
                let of_b = std::iter::repeat_n(true, files.b.len());
                Labels {
                    labels: of_a.chain(of_b).collect(),
                    blocks: vec![files.a.len() + files.b.len()],
                    variance: Variance::Separate,
                }
            }
        }
    }
}

fn sign(order: Order) -> f64 {
    if is_baab(order) { 1.0 } else { -1.0 }
}
