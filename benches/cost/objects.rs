// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the programs of the objects for ebpf_exporter cost, loaded as it loads
//! them.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use libbpf_rs::{Link, ObjectBuilder};
use netstacklat::capture::timestamping::TimestampingSocket;

use crate::{Traffic, floors};

const OBJECTS: [(&str, &[u8]); 3] = [
    (
        "netstacklat",
        include_bytes!(concat!(
            env!("NETSTACKLAT_EXPORTER_OBJECTS"),
            "/netstacklat.bpf.o"
        )),
    ),
    (
        "before-5.19/netstacklat",
        include_bytes!(concat!(
            env!("NETSTACKLAT_EXPORTER_OBJECTS"),
            "/before-5.19/netstacklat.bpf.o"
        )),
    ),
    (
        "netstacklat-groups",
        include_bytes!(concat!(
            env!("NETSTACKLAT_EXPORTER_OBJECTS"),
            "/netstacklat-groups.bpf.o"
        )),
    ),
];

/// Prints `object program cost above-the-floor`, of the objects that this
/// kernel takes: ours, and those in further files.
pub(crate) fn objects(files: impl Iterator<Item = String>) -> Result<()> {
    let traffic = Traffic::new()?;
    let floor = floors(&traffic)?.empty;
    let _stamping = TimestampingSocket::open()?;
    let ours = OBJECTS.map(|(name, object)| (name.to_owned(), object.to_vec()));
    let mut objects = Vec::from(ours);
    for file in files {
        let object = std::fs::read(&file).with_context(|| format!("reading {file}"))?;
        objects.push((file, object));
    }
    for (name, object) in objects {
        let opened = ObjectBuilder::default().open_memory(&object)?;
        let Ok(loaded) = opened.load() else {
            println!("{name} - not for this kernel");
            continue;
        };
        let links = loaded.progs_mut().map(|program| program.attach());
        let _links: Vec<Link> = links
            .collect::<Result<_, _>>()
            .with_context(|| name.clone())?;
        // Stamps, and the clock, are there a moment later.
        sleep(Duration::from_millis(100));
        for (program, cost) in traffic.cheapest("nsl_")? {
            println!("{name} {program} {cost:.0} {:.0}", cost - floor);
        }
    }
    Ok(())
}
