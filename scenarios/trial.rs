// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison or a recording by netstacklat: its command line, shown and run.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use testlab::lines::Run;

use crate::finding::Finding;

/// A comparison: what differs, and the traffic that shows it.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// What sides A and B are called.
    pub names: [&'a str; 2],
    /// What is done before each period of A, and undone after it. Nothing: "".
    pub a: [&'a str; 2],
    /// What turns A into B, before each period of B, and back again after it.
    pub b: [&'a str; 2],
    pub load: &'a str,
    /// What is measured.
    pub options: &'a [&'a str],
    /// What is judged group by group.
    pub by: Option<&'a str>,
    pub period: &'a str,
    pub settle: &'a str,
}

/// The orders of the rounds are the same each time, so that the outcome is as
/// repeatable as the guest is.
const SEED: &str = "1";
const FILE: &str = "/root/scenario.nsl";

impl Trial<'_> {
    /// Runs it, which shows what it found to the user, and reads that from the
    /// run file.
    pub fn run(&self) -> Result<Finding> {
        let mut words = vec!["compare"];
        for (option, value) in [
            ("--a-name", self.names[0]),
            ("--b-name", self.names[1]),
            ("--a-start", self.a[0]),
            ("--a-stop", self.a[1]),
            ("--b-start", self.b[0]),
            ("--b-stop", self.b[1]),
            ("--load", self.load),
            ("--period", self.period),
            ("--settle", self.settle),
            ("--seed", SEED),
            ("--output", FILE),
        ] {
            if !value.is_empty() {
                words.extend([option, value]);
            }
        }
        words.extend(self.options);
        let by = self.by.map(|key| ["--by", key]);
        words.extend(by.iter().flatten());
        if std::fs::exists(FILE)? {
            std::fs::remove_file(FILE)?;
        }
        netstacklat(&words)?;
        let mut diff = Command::new("netstacklat");
        diff.args(["diff", "--json", FILE]);
        let told = diff.args(by.iter().flatten()).output()?;
        let stderr = String::from_utf8_lossy(&told.stderr);
        ensure!(told.status.success(), "netstacklat diff: {stderr}");
        Finding::parse(&told.stdout).context("what `netstacklat diff --json` says")
    }
}

/// Records while `load` runs, which is a shell's command.
pub fn record(file: &str, options: &[&str], load: &str) -> Result<Run> {
    let ends = [&["record", "--output", file][..], &["--", "sh", "-c", load]];
    netstacklat(&[ends[0], options, ends[1]].concat())?;
    let lines = std::fs::read_to_string(file)?;
    let lines = lines.lines().map(serde_json::from_str);
    Ok(Run::checked(
        lines.collect::<Result<_, _>>()?,
        String::new(),
    ))
}

/// Shows the command, and runs it.
pub fn netstacklat(words: &[&str]) -> Result<()> {
    show(words);
    let mut command = Command::new("netstacklat");
    let status = command.args(words).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "netstacklat {}: {status}", words[0]);
    Ok(())
}

/// As a user would type it.
fn show(words: &[&str]) {
    print!("\n$ netstacklat");
    for word in words {
        match word {
            option if option.starts_with("--") => print!(" \\\n    {word}"),
            _ if word.contains(|c: char| !(c.is_alphanumeric() || "-./_".contains(c))) => {
                print!(" '{word}'");
            }
            _ => print!(" {word}"),
        }
    }
    println!();
}
