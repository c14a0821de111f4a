// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the user selected to be measured, and by what it is counted apart.

use std::collections::BTreeMap;

/// Options that select hooks or what is listed, and not packets.
const NOT_OF_PACKETS: [&str; 4] = ["hooks", "exclude-hooks", "top", "sort"];

/// What the user selected, as typed. By default everything, in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Values of each option that was given, by its long name without `--`; none
    /// of an option that takes no value.
    pub options: BTreeMap<String, Vec<String>>,
    /// Keys that packets are counted apart by, in their order.
    pub by: Vec<String>,
}

impl Selection {
    /// As the options that users type; `None`: everything, in one.
    pub fn text(&self) -> Option<String> {
        let options = self.options.iter();
        let mut options: Vec<_> = options
            .map(|(name, values)| format!("--{name} {}", values.join(",")))
            .collect();
        if !self.by.is_empty() {
            options.push(format!("--by {}", self.by.join(",")));
        }
        let texts: Vec<_> = options.iter().map(|option| option.trim_end()).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }

    /// The options that select packets: runs in which they differ have not
    /// measured the same. Which hooks are on is known of each hook, and files hold
    /// all groups, whichever are listed.
    pub fn of_packets(&self) -> impl Iterator<Item = (&str, &[String])> {
        let options = self.options.iter();
        options
            .map(|(name, values)| (name.as_str(), values.as_slice()))
            .filter(|(name, _)| !NOT_OF_PACKETS.contains(name))
    }
}
