// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each packet is counted in the group that it belongs to. The sender knows
//! which that is.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testlab::hooks::hooks_of;
use testlab::lines::Values;
use testlab::links::Link;
use testlab::readers::Reader;
use testlab::tool::Tool;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, PATIENCE, wait_until};

fn groups<const N: usize>(expected: [(&[&str], u64); N]) -> BTreeMap<Values, u64> {
    let groups = expected.into_iter().filter(|(_, count)| *count > 0);
    groups
        .map(|(values, count)| {
            (
                values.iter().map(|value| value.to_string()).collect(),
                count,
            )
        })
        .collect()
}

#[test]
fn by_interface_in_its_namespace() {
    let wire = Flow::open(Family::V4, 6710);
    let loopback = Flow::over(Link::Loopback.way(Family::V4, 6711));
    let tool = Tool::start_for_udp(&["-r", "100ms", "--by", "interface"]);
    let warm = tool.warm_up();
    exchange(&[wire], 300);
    exchange(&[loopback], 200);
    let run = tool.finish();
    for hook in hooks_of("UDP") {
        let expected = groups([(&["eth0@right"], 300 + warm.with), (&["lo@right"], 200)]);
        assert_eq!(run.groups(hook.name()), expected, "{hook}");
        assert_eq!(run.hook(hook.name()).count, 500 + warm.with, "{hook}");
    }
}

#[test]
fn by_process_and_cgroup() {
    let cgroup = Path::new("/sys/fs/cgroup/nsl-grouped");
    fs::create_dir_all(cgroup).expect("a cgroup");
    let reader = Reader::start(Some(cgroup));
    let own = Flow::over(Link::Loopback.way(Family::V4, 6712));
    let tool = Tool::start_for_udp(&["-r", "100ms", "--by", "process,cgroup", "-n", "right"]);
    let warm = tool.warm_up();
    reader.send(100);
    exchange(&[own], 200);
    let all = 300 + warm.with;
    wait_until(PATIENCE, "all is read", || {
        tool.totals_up_to_now()["udp-socket-read"].count >= all
    });
    let process = format!("dd({})", reader.pid());
    // It has ended when its name is looked up for the total.
    drop(reader);
    let run = tool.finish();
    let ours = fs::read_to_string("/proc/self/comm").expect("this process");
    let ours = format!("{}({})", ours.trim(), std::process::id());
    // By the names of the keys: cgroup, process.
    let read = groups([
        (&["nsl-grouped", &process], 100),
        (&["/", &ours], 200 + warm.with),
    ]);
    assert_eq!(run.groups("udp-socket-read"), read);
    let unknown = groups([(&["unknown", "unknown"], all)]);
    assert_eq!(run.groups("udp-start"), unknown);
    // The process of a new socket is known from its first read on.
    let queued = run.groups("udp-queue-rcv");
    assert_eq!(queued[&vec!["nsl-grouped".to_owned(), process]], 100);
    assert_eq!(queued.values().sum::<u64>(), all);
    wait_until(PATIENCE, "the cgroup is empty", || {
        fs::remove_dir(cgroup).is_ok()
    });
}

/// What finds no room is in the group "other", and nothing is lost.
#[test]
fn more_groups_than_there_is_room_for() {
    let readers: Vec<_> = (0..4).map(|_| Reader::start(None)).collect();
    let options = ["-r", "100ms", "-e", "udp-socket-read", "--by", "process"];
    let tool = Tool::start(
        &[
            &options[..],
            &["--max-groups", "3", "--group-memory", "1MiB"],
        ]
        .concat(),
    );
    let warm = tool.warm_up();
    // Before the next report makes room.
    readers.iter().for_each(|reader| reader.send(50));
    let all = 200 + warm.with;
    wait_until(PATIENCE, "all is read", || {
        tool.totals_up_to_now()["udp-socket-read"].count >= all
    });
    let run = tool.finish();
    let groups = run.groups("udp-socket-read");
    println!("{groups:?}");
    // This process came first.
    assert!(groups[&vec!["other".to_owned()]] > 0, "{groups:?}");
    assert_eq!(groups.values().sum::<u64>(), all);
}

