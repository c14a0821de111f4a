// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What netstacklat found, and what it had to.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::checks::Checks;

/// What `netstacklat diff --json` says, as far as it is looked at.
#[derive(Deserialize)]
pub struct Finding {
    hooks: Vec<Hook>,
    stages: Vec<Stage>,
    groups: Vec<Group>,
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct Warning {
    code: String,
    hook: Option<String>,
    text: String,
}

#[derive(Clone, Deserialize)]
struct Hook {
    hook: String,
    count: Sides,
    quantities: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Stage {
    from: String,
    to: String,
    quantities: BTreeMap<String, Row>,
}

/// What was compared group by group (`--by`).
#[derive(Deserialize)]
struct Group {
    group: BTreeMap<String, String>,
    hooks: Vec<Hook>,
}

#[derive(Clone, Copy, Deserialize)]
struct Sides {
    a: u64,
    b: u64,
}

#[derive(Clone, Deserialize)]
struct Row {
    a_ns: Option<f64>,
    b_ns: Option<f64>,
    verdict: Option<String>,
    change_percent: Option<f64>,
}

/// What must be found. Of quantiles the median: it takes the fewest packets,
/// and so the shortest time.
#[derive(Clone, Copy)]
pub enum Expected<'a> {
    /// `slower` at this hook.
    Slower(&'a str),
    /// `slower` at this hook, by more than ten times what it changed by at any
    /// other, in time.
    SlowerAbove(&'a str),
    /// A verdict was possible at this hook, and is `~`.
    Same(&'a str),
    /// A verdict was possible at this hook, and is not `slower`.
    NotSlower(&'a str),
    /// [`Expected::Same`] of all these hooks, and no verdict but `~` at any hook and
    /// quantile.
    NothingAt(&'a [&'a str]),
    /// Side A has packets at `hook`, at most as many as at the hook before it.
    /// Side B has none, and there is no verdict; though the hook before it has
    /// seen as many packets on both sides.
    OnlyInA { hook: &'a str, behind: &'a str },
    /// Of stages: `slower` are these quantities, and no quantity of any other
    /// stage.
    SlowerStages(&'a [(&'a str, &'a str, &'a [&'a str])]),
    /// Of a stage: a verdict was possible of this quantity, and is `~`.
    SameStage(&'a str, &'a str, &'a str),
    /// Side A has no packets at this hook, and side B has.
    NoneInA(&'a str),
    /// There is a warning of this code, about this hook.
    Warned(&'a str, &'a str),
}

const MEDIAN: &str = "p50";

/// No difference, or one of less than a bucket.
fn is_same(verdict: &str) -> bool {
    matches!(verdict, "not-found" | "below-bucket")
}

impl Finding {
    pub fn parse(json: &[u8]) -> Result<Finding> {
        Ok(serde_json::from_slice(json)?)
    }

    /// That of a group.
    pub fn of(&self, key: &str, value: &str) -> Result<Finding> {
        println!("\nscenario: {key} {value}");
        let mut groups = self.groups.iter();
        let found = groups.find(|group| group.group.get(key).is_some_and(|found| found == value));
        let hooks = found.context("this group was not compared")?.hooks.clone();
        Ok(Finding {
            hooks,
            stages: Vec::new(),
            groups: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Says of each expectation whether it is so.
    pub fn check(&self, expected: &[Expected]) -> Result<()> {
        println!();
        let mut checks = Checks::default();
        for expected in expected {
            let (holds, found) = self.holds(*expected);
            checks.that(&expected.to_string(), holds, found);
        }
        checks.end()
    }

    fn holds(&self, expected: Expected) -> (bool, String) {
        match expected {
            Expected::Slower(hook) => self.is(hook, "slower"),
            Expected::SlowerAbove(hook) => {
                let (slower, found) = self.is(hook, "slower");
                let shifts = self.hooks.iter().filter_map(|other| {
                    let row = other.quantities.get(MEDIAN)?;
                    Some((other.hook != hook, row.b_ns? - row.a_ns?))
                });
                let (others, own): (Vec<_>, Vec<_>) = shifts.partition(|(other, _)| *other);
                let others = others.iter().map(|(_, ns)| ns.abs()).fold(0.0, f64::max);
                let own = own.first().map_or(0.0, |(_, ns)| *ns);
                let found = format!("{found}, {own:.0} ns; elsewhere at most {others:.0} ns");
                (slower && own > 10.0 * others, found)
            }
            Expected::Same(hook) => self.is(hook, "not-found"),
            Expected::NotSlower(hook) => {
                let (faster, found) = self.is(hook, "faster");
                (faster || self.is(hook, "not-found").0, found)
            }
            Expected::NothingAt(hooks) => {
                let silent = hooks.iter().filter(|hook| !self.is(hook, "not-found").0);
                let silent: Vec<_> = silent.copied().collect();
                let mut told: Vec<String> = Vec::new();
                let mut judged = 0;
                for hook in &self.hooks {
                    for (quantity, row) in &hook.quantities {
                        judged += usize::from(row.verdict.is_some());
                        if row.verdict.as_deref().is_some_and(|v| !is_same(v)) {
                            told.push(format!("{} {quantity} {row}", hook.hook));
                        }
                    }
                }
                let mut found = format!("{judged} quantities judged");
                if !told.is_empty() {
                    found += &format!("; {}", told.join(", "));
                }
                if !silent.is_empty() {
                    found += &format!("; not `~` at {}", silent.join(", "));
                }
                (told.is_empty() && silent.is_empty(), found)
            }
            Expected::SlowerStages(expected) => {
                let mut missing: Vec<String> = Vec::new();
                for (from, to, quantities) in expected {
                    for quantity in *quantities {
                        let row = self.stage(from, to).and_then(|q| q.get(*quantity));
                        let verdict = row.and_then(|row| row.verdict.as_deref());
                        if verdict != Some("slower") {
                            let row = row.map_or("no row".into(), Row::to_string);
                            missing.push(format!("{from} -> {to} {quantity} {row}"));
                        }
                    }
                }
                let (mut slower, mut others) = (Vec::new(), false);
                for Stage {
                    from,
                    to,
                    quantities,
                } in &self.stages
                {
                    for (quantity, row) in quantities {
                        if row.verdict.as_deref() == Some("slower") {
                            slower.push(format!("{from} -> {to} {quantity} {row}"));
                            others |= !expected.iter().any(|(a, b, _)| a == from && b == to);
                        }
                    }
                }
                let mut found = format!("slower: {}", slower.join(", "));
                if !missing.is_empty() {
                    found += &format!("; not slower: {}", missing.join(", "));
                }
                (missing.is_empty() && !others, found)
            }
            Expected::SameStage(from, to, quantity) => {
                match self.stage(from, to).and_then(|q| q.get(quantity)) {
                    Some(row) => {
                        let same = row.verdict.as_deref().is_some_and(is_same);
                        (same, row.to_string())
                    }
                    None => (false, "no row".into()),
                }
            }
            Expected::NoneInA(hook) => match self.hook(hook) {
                Some(at) => {
                    let Sides { a, b } = at.count;
                    (a == 0 && b > 0, at.count.to_string())
                }
                None => (false, "no such hook".into()),
            },
            Expected::Warned(code, hook) => {
                let mut warnings = self.warnings.iter();
                let found = warnings
                    .find(|warning| warning.code == code && warning.hook.as_deref() == Some(hook));
                let text = found.map_or("no such warning", |warning| &*warning.text);
                (found.is_some(), text.into())
            }
            Expected::OnlyInA { hook, behind } => match (self.hook(hook), self.hook(behind)) {
                (Some(at), Some(before)) => {
                    let [seen, came] = [at.count, before.count];
                    let judged = at.quantities.values().any(|row| row.verdict.is_some());
                    let found = format!("{seen} there, {came} at {behind}");
                    let rows = if judged { "; judged" } else { "; not judged" };
                    let only = (1..=came.a).contains(&seen.a) && seen.b == 0;
                    let alike = came.a.abs_diff(came.b) < came.a / 20;
                    (only && alike && !judged, found + rows)
                }
                _ => (false, "no such hook".into()),
            },
        }
    }

    fn is(&self, hook: &str, verdict: &str) -> (bool, String) {
        match self
            .hook(hook)
            .and_then(|found| found.quantities.get(MEDIAN))
        {
            Some(row) => {
                let found = row.verdict.as_deref();
                let same = verdict == "not-found" && found.is_some_and(is_same);
                (same || found == Some(verdict), row.to_string())
            }
            None => (false, "no such hook".into()),
        }
    }

    fn stage(&self, from: &str, to: &str) -> Option<&BTreeMap<String, Row>> {
        let mut stages = self.stages.iter();
        let found = stages.find(|stage| stage.from == from && stage.to == to);
        found.map(|stage| &stage.quantities)
    }

    fn hook(&self, hook: &str) -> Option<&Hook> {
        self.hooks.iter().find(|found| found.hook == hook)
    }
}

impl fmt::Display for Sides {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} and {}", self.a, self.b)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let verdict = match self.verdict.as_deref() {
            Some("not-found") => "~",
            Some(verdict) => verdict,
            None => "no verdict",
        };
        match self.change_percent {
            Some(percent) => write!(f, "{percent:+.1} % {verdict}"),
            None => write!(f, "{verdict}"),
        }
    }
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Expected::Slower(hook) => write!(f, "{MEDIAN} slower at {hook}"),
            Expected::SlowerAbove(hook) => {
                write!(f, "{MEDIAN} slower at {hook}, and hardly elsewhere")
            }
            Expected::Same(hook) => write!(f, "{MEDIAN} not changed at {hook}"),
            Expected::NotSlower(hook) => write!(f, "{MEDIAN} not slower at {hook}"),
            Expected::OnlyInA { hook, .. } => {
                write!(f, "packets of side A only at {hook}, and no verdict")
            }
            Expected::SlowerStages([]) => write!(f, "slower in no stage"),
            Expected::SlowerStages(stages) => {
                let named = stages.iter().map(|(from, to, _)| format!("{from} -> {to}"));
                let named: Vec<_> = named.collect();
                write!(
                    f,
                    "slower in {}, and in no other stage",
                    named.join(" and ")
                )
            }
            Expected::SameStage(from, to, quantity) => {
                write!(f, "{quantity} not changed in {from} -> {to}")
            }
            Expected::NoneInA(hook) => write!(f, "packets of side B only at {hook}"),
            Expected::Warned(code, hook) => write!(f, "a warning of {code} at {hook}"),
            Expected::NothingAt(_) => write!(f, "no verdict but `~` at any hook"),
        }
    }
}
