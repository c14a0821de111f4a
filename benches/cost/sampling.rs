// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a run of a hook costs whose packet is not in the sample (`--sample`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use netstacklat::capture::Capture;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::host::packets::Packets;
use netstacklat::model::grouping::{GroupKey, Grouping};
use netstacklat::model::hooks::{HookSet, programs};
use netstacklat::model::packet_choice::PacketChoice;
use netstacklat::model::sampling::Sampling;

use crate::{Traffic, floors};

/// The kernel keeps as many characters of a program's name.
const KEPT: usize = 15;
/// So few packets are measured that the cheapest round has none.
const ONE_IN: u32 = 65536;

/// Prints a line for each program: instructions above the floor of packets that are
/// measured, of others, and of others where the object with filters and groups is
/// loaded.
pub(crate) fn sampling() -> Result<()> {
    let traffic = Traffic::new()?;
    let floor = floors(&traffic)?.empty;
    let all = costs(&traffic, Sampling::ALL, None)?;
    let rare = Sampling::new(ONE_IN).context("a share")?;
    let sampled_out = costs(&traffic, rare, None)?;
    let by_interface = Grouping {
        keys: vec![GroupKey::Interface],
        max_groups: 256,
        memory: 64 << 20,
    };
    let selected = costs(&traffic, rare, Some(by_interface))?;
    println!("| hook | function | measured | sampled out | with --by interface |");
    println!("|---|---|---:|---:|---:|");
    for program in programs() {
        let name = &program.name[..program.name.len().min(KEPT)];
        let cells = [&all, &sampled_out, &selected].map(|costs| {
            let cost = costs.get(name);
            cost.map_or("-".into(), |cost| format!("{:.0}", cost - floor))
        });
        if all.contains_key(name) {
            let [all, out, selected] = cells;
            println!(
                "| `{}` | `{}` | {all} | {out} | {selected} |",
                program.hook, program.function
            );
        }
    }
    Ok(())
}

fn costs(
    traffic: &Traffic,
    sampling: Sampling,
    grouping: Option<Grouping>,
) -> Result<BTreeMap<String, f64>> {
    let plan = decide(&HostFacts::probe()?, HookSet::default_ones())?.sampled(sampling);
    let packets = Packets::resolve(&PacketChoice::default())?;
    let _capture = Capture::start_for(plan, packets, grouping, None)?;
    traffic.cheapest("nsl_")
}
