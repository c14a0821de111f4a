// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Every hook sees the traffic that passes it, and tells plausible times.

use netstacklat::model::hooks::{Hook, Program};

use testlab::counters::{program_runs, short};
use testlab::hooks::hooks_of;
use testlab::lines::Counts;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::{Family, has_recvmsg_locked, udp};

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
    for line in tool.started().hooks {
        let hook = Hook::find(&line.hook).expect("a hook of the table");
        assert_eq!(line.attached, !hook.is_optional(), "{line:?}");
        assert_eq!(line.reason.is_some(), hook.is_optional(), "{line:?}");
    }
    tool.warm_up();
    for (family, port) in Family::BOTH.into_iter().zip([5000, 5010]) {
        udp::exchange(&udp::Flow::several(family, port..port + 4), 1000);
        Connection::open(family, port).transfer(LOAD);
    }
    let runs = program_runs();
    let run = tool.finish();

    // Those of the hooks, and the clock's.
    let loaded = Hook::default_ones().map(|hook| loaded_for(hook).count());
    assert_eq!(runs.len(), loaded.sum::<usize>() + 1, "{runs:?}");
    for line in &run.total.hooks {
        let counts = run.hook(&line.hook);
        let hook = Hook::find(&line.hook).expect("a hook of the table");
        for program in loaded_for(hook) {
            assert!(
                runs.get(&short(program.name))
                    .is_some_and(|runs| runs.run > 0),
                "nothing here passes {}, at which {hook} measures: let this test send packets \
                 that do",
                program.function
            );
        }
        assert!(
            counts.count > 0,
            "no packet of this test was recorded: {line:?}"
        );
        assert_eq!(counts.above(SECOND_NS), 0, "{line:?}");
        assert_eq!(counts.skip("negative"), 0, "{line:?}");
        assert!(line.quantiles_ns["p50"].is_some_and(|p50| p50 > 0));
        println!(
            "{}: {} samples, {:?}, skipped {:?}, missed {}",
            line.hook, line.count, line.quantiles_ns, line.skipped, line.missed
        );
    }
    let udp = hooks_of("UDP").into_iter();
    goes_up_along_the_path(&udp.map(|hook| run.hook(hook.name())).collect::<Vec<_>>());
}

/// The programs that measure at the hook on this kernel: where there is a
/// fallback, it or the primary one.
fn loaded_for(hook: Hook) -> impl Iterator<Item = Program> {
    let falls_back = hook.programs().any(|program| program.is_fallback());
    let wanted =
        move |program: &Program| !falls_back || program.is_fallback() != has_recvmsg_locked();
    hook.programs().filter(wanted)
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
