// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows a run file: how it was measured, and the total of each hook.

mod contents;
mod json;

use std::io::{self, Write};

use crate::model::comparison::{Arm, Comparison};
use crate::render::units::count;
use crate::render::{Renderer as _, Screen, Summary, Text};
use crate::text::one_line;

pub(crate) use contents::Show;

use contents::{PERIODS, Part};

/// The most characters of a text that are shown. The reader of run files keeps as
/// many of a command.
const MAX_TEXT: usize = 4096;

impl Show<'_> {
    /// Writes the file's contents as text.
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
        let mut page = String::new();
        for (label, text) in self.facts() {
            screen.labelled(&mut page, &screen.dim(&label), &text);
        }
        out.write_all(page.as_bytes())?;
        for part in self.parts() {
            out.write_all(b"\n")?;
            if let Some(title) = self.title(&part) {
                writeln!(out, "{}", screen.bold(&title))?;
            }
            if histograms {
                let mut text = Text::new(screen.clone()).listing(self.listing);
                text.report(out, &part.report())?;
            } else {
                let mut summary = Summary::new(screen.clone()).listing(self.listing);
                summary.report(out, &part.report())?;
            }
        }
        Ok(())
    }

    /// Writes the file's contents as one JSON object on one line.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        json::write(out, self)
    }

    /// The facts about the run, each with a label.
    fn facts(&self) -> Vec<(String, String)> {
        let info = &self.file.info;
        let mut facts: Vec<(String, String)> = Vec::new();
        let mut fact = |label: &str, text: String| {
            facts.push((format!("{label}:"), one_line(&text, MAX_TEXT)));
        };
        fact("file", self.file.path.display().to_string());
        if let Some(name) = &info.name {
            fact("name", name.clone());
        }
        let host = format!(
            "{}, Linux {}, {}, {} possible CPUs",
            info.host, info.kernel, info.arch, info.possible_cpus
        );
        fact("host", host);
        fact("recorded", self.recorded());
        let clock = &info.clock;
        let clock = format!("{}, TAI offset {} s", clock.source, clock.tai_offset_s);
        fact("clock", clock);
        if let Some(selected) = info.selection.text() {
            fact("selected", selected);
        }
        for (label, attached) in [("off", false), ("in part", true)] {
            for (reason, hooks) in self.by_reason(attached) {
                fact(label, format!("{}: {reason}", hooks.join(", ")));
            }
        }
        if !info.facts.is_empty() {
            let facts = info
                .facts
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            fact("host facts", facts.collect::<Vec<_>>().join(", "));
        }
        if let Some(comparison) = &info.comparison {
            fact("comparison", self.comparison(comparison));
            for arm in Arm::BOTH {
                let side = comparison.side(arm);
                let name = letter(arm);
                for (what, command) in [("start", &side.start), ("stop", &side.stop)] {
                    if let Some(command) = command {
                        fact(&format!("{name} {what}"), command.clone());
                    }
                }
            }
            if let Some(load) = &comparison.load {
                fact("load", load.clone());
            }
        }
        for text in &self.file.excluded {
            fact("excluded", text.clone());
        }
        for text in &self.file.problems {
            fact("problem", text.clone());
        }
        facts
    }

    /// How much was recorded, and whether the run came to its end.
    fn recorded(&self) -> String {
        let file = self.file;
        let parts = self.parts();
        let intervals = parts.iter().map(|part| part.totals.intervals);
        let intervals = intervals.fold(0, u64::saturating_add);
        let mut text = if self.rounds().is_some() {
            count(intervals, "period")
        } else {
            count(intervals, "interval")
        };
        if let Some(interval) = file.info.interval {
            text += &format!(" of {}", humantime::format_duration(interval));
        }
        if file.runs > 1 {
            text += &format!(" in {} runs", file.runs);
        }
        if !file.complete {
            text += "; ended early, without a total";
        }
        text + &format!("; by netstacklat {}", file.info.version)
    }

    fn comparison(&self, comparison: &Comparison) -> String {
        let human = |duration| humantime::format_duration(duration).to_string();
        format!(
            "{} (A) with {} (B): {} of {}{} rounds of {PERIODS} periods of {}, each {} after its \
             start command; seed {}",
            comparison.a.name,
            comparison.b.name,
            self.rounds().unwrap_or(0),
            if comparison.auto_rounds {
                "at most "
            } else {
                ""
            },
            comparison.rounds,
            human(comparison.period),
            human(comparison.settle),
            comparison.seed
        )
    }

    /// The title of a table, if there is one for each side.
    fn title(&self, part: &Part) -> Option<String> {
        let arm = part.arm?;
        let name = &self.file.info.comparison.as_ref()?.side(arm).name;
        let letter = letter(arm);
        let name = one_line(name, MAX_TEXT);
        let who = if name == letter {
            name
        } else {
            format!("{letter} {name}")
        };
        let periods = count(part.totals.intervals, "period");
        Some(format!("{who}: {periods}"))
    }
}

fn letter(arm: Arm) -> &'static str {
    match arm {
        Arm::A => "A",
        Arm::B => "B",
    }
}
