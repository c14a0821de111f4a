// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a reader must know before any difference: how the sides differ in more
//! than what was meant to differ, and what is missing.

use std::collections::BTreeSet;

use crate::analysis::values::{MIN_ROUNDS, Rounds, tally};
use crate::analysis::{Design, Finding, Input, JUDGED};
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::runfile::RunFile;

/// Something to know before the differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Caution {
    /// What it is about.
    pub kind: Kind,
    /// The hook that it is about; `None`: all.
    pub hook: Option<Hook>,
    /// The quantile that it is about, by place in the reported ones; `None`: all.
    pub quantile: Option<usize>,
}

/// What to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The sides differ in something else, or files of one side do.
    Differs {
        /// What it is: `kernel`, `host`, a fact's name, ...
        what: String,
        /// What A's files say of it, then B's; at most a few.
        values: [Vec<String>; 2],
    },
    /// The wall clock was stepped, so often with A and with B.
    ClockSteps([u64; 2]),
    /// So many rounds are left out because the clock was stepped in them.
    RoundsLeftOut(u64),
    /// Packets that should have been measured and were not, above 1 %.
    Skipped {
        /// Of A and of B.
        lost: [u64; 2],
        /// Those that were measured or lost.
        of: [u64; 2],
    },
    /// Runs that the kernel left out, above 1 %.
    Missed {
        /// Of A and of B.
        missed: [u64; 2],
        /// Those, and the ones that were not left out.
        of: [u64; 2],
    },
    /// Units (rounds, or files of A and B) that have enough samples.
    TooFewSamples {
        /// That have.
        units: [usize; 2],
        /// That there are.
        of: [usize; 2],
    },
    /// Fewer rounds than a verdict needs.
    FewRounds(usize),
    /// Fewer files a side than an interval needs.
    FewFiles([usize; 2]),
    /// Rounds were meant to be made, and were not.
    RoundsMissing {
        /// That are there.
        made: u64,
        /// That were meant to be.
        planned: u64,
    },
    /// A file's last run has not come to its end.
    Incomplete(String),
    /// What a file lacks, because it ended before its time.
    LeftOut {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// A file is strange.
    Flaw {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// Reports that were not made in time, with A and with B. Nothing is lost.
    MissedIntervals([u64; 2]),
    /// A file has several runs in it, which are added up.
    SeveralRuns {
        /// The file.
        path: String,
        /// How many.
        runs: u64,
    },
}

/// Above this share, what is not measured may matter.
const TOLERATED_PERCENT: u128 = 1;
/// Texts from files that are repeated.
const MAX_TEXTS: usize = 4;
/// And how long they may be, in characters.
const MAX_TEXT: usize = 100;
/// What files can be strange in or lack, at most, and be told.
const MAX_FLAWS: usize = 10;

impl Caution {
    fn about_all(kind: Kind) -> Caution {
        Caution {
            kind,
            hook: None,
            quantile: None,
        }
    }

    fn about(hook: Hook, kind: Kind) -> Caution {
        Caution {
            hook: Some(hook),
            ..Caution::about_all(kind)
        }
    }

    /// As in the JSON.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Differs { .. } => "differs",
            Kind::ClockSteps(_) => "clock-steps",
            Kind::RoundsLeftOut(_) => "rounds-left-out",
            Kind::Skipped { .. } => "skipped",
            Kind::Missed { .. } => "missed",
            Kind::TooFewSamples { .. } => "too-few-samples",
            Kind::FewRounds(_) => "few-rounds",
            Kind::FewFiles(_) => "few-files",
            Kind::RoundsMissing { .. } => "rounds-missing",
            Kind::Incomplete(_) => "incomplete",
            Kind::LeftOut { .. } => "left-out",
            Kind::Flaw { .. } => "flaw",
            Kind::MissedIntervals(_) => "missed-intervals",
            Kind::SeveralRuns { .. } => "several-runs",
        }
    }

    /// Whether verdicts may not mean what they seem to because of it. Those
    /// that do not, take verdicts away altogether, or nothing.
    pub fn is_serious(&self) -> bool {
        match self.kind {
            Kind::Differs { .. }
            | Kind::ClockSteps(_)
            | Kind::RoundsLeftOut(_)
            | Kind::Skipped { .. }
            | Kind::Missed { .. }
            | Kind::TooFewSamples { .. }
            | Kind::Flaw { .. } => true,
            Kind::FewRounds(_)
            | Kind::FewFiles(_)
            | Kind::RoundsMissing { .. }
            | Kind::Incomplete(_)
            | Kind::LeftOut { .. }
            | Kind::MissedIntervals(_)
            | Kind::SeveralRuns { .. } => false,
        }
    }

    /// Whether it tempers a verdict.
    pub fn tempers(&self, hook: Hook, quantile: usize) -> bool {
        self.is_serious()
            && self.hook.is_none_or(|about| about == hook)
            && self.quantile.is_none_or(|about| about == quantile)
    }
}

