// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The man pages, from the definition of the command line and the table of
//! hooks.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use netstacklat::cli::Cli;
use netstacklat::model::hooks::{Hook, Role};

const NAME: &str = "netstacklat";

/// File name and text of each page.
pub fn pages() -> io::Result<Vec<(String, String)>> {
    // The live view is the command itself.
    let mut command = Cli::command().mut_subcommand("live", |live| live.hide(true));
    command.build();
    let mut pages = Vec::new();
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = format!("{NAME}-{}", subcommand.get_name());
        pages.push(page(&name, subcommand, &[])?);
    }
    let sections = [hooks(), exit_status(), environment()];
    pages.push(page(NAME, &command, &sections)?);
    Ok(pages)
}

fn page(name: &str, command: &Command, sections: &[Roff]) -> io::Result<(String, String)> {
    let help = command.get_after_help().map(ToString::to_string);
    let paragraphs = help.as_deref().unwrap_or_default().split("\n\n");
    let (examples, remarks): (Vec<_>, Vec<_>) =
        paragraphs.partition(|paragraph| paragraph.starts_with("Examples:\n"));
    let has_subcommands = command.get_subcommands().any(|c| !c.is_hide_set());
    let command = command.clone().bin_name(name.replacen('-', " ", 1));
    let man = Man::new(command.display_name(name))
        .title(name.to_uppercase())
        .section("1")
        .manual("User Commands")
        // Without the commit: it would change the page each time.
        .source(concat!("netstacklat ", env!("CARGO_PKG_VERSION")));
    let mut text = br#".\" SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
.\" Made by `make generated` from src/cli and src/bpf/netstacklat.h.
"#
    .to_vec();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
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
        let functions = hook
            .programs()
            .filter(|program| program.role != Role::Serves);
        let names: Vec<_> = functions.map(|program| program.function).collect();
        let meaning = format!("{}: ", hook.meaning());
        let text = vec![roman(meaning), italic(names.join(", "))];
        entry(&mut roff, bold(hook.name()), text);
    }
    roff
}

fn exit_status() -> Roff {
    let mut roff = section("EXIT STATUS");
    for (code, meaning) in [
        ("0", "All is well."),
        (
            "1",
            "It could not run. Standard error says why, and what to do.",
        ),
        ("2", "Wrong usage."),
        (
            "3",
            "check: hooks are missing. diff, compare: a --fail-if limit is passed.",
        ),
        (
            "125, 126, 127",
            "record with a command: recording failed; the command cannot be run; it was not found. Else its own exit code.",
        ),
        (
            "128+N",
            "Ended at once by a second signal N; the first one ends it in good order, with the total.",
        ),
    ] {
        entry(&mut roff, bold(code), vec![roman(meaning)]);
    }
    roff
}

fn environment() -> Roff {
    let mut roff = section("ENVIRONMENT");
    let text = "If it is set and not empty, --color auto means never.";
    entry(&mut roff, bold("NO_COLOR"), vec![roman(text)]);
    roff
}
