// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads hooks from the command line: names, globs and sets.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};

use crate::model::hook_choice::{HookChoice, SETS};
use crate::model::hooks::{Hook, HookSet};

/// All hooks that one of the items stands for.
pub(super) fn union(choices: &[HookChoice]) -> HookSet {
    choices
        .iter()
        .flat_map(|choice| choice.hooks.iter())
        .collect()
}

/// Reads an item of a list of hooks. Shells complete it with the names of sets
/// and hooks.
#[derive(Clone, Copy, Debug)]
pub(super) struct HookParser;

impl TypedValueParser for HookParser {
    type Value = HookChoice;

    fn parse_ref(
        &self,
        command: &Command,
        option: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<HookChoice, Error> {
        let read = |text: &str| text.parse::<HookChoice>();
        read.parse_ref(command, option, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let sets = SETS.iter().map(|set| PossibleValue::new(set.name));
        let hooks = Hook::all().map(|hook| PossibleValue::new(hook.name()));
        Some(Box::new(sets.chain(hooks)))
    }
}
