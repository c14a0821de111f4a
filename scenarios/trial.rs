// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison by netstacklat: its command line, shown and run.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::finding::Finding;

/// A comparison: what differs, and the traffic that shows it.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// What sides A and B are called.
    pub names: [&'a str; 2],
    /// What turns A into B, before each period of B, and back again after it.
    pub b: [&'a str; 2],
    pub load: &'a str,
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
            ("--b-start", self.b[0]),
            ("--b-stop", self.b[1]),
            ("--load", self.load),
            ("--period", self.period),
            ("--settle", self.settle),
            ("--seed", SEED),
            ("--output", FILE),
        ] {
            words.extend([option, value]);
        }
        show(&words);
        if std::fs::exists(FILE)? {
            std::fs::remove_file(FILE)?;
        }
        let mut compare = Command::new("netstacklat");
        let status = compare.args(&words).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "netstacklat compare: {status}");
        let mut diff = Command::new("netstacklat");
        let told = diff.args(["diff", "--json", FILE]).output()?;
        let stderr = String::from_utf8_lossy(&told.stderr);
        ensure!(told.status.success(), "netstacklat diff: {stderr}");
        Finding::parse(&told.stdout).context("what `netstacklat diff --json` says")
    }
}

/// As a user would type it.
pub fn show(words: &[&str]) {
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
