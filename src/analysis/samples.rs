// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The values of one quantity of a hook, one for each unit (a round or a file), and
//! the questions that are asked of them.

use crate::model::comparison::Arm;
use crate::model::side::PerSide;
use crate::runfile::Period;
use crate::stats::looks;
use crate::stats::max_t::{Labels, Question, Variance};
use crate::stats::rounds::{Order, contrast, is_baab};
use crate::stats::shift::Shift;

/// A quantity is judged if so many rounds have it. Their orders can be drawn in
/// C(8, 4) = 70 ways, so the smallest p-value is 2 of 70, 2.9 %.
pub(crate) const MIN_ROUNDS: usize = 8;
/// A quantity is judged if so many files of each side have it: C(10, 5) = 252.
pub(crate) const MIN_FILES: usize = 5;

/// The rounds of a comparison that can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds<'a> {
    pub(super) rounds: Vec<[&'a Period; 4]>,
    /// The number of rounds excluded because of a clock step.
    pub(super) stepped: u64,
}

impl<'a> Rounds<'a> {
    /// Complete rounds, ABBA or BAAB, without a clock step.
    pub(super) fn of(periods: &'a [Period]) -> Rounds<'a> {
        let mut found = Rounds::default();
        for round in periods.chunk_by(|one, next| one.round == next.round) {
            let [a, b, c, d] = round else { continue };
            let round = [a, b, c, d];
            let [first, second, third, last] = round.map(|period| period.arm);
            if first != last || second != third || first == second {
                continue;
            }
            if round
                .iter()
                .all(|period| period.interval.counters.clock_steps == 0)
            {
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

    /// The number of each round in the file, from 1. Some may be missing.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.rounds.iter().map(|round| round[0].round)
    }

    /// The number of used rounds in each block, within which the orders were drawn:
    /// the rounds between two looks, or all rounds.
    pub(super) fn blocks(&self, auto_rounds: bool) -> Vec<usize> {
        if !auto_rounds {
            return vec![self.rounds.len()];
        }
        let mut blocks = vec![0; looks::LOOKS.len()];
        for number in self.numbers() {
            blocks[looks::block(number)] += 1;
        }
        blocks.retain(|&length| length > 0);
        blocks
    }

    pub(super) fn orders(&self) -> Vec<Order> {
        let orders = self.rounds.iter();
        orders.map(|round| round.map(|period| period.arm)).collect()
    }
}

/// The values of one quantity of a hook in each unit.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    pub(super) units: Units,
    /// The places of the rounds excluded because a period was disturbed.
    pub(super) excluded: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Units {
    /// The order of each round, and the values of its periods in the order of time.
    Rounds(Vec<Order>, Vec<Option<[f64; 4]>>),
    Files(PerSide<Vec<Option<f64>>>),
}

/// How a change is expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// ln(B / A).
    Ratio,
    /// B - A.
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
    /// The number of rounds or files of each side that have the quantity.
    pub(super) fn units(&self) -> PerSide<usize> {
        match &self.units {
            Units::Rounds(_, rounds) => PerSide::both(rounds.iter().flatten().count()),
            Units::Files(files) => files.as_ref().map(|files| files.iter().flatten().count()),
        }
    }

    /// Whether there are enough units to know how much they vary.
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

    /// The geometric mean of each side, placed so that B / A is the estimated change.
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

    /// All values of a side, one for each period or file.
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

    /// B against A. Rounds have an interval as soon as there are both orders; files
    /// need [`MIN_FILES`] a side.
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

    /// The change that each round shows by itself, as ln(B / A).
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

    /// ln of B, as a shift from 1 ns.
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

    /// The question whether B differs from A by more than `at`; two-sided: at all.
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

    /// The label of each unit: whether a round is BAAB, or a file is of B. And how
    /// the two groups are compared.
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
