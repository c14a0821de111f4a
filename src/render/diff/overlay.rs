// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The histograms of both sides of a comparison, drawn over each other.

use crate::analysis::{Analysis, HookResult, Input};
use crate::model::comparison::Arm;
use crate::model::histogram::{Histogram, MAX_NS, Resolution};
use crate::model::side::PerSide;
use crate::render::{Screen, units};

/// A histogram for each hook that has latencies, with a row per power of two. Bars
/// are shares of the latencies of a side, because the sides rarely have as many.
pub(super) fn all(page: &mut String, screen: &Screen, input: &Input, analysis: &Analysis) {
    let text = "@ both sides, A only A, B only B; in percent of each side's latencies";
    screen.labelled(page, &screen.dim("histograms:"), text);
    for result in analysis.hooks.iter().filter(|hook| hook.has_samples()) {
        hook(page, screen, input, result);
    }
}

/// The latencies of a side in a row, and in all rows.
#[derive(Clone, Copy)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// The length of the bar. The share `largest` has `columns`.
    fn columns(self, largest: f64, columns: usize) -> usize {
        (self.of_all() / largest * columns as f64).round() as usize
    }

    fn of_all(self) -> f64 {
        match self.whole {
            0 => 0.0,
            whole => self.part as f64 / whole as f64,
        }
    }
}

fn hook(page: &mut String, screen: &Screen, input: &Input, result: &HookResult) {
    const LABEL: usize = "(1.02us, 2.05us]".len();
    const SHARE: usize = 7;
    page.push('\n');
    let title = screen.bold(&format!("{}:", result.hook));
    screen.labelled(page, &title, result.hook.meaning());
    let sides = PerSide::of(|arm| input.log2(arm, result.hook));
    let rows = rows(&sides);
    let shares = rows.iter().flat_map(|(_, shares)| shares.iter());
    let largest = shares.map(|share| share.of_all()).fold(0.0, f64::max);
    let bar_columns = screen.width() - LABEL - 2 * SHARE - " ||".len();
    let header = format!("{:LABEL$}{:>SHARE$}{:>SHARE$}", "", "A", "B");
    *page += &screen.dim(&header);
    page.push('\n');
    for (label, shares) in &rows {
        let label = screen.dim(&format!("{label:LABEL$}"));
        let bar = bar(shares, largest, bar_columns);
        let PerSide { a, b } = shares.map(|share| units::percentage(share.part, share.whole));
        *page += &format!("{label}{a:>SHARE$}{b:>SHARE$} |{bar:bar_columns$}|\n");
    }
}

/// The part that both sides reach, then the rest of the longer side.
fn bar(shares: &PerSide<Share>, largest: f64, columns: usize) -> String {
    let PerSide { a, b } = shares.map(|share| share.columns(largest, columns));
    let more = if a > b { "A" } else { "B" };
    "@".repeat(a.min(b)) + &more.repeat(a.abs_diff(b))
}

/// The rows from the lowest to the highest power of two that has latencies.
fn rows(sides: &PerSide<(Histogram, u64)>) -> Vec<(String, PerSide<Share>)> {
    let mut counts = [PerSide::<u64>::default(); 64];
    for arm in Arm::BOTH {
        for bucket in sides[arm].0.buckets() {
            if let Some(index) = Resolution::LOG2.index(bucket.hi_ns) {
                counts[index][arm] = bucket.count;
            }
        }
    }
    let shares = |parts: PerSide<u64>| {
        PerSide::of(|arm| Share {
            part: parts[arm],
            whole: sides[arm].0.count() + sides[arm].1,
        })
    };
    let empty = PerSide::default();
    let filled = |counts: &PerSide<u64>| *counts != empty;
    let mut rows = Vec::new();
    if let (Some(first), Some(last)) = (
        counts.iter().position(filled),
        counts.iter().rposition(filled),
    ) {
        for (index, parts) in counts.iter().enumerate().take(last + 1).skip(first) {
            let (lo_ns, hi_ns) = Resolution::LOG2.bounds(index);
            let label = format!("({}, {}]", units::duration(lo_ns), units::duration(hi_ns));
            rows.push((label, shares(*parts)));
        }
    }
    let over_range = PerSide::of(|arm| sides[arm].1);
    if filled(&over_range) {
        let label = format!("({}, ...)", units::duration(MAX_NS));
        rows.push((label, shares(over_range)));
    }
    rows
}