pub(super) fn find(
    input: &Input,
    design: &Design,
    rounds: &Rounds,
    hooks: &[Finding],
) -> Vec<Caution> {
    let mut found = Vec::new();
    few(&mut found, input, design, rounds);
    if let Input::Recordings { sides, .. } = input {
        differences(&mut found, *sides);
    }
    clock(&mut found, input, rounds);
    for finding in hooks {
        if let Input::Recordings { sides, .. } = input {
            attachment(&mut found, finding.hook, *sides);
        }
        not_measured(&mut found, input, finding.hook);
        too_few_samples(&mut found, design, finding);
    }
    files(&mut found, input);
    found
}

fn few(found: &mut Vec<Caution>, input: &Input, design: &Design, rounds: &Rounds) {
    match *design {
        Design::Rounds { used, planned } => {
            if used < MIN_ROUNDS {
                found.push(Caution::about_all(Kind::FewRounds(used)));
            }
            let made = used as u64 + rounds.stepped;
            if made < planned {
                found.push(Caution::about_all(Kind::RoundsMissing { made, planned }));
            }
        }
        Design::Files(files) => {
            if !input.knows_how_it_varies() {
                found.push(Caution::about_all(Kind::FewFiles(files)));
            }
        }
    }
}

/// In what else the files differ.
fn differences(found: &mut Vec<Caution>, sides: [&[RunFile]; 2]) {
    type Read = fn(&RunFile) -> Option<String>;
    let known: [(&str, Read); 8] = [
        ("host", |file| Some(file.info.host.clone())),
        ("kernel", |file| Some(file.info.kernel.clone())),
        ("arch", |file| Some(file.info.arch.clone())),
        ("possible_cpus", |file| {
            Some(file.info.possible_cpus.to_string())
        }),
        ("sub_buckets", |file| {
            Some(file.info.resolution.sub_buckets().to_string())
        }),
        ("clock_source", |file| Some(file.info.clock.source.clone())),
        ("tai_offset_s", |file| {
            Some(file.info.clock.tai_offset_s.to_string())
        }),
        ("version", |file| Some(file.info.version.clone())),
    ];
    for (what, read) in known {
        difference(found, what, sides, read);
    }
    let names = |of: fn(&RunFile) -> &std::collections::BTreeMap<String, String>| {
        let files = sides.into_iter().flatten();
        files
            .flat_map(move |file| of(file).keys().cloned())
            .collect::<BTreeSet<_>>()
    };
    for name in names(|file| &file.info.filters) {
        let what = format!("filter {name}");
        difference(found, &what, sides, |file| {
            file.info.filters.get(&name).cloned()
        });
    }
    for name in names(|file| &file.info.facts) {
        difference(found, &name, sides, |file| {
            file.info.facts.get(&name).cloned()
        });
    }
}

fn difference(
    found: &mut Vec<Caution>,
    what: &str,
    sides: [&[RunFile]; 2],
    read: impl Fn(&RunFile) -> Option<String>,
) {
    let values = sides.map(|side| side.iter().map(&read).collect::<BTreeSet<_>>());
    if values[0].union(&values[1]).count() > 1 {
        let values = values.map(|values| {
            let texts = values.into_iter().take(MAX_TEXTS);
            texts
                .map(|text| text.map_or("unknown".into(), |text| short(&text)))
                .collect()
        });
        let what = short(what);
        found.push(Caution::about_all(Kind::Differs { what, values }));
    }
}

