// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is measured: the options that live view, `record` and `compare` share.
//!
//! An option is added to [`SelectArgs`] and nowhere else. Then all three have
//! it, and [`SelectArgs::selection`], which names every option, puts it into
//! run files. The tests below fail for an option that is missing in either.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command, Error};

use crate::model::hook_choice::{HookChoice, SETS};
use crate::model::hooks::{Hook, HookSet};
use crate::model::selection::Selection;

/// What to measure.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What to measure")]
pub struct SelectArgs {
    /// Measure only these hooks, comma-separated: names, kernel functions,
    /// quoted globs ('tcp*'), or the sets light, original and all
    #[arg(
        short = 'e',
        long,
        alias = "enable-probes",
        value_name = "HOOK,GLOB,SET",
        value_delimiter = ',',
        value_parser = HookParser,
        hide_possible_values = true,
        conflicts_with = "exclude_hooks"
    )]
    pub hooks: Vec<HookChoice>,

    /// Measure all hooks except these
    #[arg(
        short = 'd',
        long,
        alias = "disable-probes",
        value_name = "HOOK,GLOB,SET",
        value_delimiter = ',',
        value_parser = HookParser,
        hide_possible_values = true
    )]
    pub exclude_hooks: Vec<HookChoice>,
}

impl SelectArgs {
    /// The hooks that the user wants.
    pub fn wanted_hooks(&self) -> HookSet {
        if self.hooks.is_empty() {
            HookSet::ALL.minus(union(&self.exclude_hooks))
        } else {
            union(&self.hooks)
        }
    }

    /// What the user selected, by the name of the option: for run files and
    /// for whoever reads them. Empty: everything.
    pub fn selection(&self) -> Selection {
        // Without `..`: a new option has to be named here.
        let SelectArgs {
            hooks,
            exclude_hooks,
        } = self;
        let texts = |choices: &[HookChoice]| -> Vec<String> {
            let texts = choices.iter().map(|choice| choice.text.clone());
            texts.collect()
        };
        let named = [
            ("hooks", texts(hooks)),
            ("exclude-hooks", texts(exclude_hooks)),
        ];
        let given = named.into_iter().filter(|(_, texts)| !texts.is_empty());
        Selection {
            options: given.map(|(name, texts)| (name.into(), texts)).collect(),
            by: Vec::new(),
        }
    }
}

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
