// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each filter lets exactly those packets through that belong to what it names.
//! The sender knows what each packet belongs to.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use netstacklat::model::hooks::Hook;
use testlab::hooks::{hooks_of, with_socket};
use testlab::lines::Run;
use testlab::links::{Link, Way};
use testlab::readers::Reader;
use testlab::tcp::Connection;
use testlab::tool::{Tool, command};
use testlab::udp::{Flow, Stamped, exchange};
use testlab::{Family, Ns, PATIENCE, Undo, wait_until};

const WIRE: u64 = 300;
const LOOPBACK: u64 = 200;

fn flows() -> [Flow; 2] {
    [
        Flow::open(Family::V4, 6700),
        Flow::over(Link::Loopback.way(Family::V6, 6701)),
    ]
}

/// At each UDP hook `wanted` datagrams are recorded, and the rest of `all` are
/// filtered.
pub(super) fn recorded(
    run: &Run,
    wanted: u64,
    all: u64,
    warm: Stamped,
    hooks: impl Iterator<Item = Hook>,
) {
    for hook in hooks {
        let counts = run.hook(hook.name());
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        assert_eq!(counts.count, wanted, "{hook}");
        let filtered = counts.skip("filtered");
        let unstamped = counts.skip("no-timestamp");
        assert!(unstamped <= warm.without, "{hook}");
        let seen = counts.count + filtered + unstamped + counts.missed;
        assert_eq!(seen, all + warm.with + warm.without, "{hook}");
    }
}

/// The right namespace has two interfaces. Loopback has the same index in all
/// of them, and so have the cards of the left and the right one.
#[test]
fn by_interface_and_namespace() {
    let of_pid = format!("pid:{}", std::process::id());
    let inode = fs::metadata("/run/netns/right")
        .expect("the namespace")
        .ino();
    let inode = inode.to_string();
    let cases: [(&[&str], bool, bool); 5] = [
        (&["-n", "/run/netns/right", "-i", "eth0"], true, false),
        (&["-n", &inode, "-i", "lo"], false, true),
        (&["-n", "right", "-i", "eth0,lo"], true, true),
        (&["-i", "lo"], false, false),
        (&["-n", &of_pid], false, false),
    ];
    for (options, wire, loopback) in cases {
        let [over_wire, over_loopback] = flows();
        let tool = Tool::start_for_udp(&[&["-r", "100ms"], options].concat());
        let warm = tool.warm_up();
        exchange(&[over_wire], WIRE);
        exchange(&[over_loopback], LOOPBACK);
        let run = tool.finish();
        println!("{options:?}");
        let mut wanted = 0;
        if wire {
            wanted += WIRE + warm.with;
        }
        if loopback {
            wanted += LOOPBACK;
        }
        recorded(
            &run,
            wanted,
            WIRE + LOOPBACK,
            warm,
            hooks_of("UDP").into_iter(),
        );
    }
}

/// A read has no packet: its interface is that of the connection. Every hook is
/// on: the object with filters loads on this kernel as a whole.
#[test]
fn reads_of_tcp_by_interface() {
    let wire = Connection::open(Family::V4, 6704);
    let loopback = Connection::over(Link::Loopback.way(Family::V6, 6705));
    let tool = Tool::start(&["-r", "100ms", "-n", "right", "-i", "eth0"]);
    tool.warm_up();
    for (connection, reads) in [(wire, 50), (loopback, 30)] {
        let Connection { mut tx, mut rx } = connection;
        for _ in 0..reads {
            tx.write_all(&[7; 200]).expect("write");
            rx.read_exact(&mut [0; 200]).expect("read");
        }
    }
    let run = tool.finish();
    let reads = run.hook("tcp-socket-read");
    println!("{} recorded, {:?}", reads.count, reads.skipped);
    assert_eq!((reads.count, reads.skip("filtered")), (50, 30));
    for line in &run.start.hooks {
        let hook = Hook::find(&line.hook).expect("a hook of the table");
        assert_eq!(
            line.attached,
            !hook.is_optional(),
            "{hook}: {:?}",
            line.reason
        );
    }
}

