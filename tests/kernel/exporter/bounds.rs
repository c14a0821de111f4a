// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which bucket counts a latency, at both sides of each bound: values that are
//! put into the kernel's maps, by our code, as ebpf_exporter serves them with
//! our config.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use netstacklat::model::hooks::Hook;

use testlab::exporter::{Exporter, config};
use testlab::objects::{INJECT, INJECT_BEFORE_5_19};
use testlab::scrape::{BOUNDS, Scrape};
use testlab::{PATIENCE, has_recvmsg_locked, wait_until};

const MAX_NS: u64 = 1 << 34;
/// testlab/bpf/inject.bpf.c
const MAGIC: u64 = 0x4e5 << 52;
const AGE: u64 = 1 << 48;

/// The exporter with our config, and with an object that has our programs and
/// one more.
fn with_injector() -> Exporter {
    let directory = Path::new("/run/inject");
    fs::create_dir_all(directory).expect("a directory");
    let object = if has_recvmsg_locked() {
        INJECT
    } else {
        INJECT_BEFORE_5_19
    };
    fs::write(directory.join("netstacklat.bpf.o"), object).expect("an object");
    let yaml = directory.join("netstacklat.yaml");
    fs::copy(config().join("netstacklat.yaml"), yaml).expect("our config");
    Exporter::start_with(directory, "netstacklat", Exporter::handed("inject"))
}

fn inject(hook: Hook, what: u64) {
    let mut null = File::open("/dev/null").expect("/dev/null");
    let choice = MAGIC | (hook.index() as u64) << 40 | what;
    null.seek(SeekFrom::Start(choice)).expect("lseek");
}

/// 2^b ns in seconds as Go writes numbers: exact, as a power of two loses
/// nothing to a float's precision.
fn bound_text(b: usize) -> String {
    let digits = (1u64 << b).to_string();
    let exponent = digits.len() as i32 - 1 - 9;
    match exponent {
        ..-4 => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            format!("{first}{point}{rest}e-{:02}", -exponent)
        }
        -4..0 => format!("0.{}{digits}", "0".repeat(-exponent as usize - 1)),
        0.. => {
            let (whole, part) = digits.split_at(exponent as usize + 1);
            format!("{whole}.{part}")
        }
    }
}

#[test]
fn a_bound_is_the_largest_value_of_its_bucket() {
    let exporter = with_injector();
    let around = (0..BOUNDS).flat_map(|b| [(1 << b) - 1, 1 << b, (1 << b) + 1]);
    let values: Vec<u64> = around.filter(|ns| (1..=MAX_NS).contains(ns)).collect();
    let before = exporter.scrape();
    for (times, hook) in (1..).zip(Hook::default_ones()) {
        // Another number of times at each hook: they cannot be mixed up.
        for _ in 0..times {
            values.iter().for_each(|ns| inject(hook, *ns));
        }
    }
    let after = exporter.scrape();
    for (times, hook) in (1..).zip(Hook::default_ones()) {
        let hook = hook.name();
        // Nothing asks for stamps: no packet adds a sample.
        assert_eq!(before.sum_and_count(hook), ("0", 0));
        let cumulative = after.cumulative(hook);
        assert_eq!(cumulative.len(), BOUNDS + 1);
        for (b, served) in cumulative[..BOUNDS].iter().enumerate() {
            let bound = 1u64 << b;
            let at_or_below = values.iter().filter(|ns| **ns <= bound).count() as u64;
            assert_eq!(*served, (bound_text(b).as_str(), times * at_or_below));
            let seconds: f64 = served.0.parse().expect("a bound");
            assert_eq!(seconds, bound as f64 / 1e9);
        }
        let all = times * values.len() as u64;
        assert_eq!(cumulative[BOUNDS], ("+Inf", all));
        let (sum, count) = after.sum_and_count(hook);
        let sum: f64 = sum.parse().expect("a sum");
        let sum_ns = times * values.iter().sum::<u64>();
        assert_eq!((sum * 1e9).round() as u64, sum_ns, "{hook}");
        assert_eq!(count, all, "{hook}");
    }
    println!(
        "{} values at each of {} hooks",
        values.len(),
        Hook::default_ones().count()
    );
}

/// One that is too old is counted as that, and is in neither count nor sum: not
/// in the last bucket either.
#[test]
fn more_than_the_largest_bound_is_no_sample() {
    let exporter = with_injector();
    wait_until(PATIENCE, "the clock is known", || {
        exporter.scrape().value("clock_updates_total") > 0
    });
    // A second less than the bound: it lies in the last bucket, however long
    // the program takes to the second look at the clock.
    let last = MAX_NS - 1_000_000_000;
    let before = exporter.scrape();
    for hook in Hook::default_ones() {
        (0..3).for_each(|_| inject(hook, AGE | (MAX_NS + 1)));
        inject(hook, AGE | (1 << 35));
        inject(hook, AGE | last);
    }
    let after = exporter.scrape();
    for hook in Hook::default_ones() {
        let hook = hook.name();
        let over_range = |scrape: &Scrape| scrape.skipped(hook).get("over-range").copied();
        assert_eq!(over_range(&before), None);
        assert_eq!(over_range(&after), Some(4), "{hook}");
        let new = after.histogram(hook);
        assert_eq!(new.filled(), [(BOUNDS - 1, 1)], "{hook}");
        assert!((last..=MAX_NS).contains(&new.sum_ns), "{hook}: {new:?}");
    }
}
