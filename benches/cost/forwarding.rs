// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the hooks of forwarded packets cost: of such packets, and of others.

use std::collections::BTreeMap;

use anyhow::{Context as _, Error, Result};
use netstacklat::capture::Capture;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::model::hook_choice::HookChoice;
use netstacklat::model::hooks::{Hook, HookSet};
use testlab::links::{Link, routed};
use testlab::tcp::Connection;
use testlab::udp::{Flow, until_stamped};
use testlab::{Family, Ns};

use crate::{Traffic, cheapest, floors};

/// Programs that also run once for each of these datagrams where it is not a forwarded
/// packet yet, or not any more: when the sender sends it, and at IP of the forwarder.
const MIXED: [&str; 4] = [
    "nsl_ip_output",
    "nsl_ip6_output",
    "nsl_in_ip_rcv_c",
    "nsl_in_ip6_rcv_",
];

/// Prints a line for each program: instructions above the floor, of packets that are not
/// forwarded, and of those that are; without stages, and with them.
pub(crate) fn forwarding() -> Result<()> {
    // On a thread of its own, because that traffic enters other namespaces.
    let floor = Ns::Root.run(|| anyhow::Ok(floors(&Traffic::new()?)?.empty))?;
    let _routed = routed();
    let set = |name: &str| name.parse::<HookChoice>().map(|choice| choice.hooks);
    let forwarding = set("forwarding").map_err(Error::msg)?;
    let without = costs(forwarding, None)?;
    let with = costs(forwarding, Some(16384))?;
    println!("| program | of other packets | of forwarded ones | with stages |");
    println!("|---|---:|---:|---:|");
    for (name, (others, forwarded)) in &without {
        let cell =
            |cost: Option<f64>| cost.map_or(String::new(), |cost| format!("{:.0}", cost - floor));
        let (_, staged) = with.get(name).context("it has run before")?;
        println!(
            "| `{name}` | {} | {} | {} |",
            cell(*others),
            cell(*forwarded),
            cell(*staged)
        );
    }
    // Of these, packets that leave by a card, softirqs and polls alone are looked at.
    let optional = Hook::all().filter(|hook| hook.is_optional());
    let others: HookSet = optional.collect::<HookSet>().minus(forwarding);
    println!("\n| program | of packets that are not forwarded |");
    println!("|---|---:|");
    for (name, (cost, _)) in costs(others, None)? {
        if let Some(cost) = cost {
            println!("| `{name}` | {:.0} |", cost - floor);
        }
    }
    Ok(())
}

/// By program: of packets that are not forwarded, and of those that are.
type Costs = BTreeMap<String, (Option<f64>, Option<f64>)>;

fn costs(hooks: HookSet, notes: Option<u32>) -> Result<Costs> {
    let plan = decide(&HostFacts::probe()?, hooks)?.staged(notes);
    let _capture = Capture::start(plan, None)?;
    until_stamped(true);
    let udp = |link: Link, port| {
        let flows = Family::BOTH.map(|family| Flow::over(link.way(family, port)));
        move || {
            for flow in &flows {
                flow.send(0);
                flow.receive();
            }
            Ok(())
        }
    };
    let tcp = |link: Link, port| {
        let open = |family| Connection::over(link.way(family, port));
        let connections = std::cell::RefCell::new(Family::BOTH.map(open));
        move || {
            connections
                .borrow_mut()
                .iter_mut()
                .for_each(|it| it.talk(1));
            Ok(())
        }
    };
    let direct = cheapest("nsl_", udp(Link::Wire, 7100))?;
    let routed = cheapest("nsl_", udp(Link::Routed, 7101))?;
    let direct_tcp = cheapest("nsl_in_tcp", tcp(Link::Wire, 7102))?;
    let routed_tcp = cheapest("nsl_in_tcp", tcp(Link::Routed, 7103))?;
    let mut costs = Costs::new();
    for (name, mean) in direct.into_iter().chain(direct_tcp) {
        costs.entry(name).or_default().0 = Some(mean);
    }
    for (name, mean) in routed.into_iter().chain(routed_tcp) {
        let (others, forwarded) = costs.entry(name.clone()).or_default();
        let both = MIXED.contains(&name.as_str());
        *forwarded = match *others {
            Some(others) if both => Some(2.0 * mean - others),
            _ => Some(mean),
        };
    }
    costs.retain(|name, _| name != "nsl_update_vsys");
    Ok(costs)
}
