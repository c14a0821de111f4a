// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is done with each input: by the fuzzer, which makes them up, and by
//! `cargo test` (tests/corpus.rs), which takes those that were kept.

#[path = "../../tests/corpus/inputs.rs"]
mod inputs;

pub use inputs::{duration, limit, runfile};
