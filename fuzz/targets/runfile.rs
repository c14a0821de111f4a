// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Any bytes as a run file: an error or what can be used, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netstacklat_fuzz::runfile(bytes));
