// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The table of hooks with their meanings and kernel functions, and the sets.

use std::io::{self, Write};

use crate::model::hook_choice::SETS;
use crate::model::hooks::{Hook, HookSet};
use crate::schema::format::{SCHEMA, write_line};
use crate::schema::hooks::{HooksLine, ListedHook, ListedProgram, ListedSet};

/// Writes the table as text.
///
/// # Errors
///
/// The errors of `out`.
pub(crate) fn text(out: &mut dyn Write, wanted: HookSet) -> io::Result<()> {
    let width = Hook::all().map(|hook| hook.name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for hook in wanted.iter() {
        text += &format!("{hook:width$}  {}\n", hook.meaning());
        let functions: Vec<_> = hook
            .programs()
            .map(|program| {
                let or = if program.is_fallback() { "or " } else { "" };
                format!("{or}{}", program.attachment())
            })
            .collect();
        text += &format!("    {}\n", functions.join(", "));
    }
    text += "\nsets:\n";
    for set in SETS {
        text += &format!("{:width$}  {}\n", set.name, set.meaning);
        // The set `all` would repeat the whole list.
        if set.hooks() != HookSet::ALL {
            text += &names(set.hooks());
        }
    }
    out.write_all(text.as_bytes())
}

/// The names as `-e` takes them, in lines that fit 80 columns.
fn names(hooks: HookSet) -> String {
    const WIDTH: usize = 80;
    let mut lines = vec![String::from("   ")];
    let last = hooks.len().saturating_sub(1);
    for (place, hook) in hooks.iter().enumerate() {
        let comma = if place < last { "," } else { "" };
        let name = format!("{hook}{comma}");
        match lines.last_mut() {
            Some(line) if line.trim().is_empty() => *line += &format!(" {name}"),
            Some(line) if line.len() + name.len() <= WIDTH => *line += &name,
            _ => lines.push(format!("    {name}")),
        }
    }
    lines.join("\n") + "\n"
}

/// Writes the table as one JSON object on one line.
///
/// # Errors
///
/// The errors of `out`.
pub(crate) fn json(out: &mut dyn Write, wanted: HookSet) -> io::Result<()> {
    let hooks = wanted.iter().map(|hook| ListedHook {
        hook: hook.name(),
        meaning: hook.meaning(),
        programs: hook
            .programs()
            .map(|program| ListedProgram {
                attach: program.attach,
                function: program.function,
                fallback: program.is_fallback(),
            })
            .collect(),
    });
    let sets = SETS.iter().map(|set| ListedSet {
        set: set.name,
        meaning: set.meaning,
        hooks: set.hooks().iter().map(Hook::name).collect(),
    });
    let object = HooksLine {
        schema: SCHEMA,
        kind: "hooks",
        version: crate::VERSION,
        hooks: hooks.collect(),
        sets: sets.collect(),
    };
    write_line(out, &object)
}
