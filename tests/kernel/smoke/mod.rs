// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! On every supported kernel: it measures, it stops, its numbers add up.

mod btf;
mod hooks;
mod reports;
mod stop;