/// An interface that is deleted and made again has another index; and one may
/// not be there at first. Packets that come in by it are measured all the same.
#[test]
fn interfaces_that_appear_are_found() {
    let link = || {
        Undo::after(
            "ip link add nsl-veth netns left type veth peer name nsl-veth netns right
             ip -n left addr add 10.77.0.1/24 dev nsl-veth
             ip -n right addr add 10.77.0.2/24 dev nsl-veth
             ip -n left link set nsl-veth up
             ip -n right link set nsl-veth up",
            "ip -n left link del nsl-veth",
        )
    };
    let at = "10.77.0.2:6702".parse().expect("an address");
    let (from, to) = (Ns::Left, Ns::Right);
    // Alone it has to be there at first, beside another it has not.
    for (interfaces, at_first) in [("nsl-veth", Some(link())), ("eth0,nsl-veth", None)] {
        let tool = Tool::start_for_udp(&["-r", "100ms", "-n", "right", "-i", interfaces]);
        tool.warm_up();
        drop(at_first);
        let made = link();
        let flow = [Flow::over(Way { from, to, at })];
        let counted = || tool.totals_up_to_now()["udp-start"].count;
        let before = counted();
        wait_until(PATIENCE, "the interface is found", || {
            exchange(&flow, 1);
            counted() > before
        });
        let before = counted();
        exchange(&flow, WIRE);
        let counts = tool.finish().hook("udp-start");
        assert_eq!(counts.count - before, WIRE, "{interfaces}");
        drop(made);
    }
}

/// Two cgroups, one in the other, which end with this value.
struct Nested(PathBuf);

impl Nested {
    fn new(name: &str) -> Nested {
        let path = Path::new("/sys/fs/cgroup").join(name);
        fs::create_dir_all(path.join("inner")).expect("cgroups");
        Nested(path)
    }

    fn inner(&self) -> PathBuf {
        self.0.join("inner")
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // The process in it takes a moment to end.
        wait_until(PATIENCE, "the cgroup is empty", || {
            fs::remove_dir(self.inner()).is_ok()
        });
        let _ = fs::remove_dir(&self.0);
    }
}