/// Hooks that are on in some files only, or measure at other functions.
fn attachment(found: &mut Vec<Caution>, hook: Hook, sides: [&[RunFile]; 2]) {
    let functions = |file: &RunFile| {
        let verdict = file.info.hooks.iter().find(|verdict| verdict.hook == hook);
        match verdict.filter(|verdict| verdict.attached()) {
            Some(verdict) => verdict.functions.join(", "),
            None => "off".into(),
        }
    };
    let before = found.len();
    difference(found, hook.name(), sides, |file| Some(functions(file)));
    for caution in &mut found[before..] {
        caution.hook = Some(hook);
    }
}

fn clock(found: &mut Vec<Caution>, input: &Input, rounds: &Rounds) {
    let steps = sums(input, |tally| tally.clock_steps);
    match input {
        // Those rounds are left out: the others are as good as ever.
        Input::Comparison(_) if rounds.stepped > 0 => {
            found.push(Caution::about_all(Kind::RoundsLeftOut(rounds.stepped)));
        }
        Input::Recordings { .. } if steps != [0, 0] => {
            found.push(Caution::about_all(Kind::ClockSteps(steps)));
        }
        _ => {}
    }
}

fn sums(input: &Input, of: impl Fn(&crate::runfile::Tally) -> u64) -> [u64; 2] {
    Arm::BOTH.map(|arm| {
        let files = input.side(arm).iter();
        files.fold(0, |sum: u64, file| sum.saturating_add(of(tally(file, arm))))
    })
}

fn not_measured(found: &mut Vec<Caution>, input: &Input, hook: Hook) {
    let stats = |of: fn(&crate::model::snapshot::HookStats) -> u64| {
        sums(input, |tally| tally.hook(hook).map_or(0, of))
    };
    let too_many = |part: [u64; 2], whole: [u64; 2]| {
        let over = |(part, whole): (u64, u64)| {
            u128::from(part) * 100 > u128::from(whole) * TOLERATED_PERCENT
        };
        part.into_iter().zip(whole).any(over)
    };
    let add = |a: [u64; 2], b: [u64; 2]| [0, 1].map(|side: usize| a[side].saturating_add(b[side]));
    let count = stats(|stats| stats.histogram.count());
    let lost = stats(|stats| stats.skips.lost());
    let of = add(count, lost);
    if too_many(lost, of) {
        found.push(Caution::about(hook, Kind::Skipped { lost, of }));
    }
    let missed = stats(|stats| stats.missed);
    let of = add(add(count, missed), stats(|stats| stats.skips.total()));
    if too_many(missed, of) {
        found.push(Caution::about(hook, Kind::Missed { missed, of }));
    }
}

/// Of the quantiles that get verdicts; an idle hook is told as such.
fn too_few_samples(found: &mut Vec<Caution>, design: &Design, finding: &Finding) {
    if !finding.has_samples() {
        return;
    }
    let of = design.units();
    for quantile in JUDGED {
        let units = finding.rows[quantile].units;
        if units != of {
            found.push(Caution {
                quantile: Some(quantile),
                ..Caution::about(finding.hook, Kind::TooFewSamples { units, of })
            });
        }
    }
}

fn files(found: &mut Vec<Caution>, input: &Input) {
    let missed = sums(input, |tally| tally.missed_intervals);
    if missed != [0, 0] {
        found.push(Caution::about_all(Kind::MissedIntervals(missed)));
    }
    let (mut left_out, mut flaws) = (0, 0);
    for file in input.files() {
        let path = file.path.display().to_string();
        if !file.complete {
            found.push(Caution::about_all(Kind::Incomplete(path.clone())));
        }
        for text in &file.left_out {
            left_out += 1;
            if left_out <= MAX_FLAWS {
                found.push(Caution::about_all(Kind::LeftOut {
                    path: path.clone(),
                    text: short(text),
                }));
            }
        }
        for text in &file.flaws {
            flaws += 1;
            if flaws <= MAX_FLAWS {
                found.push(Caution::about_all(Kind::Flaw {
                    path: path.clone(),
                    text: short(text),
                }));
            }
        }
        if file.runs > 1 {
            let runs = file.runs;
            found.push(Caution::about_all(Kind::SeveralRuns { path, runs }));
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}
