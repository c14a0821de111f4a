// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Every hook sees the traffic that passes it, and tells plausible times.

use testlab::counters::program_runs;
use testlab::lines::Counts;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::{Family, udp};

const SECOND_NS: u64 = 1_000_000_000;

/// The urgent bytes are for 5.10, where only what leaves the header-prediction
/// path reaches `tcp_data_queue`.
const LOAD: Load = Load {
    writes: 200,
    size: 1000,
    at_once: 4096,
    urgent_every: 10,
};

#[test]
fn every_hook_measures() {
    let tool = Tool::start(&["-r", "1"]);
    for hook in tool.started().hooks {
        assert!(hook.attached && hook.reason.is_none(), "{hook:?}");
    }
    tool.warm_up();
    for (family, port) in Family::BOTH.into_iter().zip([5000, 5010]) {
        udp::exchange(&udp::Flow::several(family, port..port + 4), 1000);
        Connection::open(family, port).transfer(LOAD);
    }
    let runs = program_runs();
    let run = tool.finish();

    // One program for each address family and function, and the clock's.
    assert!(runs.len() >= 16, "programs are missing: {runs:?}");
    for (program, runs) in &runs {
        assert!(runs.run > 0, "{program} never ran");
    }
    for line in &run.total.hooks {
        let counts = run.hook(&line.hook);
        assert!(counts.count > 0, "{line:?}");
        assert_eq!(counts.above(SECOND_NS), 0, "{line:?}");
        assert_eq!(counts.skip("negative"), 0, "{line:?}");
        assert!(line.quantiles_ns["p50"].is_some_and(|p50| p50 > 0));
        println!(
            "{}: {} samples, {:?}, skipped {:?}, missed {}",
            line.hook, line.count, line.quantiles_ns, line.skipped, line.missed
        );
    }
    goes_up_along_the_path(&[
        run.hook("udp-start"),
        run.hook("udp-queue-rcv"),
        run.hook("udp-socket-enqueued"),
        run.hook("udp-socket-read"),
    ]);
}

/// The same datagrams at each hook, each later than at the one before: then
/// no hook has more samples below any bound than the hook before it. The
/// bound is one bucket wider here, as clocks of two CPUs differ a little.
fn goes_up_along_the_path(hooks: &[Counts]) {
    for (earlier, later) in hooks.iter().zip(&hooks[1..]) {
        assert_eq!(earlier.count + earlier.missed, later.count + later.missed);
        for &(_, le) in earlier.buckets.keys() {
            let (below, _) = later.at_or_below(le);
            let (_, passed) = earlier.at_or_below(le + le / 8);
            assert!(below <= passed, "{below} <= {le} ns after {passed}");
        }
    }
}
