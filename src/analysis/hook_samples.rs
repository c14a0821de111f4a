// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The latencies of a hook, or of a stage, in all periods or files. If one side has
//! many more, it is thinned. The bound of the tail comes from both sides together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use crate::analysis::input::Input;
use crate::analysis::samples::{Rounds, Samples, Units};
use crate::model::comparison::Arm;
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::sparse::Sparse;
use crate::model::stage::Stage;
use crate::stats::outlier::disturbed;
use crate::stats::rounds::Order;

/// The side with more samples is thinned if it has more than so many times as many.
const UNEQUAL: u64 = 2;
/// Thinning is not needed above so many samples in a period: it would not move
/// the quantiles.
const PLENTY: u64 = 100_000;
/// The share of the samples of both sides that the tail should have.
const TAIL: f64 = 0.001;
/// A hook has no tail if its highest bucket holds a larger share than this.
const LARGEST_TAIL: f64 = 0.002;
/// The tail needs so many samples in a period, on average.
const TAIL_EVENTS: u64 = 3;
/// A period's tail can only be disturbed if it is larger by this, as ln.
const TAIL_STEP: f64 = 0.1;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// The age of packets at a hook.
    Age(Hook),
    /// How long they took from one hook to another.
    Stage(Stage),
}

impl Times {
    /// Where they are measured.
    pub(super) fn hook(self) -> Hook {
        match self {
            Times::Age(hook) => hook,
            Times::Stage(stage) => stage.to(),
        }
    }

    pub(super) fn stage(self) -> Option<Stage> {
        match self {
            Times::Age(_) => None,
            Times::Stage(stage) => Some(stage),
        }
    }

    /// Of what the hook has counted. `None`: no packet came this way.
    pub(super) fn of<L>(self, counters: &HookCounters<L>) -> Option<&L> {
        match self {
            Times::Age(_) => Some(&counters.histogram),
            Times::Stage(stage) => counters.stages.get(&stage.from()),
        }
    }

    /// Packets that took longer than is measured, or that came late and are of unknown
    /// age. They are in no histogram, and have no stage.
    pub(super) fn beyond(self, counters: &HookCounters) -> u64 {
        match self {
            Times::Age(_) => counters.skips.beyond().total(),
            Times::Stage(_) => 0,
        }
    }

    /// A number of its own.
    fn number(self) -> u64 {
        let from = self.stage().map_or(0, |stage| stage.from().index() + 1);
        (self.hook().index() + HOOK_COUNT * from) as u64
    }
}

/// The latencies of a hook in all periods, or files.
pub(super) struct HookSamples<'a> {
    units: HookUnits<'a>,
    /// The sample counts before thinning. `None` if nothing was thinned.
    pub(super) thinned: Option<PerSide<u64>>,
    /// Width of the coarsest buckets, as ln.
    bucket: f64,
    /// The tail is all latencies above this, ns.
    tail_ns: Option<u64>,
}

enum HookUnits<'a> {
    /// The order of each round, and its periods in the order of time.
    Rounds(Vec<Order>, Vec<[Option<Cow<'a, Sparse>>; 4]>),
    Files(PerSide<Vec<Option<Sparse>>>),
}

impl<'a> HookSamples<'a> {
    pub(super) fn new(
        input: &Input,
        rounds: &Rounds<'a>,
        times: Times,
        seed: u64,
    ) -> HookSamples<'a> {
        let resolutions = input.files().map(|file| file.info.resolution);
        let coarsest = resolutions.map(|resolution| resolution.sub_buckets()).min();
        let mut samples = HookSamples {
            units: HookUnits::of(input, rounds, times),
            thinned: None,
            bucket: (1.0 / f64::from(coarsest.unwrap_or(1))).ln_1p(),
            tail_ns: None,
        };
        samples.thin(seed ^ times.number());
        samples.tail_ns = samples.units.tail();
        samples
    }

    /// Gives both sides as many samples. If latencies have two levels, the median
    /// of few samples has another bias than the median of many.
    fn thin(&mut self, seed: u64) {
        let counts = self.units.counts();
        let (fewer, more) = (counts.a.min(counts.b), counts.a.max(counts.b));
        let units = self.units.len() as u64;
        if fewer == 0 || more <= UNEQUAL.saturating_mul(fewer) || fewer / units > PLENTY {
            return;
        }
        let thin = if counts.a > counts.b { Arm::A } else { Arm::B };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.units.each(thin, |sparse| {
            let keep = u128::from(sparse.count()) * u128::from(fewer) / u128::from(more);
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
        let least = match quantity {
            Quantity::Tail => TAIL_STEP,
            _ => self.bucket,
        };
        let mut excluded = Vec::new();
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
                excluded = disturbed(&logarithms, least);
                for &round in &excluded {
                    values[round] = None;
                }
                Units::Rounds(orders.clone(), values)
            }
            HookUnits::Files(files) => Units::Files(files.as_ref().map(|files| {
                let values = files.iter().map(|file| usable(of(file.as_ref()?)));
                values.collect()
            })),
        };
        Samples { units, excluded }
    }
}

/// Drops values without a logarithm. A file can hold anything.
fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value > 0.0)
}

impl<'a> HookUnits<'a> {
    fn of(input: &Input, rounds: &Rounds<'a>, times: Times) -> HookUnits<'a> {
        match input {
            Input::Comparison(_) => HookUnits::Rounds(
                rounds.orders(),
                rounds
                    .rounds
                    .iter()
                    .map(|round| {
                        round.map(|period| {
                            let measured = period.interval.counters.measured(times.hook())?;
                            times.of(measured).map(Cow::Borrowed)
                        })
                    })
                    .collect(),
            ),
            Input::Recordings { .. } => HookUnits::Files(PerSide::of(|arm| {
                let files = input.side(arm).iter();
                files
                    .map(|file| {
                        let stats = file.totals(arm).hook(times.hook())?;
                        Some(Sparse::new(times.of(stats)?, times.beyond(stats)))
                    })
                    .collect()
            })),
        }
    }

    /// The number of periods or files of a side, at least 1.
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

    /// The lower bound of the tail: the bound above which the share of all samples
    /// is nearest to [`TAIL`]. `None` if no bound has enough samples above it.
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
