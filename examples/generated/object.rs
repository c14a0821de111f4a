// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Compiles the grouped object for keys that somebody has chosen, as build.rs does it
//! for the default ones.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use libbpf_rs::Linker;
use netstacklat::model::exported::ExportedKeys;

const SOURCE: &str = "src/bpf/exporter_groups.bpf.c";

/// Linking strips the object of DWARF, not of BTF.
pub fn compile(keys: &ExportedKeys, file: &Path) -> Result<()> {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let unlinked = file.with_extension("unlinked");
    let output = Command::new(&clang)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(env!("NETSTACKLAT_BPF_FLAGS").split(' '))
        .args(["-g", "-O2", "-target", "bpf", "-fno-stack-protector"])
        .arg(format!("-DGROUP_BY={}", keys.constants()))
        .args(["-c", SOURCE, "-o"])
        .arg(&unlinked)
        .output()
        .with_context(|| format!("could not run {clang}: install clang, or set CLANG"))?;
    ensure!(
        output.status.success(),
        "compiling {SOURCE} by {} (clang 14 or newer is needed):\n{}",
        keys.text(),
        String::from_utf8_lossy(&output.stderr)
    );
    let linked = Linker::new(file).and_then(|mut linker| {
        linker.add_file(&unlinked)?;
        linker.link()
    });
    std::fs::remove_file(&unlinked).context("removing what is linked")?;
    linked.with_context(|| format!("linking {}", file.display()))
}
