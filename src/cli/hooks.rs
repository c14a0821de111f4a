// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The choice of hooks, which all commands that measure have.

use clap::Args;

use crate::model::hooks::{Hook, HookSet, parse_hook};

/// `-e` and `-d`.
#[derive(Args, Clone, Debug)]
pub struct HookArgs {
    /// Measure only these hooks: names or kernel functions, comma-separated
    #[arg(
        short = 'e',
        long,
        value_name = "HOOK,...",
        value_delimiter = ',',
        value_parser = parse_hook,
        conflicts_with = "disable_probes"
    )]
    pub enable_probes: Vec<Hook>,

    /// Measure all hooks but these
    #[arg(
        short = 'd',
        long,
        value_name = "HOOK,...",
        value_delimiter = ',',
        value_parser = parse_hook
    )]
    pub disable_probes: Vec<Hook>,
}

impl HookArgs {
    /// The hooks that the user wants.
    pub fn hooks(&self) -> HookSet {
        if self.enable_probes.is_empty() {
            HookSet::ALL.minus(self.disable_probes.iter().copied().collect())
        } else {
            self.enable_probes.iter().copied().collect()
        }
    }
}
