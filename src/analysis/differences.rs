// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Differences between recordings other than the one that was intended: kernel,
//! host, filters, settings, functions.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::analysis::warnings::{Kind, Warning};
use crate::model::hooks::Hook;
use crate::model::side::PerSide;
use crate::runfile::RunFile;
use crate::text::truncated;

/// The most texts of a side that a warning repeats.
const MAX_TEXTS: usize = 4;
/// The most characters of each.
const MAX_TEXT: usize = 100;

/// Warns of each property that is not the same in all files.
pub(super) fn differences(found: &mut Vec<Warning>, sides: PerSide<&[RunFile]>) {
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
    let files = || sides.into_iter().flatten();
    let options = files().flat_map(|file| file.info.selection.of_packets());
    for name in options.map(|(name, _)| name).collect::<BTreeSet<_>>() {
        let what = format!("--{name}");
        difference(found, &what, sides, |file| {
            let mut given = file.info.selection.of_packets();
            let given = given.find(|(other, _)| *other == name);
            Some(given.map_or("not given".into(), |(_, values)| values.join(",")))
        });
    }
    let shares = sides.map(|side| -> BTreeSet<String> {
        let shares = side.iter().map(|file| file.info.selection.sampling());
        shares.map(|sampling| sampling.option()).collect()
    });
    if shares.a.union(&shares.b).count() > 1 {
        let shares = shares.map(|shares| shares.into_iter().take(MAX_TEXTS).collect());
        found.push(Warning::about_all(Kind::SharesDiffer(shares)));
    }
    difference(found, "--by", sides, |file| match &file.info.selection.by {
        by if by.is_empty() => Some("not given".into()),
        by => Some(by.join(",")),
    });
    let facts = files().flat_map(|file| file.info.facts.keys());
    for name in facts.collect::<BTreeSet<_>>() {
        difference(found, name, sides, |file| {
            file.info.facts.get(name).cloned()
        });
    }
}

fn difference(
    found: &mut Vec<Warning>,
    what: &str,
    sides: PerSide<&[RunFile]>,
    read: impl Fn(&RunFile) -> Option<String>,
) {
    let values = sides.map(|side| side.iter().map(&read).collect::<BTreeSet<_>>());
    if values.a.union(&values.b).count() > 1 {
        let values = values.map(|values| {
            let texts = values.into_iter().take(MAX_TEXTS);
            texts
                .map(|text| text.map_or("unknown".into(), |text| shortened(&text)))
                .collect()
        });
        let what = shortened(what);
        found.push(Warning::about_all(Kind::Differs { what, values }));
    }
}

/// Warns if a hook is off in some files, or attached to other functions.
pub(super) fn attachment(found: &mut Vec<Warning>, hook: Hook, sides: PerSide<&[RunFile]>) {
    let functions = |file: &RunFile| {
        let status = file.info.hooks.iter().find(|status| status.hook == hook);
        match status.filter(|status| status.attached()) {
            Some(status) => status.functions.join(", "),
            None => "off".into(),
        }
    };
    let before = found.len();
    difference(found, hook.name(), sides, |file| Some(functions(file)));
    for warning in &mut found[before..] {
        warning.hook = Some(hook);
    }
}

/// Whether the sides overlap in time. If all files of one side are older than
/// all of the other, a drift of the host looks like a change. True if the time
/// of a file is unknown.
pub(super) fn alternates(sides: PerSide<&[RunFile]>) -> bool {
    let times = sides.map(|side| {
        let times: Option<Vec<SystemTime>> = side.iter().map(|file| file.began).collect();
        let mut times = times?;
        times.sort_unstable();
        Some((*times.first()?, *times.last()?))
    });
    match (times.a, times.b) {
        (Some((first_a, last_a)), Some((first_b, last_b))) => {
            last_a >= first_b && last_b >= first_a
        }
        _ => true,
    }
}

/// Shortens a text from a file.
pub(super) fn shortened(text: &str) -> String {
    truncated(text, MAX_TEXT)
}
