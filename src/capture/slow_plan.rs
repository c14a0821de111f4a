// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which packets are slow, and where: what the user wants, at the hooks that are on.

use std::collections::BTreeMap;

use crate::model::hooks::{Hook, HookSet};
use crate::model::slow::SlowLimit;
use crate::model::stage::can_end;

/// Which packets are slow, and how many are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowPlan {
    /// What the user wants.
    wanted: Vec<SlowLimit>,
    /// By hook, the age in ns from which on a packet is slow there; see
    /// [`SlowPlan::apply_to`].
    pub limits: BTreeMap<Hook, u64>,
    /// So many are kept of each report.
    pub most: usize,
    /// Whether addresses and processes are hidden.
    pub redact: bool,
}

impl SlowPlan {
    /// For these limits; it is not known yet which hooks are on.
    pub(super) fn new(wanted: &[SlowLimit], most: usize, redact: bool) -> SlowPlan {
        SlowPlan {
            wanted: wanted.into(),
            limits: BTreeMap::new(),
            most,
            redact,
        }
    }

    /// Finds the limits at these hooks.
    pub(super) fn apply_to(&mut self, enabled: HookSet) {
        self.limits = limits(&self.wanted, enabled);
    }
}

/// By hook, from which age on a packet is slow, ns. A limit without a hook is for the
/// last hooks of all paths that have none of their own; of several, the lowest counts.
fn limits(wanted: &[SlowLimit], enabled: HookSet) -> BTreeMap<Hook, u64> {
    let ns = |limit: &SlowLimit| u64::try_from(limit.age.as_nanos()).unwrap_or(u64::MAX);
    let lowest = |of: &dyn Fn(&SlowLimit) -> bool| {
        let limits = wanted.iter().filter(|limit| of(limit));
        limits.map(ns).min()
    };
    let hooks = enabled.iter().filter_map(|hook| {
        let own = lowest(&|limit| limit.hook == Some(hook));
        let is_last = can_end(hook, enabled);
        let ns = own.or_else(|| lowest(&|limit| limit.hook.is_none()).filter(|_| is_last))?;
        Some((hook, ns))
    });
    hooks.collect()
}
