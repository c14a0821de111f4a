// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the user selected to be measured, and by what it is counted apart.

use std::collections::BTreeMap;

use crate::model::sampling::Sampling;

/// Options that select hooks or what is listed, and not packets.
const NOT_OF_PACKETS: [&str; 10] = [
    "hooks",
    "exclude-hooks",
    "top",
    "sort",
    "stages",
    "no-stages",
    "notes",
    "slower-than",
    "slowest",
    "redact",
];
/// The option that takes a share of the packets.
const SAMPLE: &str = "sample";

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
    /// Which share of the packets is measured. What cannot be, in a file of
    /// others, is as if it were not there.
    pub fn sampling(&self) -> Sampling {
        let given = self.options.get(SAMPLE).and_then(|values| values.first());
        given.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

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
    /// all groups, whichever are listed. A share of the packets is measured as all
    /// of them would be.
    pub fn of_packets(&self) -> impl Iterator<Item = (&str, &[String])> {
        let options = self.options.iter();
        options
            .map(|(name, values)| (name.as_str(), values.as_slice()))
            .filter(|(name, _)| !NOT_OF_PACKETS.contains(name) && *name != SAMPLE)
    }
}
