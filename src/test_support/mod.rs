// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Data for unit tests: run files for the analysis, intervals for the renderers.

mod reports;
mod run_files;

pub(crate) use reports::*;
pub(crate) use run_files::*;

use crate::model::hooks::{Hook, HookSet};

pub(crate) fn hook(name: &str) -> Hook {
    Hook::find(name).unwrap()
}

/// The hooks of TCP and UDP, and the one before them: not those that may come later.
pub(crate) fn tcp_and_udp() -> HookSet {
    let hooks = Hook::all().filter(|hook| {
        let name = hook.name();
        name == "ip-start" || name.starts_with("tcp-") || name.starts_with("udp-")
    });
    hooks.collect()
}
