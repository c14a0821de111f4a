// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where the BPF side puts a latency: every bound of every bucket, and the
//! values beside it, in both objects' resolutions.

use libbpf_rs::{Object, ObjectBuilder, ProgramInput};
use testlab::objects::{BUCKET_FINE, BUCKET_LOG2};

const MAX_NS: u64 = 1 << 34;

/// Upper bounds, inclusive: 2^g buckets of 1 ns, then 2^g to each power of two.
fn bounds(sub_buckets: u64) -> Vec<u64> {
    let mut bounds: Vec<u64> = (1..=sub_buckets).collect();
    let mut width = 1;
    while bounds.last() != Some(&MAX_NS) {
        let from = sub_buckets * width;
        bounds.extend((1..=sub_buckets).map(|n| from + n * width));
        width *= 2;
    }
    bounds
}

fn check(object: &[u8], sub_buckets: u64) -> usize {
    let open = ObjectBuilder::default().open_memory(object);
    let object = open.and_then(|open| open.load()).expect("it loads");
    let index = |latency: u64| index(&object, latency);
    let bounds = bounds(sub_buckets);
    let mut below = 0;
    for (bucket, &bound) in bounds.iter().enumerate() {
        for latency in [below + 1, below + (bound - below).div_ceil(2), bound] {
            assert_eq!(index(latency), bucket as u32, "{latency} ns");
        }
        below = bound;
    }
    assert_eq!(index(MAX_NS + 1), u32::MAX);
    bounds.len()
}

fn index(object: &Object, latency: u64) -> u32 {
    let program = object.progs_mut().next().expect("one program");
    let mut context = (latency - 1).to_ne_bytes();
    let input = ProgramInput {
        context_in: Some(&mut context),
        ..ProgramInput::default()
    };
    program.test_run(input).expect("a run").return_value
}

#[test]
fn each_bucket_holds_what_its_bounds_say() {
    assert_eq!(check(BUCKET_FINE, 16), 496);
    assert_eq!(check(BUCKET_LOG2, 1), 35);
}
