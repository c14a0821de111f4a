// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What was measured, as plain data: no kernel, no I/O, no formatting.

pub mod check;
pub mod comparison;
pub mod counters;
pub mod exported;
pub mod fail_if;
pub mod flow_choice;
pub mod glob;
pub mod group;
pub mod grouping;
pub mod histogram;
pub mod hook_choice;
pub mod hook_counters;
pub mod hooks;
pub mod listing;
pub mod names;
pub mod owner_choice;
pub mod packet_choice;
pub mod packet_filter;
pub mod quantile;
pub mod quantity;
pub mod report;
pub mod run;
pub mod sampling;
pub mod selection;
pub mod shares;
pub mod side;
pub mod skips;
pub mod slow;
pub mod snapshot;
pub mod sparse;
pub mod stage;
pub(crate) mod tables;
