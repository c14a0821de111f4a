// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Writes the files that are made from the sources into the repository:
//! `make generated`. tests/generated.rs fails when one of them is stale.
#![allow(unreachable_pub, reason = "the modules are also those of a test")]

mod exporter;
mod man;
mod monitoring;
mod schema;

use std::path::Path;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (directory, files) in [
        ("docs/man", man::pages()?),
        ("docs/schema", schema::schemas()?),
        ("docs", schema::pages()?),
        ("exporter", exporter::configurations()?),
        ("exporter", monitoring::rules()),
        ("exporter", monitoring::dashboard()),
    ] {
        for (name, text) in files {
            let path = repository.join(directory).join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}
