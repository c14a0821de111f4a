// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison found, as a table with words around it.

use std::io::{self, Write};

use crate::analysis::values::tally;
use crate::analysis::{Analysis, Design, Finding, Input, JUDGED, Row, Verdict};
use crate::model::comparison::Arm;
use crate::model::quantile::REPORTED;
use crate::render::diff_words::{self, short};
use crate::render::{Screen, diff_json, overlay, units};
use crate::stats::shift::percent;

/// A comparison.
#[derive(Clone, Copy, Debug)]
pub struct Diff<'a> {
    /// What was compared.
    pub input: &'a Input<'a>,
    /// What was found.
    pub analysis: &'a Analysis,
}

const TITLES: [&str; 7] = ["hook", "", "A", "B", "change", "95% interval", "verdict"];
/// A change and the ends of its interval are at most 7 columns.
const CHANGE: usize = 7;
/// In all, 80 columns with two between them.
const WIDTHS: [usize; 7] = [19, 5, 6, 6, CHANGE, 2 * CHANGE + 4, 7];

impl Diff<'_> {
    /// Writes it for people, in a single write.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn text(&self, out: &mut dyn Write, screen: &Screen, histograms: bool) -> io::Result<()> {
        let mut page = String::new();
        self.sides(&mut page, screen);
        diff_words::cautions(&mut page, screen, self.analysis);
        page.push('\n');
        self.table(&mut page, screen);
        if histograms {
            page.push('\n');
            overlay::all(&mut page, screen, self.input, self.analysis);
        }
        page.push('\n');
        diff_words::conclusion(&mut page, screen, self.analysis);
        diff_words::limits(&mut page, screen, self.analysis);
        out.write_all(page.as_bytes())
    }

    /// Writes it for programs: one object on one line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        diff_json::write(out, self)
    }

    fn sides(&self, page: &mut String, screen: &Screen) {
        for arm in Arm::BOTH {
            let label = ["A", "B"][arm as usize];
            let name = short(&self.analysis.names[arm as usize]);
            let files = self.input.side(arm);
            let sum = |of: fn(&crate::runfile::Tally) -> u64| {
                let all = files.iter().map(|file| of(tally(file, arm)));
                all.fold(0, u64::saturating_add)
            };
            let length = units::duration(sum(|tally| tally.duration_ns));
            let amount = match (self.analysis.design, files) {
                (Design::Rounds { used, .. }, _) => {
                    let rounds = if used == 1 { "round" } else { "rounds" };
                    let length = self.input.period().map_or(length, |period| {
                        let ns = period.as_nanos().saturating_mul(2 * used as u128);
                        units::duration(u64::try_from(ns).unwrap_or(u64::MAX))
                    });
                    format!("{used} {rounds}, {length} measured")
                }
                (Design::Files(_), [_]) => format!("1 recording, {length}"),
                (Design::Files(_), files) => format!("{} recordings, {length}", files.len()),
            };
            let host = match files.first() {
                Some(file) => {
                    format!(
                        "{}, Linux {}",
                        short(&file.info.host),
                        short(&file.info.kernel)
                    )
                }
                None => String::new(),
            };
            let title = match name == label {
                true => format!("{}:", screen.bold(label)),
                false => format!("{} {name}:", screen.bold(label)),
            };
            let text = format!("{amount}; {host}");
            screen.flow(page, " ", title.split(' ').chain(text.split(' ')));
        }
    }

    fn table(&self, page: &mut String, screen: &Screen) {
        let judged = self.analysis.hooks.iter().flat_map(|hook| &hook.rows);
        let columns = match judged.clone().any(|row| row.shift.is_some()) {
            true => TITLES.len(),
            // Neither intervals nor verdicts.
            false => 5,
        };
        let titles = TITLES.map(String::from);
        *page += &screen.dim(&line(&titles[..columns]));
        page.push('\n');
        for finding in &self.analysis.hooks {
            if finding.has_samples() {
                self.hook(page, screen, finding, columns);
            }
        }
        let measured = |finding: &&Finding| finding.measured.contains(&true);
        let silent = || {
            self.analysis
                .hooks
                .iter()
                .filter(|hook| !hook.has_samples())
        };
        let names = |label: &str, hooks: Vec<&Finding>, page: &mut String| {
            if !hooks.is_empty() {
                let mut items = vec![screen.dim(label)];
                items.extend(hooks.iter().map(|finding| finding.hook.name().into()));
                screen.flow(page, " ", items);
            }
        };
        names("idle:", silent().filter(measured).collect(), page);
        let off = silent().filter(|finding| !measured(finding));
        names("off:", off.collect(), page);
    }

    fn hook(&self, page: &mut String, screen: &Screen, finding: &Finding, columns: usize) {
        for (place, (quantile, row)) in REPORTED.iter().zip(&finding.rows).enumerate() {
            // From a part of the rounds or files it would be beside the others
            // as if it were of the same ones.
            if !JUDGED.contains(&place) && row.units != self.analysis.design.units() {
                continue;
            }
            let name = match place {
                0 => finding.hook.name(),
                _ => "",
            };
            let optional = |ns: Option<f64>| ns.map_or(units::NONE.into(), units::computed);
            let interval = row.shift.map(|shift| {
                let (low, high) = shift.interval_percent();
                let (low, high) = (units::change(low), units::change(high));
                format!("{low:>CHANGE$} .. {high:>CHANGE$}")
            });
            let cells = [
                name.into(),
                quantile.name(),
                optional(row.a_ns),
                optional(row.b_ns),
                row.ln()
                    .map_or(units::NONE.into(), |ln| units::change(percent(ln))),
                interval.unwrap_or_default(),
                String::new(),
            ];
            *page += line(&cells[..columns]).trim_end();
            if let Some(verdict) = verdict(screen, row) {
                let used = page.len() - page.rfind('\n').map_or(0, |end| end + 1);
                let start: usize = WIDTHS[..6].iter().map(|width| width + 2).sum();
                *page += &" ".repeat(start.saturating_sub(used));
                *page += &verdict;
            }
            page.push('\n');
        }
    }
}

fn verdict(screen: &Screen, row: &Row) -> Option<String> {
    let question = if row.tempered { "?" } else { "" };
    Some(match row.verdict? {
        Verdict::Slower => screen.worse(&format!("slower{question}")),
        Verdict::Faster => screen.better(&format!("faster{question}")),
        Verdict::NotFound => "~".into(),
    })
}

/// Texts to the left, figures to the right.
fn line(cells: &[String]) -> String {
    let cells = cells.iter().zip(WIDTHS).enumerate();
    let cells = cells.map(|(column, (cell, width))| match column {
        0 | 1 | 6 => format!("{cell:width$}"),
        5 => format!("{cell:^width$}"),
        _ => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().into()
}
