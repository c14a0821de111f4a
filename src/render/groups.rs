// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is written below a list of groups: how many more there are, and what the
//! column `slow` means.

use crate::model::listing::GroupList;
use crate::render::units::count;
use crate::render::{Screen, units};

/// The name of the column, and of the order.
pub(super) const SLOW: &str = "slow";

impl Screen {
    /// Adds the lines below a list of groups.
    pub(super) fn below_groups(&self, page: &mut String, list: &GroupList) {
        if list.left_out > 0 {
            let more = count(list.left_out as u64, "more group");
            let listed = list.groups.iter().filter(|found| !found.is_other()).count();
            let text = format!(
                "{more} with packets, not listed: --top {} lists all, --sort says which come first",
                listed + list.left_out
            );
            self.flow(page, " ", text.split(' '));
        }
        let mut hooks = list.groups.iter().flat_map(|group| &group.hooks);
        if hooks.any(|hook| hook.slow.is_some()) {
            let text = "share of the group's packets above the p99 of all packets at the hook \
                        (average: 1%)";
            self.labelled(page, &self.dim(&format!("{SLOW}:")), text);
        }
    }
}

/// A share of slow packets.
pub(super) fn slow(share: Option<f64>) -> String {
    share.map_or(units::NONE.into(), units::share)
}
