// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Any text as a limit of --fail-if.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netstacklat_fuzz::limit(bytes));
