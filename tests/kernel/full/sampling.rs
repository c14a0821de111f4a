// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `--sample` keeps the share that was asked for, the same packets at every hook,
//! and counts the others. The receiver knows the timestamp of each packet from the
//! kernel, and so which are kept.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::Duration;

use netstacklat::model::hooks::Hook;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{MsgFlags, setsockopt};
use testlab::Family;
use testlab::clock::real_ns;
use testlab::hooks::hooks_of;
use testlab::lines::Counts;
use testlab::links::{self, Link};
use testlab::receive::receive;
use testlab::tcp::Connection;
use testlab::tcp_reads::read_stamped;
use testlab::tool::Tool;
use testlab::udp::Flow;

/// The hooks of `-e light`.
const LIGHT: [&str; 5] = [
    "ip-start",
    "tcp-socket-enqueued",
    "tcp-socket-read",
    "udp-socket-enqueued",
    "udp-socket-read",
];

/// Whether a timestamp is in the sample, written again after the documentation.
fn is_kept(stamp: i64, one_in: u64) -> bool {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let hash = (stamp as u64).wrapping_mul(MULTIPLIER);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(MULTIPLIER);
    u128::from(hash) * u128::from(one_in) < 1 << 64
}

/// Fails unless that many are kept of so many as if by chance.
fn is_the_share(kept: u64, all: u64, one_in: u64) {
    let (all, share) = (all as f64, 1.0 / one_in as f64);
    let deviation = (all * share * (1.0 - share)).sqrt();
    let off = kept as f64 - all * share;
    println!("{kept} of {all} kept, 1/{one_in}: off by {off:+.1}");
    assert!(off.abs() <= 5.0 * deviation, "{kept} of {all}");
}

fn exchange(flow: &Flow, n: u64) -> Vec<i64> {
    let stamps = (0..n).map(|number| {
        flow.send(number);
        flow.receive_stamp().expect("stamping is on")
    });
    stamps.collect()
}

/// What a hook has counted between two totals.
fn grown(tool: &Tool, before: &testlab::lines::Totals, hook: &str) -> Counts {
    tool.totals_up_to_now()[hook].since(&before[hook])
}

#[test]
fn every_hook_keeps_the_same_datagrams() {
    const N: u64 = 2000;
    let cases: [(&[&str], u64); 3] = [
        (&["--sample", "1/16"], 16),
        (&["--sample", "1/3"], 3),
        (&["-e", "light", "--sample", "1/16"], 16),
    ];
    for (options, one_in) in cases {
        println!("{options:?}");
        let flows = [Family::V4, Family::V6].map(|family| Flow::open(family, 6720).with_stamps());
        let tool = Tool::start(&[&["-r", "100ms"], options].concat());
        tool.warm_up();
        let on: Vec<String> = tool
            .started()
            .hooks
            .into_iter()
            .filter(|hook| hook.attached)
            .map(|hook| hook.hook)
            .collect();
        let wanted: Vec<&str> = if options.contains(&"light") {
            LIGHT.to_vec()
        } else {
            Hook::default_ones().map(Hook::name).collect()
        };
        assert_eq!(on, wanted);
        let before = tool.totals_up_to_now();
        let stamps: Vec<i64> = flows.iter().flat_map(|flow| exchange(flow, N)).collect();
        let sent = stamps.len() as u64;
        let kept = stamps.iter().filter(|stamp| is_kept(**stamp, one_in));
        let kept = kept.count() as u64;
        is_the_share(kept, sent, one_in);
        for hook in hooks_of("UDP").into_iter().map(Hook::name) {
            if !before.contains_key(hook) {
                continue;
            }
            let counts = grown(&tool, &before, hook);
            let sampled_out = counts.skip("sampled-out");
            println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
            assert_eq!((counts.count, counts.missed), (kept, 0), "{hook}");
            assert_eq!(counts.count + sampled_out, sent, "{hook}");
        }
        // What else passes there may be kept, too.
        let ip = grown(&tool, &before, "ip-start");
        let others = ip.runs() - sent;
        println!("ip-start: {} recorded, {:?}", ip.count, ip.skipped);
        assert!((kept..=kept + others).contains(&ip.count), "{ip:?}");
        let run = tool.finish();
        let said = format!("measuring 1 in {one_in} packets");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        for report in run.intervals.iter().chain([&run.total]) {
            assert_eq!(report.sample_one_in, Some(one_in));
            for line in &report.hooks {
                assert_eq!(line.estimated_count, Some(line.count * one_in));
            }
        }
    }
}

