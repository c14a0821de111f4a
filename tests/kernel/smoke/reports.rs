// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports that are taken while packets arrive add up. [`Run::checked`]
//! looks at every line of every test; here there are many lines.
//!
//! [`Run::checked`]: testlab::lines::Run::checked

use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::{Family, udp};

#[test]
fn intervals_add_up_to_the_total() {
    let tool = Tool::start(&["-r", "20ms"]);
    tool.warm_up();
    let flows = udp::Flow::several(Family::V4, 5000..5004);
    let connection = Connection::open(Family::V6, 5000);
    std::thread::scope(|scope| {
        scope.spawn(|| udp::exchange(&flows, 5_000));
        scope.spawn(|| {
            connection.transfer(Load {
                writes: 1000,
                size: 500,
                at_once: 4096,
                urgent_every: 50,
            })
        });
    });
    tool.totals_up_to_now();
    let run = tool.finish();
    let busy = run.intervals.iter().filter(|report| {
        let mut hooks = report.hooks.iter();
        hooks.any(|line| line.hook == "udp-socket-read" && line.count > 0)
    });
    let busy = busy.count();
    println!("{} intervals, {busy} with datagrams", run.intervals.len());
    assert!(busy >= 5, "only {busy} intervals had datagrams in them");
}
