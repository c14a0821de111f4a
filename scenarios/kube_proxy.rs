// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a service of Kubernetes costs its packets, with 5,000 services and each
//! of kube-proxy's modes.

use anyhow::Result;
use testlab::links::routed;

use crate::checks::Checks;
use crate::finding::Expected::{NoneInA, NotSlower, Same, SameStage, SlowerStages, Warned};
use crate::finding::Finding;
use crate::kube::{Mode, route};
use crate::scenarios::PLAIN;
use crate::trial::{Trial, record};

/// Datagrams of a recording.
const DATAGRAMS: u64 = 300;
/// The kernel leaves out a program that interrupts another one of the same CPU.
const LOST: u64 = DATAGRAMS / 10;

/// Both iptables and nftables decide in PREROUTING: iptables after 5,000 rules
/// that do not match, nftables after one look into a map. So this time is in the
/// stage before routing, and in no other. ipvs takes packets for local ones until
/// INPUT; also there the time is before TCP and UDP. Connection tracking
/// remembers the decision, so it is the first packet of a connection that waits:
/// one in five or six, and the median does not change.
///
/// With ipvs no packet passes `ip_forward()`: it comes back from INPUT and is
/// sent on. So it has no stage of forwarded packets, is `entry-missed` at
/// `ip-forwarded`, and is not known in the pod. Warnings say so.
pub fn run() -> Result<()> {
    let _routed = routed();
    route();
    Mode::Iptables.load()?;
    Mode::Nft.load()?;
    let netfilter = [Mode::Nft, Mode::Iptables];
    for mode in netfilter {
        forwarded_exactly(mode)?;
    }
    compare_forwarded(netfilter)?;
    compare_local(netfilter)?;

    Mode::Ipvs.load()?;
    let with_ipvs = [Mode::Ipvs, Mode::Iptables];
    forwarded_exactly(Mode::Ipvs)?;
    compare_forwarded(with_ipvs)?;
    compare_local(with_ipvs)
}

/// So many datagrams to a pod, at each hook.
fn forwarded_exactly(mode: Mode) -> Result<()> {
    let name = mode.name();
    let [on, off] = mode.commands();
    let load = format!("{on} && scenario clients forwarded --count {DATAGRAMS} && {off}");
    let file = format!("/root/{name}.nsl");
    let options = ["--name", name, "-e", "forwarding", "--stages"];
    let run = record(&file, &options, &load)?;

    println!();
    let mut checks = Checks::default();
    let is_ipvs = mode == Mode::Ipvs;
    let mut nearly_all = |what: &str, found: u64| {
        checks.that(
            &format!("{name}: {what}"),
            (DATAGRAMS - LOST..=DATAGRAMS).contains(&found),
            format!("{found} of {DATAGRAMS}"),
        );
    };
    let hooks = [
        "ip-forward",
        "ip-forwarded",
        "inner-ip-start",
        "inner-udp-socket-read",
    ];
    let missed = run.hook("ip-forwarded").skip("entry-missed");
    if is_ipvs {
        nearly_all("datagrams that are entry-missed at ip-forwarded", missed);
        let unknown = run.hook("inner-udp-socket-read").skip("not-forwarded");
        nearly_all(
            "datagrams that are not-forwarded when they are read",
            unknown,
        );
        checks.equal(
            &format!("{name}: datagrams at these hooks"),
            hooks.map(|hook| run.hook(hook).count),
            0,
        );
    } else {
        for hook in hooks {
            nearly_all(&format!("datagrams at {hook}"), run.hook(hook).count);
        }
        let what = format!("{name}: datagrams that are entry-missed at ip-forwarded");
        checks.equal(&what, [missed], 0);
    }
    checks.end()
}

fn compare_forwarded(modes: [Mode; 2]) -> Result<()> {
    let found = compare(modes, "forwarded", ["-e", "forwarding"])?;
    if modes[0] == Mode::Ipvs {
        return found.check(&[
            Same("ip-start"),
            SlowerStages(&[]),
            Warned("skipped", "ip-forwarded"),
            Warned("too-few-samples", "ip-forwarded"),
            NoneInA("ip-forward"),
            NoneInA("ip-forwarded"),
            NoneInA("inner-ip-start"),
            NoneInA("inner-udp-socket-read"),
        ]);
    }
    found.check(&[
        Same("ip-start"),
        SlowerStages(&[("ip-start", "ip-forward", &["p50"])]),
    ])
}

fn compare_local(modes: [Mode; 2]) -> Result<()> {
    let found = compare(modes, "local", ["--network-namespace", "right"])?;
    let slower = SlowerStages(&[
        ("ip-start", "udp-start", &["p50"]),
        ("ip-start", "tcp-start", &["p90"]),
    ]);
    let most = match modes[0] {
        // It has a table of connections of its own, and a look into it may cost more.
        Mode::Ipvs => NotSlower("tcp-socket-read"),
        _ => SameStage("ip-start", "tcp-start", "p50"),
    };
    found.check(&[Same("ip-start"), slower, most])
}

/// The second is the slower one.
fn compare(modes: [Mode; 2], packets: &str, measured: [&str; 2]) -> Result<Finding> {
    let [a, b] = modes.map(Mode::commands);
    Trial {
        names: modes.map(Mode::name),
        a,
        b,
        load: &format!("scenario clients {packets}"),
        options: &[measured[0], measured[1], "--stages"],
        ..PLAIN
    }
    .run()
}
