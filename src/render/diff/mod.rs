// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison found, as a table with words around it.

mod compose;
mod json;
mod limits;
mod onset;
mod overlay;
#[cfg(test)]
mod tests;
mod view;
mod warnings;

use std::io::{self, Write};

use crate::analysis::{Analysis, Input};
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::render::Screen;

use compose::compose;
use view::{RowView, Tone, View};

/// A comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Diff<'a> {
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
            flow(&mut page, screen, &screen.dim("warning:"), warning);
        }
        page.push('\n');
        table(&mut page, screen, &view);
        if histograms {
            page.push('\n');
            overlay::all(&mut page, screen, self.input, self.analysis);
        }
        page.push('\n');
        for (label, text) in &view.notes {
            let label = if label.is_empty() {
                String::new()
            } else if label.ends_with(':') && label.starts_with(char::is_uppercase) {
                screen.bold(label)
            } else {
                screen.dim(label)
            };
            flow(&mut page, screen, &label, text);
        }
        if !view.limits.is_empty() {
            page.push('\n');
        }
        for limit in &view.limits {
            let word = toned(screen, limit.tone, limit.outcome);
            let text = format!("{} {word}: {}", limit.limit, limit.text);
            flow(&mut page, screen, &screen.dim("limit:"), &text);
        }
        out.write_all(page.as_bytes())
    }

    /// Writes it for programs: one object on one line; with `histograms`, those
    /// of both sides too.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub(crate) fn json(&self, out: &mut dyn Write, histograms: bool) -> io::Result<()> {
        json::write(out, self.input, self.analysis, histograms)
    }
}

fn toned(screen: &Screen, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Plain => text.into(),
        Tone::Dim => screen.dim(text),
        Tone::Worse => screen.worse(text),
        Tone::Better => screen.better(text),
    }
}

fn flow(page: &mut String, screen: &Screen, label: &str, text: &str) {
    let label = (!label.is_empty()).then(|| label.to_owned());
    let words = text
        .split(' ')
        .flat_map(|word| chunks(word, screen.width() - 2));
    screen.flow(page, " ", label.into_iter().chain(words));
}

/// A word that no line can hold, such as a path, in parts.
fn chunks(word: &str, columns: usize) -> Vec<String> {
    if word.len() <= columns || word.contains('\x1b') {
        return vec![word.into()];
    }
    let chars: Vec<char> = word.chars().collect();
    let parts = chars.chunks(columns / 4);
    parts.map(|part| part.iter().collect()).collect()
}

fn table(page: &mut String, screen: &Screen, view: &View) {
    // Without: neither intervals nor verdicts.
    let columns = if view.judged { TITLES.len() } else { 5 };
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
    names("idle:", &view.idle, page);
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
        // The hook's name is no figure.
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
