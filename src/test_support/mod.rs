// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Data for unit tests: run files for the analysis, intervals for the renderers.

mod reports;
mod run_files;

pub(crate) use reports::*;
pub(crate) use run_files::*;

use crate::model::hooks::Hook;

pub(crate) fn hook(name: &str) -> Hook {
    Hook::find(name).unwrap()
}
