// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What `netstacklat check` found, as one object.

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::format::SCHEMA;

/// What `netstacklat check --json` found. The exit code says the same as `outcome`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub struct CheckLine<'a> {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `check`.
    #[schemars(extend("const" = "check"))]
    pub kind: &'static str,
    /// Version of netstacklat.
    pub version: &'a str,
    /// Host name (`uname -n`).
    pub host: &'a str,
    /// Kernel release (`uname -r`).
    pub kernel: &'a str,
    /// Machine (`uname -m`).
    pub arch: &'a str,
    /// `usable` (exit code 0), `hooks-missing`: it measures, but some hooks are off (3), or `not-usable` (1).
    #[schemars(extend("enum" = ["usable", "hooks-missing", "not-usable"]))]
    pub outcome: &'static str,
    /// What was looked at.
    pub findings: Vec<CheckItemFields<'a>>,
    /// The hooks in path order; empty where the kernel's functions cannot be told.
    pub hooks: Vec<CheckHookFields<'a>>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckItem")]
pub struct CheckItemFields<'a> {
    /// What was looked at, see below.
    pub subject: &'a str,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields have comments")]
    pub rest: StateFields<'a>,
}

/// How a hook stands. What was found are the functions attached to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckHook")]
pub struct CheckHookFields<'a> {
    /// Its name.
    pub hook: &'a str,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields have comments")]
    pub rest: StateFields<'a>,
}

/// How a thing stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateFields<'a> {
    /// `ok`, `warning` (it measures, but a figure or a part suffers), `problem` (it keeps all, or this hook, from measuring) or `unknown` (could not be seen; of a hook: the functions are there, and were not tried).
    #[schemars(extend("enum" = ["ok", "warning", "problem", "unknown"]))]
    pub state: &'static str,
    /// What was found, for people.
    pub found: &'a str,
    /// What that means for the figures, for people.
    pub meaning: Option<&'a str>,
    /// What to do about it, for people.
    pub remedy: Option<&'a str>,
}
