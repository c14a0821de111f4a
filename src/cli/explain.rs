// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Usage errors that many run into, with what they probably meant.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::durations::{is_bare_number, parse_duration, parse_interval};

/// The error for these arguments, with a hint where there is one.
pub(super) fn explain(
    mut definition: Command,
    error: clap::Error,
    arguments: &[OsString],
) -> clap::Error {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else {
        return error;
    };
    let is_record = arguments.get(1).is_some_and(|word| word == "record");
    let hint = if is_record {
        duration(word).or_else(|| command_to_record(word, arguments))
    } else {
        interval(word)
    };
    let Some(hint) = hint else {
        return error;
    };
    let text = format!("unexpected argument '{word}'\n\n  tip: {hint}");
    definition.build();
    match definition
        .find_subcommand_mut("record")
        .filter(|_| is_record)
    {
        Some(record) => record.error(error.kind(), text),
        None => definition.error(error.kind(), text),
    }
}

/// `netstacklat 10` is what many type first.
fn interval(word: &str) -> Option<String> {
    parse_interval(word).ok()?;
    let unit = unit(word);
    Some(format!(
        "for a report every {word}{unit}: netstacklat -r {word}"
    ))
}

/// `netstacklat record -o FILE 10`.
fn duration(word: &str) -> Option<String> {
    parse_duration(word).ok()?;
    let unit = unit(word);
    Some(format!("to stop after {word}{unit}: --duration {word}"))
}

fn unit(word: &str) -> &'static str {
    if is_bare_number(word) { " seconds" } else { "" }
}

/// `netstacklat record -o FILE ls -l`: without `--` the command's words are taken
/// for ours.
fn command_to_record(word: &str, arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    if words.contains(&"--") {
        return None;
    }
    // The command's name comes first. What begins with a dash is a mistyped
    // option of ours.
    if word.starts_with('-') {
        return None;
    }
    let at = words.iter().position(|&other| other == word)?;
    let (ours, command) = words.split_at(at);
    let [ours, command] = [ours, command].map(|words| {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    });
    let ours = ours.split_once(' ').map_or(ours.as_str(), |(_, rest)| rest);
    Some(format!(
        "the command to record goes after '--': netstacklat {ours} -- {command}"
    ))
}

/// As a shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    fn said(command: &str) -> String {
        let arguments: Vec<OsString> = command.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&arguments).expect_err("a usage error");
        explain(Cli::command(), error, &arguments).to_string()
    }

    #[test]
    fn a_command_to_record_is_found_without_its_dashes() {
        for (typed, meant) in [
            ("record -o f ls -l", "record -o f -- ls -l"),
            ("record -o f ls", "record -o f -- ls"),
            (
                "record -o f --name x iperf3 -c $HOST",
                "record -o f --name x -- iperf3 -c '$HOST'",
            ),
        ] {
            let said = said(&format!("netstacklat {typed}"));
            let tip = format!("goes after '--': netstacklat {meant}\n");
            assert!(said.contains(&tip), "{typed}: {said}");
        }
    }

    #[test]
    fn a_time_is_no_command() {
        let said = said("netstacklat record -o f 10");
        assert!(said.contains("after 10 seconds: --duration 10\n"), "{said}");
    }

    #[test]
    fn mistyped_options_of_record_are_no_commands() {
        for typed in ["record --nmae x", "record -o f --nmae x", "record -x -- ls"] {
            let said = said(&format!("netstacklat {typed}"));
            assert!(!said.contains("goes after"), "{typed}: {said}");
        }
    }
}
