// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of the live view.

use clap::Args;

use crate::cli::out::OutArgs;
use crate::cli::reports::ReportArgs;
use crate::cli::select::SelectArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  netstacklat                       a report every 5 seconds, until Ctrl-C
  netstacklat -r 10                 every 10 seconds
  netstacklat -r 1 --count 30       30 reports, then the total
  netstacklat --duration 1m         one report, after one minute
  netstacklat -e 'tcp*',udp_rcv     some hooks: by glob or kernel function
  netstacklat -e light --summary    the cheapest set, one line per hook
  netstacklat --json -r 1 | jq .    for programs: docs/json.md
  netstacklat check                 can this host measure? what is missing?
  netstacklat help record           the options of a command

Latency is the time from the packet's entry into the network stack (its software
RX timestamp) to the hook. The wire, the NIC, its interrupt and GRO come before
that and are not included. Counts are of skbs: GRO may have merged packets.";

/// Options of the live view.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// What to measure.
    #[command(flatten)]
    pub select: SelectArgs,

    /// When to report, and how much.
    #[command(flatten)]
    pub reports: ReportArgs,

    /// How to print.
    #[command(flatten)]
    pub out: OutArgs,

    /// List the hooks with their kernel functions, and the sets; then exit
    #[arg(short = 'l', long, alias = "list-probes", help_heading = None)]
    pub list_hooks: bool,
}

impl LiveArgs {
    /// What to measure for this view: on a screen, stages come with the sentence that
    /// says where the slowest packets spent their time.
    pub fn measured(&self) -> SelectArgs {
        let select = self.select.clone();
        if self.out.json {
            select
        } else {
            select.with_sentences()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::slow::SlowLimit;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        live: LiveArgs,
    }

    #[test]
    fn sentences_come_with_stages_on_a_screen() {
        let measured = |words: &[&str]| {
            let line = Line::try_parse_from([&["netstacklat"], words].concat()).unwrap();
            let select = line.live.measured();
            (select.slow_limits(), select.slowest())
        };
        let any = vec![SlowLimit::any()];
        assert_eq!(measured(&["--stages"]), (any.clone(), 0));
        assert_eq!(measured(&["--notes", "4096"]), (any.clone(), 0));
        assert_eq!(measured(&["--slowest", "3"]), (any, 3));
        for other in [
            &[][..],
            &["--stages", "--json"],
            &["--stages", "--by", "cpu"],
        ] {
            assert_eq!(measured(other).0, [], "{other:?}");
        }
        let (limits, most) = measured(&["--stages", "--slower-than", "1ms"]);
        assert_eq!(limits, ["1ms".parse().unwrap()]);
        assert_eq!(most, 10);
    }
}
