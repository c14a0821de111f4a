// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The man pages, from the definition of the command line and the table of
//! hooks.

use std::io;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use netstacklat::cli::Cli;
use netstacklat::model::hook_choice::SETS;
use netstacklat::model::hooks::{Hook, HookSet};

const NAME: &str = "netstacklat";

/// File name and text of each page.
pub fn pages() -> io::Result<Vec<(String, String)>> {
    let mut command = Cli::for_users().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    for subcommand in command.get_subcommands() {
        let name = format!("{NAME}-{}", subcommand.get_name());
        pages.push(page(&name, subcommand, &[])?);
    }
    let sections = [hooks(), sets(), exit_status(), environment()];
    pages.push(page(NAME, &command, &sections)?);
    Ok(pages)
}

fn page(name: &str, command: &Command, sections: &[Roff]) -> io::Result<(String, String)> {
    let help = command.get_after_help().map(ToString::to_string);
    let paragraphs = help.as_deref().unwrap_or_default().split("\n\n");
    let (examples, remarks): (Vec<_>, Vec<_>) =
        paragraphs.partition(|paragraph| paragraph.starts_with("Examples:\n"));
    let has_subcommands = command.has_subcommands();
    let command = command.clone().bin_name(name.replacen('-', " ", 1));
    let man = Man::new(command.clone().display_name(name))
        .title(name.to_uppercase())
        .section("1")
        .manual("User Commands")
        // Without the commit: it would change the page each time.
        .source(concat!("netstacklat ", env!("CARGO_PKG_VERSION")));
    let mut text = br#".\" SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
.\" Made by `make generated` from src/cli and src/bpf/tables.h.
"#
    .to_vec();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    synopsis(&command).to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    for remarks in remarks {
        let mut roff = Roff::new();
        roff.control("PP", []);
        roff.text([roman(remarks.replace('\n', " "))]);
        roff.to_writer(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    for section in sections {
        section.to_writer(&mut text)?;
    }
    for examples in examples {
        verbatim(examples).to_writer(&mut text)?;
    }
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok((format!("{name}.1"), text))
}

/// Each option with the name of its value, which clap_mangen leaves out here.
fn synopsis(command: &Command) -> Roff {
    let mut roff = section("SYNOPSIS");
    let name = command.get_bin_name().unwrap_or(NAME);
    let mut words = vec![bold(name)];
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let (positional, options): (Vec<_>, Vec<_>) = shown.partition(|arg| arg.is_positional());
    for option in options {
        let (open, close) = if option.is_required_set() {
            ("", "")
        } else {
            ("[", "]")
        };
        words.push(roman(format!(" {open}")));
        let short = option.get_short().map(|short| format!("-{short}"));
        let long = option.get_long().map(|long| format!("--{long}"));
        let names: Vec<_> = short.into_iter().chain(long).collect();
        words.push(bold(names.join("|")));
        if option.get_action().takes_values() {
            words.push(roman(" "));
            words.push(italic(value_name(option)));
        }
        words.push(roman(close));
    }
    for value in positional {
        let dashes = if value.is_last_set() { "-- " } else { "" };
        let more = if matches!(value.get_action(), ArgAction::Append) {
            "..."
        } else {
            ""
        };
        let text = format!("{dashes}{}{more}", value_name(value));
        let text = if value.is_required_set() {
            italic(text)
        } else {
            italic(format!("[{text}]"))
        };
        words.extend([roman(" "), text]);
    }
    roff.text(words);
    if command.has_subcommands() {
        roff.control("br", []);
        roff.text([bold(name), roman(" "), italic("COMMAND"), roman(" ...")]);
    }
    roff
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| name.as_str()).collect()
}

/// `Examples:` and lines that stay as they are.
fn verbatim(examples: &str) -> Roff {
    let mut roff = section("EXAMPLES");
    roff.control("nf", []);
    for line in examples.lines().skip(1) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn section(title: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff
}

fn entry(roff: &mut Roff, term: Inline, text: Vec<Inline>) {
    roff.control("TP", []);
    roff.text([term]);
    roff.text(text);
}

fn hooks() -> Roff {
    let mut roff = section("HOOKS");
    for hook in Hook::all() {
        let names: Vec<_> = hook.programs().map(|program| program.function).collect();
        let meaning = format!("{}: ", hook.meaning());
        let text = vec![roman(meaning), italic(names.join(", "))];
        entry(&mut roff, bold(hook.name()), text);
    }
    roff
}

fn sets() -> Roff {
    let mut roff = section("SETS OF HOOKS");
    for set in SETS {
        let mut text = vec![roman(set.meaning)];
        if set.hooks() != HookSet::ALL {
            let names: Vec<_> = set.hooks().iter().map(Hook::name).collect();
            text.extend([roman(": "), italic(names.join(", "))]);
        }
        entry(&mut roff, bold(set.name), text);
    }
    roff
}

fn exit_status() -> Roff {
    let mut roff = section("EXIT STATUS");
    for (code, meaning) in [
        ("0", "Success."),
        (
            "1",
            "It could not run. Standard error says why, and how to fix it.",
        ),
        ("2", "Usage error."),
        (
            "3",
            "check: hooks are missing. diff, compare: a --fail-if limit is exceeded.",
        ),
        (
            "125, 126, 127",
            "record with a command: recording failed; the command could not be run; it was not found. Otherwise the command's own exit code.",
        ),
        (
            "128+N",
            "Ended at once by a second signal N. The first signal ends it cleanly, with the total.",
        ),
    ] {
        entry(&mut roff, bold(code), vec![roman(meaning)]);
    }
    roff
}

fn environment() -> Roff {
    let mut roff = section("ENVIRONMENT");
    let text = "If set and not empty, --color auto means never.";
    entry(&mut roff, bold("NO_COLOR"), vec![roman(text)]);
    roff
}
