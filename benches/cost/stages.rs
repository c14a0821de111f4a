// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a run of a hook costs with `--stages`: the note and the second histogram.

use std::collections::BTreeMap;

use anyhow::Result;
use netstacklat::capture::Capture;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::host::packets::Packets;
use netstacklat::model::hooks::{HookSet, programs};
use netstacklat::model::packet_choice::{NamespaceChoice, PacketChoice};
use netstacklat::model::slow::SlowLimit;

use crate::{Traffic, floors};

/// The kernel keeps as many characters of a program's name.
const KEPT: usize = 15;
/// As by default.
const NOTES: u32 = 16384;

/// Prints a line for each program: instructions above the floor without stages, with
/// them, with them and the sentence that the live view has, and with them where the
/// object with filters and groups is loaded.
pub(crate) fn stages() -> Result<()> {
    let traffic = Traffic::new()?;
    let floor = floors(&traffic)?.empty;
    let all = PacketChoice::default();
    let here = PacketChoice {
        namespace: NamespaceChoice::Name("right".into()),
        ..PacketChoice::default()
    };
    let costs = [
        costs(&traffic, &all, None, &[])?,
        costs(&traffic, &all, Some(NOTES), &[])?,
        costs(&traffic, &all, Some(NOTES), &[SlowLimit::any()])?,
        costs(&traffic, &here, None, &[])?,
        costs(&traffic, &here, Some(NOTES), &[])?,
    ];
    println!(
        "| hook | function | without | with stages | more | live view | `-n` | with stages | more |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for program in programs() {
        let name = &program.name[..program.name.len().min(KEPT)];
        let found: Option<Vec<f64>> = costs
            .iter()
            .map(|costs| Some(costs.get(name)? - floor))
            .collect();
        if let Some([without, with, live, selected, both]) = found.as_deref() {
            println!(
                "| `{}` | `{}` | {without:.0} | {with:.0} | {:.0} | {live:.0} | {selected:.0} | {both:.0} | {:.0} |",
                program.hook,
                program.function,
                with - without,
                both - selected
            );
        }
    }
    Ok(())
}

fn costs(
    traffic: &Traffic,
    packets: &PacketChoice,
    notes: Option<u32>,
    limits: &[SlowLimit],
) -> Result<BTreeMap<String, f64>> {
    let plan = decide(&HostFacts::probe()?, HookSet::default_ones())?.staged(notes);
    let plan = plan.showing_slow(limits, 0, false);
    let _capture = Capture::start_for(plan, Packets::resolve(packets)?, None, None)?;
    traffic.cheapest("nsl_")
}