/// Hooks at which the filter does not apply measure everything, and are named.
fn names_the_others(run: &Run, option: &str, all: u64, warm: Stamped) {
    let start = run.hook("udp-start");
    assert_eq!(start.count, all + warm.with);
    assert_eq!(start.skip("filtered"), 0);
    for words in [option, "ip-start, udp-start"] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn by_process() {
    let (wanted, other) = (Reader::start(None), Reader::start(None));
    let [_, own] = flows();
    let pid = wanted.pid().to_string();
    let tool = Tool::start_for_udp(&["-r", "100ms", "-p", &pid]);
    let warm = tool.warm_up();
    wanted.send(100);
    other.send(50);
    exchange(&[own], LOOPBACK);
    let read = |tool: &Tool| {
        let totals = tool.totals_up_to_now();
        let reads = &totals["udp-socket-read"];
        reads.runs() + reads.missed >= 150 + LOOPBACK + warm.with + warm.without
    };
    wait_until(PATIENCE, "all is read", || read(&tool));
    let run = tool.finish();
    let all = 150 + LOOPBACK;
    // The sockets of this process are known too: from its reads.
    for hook in with_socket() {
        let counts = run.hook(hook.name());
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        assert_eq!(counts.count, 100, "{hook}");
        let others = counts.skip("filtered") + counts.skip("owner-unknown");
        assert_eq!(others, all - 100 + warm.with + warm.without, "{hook}");
    }
    assert_eq!(run.hook("udp-socket-read").skip("owner-unknown"), 0);
    names_the_others(&run, "--pids", all, warm);
}

/// This process has another name until dropped: that of its first thread, whatever
/// tests run in.
struct Renamed(String);

impl Renamed {
    fn to(name: &str) -> Renamed {
        let old = fs::read_to_string("/proc/self/comm").expect("this process");
        fs::write("/proc/self/comm", name).expect("this process");
        Renamed(old)
    }
}

impl Drop for Renamed {
    fn drop(&mut self) {
        let _ = fs::write("/proc/self/comm", self.0.trim_end());
    }
}

/// A name that the tool has not seen is judged at the first packet, which counts
/// as owner-unknown; then no packet is missed, at any hook that knows the socket.
#[test]
fn by_name_of_process() {
    let wanted = Reader::named("nsl-wanted", None);
    let other = Reader::named("nsl-other", None);
    let [_, own] = flows();
    let own = [own];
    let tool = Tool::start_for_udp(&["-r", "100ms", "--comm", "nsl-wan*,nsl-late"]);
    let warm = tool.warm_up();
    let recorded = || tool.totals_up_to_now()["udp-socket-read"].count;
    let read_until = |count: u64| wait_until(PATIENCE, "all is read", || recorded() >= count);
    wanted.send(100);
    other.send(50);
    exchange(&own, 10);
    wait_until(PATIENCE, "all is read", || {
        let reads = &tool.totals_up_to_now()["udp-socket-read"];
        reads.runs() + reads.missed >= 160 + warm.with + warm.without
    });
    assert_eq!(recorded(), 100);

    // Another is started, and this process calls itself something else.
    let late = Reader::named("nsl-late", None);
    let mut tried = 0;
    wait_until(PATIENCE, "the new process is found", || {
        late.send(1);
        tried += 1;
        recorded() > 100
    });
    let before = recorded();
    let (started, names) = (tried, Renamed::to("nsl-wanted-too"));
    wait_until(PATIENCE, "the new name is found", || {
        exchange(&own, 1);
        tried += 1;
        recorded() > before
    });
    let before = tool.totals_up_to_now();
    late.send(100);
    exchange(&own, LOOPBACK);
    read_until(before["udp-socket-read"].count + 100 + LOOPBACK);
    drop(names);
    exchange(&own, 1);
    exchange(&own, 19);
    let run = tool.finish();
    println!(
        "{started} and {} datagrams until the names were known",
        tried - started
    );
    for hook in with_socket() {
        let counts = run.hook(hook.name());
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        let since = counts.count - before[hook.name()].count;
        // The name of a reader that is gone is that of its last read: the first
        // datagram behind it still passes the stack under it.
        let late = if hook.is_in_reader() { 0 } else { 1 };
        assert!(
            (100 + LOOPBACK..=100 + LOOPBACK + late).contains(&since),
            "{hook}: {since}"
        );
        let left = counts.skip("filtered") + counts.skip("owner-unknown");
        // With the word of the one that was started.
        let all = 281 + tried + LOOPBACK + warm.with + warm.without;
        assert_eq!(counts.count + left + counts.missed, all, "{hook}");
        assert!(counts.skip("filtered") >= 50, "{hook}");
    }
    assert!(run.hook("udp-socket-read").skip("owner-unknown") >= 1);
    let all = 281 + tried + LOOPBACK;
    names_the_others(&run, "--comm", all, warm);
    drop((wanted, other, late));
}

/// More names than are remembered, of one process: those of others are judged again.
#[test]
fn made_up_names_do_not_crowd_out_others_for_good() {
    // NETSTACKLAT_MAX_PROCESS_NAMES of src/bpf/limits.h, and some more.
    const NAMES: u64 = 8192 + 1000;
    let wanted = Reader::named("nsl-wanted", None);
    let [_, own] = flows();
    let own = [own];
    let tool = Tool::start(&["-r", "1s", "-e", "udp-socket-read", "--comm", "nsl-wanted"]);
    tool.warm_up();
    let renamed = Renamed::to("nsl-first");
    for number in 0..NAMES {
        fs::write("/proc/self/comm", format!("nsl-{number}")).expect("this process");
        exchange(&own, 1);
    }
    drop(renamed);
    let recorded = || tool.totals_up_to_now()["udp-socket-read"].count;
    assert_eq!(recorded(), 0);
    wait_until(PATIENCE, "the name is judged again", || {
        wanted.send(1);
        recorded() > 0
    });
    let before = recorded();
    wanted.send(100);
    wait_until(PATIENCE, "all is read", || recorded() >= before + 100);
    let run = tool.finish();
    let counts = run.hook("udp-socket-read");
    println!("{} recorded, {:?}", counts.count, counts.skipped);
    assert_eq!(counts.count, before + 100);
    // Each name was new.
    let left = counts.skip("owner-unknown") + counts.skip("filtered");
    assert!(
        counts.skip("owner-unknown") > NAMES / 2 && left >= NAMES,
        "{left}"
    );
    drop(wanted);
}

#[test]
fn by_cgroup_with_all_below_it() {
    let (mine, others) = (Nested::new("nsl-mine"), Nested::new("nsl-others"));
    let (inside, beside) = (
        Reader::start(Some(&mine.inner())),
        Reader::start(Some(&others.inner())),
    );
    let id = fs::metadata(&mine.0).expect("a cgroup").ino().to_string();
    let inner = mine.inner().display().to_string();
    for cgroup in [&id, &inner] {
        let tool = Tool::start_for_udp(&["-r", "100ms", "-c", cgroup]);
        let warm = tool.warm_up();
        inside.send(100);
        beside.send(50);
        let read = |tool: &Tool| {
            let totals = tool.totals_up_to_now();
            let reads = &totals["udp-socket-read"];
            reads.runs() + reads.missed >= 150 + warm.with + warm.without
        };
        wait_until(PATIENCE, "all is read", || read(&tool));
        let run = tool.finish();
        println!("{cgroup}");
        recorded(&run, 100, 150, warm, with_socket());
        names_the_others(&run, "--cgroups", 150, warm);
    }
    drop((inside, beside));
}

/// Of reads, those that leave two datagrams or more.
#[test]
fn by_what_is_left_in_the_queue() {
    let [flow, _] = flows();
    let tool = Tool::start_for_udp(&["-r", "100ms", "-q", "2"]);
    let warm = tool.warm_up();
    const SENT: u64 = 10;
    for number in 0..SENT {
        flow.send(number);
    }
    // All are there before the first is read.
    let arrived = |tool: &Tool| {
        let totals = tool.totals_up_to_now();
        totals["udp-socket-enqueued"].count >= SENT + warm.with
    };
    wait_until(PATIENCE, "all have arrived", || arrived(&tool));
    for _ in 0..SENT {
        flow.receive();
    }
    let run = tool.finish();
    let reads = run.hook("udp-socket-read");
    println!("{} recorded, {:?}", reads.count, reads.skipped);
    // They left 9, 8, ... 0 behind.
    assert_eq!(reads.count, SENT - 2);
    assert_eq!(reads.skip("filtered"), 2 + warm.with + warm.without);
    assert_eq!(run.hook("udp-start").count, SENT + warm.with);
    assert!(run.stderr.contains("--min-queue-length"), "{}", run.stderr);
}

#[test]
fn what_does_not_exist_is_a_usage_error() {
    let cases: [(&[&str], &str); 11] = [
        (&["-i", "no-such"], "no-such"),
        (&["-i", "77777"], "77777"),
        (&["-n", "no-such"], "no-such"),
        (&["-n", "pid:4194304"], "4194304"),
        (&["-p", "4194304"], "4194304"),
        (&["-c", "no-such.slice"], "no-such.slice"),
        (&["-m", "/proc", "-c", "x"], "/proc"),
        (&["--container", "no-such"], "there are no containers"),
        (&["--pod", "no-such"], "there are no pods"),
        (&["--container", ""], "--container"),
        (
            &["--comm", "longer-than-a-name-can-be"],
            "'longer-than-a-n'",
        ),
    ];
    for (options, words) in cases {
        let done = command(options)
            .output()
            .expect("netstacklat is in the guest");
        let text = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(2), "{options:?}: {text}");
        assert!(text.contains(words), "{options:?}: {text}");
    }
}
