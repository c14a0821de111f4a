// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Who keeps a place when there are more groups than places, and a name when there
//! are more than a run can keep. Whoever can make up groups (ports, addresses,
//! cgroups, processes) takes all places in a moment; so a place is kept by packets,
//! not by having come first. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::names::Owner;
use crate::model::group::MAX_GROUPS;

/// Groups with few packets make room when more than a hundredth of all packets had
/// no group. With less, the groups are rather left as they are: one that loses its
/// place has a part of its packets in `other`.
const WITHOUT_A_GROUP: u64 = 100;

/// Then so many of the groups make room: an eighth.
const SHARE_THAT_LEAVES: usize = 8;

/// From so many names on, a new group needs a hundredth of a report's packets to
/// get one.
const NAMES_FOR_ALL: usize = MAX_GROUPS / 2;
const WORTH_A_NAME: u64 = 100;

/// What groups have counted since the last report.
pub(super) struct Activity {
    /// Packets of each group that has a place.
    pub groups: BTreeMap<Owner, u64>,
    /// Packets that found no place.
    pub other: u64,
}

impl Activity {
    fn packets(&self) -> u64 {
        self.groups.values().sum::<u64>() + self.other
    }

    /// The groups that make room for others: those without packets; and, if many
    /// packets had no group, those with the fewest.
    pub(super) fn leaving(&self) -> BTreeSet<Owner> {
        let mut groups: Vec<(u64, Owner)> = self.groups.iter().map(|(o, n)| (*n, *o)).collect();
        groups.sort_unstable();
        let idle = groups.partition_point(|(packets, _)| *packets == 0);
        let many = self.other > self.packets() / WITHOUT_A_GROUP;
        let room = if many {
            groups.len().div_ceil(SHARE_THAT_LEAVES)
        } else {
            0
        };
        let leaving = groups.into_iter().take(idle.max(room));
        leaving.map(|(_, owner)| owner).collect()
    }

    /// Whether the group has enough packets to be named although names are short.
    pub(super) fn is_worth_a_name(&self, owner: &Owner) -> bool {
        let packets = self.groups.get(owner).copied().unwrap_or(0);
        packets > 0 && packets >= self.packets() / WORTH_A_NAME
    }
}

/// Whether the next group gets a name, when there are so many.
pub(super) fn is_named(names: usize, worthy: bool) -> bool {
    names < NAMES_FOR_ALL || worthy && names < MAX_GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u32) -> Owner {
        Owner {
            local_port: Some(number),
            ..Owner::default()
        }
    }

    fn activity(groups: &[(u32, u64)], other: u64) -> Activity {
        Activity {
            groups: groups.iter().map(|(p, n)| (port(*p), *n)).collect(),
            other,
        }
    }

    #[test]
    fn idle_groups_make_room() {
        let some_idle = activity(&[(1, 5), (2, 0), (3, 7), (4, 0)], 0);
        assert_eq!(some_idle.leaving(), [port(2), port(4)].into());
    }

    #[test]
    fn the_quietest_make_room_for_many_packets_without_a_group() {
        let groups: Vec<(u32, u64)> = (1..=16).map(|n| (n, u64::from(20 - n))).collect();
        // 184 packets in groups.
        assert!(activity(&groups, 1).leaving().is_empty());
        assert_eq!(activity(&groups, 10).leaving(), [port(15), port(16)].into());
        // Those that are idle are among them.
        let with_idle = activity(&[(1, 9), (2, 0), (3, 9)], 50);
        assert_eq!(with_idle.leaving(), [port(2)].into());
        // There is always one.
        assert_eq!(activity(&[(7, 1)], 1).leaving(), [port(7)].into());
    }

    #[test]
    fn nothing_is_nobodys() {
        let nothing = activity(&[], 0);
        assert!(nothing.leaving().is_empty());
        assert!(!nothing.is_worth_a_name(&port(1)));
    }

    #[test]
    fn the_last_names_are_for_groups_with_packets() {
        let some = activity(&[(1, 9), (2, 10)], 981);
        assert!(!some.is_worth_a_name(&port(1)));
        assert!(some.is_worth_a_name(&port(2)));
        assert!(is_named(MAX_GROUPS / 2 - 1, false));
        assert!(!is_named(MAX_GROUPS / 2, false));
        assert!(is_named(MAX_GROUPS - 1, true));
        assert!(!is_named(MAX_GROUPS, true));
    }
}