/// A read has the timestamp of its last segment, and no skb.
#[test]
fn reads_of_tcp_are_those_of_the_segments_kept() {
    const READS: usize = 1500;
    const ONE_IN: u64 = 8;
    let Connection { mut tx, rx } = Connection::over(Link::Wire.way(Family::V4, 6722));
    setsockopt(&rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
    let tool = Tool::start(&["-r", "100ms", "--sample", "1/8"]);
    tool.warm_up();
    let before = tool.totals_up_to_now();
    let stamps = (0..READS).map(|_| {
        tx.write_all(&[7; 200]).expect("write");
        let read = read_stamped(&rx, 4096);
        assert_eq!(read.bytes, 200);
        read.stamp
    });
    let kept = stamps.filter(|stamp| is_kept(*stamp, ONE_IN)).count() as u64;
    is_the_share(kept, READS as u64, ONE_IN);
    for hook in ["tcp-socket-enqueued", "tcp-socket-read"] {
        let counts = grown(&tool, &before, hook);
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        assert_eq!((counts.count, counts.missed), (kept, 0), "{hook}");
        assert_eq!(counts.runs(), READS as u64, "{hook}");
    }
    tool.finish();
}

/// The median of a sample is that of all packets, as the reader knows it who makes
/// them wait.
#[test]
fn quantiles_are_those_of_all_packets() {
    const N: u64 = 1200;
    const ONE_IN: u64 = 8;
    let flow = Flow::open(Family::V4, 6724).with_stamps();
    let tool = Tool::start(&["-r", "100ms", "--sample", "1/8"]);
    tool.warm_up();
    let before = tool.totals_up_to_now();
    let mut ages: Vec<i64> = Vec::new();
    for number in 0..N {
        flow.send(number);
        // 0 to 10 ms, in an order without a pattern.
        sleep(Duration::from_micros(number * 7919 % N * 10_000 / N));
        let stamp = flow.receive_stamp().expect("stamping is on");
        ages.push(real_ns() - stamp);
    }
    let counts = grown(&tool, &before, "udp-socket-read");
    tool.finish();
    is_the_share(counts.count, N, ONE_IN);
    ages.sort_unstable();
    let (lo, hi) = counts.median();
    let rank = |ns: u64| ages.partition_point(|age| *age <= ns as i64) as f64 / N as f64;
    // Five standard deviations of the median's rank, of as many samples.
    let off = 5.0 * 0.5 / (counts.count as f64).sqrt();
    println!(
        "the median of the sample, ({lo}, {hi}] ns, has ranks {:.3} to {:.3} of all; may be off by {off:.3}",
        rank(lo),
        rank(hi)
    );
    assert!(rank(lo) <= 0.5 + off && rank(hi) >= 0.5 - off);
}

/// Over each kind of link, of whole datagrams and of those that came in pieces, and
/// counted by the process that reads. (At ip-start each piece has a timestamp of its
/// own; the datagram has that of one of them.)
#[test]
fn datagrams_of_a_process_over_each_link() {
    const N: u64 = 600;
    const ONE_IN: u64 = 4;
    let _veth = links::veth();
    let process = format!("kernel({})", std::process::id());
    for (link, size) in [
        (Link::Wire, 8),
        (Link::Loopback, 8),
        (Link::Veth, 8),
        (Link::Wire, 4000),
    ] {
        let flow = Flow::over(link.way(Family::V4, 6728)).with_stamps();
        let options = ["-r", "100ms", "-n", "right", "--sample", "1/4"];
        let groups = ["--by", "process", "--local-port", "6728"];
        let tool = Tool::start(&[&options[..], &groups[..]].concat());
        tool.warm_up();
        let stamps = (0..N).map(|_| {
            flow.tx.send(&vec![7; size]).expect("send");
            let mut buffer = vec![0; size];
            let received = receive(flow.rx.as_fd(), &mut buffer, MsgFlags::empty());
            let received = received.expect("a datagram was lost");
            assert_eq!(received.bytes, size);
            received.stamp.expect("stamping is on")
        });
        let kept = stamps.filter(|stamp| is_kept(*stamp, ONE_IN)).count() as u64;
        let run = tool.finish();
        println!("{link:?}, {size} bytes");
        is_the_share(kept, N, ONE_IN);
        for hook in hooks_of("UDP").into_iter().map(Hook::name) {
            let counts = run.hook(hook);
            println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
            // Of datagrams that came in pieces, the driver has left the ports in a
            // page, where udp-start cannot read them.
            let unknown = counts.skip("owner-unknown");
            if size > 1500 && hook == "udp-start" {
                assert!(counts.count <= kept);
                assert_eq!(counts.runs() - counts.skip("filtered"), N, "{hook}");
                continue;
            }
            assert_eq!(
                (counts.count, counts.missed, unknown),
                (kept, 0, 0),
                "{hook}"
            );
            assert_eq!(counts.skip("sampled-out"), N - kept, "{hook}");
        }
        assert_eq!(
            run.groups("udp-socket-read"),
            [(vec![process.clone()], kept)].into()
        );
    }
}

/// Packets that are not wanted are filtered, all of them: whether a packet is in
/// the sample is asked of the others.
#[test]
fn filters_come_before_the_sample() {
    const WIRE: u64 = 900;
    const LOOPBACK: u64 = 300;
    let wire = Flow::open(Family::V4, 6726).with_stamps();
    let loopback = Flow::over(Link::Loopback.way(Family::V6, 6727)).with_stamps();
    let options = ["-r", "100ms", "-n", "right", "-i", "eth0"];
    let tool = Tool::start(&[&options[..], &["--by", "interface", "--sample", "1/4"]].concat());
    tool.warm_up();
    let before = tool.totals_up_to_now();
    let stamps = exchange(&wire, WIRE);
    exchange(&loopback, LOOPBACK);
    let kept = stamps.iter().filter(|stamp| is_kept(**stamp, 4)).count() as u64;
    is_the_share(kept, WIRE, 4);
    for hook in hooks_of("UDP").into_iter().map(Hook::name) {
        let counts = grown(&tool, &before, hook);
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        assert_eq!((counts.count, counts.missed), (kept, 0), "{hook}");
        assert_eq!(counts.skip("filtered"), LOOPBACK, "{hook}");
        assert_eq!(counts.skip("sampled-out"), WIRE - kept, "{hook}");
    }
    let run = tool.finish();
    for hook in &run.start.hooks {
        let known = Hook::named(&hook.hook).expect("a hook");
        assert_eq!(hook.attached, !known.is_optional(), "{hook:?}");
    }
}
