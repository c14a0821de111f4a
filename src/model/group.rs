// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The groups that packets are counted apart by.

use std::fmt;
use std::sync::Arc;

/// Whose packets a count is of, where they are counted apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Those that have these values: key and value, in the order of the keys.
    Of(Arc<[(String, String)]>),
    /// Those for whose group no room was left.
    Other,
}

impl fmt::Display for Group {
    /// `interface eth0, process nginx(123)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Group::Other => f.write_str("other"),
            Group::Of(values) => {
                let values = values.iter().map(|(key, value)| format!("{key} {value}"));
                f.write_str(&values.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// The value of a key that the programs could not tell.
pub const UNKNOWN: &str = "unknown";

impl Group {
    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        match self {
            Group::Other => None,
            Group::Of(values) => {
                let found = values.iter().find(|(known, _)| known == key);
                found.map(|(_, value)| value.as_str())
            }
        }
    }

    /// The group that it is part of where only these keys are told apart. What has
    /// no value of a key is [`UNKNOWN`].
    #[must_use]
    pub fn by(&self, keys: &[String]) -> Group {
        if *self == Group::Other {
            return Group::Other;
        }
        let values = keys.iter().map(|key| {
            let value = self.value(key).unwrap_or(UNKNOWN);
            (key.clone(), value.to_owned())
        });
        Group::Of(values.collect())
    }

    /// Whether the value of each key is known.
    pub fn is_known(&self) -> bool {
        match self {
            Group::Other => false,
            Group::Of(values) => values.iter().all(|(_, value)| value != UNKNOWN),
        }
    }
}

/// More groups are not counted apart: [`Group::Other`] has what they counted.
pub const MAX_GROUPS: usize = 1024;
