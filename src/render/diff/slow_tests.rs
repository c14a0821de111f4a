// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The slowest packets of each side of a comparison, in text and JSON.

use super::tests::{json, rules, text};
use crate::analysis::Input;
use crate::model::slow::{SlowPacket, SlowPackets};
use crate::runfile::Content;
use crate::test_support::*;

/// Packets that were slow with B are below the table; A has looked for none.
#[test]
fn slow_packets_of_a_side_are_shown() {
    let mut file = rules();
    if let Content::Comparison { b, .. } = &mut file.content {
        let mut slow = SlowPackets::keeping(10);
        for age_ns in [900_000, 1_500_000, 800_000, 700_000] {
            slow.add(SlowPacket {
                hook: hook("tcp-socket-read"),
                age_ns,
                time: std::time::UNIX_EPOCH,
                passed: vec![(hook("ip-start"), 1100)],
                cpu: 1,
                rx_queue: None,
                queue_length: None,
                remote: None,
                local: None,
                owner: Vec::new(),
            });
        }
        slow.trim(0);
        b.interval.counters.slow = slow;
    }
    let input = Input::Comparison(&file);
    let shown = text(&input, &[]);
    let expected = "
the slowest packets of 25k-rules:
1.50ms  tcp-socket-read  CPU 1
way: ip-start 1.10us -> tcp-socket-read +1.50ms
900us  tcp-socket-read  CPU 1
way: ip-start 1.10us -> tcp-socket-read +899us
800us  tcp-socket-read  CPU 1
way: ip-start 1.10us -> tcp-socket-read +799us
";
    assert!(shown.ends_with(expected), "{shown}");
    let json = json(&input, &[]);
    assert!(json["slow"]["a"].is_null());
    let ages = json["slow"]["b"]["packets"].as_array().unwrap().iter();
    let ages: Vec<_> = ages.map(|packet| packet["age_ns"].clone()).collect();
    assert_eq!(ages, [1_500_000, 900_000, 800_000]);
}
