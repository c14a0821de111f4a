// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Exact comparisons with the truth: longer than `smoke`.

mod behaviour;
mod blocked_output;
mod buckets;
mod clock;
mod compare;
mod containers;
mod cost;
mod documented;
mod drops;
pub mod exact;
mod exporter_object;
pub mod filters;
mod firewall;
mod flows;
mod grouped;
mod grouped_diff;
mod hold;
mod hosts;
mod hotplug;
mod idle;
pub mod kill;
mod lockdown;
mod missing;
mod out_of_order;
mod owners;
mod reads;
mod record;
mod refusals;
mod restore;
mod sampling;
mod sleepers;
mod stalled;
mod stamps;
mod virtual_links;
mod ways_to_read;
mod workloads;
