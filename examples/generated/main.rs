// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Writes the files that are made from the sources into the repository:
//! `make generated`. tests/generated.rs fails when one of them is stale.
//!
//! With `KEYS DIRECTORY` it writes what there is for a grouped object that counts
//! by these keys, and the object: `make bpf GROUP_BY=KEYS`.
#![allow(unreachable_pub, reason = "the modules are also those of a test")]

mod exporter;
mod man;
mod monitoring;
mod object;
mod schema;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use netstacklat::model::exported::{ExportedKeys, Object};

/// A usage error.
const USAGE: u8 = 2;

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (keys, directory) = match &arguments[..] {
        [] => return all().map(|()| ExitCode::SUCCESS),
        [keys, directory] => (keys.parse(), Path::new(directory)),
        _ => (
            Err("usage: generated [KEYS DIRECTORY]".into()),
            Path::new(""),
        ),
    };
    match keys {
        Ok(keys) => for_keys(&keys, directory).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::from(USAGE))
        }
    }
}

/// All files, into the repository.
fn all() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let keys = ExportedKeys::default();
    for (directory, files) in [
        ("docs/man", man::pages()?),
        ("docs/schema", schema::schemas()?),
        ("docs", schema::pages()?),
        ("exporter", exporter::configurations(&keys)?),
        ("exporter", monitoring::rules(&keys)),
        ("exporter", monitoring::dashboard(&keys)),
    ] {
        write(&repository.join(directory), files)?;
    }
    Ok(())
}

/// What a choice of keys changes.
fn for_keys(keys: &ExportedKeys, directory: &Path) -> Result<()> {
    write(directory, exporter::configurations(keys)?)?;
    write(directory, monitoring::rules(keys))?;
    write(directory, monitoring::dashboard(keys))?;
    let file = format!("{}.bpf.o", Object::Groups.name());
    object::compile(keys, &directory.join(file))
}

fn write(directory: &Path, files: Vec<(String, String)>) -> Result<()> {
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
