// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The host as it is found: facts (`facts`, `settings`, `btf`), which of them
//! prevent measuring (`preconditions`), and the errors that explain it
//! (`start_error`). `environment` describes the host in the start line of a run,
//! so that runs can be compared. `packets` turns the names that users select by
//! into the kernel's numbers, with `wanted_interfaces` and `wanted_cgroups`;
//! `namespaces`, `cgroups`, `containers` (what a path says), `container_names`,
//! `workloads` and `processes` know them.
//! Nothing here changes the host or loads a program.

pub(crate) mod btf;
pub(crate) mod cgroups;
pub(crate) mod container_names;
pub(crate) mod containers;
pub(crate) mod environment;
pub mod facts;
pub(crate) mod link_monitor;
pub mod links;
pub mod names;
pub(crate) mod namespaces;
pub mod packets;
pub(crate) mod preconditions;
pub(crate) mod processes;
pub(crate) mod settings;
pub(crate) mod start_error;
mod wanted_cgroups;
mod wanted_interfaces;
pub(crate) mod workloads;
