// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The object for ebpf_exporter, loaded as ebpf_exporter does it: all programs
//! attached, nothing set, no loader of ours.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use libbpf_rs::{Link, MapCore as _, MapFlags, Object, ObjectBuilder};
use netstacklat::model::hooks::Hook;

use testlab::counters::program_runs;
use testlab::hooks::{hooks_of, left_out};
use testlab::receive::sleep_once_readable;
use testlab::scrape::bucket_of;
use testlab::udp::{self, Flow};
use testlab::{Family, PATIENCE, has_recvmsg_locked, prepare, wait_until};

const OBJECT: &[u8] = include_bytes!(concat!(
    env!("NETSTACKLAT_EXPORTER_OBJECTS"),
    "/netstacklat.bpf.o"
));
/// exp2 buckets 0 to 34, then the sum: ebpf_exporter's `bucket_max + 1`.
const BUCKETS: usize = 35;

struct ExporterObject {
    object: Object,
    _links: Vec<Link>,
}

impl ExporterObject {
    fn attach() -> ExporterObject {
        let object = ObjectBuilder::default()
            .open_memory(OBJECT)
            .and_then(|open| open.load())
            .expect("the object loads as it is");
        let links = object.progs_mut().map(|program| program.attach());
        let links = links
            .collect::<Result<_, _>>()
            .expect("all programs attach");
        ExporterObject {
            object,
            _links: links,
        }
    }

    /// A hook's buckets and its sum, all CPUs added up.
    fn read(&self, hook: Hook) -> (Vec<u64>, u64) {
        let name = hook.map_name();
        let map = self.object.maps().find(|map| map.name() == name.as_str());
        let map = map.expect("the hook's map");
        let entry = |index: usize| -> u64 {
            let key = (index as u32).to_ne_bytes();
            let cpus = map.lookup_percpu(&key, MapFlags::ANY).expect("a look-up");
            let cpus = cpus.expect("the entry").into_iter();
            cpus.map(|value| u64::from_ne_bytes(value.try_into().expect("u64")))
                .sum()
        };
        ((0..BUCKETS).map(entry).collect(), entry(BUCKETS))
    }
}

fn missed_reads() -> u64 {
    program_runs()["nsl_skb_consume"].missed
}

/// A datagram that waits for its reader: how long, at least and at most, ns.
fn read_late(flow: &Flow, wait: Duration) -> (u64, u64) {
    let sending = Instant::now();
    flow.send(0);
    let least = sleep_once_readable(flow.rx.as_fd(), wait);
    flow.receive();
    (least.as_nanos() as u64, sending.elapsed().as_nanos() as u64)
}

/// The clock's program runs at the next update of the clock, and stamping
/// begins a moment late: sends datagrams until one is recorded.
fn until_recorded(exporter_object: &ExporterObject) {
    let flow = Flow::open(Family::V4, 6101);
    let read = hooks_of("UDP").into_iter().next_back().expect("a hook");
    let recorded = || exporter_object.read(read).0.iter().sum::<u64>();
    let before = recorded();
    wait_until(PATIENCE, "a datagram is recorded", || {
        flow.send(0);
        flow.receive();
        recorded() > before
    });
}

/// Counts are those of the sender, and a late read is in a bucket that its
/// reader's own clock allows. Not for kernels before 5.19: README.
#[test]
fn the_object_measures_by_itself() {
    const N: u64 = 2000;
    prepare();
    if !has_recvmsg_locked() {
        // All programs or none: an object cannot ask what the kernel has.
        let open = ObjectBuilder::default().open_memory(OBJECT);
        assert!(open.and_then(|open| open.load()).is_err());
        return;
    }
    let exporter_object = ExporterObject::attach();
    // Asks for stamps, as a socket unit beside the exporter would.
    let sleeper = Flow::open(Family::V4, 6100).with_stamps();
    until_recorded(&exporter_object);
    let hooks = hooks_of("UDP").into_iter();
    let before: Vec<_> = hooks
        .map(|hook| (hook, exporter_object.read(hook)))
        .collect();
    let missed_before = missed_reads();

    udp::exchange(&Flow::several(Family::V4, 6000..6004), N);
    udp::exchange(&Flow::several(Family::V6, 6000..6004), N);
    let (at_least, at_most) = read_late(&sleeper, Duration::from_millis(200));

    for (hook, (buckets_before, sum_before)) in before {
        let (buckets, sum) = exporter_object.read(hook);
        let counts = buckets.iter().zip(&buckets_before);
        let new: Vec<u64> = counts.map(|(now, then)| now - then).collect();
        println!("{hook}: {new:?}");
        let count: u64 = new.iter().sum();
        let missed = left_out(hook, missed_reads() - missed_before);
        assert_eq!(count + missed, 2 * N + 1, "{hook}");
        let sum = sum - sum_before;
        let bound = |index: usize| 1u64 << index;
        let most: u64 = new.iter().enumerate().map(|(b, n)| n * bound(b)).sum();
        assert!(sum <= most && sum >= most / 2, "{hook}: sum {sum}");
        if hook.is_in_reader() {
            let late = bucket_of(at_least)..=bucket_of(at_most);
            println!("the late read took {at_least} to {at_most} ns: {late:?}");
            assert!(new[late].iter().sum::<u64>() >= 1, "no late read");
        }
    }
}