/// Groups that are idle make room for new ones; what they have counted stays.
#[test]
fn idle_groups_make_room() {
    const READERS: u64 = 12;
    let options = ["-r", "100ms", "-e", "udp-socket-read", "--by", "process"];
    let tool = Tool::start(&[&options[..], &["--max-groups", "3"]].concat());
    let warm = tool.warm_up();
    let mut pids = Vec::new();
    for number in 1..=READERS {
        let reader = Reader::start(None);
        pids.push(reader.pid());
        // One that finds no room makes the tool look for idle groups; the next
        // packets then have it.
        reader.send(10);
        let all = warm.with + number * 11 - 1;
        wait_until(PATIENCE, "all is read", || {
            tool.totals_up_to_now()["udp-socket-read"].count >= all
        });
        tool.totals_up_to_now();
    }
    let run = tool.finish();
    let groups = run.groups("udp-socket-read");
    println!("{groups:?}");
    let total: u64 = groups.values().sum();
    assert_eq!(total, run.hook("udp-socket-read").count);
    // Each datagram, and the word of each reader, which this process reads.
    assert_eq!(total, warm.with + READERS * 11);
    let named = pids.iter().filter(|pid| {
        let name = vec![format!("dd({pid})")];
        groups.contains_key(&name)
    });
    // With three places that were taken for good it would be two.
    assert!(named.count() > 4, "{groups:?}");
}

/// Whoever can make up groups, here ports, takes all places, and keeps them busy.
/// Groups with more packets get a place all the same, and a name.
#[test]
fn made_up_groups_do_not_keep_out_busy_ones() {
    // More than there are names in a run (MAX_GROUPS of src/model/group.rs).
    const MADE_UP: u16 = 1100;
    const BUSY: u16 = 6770;
    let options = ["-r", "100ms", "-n", "right", "-e", "udp-start"];
    let groups = ["--by", "local-port", "--max-groups", "64"];
    let tool = Tool::start(&[&options[..], &groups[..]].concat());
    tool.warm_up();
    let tx = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
    let send = |port: u16| tx.send_to(&[7], ("127.0.0.1", port)).expect("send");
    let busy = vec![BUSY.to_string()];
    let (stop, begin) = (AtomicBool::new(false), AtomicBool::new(false));
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for port in (10_000..10_000 + MADE_UP).cycle() {
                send(port);
                // One in six packets.
                if port % 5 == 0 && begin.load(Ordering::Relaxed) {
                    send(BUSY);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                if port % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        // Also if a wait fails: the other thread must end.
        let waited = std::panic::catch_unwind(AssertUnwindSafe(|| {
            wait_until(PATIENCE, "the made-up groups have their names", || {
                tool.groups_up_to_now("udp-start").len() >= 512
            });
            begin.store(true, Ordering::Relaxed);
            wait_until(PATIENCE, "the busy one has its own", || {
                tool.groups_up_to_now("udp-start").contains_key(&busy)
            });
        }));
        stop.store(true, Ordering::Relaxed);
        waited.expect("in time");
    });
    let sent = sent.load(Ordering::Relaxed);
    let run = tool.finish();
    let groups = run.groups("udp-start");
    println!("{} groups, {:?} of {sent}", groups.len(), groups[&busy]);
    assert!((1..=sent).contains(&groups[&busy]));
    assert_eq!(groups.values().sum::<u64>(), run.hook("udp-start").count);
}

/// Ten thousand groups of one datagram each, on two threads, while the tool takes
/// back the places of those that are idle.
#[test]
fn short_lived_groups_lose_nothing() {
    const PORTS: u64 = 5000;
    let options = ["-r", "100ms", "-n", "right", "-e", "udp-start"];
    let groups = ["--by", "local-port", "--max-groups", "64"];
    let tool = Tool::start(&[&options[..], &groups[..], &["--group-memory", "1MiB"]].concat());
    let warm = tool.warm_up();
    std::thread::scope(|scope| {
        for first in [10_000, 20_000] {
            scope.spawn(move || {
                let tx = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
                // Nobody listens: the hook is before the socket is looked for.
                for port in first..first + PORTS {
                    let sent = tx.send_to(&[7], ("127.0.0.1", port as u16));
                    assert_eq!(sent.expect("send"), 1);
                    if port % 500 == 0 {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
    });
    let all = 2 * PORTS + warm.with;
    wait_until(PATIENCE, "all is counted", || {
        tool.totals_up_to_now()["udp-start"].count >= all
    });
    let run = tool.finish();
    let groups = run.groups("udp-start");
    println!("{} groups", groups.len());
    assert_eq!(run.hook("udp-start").count, all);
    assert_eq!(groups.values().sum::<u64>(), all);
    // Each port got one: no group has what belongs to another.
    let other = vec!["other".to_owned()];
    let ports = groups.iter().filter(|(values, _)| **values != other);
    let (warm_up, ports): (Vec<_>, Vec<_>) = ports.partition(|(values, _)| values[0] == "4000");
    assert!(ports.iter().all(|(_, count)| **count == 1), "{ports:?}");
    assert!(warm_up.iter().all(|(_, count)| **count <= warm.with));
    // More than there are places for at one time.
    assert!(ports.len() > 64, "{}", ports.len());
    assert!(groups[&other] > 0);
}
