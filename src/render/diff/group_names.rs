// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The names of groups, as they are shown.

use crate::model::group::Group;
use crate::text::one_line;

/// The most characters of a group's name that are shown.
const MAX_NAME: usize = 200;
/// The most groups that a line names.
const MOST_NAMES: usize = 10;

/// A group's name without control characters.
pub(super) fn name(group: &Group) -> String {
    one_line(&group.to_string(), MAX_NAME)
}

/// Names of groups, and how many more there are.
pub(super) fn names<T>(all: &[T], name: impl Fn(&T) -> String) -> String {
    let mut names: Vec<String> = all.iter().take(MOST_NAMES).map(name).collect();
    if all.len() > MOST_NAMES {
        names.push(format!("and {} more", all.len() - MOST_NAMES));
    }
    names.join("; ")
}
