// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The columns of tables that have a line for each hook or stage.

use crate::model::histogram::Histogram;
use crate::model::quantile::REPORTED;
use crate::model::snapshot::Interval;
use crate::render::{Screen, groups, units};

pub(super) const COLUMNS: usize = 5 + REPORTED.len();
/// The column that only groups have.
pub(super) const OF_GROUPS: usize = COLUMNS - 1;
const TITLES: [&str; 4] = ["hook", "count", "rate/s", "mean"];
/// The width that figures can have, so that columns do not move between reports.
const MIN_WIDTHS: [usize; COLUMNS] = [4, 10, 6, 6, 6, 6, 6, 6, 6];
/// The indexes of columns to drop, in this order.
const DISPENSABLE: [usize; 4] = [2, 3, 5, 7];
const GAP: &str = "  ";

pub(super) type Row = [String; COLUMNS];

/// Which columns fit, and how wide they are.
pub(super) struct Table {
    widths: [usize; COLUMNS],
    shown: Vec<usize>,
}

impl Table {
    /// For these rows, with the column of groups or without.
    ///
    /// If the screen is too narrow for all columns, some are dropped: first the rate,
    /// then the mean, p90 and p99.9.
    pub(super) fn new<'a>(
        screen: &Screen,
        rows: impl Iterator<Item = &'a Row>,
        of_groups: bool,
    ) -> Table {
        let mut widths = MIN_WIDTHS;
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.len().max(*width);
            }
        }
        let shown = columns(&widths, screen.width(), of_groups);
        Table { widths, shown }
    }

    /// A row as a line.
    pub(super) fn line(&self, row: &Row) -> String {
        let cells = self.shown.iter().map(|&column| {
            let (cell, width) = (&row[column], self.widths[column]);
            match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            }
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        line.trim_end().to_owned()
    }
}

pub(super) fn titles() -> Row {
    let quantiles = REPORTED.into_iter().map(|quantile| quantile.name());
    let titles = TITLES.into_iter().map(String::from).chain(quantiles);
    let mut titles = titles.chain([groups::SLOW.into()]);
    std::array::from_fn(|_| titles.next().unwrap_or_default())
}

/// Count, rate, mean and quantiles.
pub(super) fn row(
    interval: &Interval,
    name: &str,
    histogram: &Histogram,
    quantiles: [String; REPORTED.len()],
    slow: String,
) -> Row {
    let sampling = interval.counters.sampling;
    let count = histogram.count();
    let rate = units::rate(interval.rate(sampling.scale(count)));
    let [p50, p90, p99, p999] = quantiles;
    [
        name.into(),
        units::packets(count, sampling),
        format!("{}{rate}", units::about(sampling)),
        units::optional(histogram.mean_ns()),
        p50,
        p90,
        p99,
        p999,
        slow,
    ]
}

/// The indexes of the columns that fit.
fn columns(widths: &[usize; COLUMNS], available: usize, groups: bool) -> Vec<usize> {
    let all = if groups { COLUMNS } else { OF_GROUPS };
    let mut shown: Vec<usize> = (0..all).collect();
    for dispensable in DISPENSABLE {
        let needed: usize = shown.iter().map(|&column| widths[column]).sum();
        if needed + GAP.len() * (shown.len() - 1) <= available {
            break;
        }
        shown.retain(|&column| column != dispensable);
    }
    shown
}
