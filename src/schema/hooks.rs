// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The list of hooks, as one object.

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::format::SCHEMA;

/// What `netstacklat -l --json` lists. With `-e` or `-d` it has the selected hooks only.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Hooks")]
pub struct HooksLine {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `hooks`.
    #[schemars(extend("const" = "hooks"))]
    pub kind: &'static str,
    /// Version of netstacklat.
    pub version: &'static str,
    /// The hooks in path order.
    pub hooks: Vec<ListedHook>,
    /// Names that `-e` and `-d` accept for several hooks.
    pub sets: Vec<ListedSet>,
}

/// A hook in the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedHook {
    /// Its name.
    pub hook: &'static str,
    /// What a packet has behind it there.
    pub meaning: &'static str,
    /// The programs that can feed it.
    pub programs: Vec<ListedProgram>,
}

/// A program of a hook.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedProgram {
    /// How it is attached.
    #[schemars(extend("enum" = ["fentry", "fexit", "tp_btf"]))]
    pub attach: &'static str,
    /// The kernel function.
    pub function: &'static str,
    /// Whether it is only used where the hook's other function cannot be attached to.
    pub fallback: bool,
}

/// A name for several hooks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedSet {
    /// The name.
    pub set: &'static str,
    /// Which hooks these are, in words.
    pub meaning: &'static str,
    /// Their names.
    pub hooks: Vec<&'static str>,
}
