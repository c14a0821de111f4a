// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows the result of a comparison: warnings, a table, and sentences.

mod compose;
mod group_names;
#[cfg(test)]
mod group_tests;
mod groups;
mod json;
#[cfg(test)]
mod json_tests;
mod limits;
mod onset;
mod overlay;
mod rows;
#[cfg(test)]
mod slow_tests;
mod stages;
#[cfg(test)]
mod tests;
mod view;
mod warnings;

use std::io::{self, Write};

use crate::analysis::{Analysis, Input};
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::render::Screen;

use compose::{compose, short_name};
use view::{GroupsView, RowView, Tone, View};

/// The result of a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Diff<'a> {
    pub input: &'a Input<'a>,
    pub analysis: &'a Analysis,
}

const TITLES: [&str; 7] = ["hook", "", "A", "B", "change", "95% interval", "verdict"];
/// The most columns of a change, and of each end of its interval.
const CHANGE: usize = 7;
/// The widths of the columns. With gaps of two they take 80.
const WIDTHS: [usize; 7] = [19, 5, 6, 6, CHANGE, 2 * CHANGE + 4, 7];

impl Diff<'_> {
    /// Writes the result as text, in a single write.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    pub(crate) fn text(
        &self,
        out: &mut dyn Write,
        screen: &Screen,
        histograms: bool,
    ) -> io::Result<()> {
        let view = compose(self.input, self.analysis);
        let mut page = String::new();
        for arm in Arm::BOTH {
            let (name, what) = &view.sides[arm];
            let label = ["A", "B"][arm as usize];
            let title = if name == label {
                format!("{}:", screen.bold(label))
            } else {
                format!("{} {name}:", screen.bold(label))
            };
            screen.flow(&mut page, " ", title.split(' ').chain(what.split(' ')));
        }
        for warning in &view.warnings {
            screen.labelled(&mut page, &screen.dim("warning:"), warning);
        }
        page.push('\n');
        table(&mut page, screen, &view);
        if histograms {
            page.push('\n');
            overlay::all(&mut page, screen, self.input, self.analysis);
        }
        if let Some(groups) = &view.groups {
            page.push('\n');
            group_tables(&mut page, screen, groups, view.judged);
        }
        page.push('\n');
        notes(&mut page, screen, &view.notes);
        for arm in Arm::BOTH {
            let slow = self.input.slow(arm);
            if slow.iter().next().is_some() {
                page.push('\n');
                let title = format!(
                    "the slowest packets of {}:",
                    short_name(&self.analysis.names[arm])
                );
                screen.labelled(&mut page, &screen.dim(&title), "");
                screen.slow_packets(&mut page, slow.iter());
            }
        }
        if !view.limits.is_empty() {
            page.push('\n');
        }
        for limit in &view.limits {
            let outcome = toned(screen, limit.tone, limit.outcome);
            screen.labelled(&mut page, &outcome, &limit.text);
        }
        out.write_all(page.as_bytes())
    }

    /// Writes the result as one JSON object on one line, with `histograms` including
    /// the histograms of both sides.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    pub(crate) fn json(&self, out: &mut dyn Write, histograms: bool) -> io::Result<()> {
        json::write(out, self.input, self.analysis, histograms)
    }
}

fn notes(page: &mut String, screen: &Screen, notes: &[(String, String)]) {
    for (label, text) in notes {
        let label = if label.is_empty() {
            String::new()
        } else if label.ends_with(':') && label.starts_with(char::is_uppercase) {
            screen.bold(label)
        } else {
            screen.dim(label)
        };
        screen.labelled(page, &label, text);
    }
}

fn group_tables(page: &mut String, screen: &Screen, groups: &GroupsView, judged: bool) {
    screen.labelled(page, &screen.bold(&groups.by), &groups.title);
    for group in &groups.groups {
        let words = group.name.split(' ').map(|word| screen.bold(word));
        screen.flow(page, " ", words);
        for row in &group.rows {
            table_row(page, screen, row, columns(judged));
        }
        notes(page, screen, &group.sentences);
    }
    notes(page, screen, &groups.notes);
}

/// Without a judged row there are neither intervals nor verdicts.
fn columns(judged: bool) -> usize {
    if judged { TITLES.len() } else { 5 }
}

fn toned(screen: &Screen, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Plain => text.into(),
        Tone::Dim => screen.dim(text),
        Tone::Worse => screen.worse(text),
        Tone::Better => screen.better(text),
    }
}

fn table(page: &mut String, screen: &Screen, view: &View) {
    let columns = columns(view.judged);
    let titles = TITLES.map(String::from);
    *page += &screen.dim(&line(&titles[..columns]));
    page.push('\n');
    for row in &view.rows {
        table_row(page, screen, row, columns);
    }
    let names = |label: &str, hooks: &[Hook], page: &mut String| {
        if !hooks.is_empty() {
            let mut items = vec![screen.dim(label)];
            items.extend(hooks.iter().map(|hook| hook.name().into()));
            screen.flow(page, " ", items);
        }
    };
    for stage in &view.stages {
        screen.flow(page, " ", stage.name.split(' ').map(String::from));
        for row in &stage.rows {
            table_row(page, screen, row, columns);
        }
    }
    names("idle:", &view.idle, page);
    names("none in the sample:", &view.unsampled, page);
    names("off:", &view.off, page);
}

fn table_row(page: &mut String, screen: &Screen, row: &RowView, columns: usize) {
    let interval = row
        .interval
        .as_ref()
        .map(|(low, high)| format!("{low:>CHANGE$} .. {high:>CHANGE$}"));
    let cells = [
        if row.first { row.hook.name() } else { "" }.into(),
        row.quantity.name(),
        row.levels.a.clone(),
        row.levels.b.clone(),
        row.change.clone(),
        interval.unwrap_or_default(),
        String::new(),
    ];
    let text = line(&cells[..columns]);
    if row.verdict.is_empty() {
        // The name of the hook is not dimmed.
        let (name, figures) = text.split_at(if row.first { row.hook.name().len() } else { 0 });
        *page += name;
        *page += &if columns == TITLES.len() {
            screen.dim(figures.trim_end())
        } else {
            figures.trim_end().into()
        };
    } else {
        let start: usize = WIDTHS[..6].iter().map(|width| width + 2).sum();
        *page += &format!("{text:start$}");
        *page += &toned(screen, row.tone, &row.verdict);
    }
    page.push('\n');
}

/// Aligns texts to the left and figures to the right.
fn line(cells: &[String]) -> String {
    let cells = cells.iter().zip(WIDTHS).enumerate();
    let cells = cells.map(|(column, (cell, width))| match column {
        0 | 1 | 6 => format!("{cell:width$}"),
        5 => format!("{cell:^width$}"),
        _ => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().into()
}
