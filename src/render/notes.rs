// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Notes that close a report: what its numbers leave out, and why.

use crate::model::hooks::Hook;
use crate::render::{Report, Screen, units};

impl Screen {
    /// Adds what a reader must know to trust the numbers: one note per thing
    /// that happened, nothing when nothing did.
    pub(super) fn notes(&self, page: &mut String, report: &Report) {
        self.stalled(page, report);
        self.not_measured(page, report);
        self.missed(page, report);
        self.clock_steps(page, report);
        self.transmit_stamps(page, report);
        self.program_cost(page, report);
    }

    fn stalled(&self, page: &mut String, report: &Report) {
        if report.interval.stalled() {
            let text = "the kernel called no BPF program in this interval: is \
                        kernel.ftrace_enabled 0?";
            self.note(page, "stalled:", text);
        }
    }

    /// Hooks that should have measured packets and did not, largest reason
    /// first. Packets that there was no reason to measure are not among them.
    fn not_measured(&self, page: &mut String, report: &Report) {
        for (hook, stats) in report.interval.counters.hooks() {
            let lost = stats.skips.lost();
            if lost == 0 {
                continue;
            }
            let met = stats.histogram.count() + lost;
            let share = units::percentage(lost, met);
            let mut reasons: Vec<_> = stats.skips.iter().filter(|(r, _)| r.is_loss()).collect();
            reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            let mut items = vec![
                self.dim("not measured:"),
                format!("{hook} {lost}"),
                format!("of {met}"),
                format!("({share}):"),
            ];
            items.extend(
                reasons
                    .iter()
                    .map(|(r, count)| format!("{} {count}", r.name())),
            );
            self.flow(page, " ", items);
        }
    }

    fn missed(&self, page: &mut String, report: &Report) {
        let mut items = vec![self.dim("missed by the kernel (re-entered program):")];
        for (hook, stats) in report.interval.counters.hooks() {
            if stats.missed > 0 {
                items.push(format!("{hook} {}", stats.missed));
            }
        }
        if items.len() > 1 {
            self.flow(page, " ", items);
        }
    }

    fn clock_steps(&self, page: &mut String, report: &Report) {
        let times = match report.interval.counters.clock_steps {
            0 => return,
            1 => "once".into(),
            n => format!("{n} times"),
        };
        let when = if report.since_start() {
            "since the start"
        } else {
            "in this interval"
        };
        let text = format!("the wall clock was stepped {times} {when}");
        self.note(page, "clock:", &text);
    }

    /// Only `ip-start` can tell a transmit stamp: behind it such an skb has a
    /// new stamp, from local delivery, and looks faster than it was. One line
    /// of 80 columns, lest it be passed over.
    fn transmit_stamps(&self, page: &mut String, report: &Report) {
        let stamped = report.interval.counters.tx_timestamped();
        if stamped == 0
            || !report
                .interval
                .counters
                .enabled
                .iter()
                .any(Hook::is_restamped)
        {
            return;
        }
        let (skbs, them) = match stamped {
            1 => ("skb", "it"),
            _ => ("skbs", "them"),
        };
        let text = format!("{stamped} {skbs} (lo, veth): tcp-* measure {them} from local delivery");
        self.note(page, "tx-stamped:", &text);
    }

    /// Mean time of a run by hook, then all runs as a share of one CPU's time.
    fn program_cost(&self, page: &mut String, report: &Report) {
        let interval = report.interval;
        let (Some(clock), Some(total)) =
            (interval.counters.clock_cost, interval.counters.total_cost())
        else {
            return;
        };
        let mut items = vec![self.dim("BPF time a run:")];
        let named = interval
            .counters
            .costs()
            .map(|(hook, cost)| (hook.name(), cost));
        for (name, cost) in named.chain([("clock", clock)]) {
            if let Some(mean) = cost.time_ns.checked_div(cost.runs) {
                items.push(format!("{name} {}", units::duration(mean)));
            }
        }
        // Of one CPU: on many, more than all of one.
        let share = 100.0 * total.time_ns as f64 / interval.duration_ns.max(1) as f64;
        items.push(format!("- {} runs,", total.runs));
        items.push(format!("{share:.2}% of one CPU"));
        self.flow(page, " ", items);
    }

    fn note(&self, page: &mut String, label: &str, text: &str) {
        let label = self.dim(label);
        let words = std::iter::once(label.as_str()).chain(text.split(' '));
        self.flow(page, " ", words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counters::Cost;
    use crate::model::skips::SkipReason;
    use crate::render::testing::*;

    fn notes(report: &Report) -> String {
        let mut page = String::new();
        Screen::new(80, false).utc().notes(&mut page, report);
        page
    }

    #[test]
    fn nothing_wrong_needs_no_note() {
        let mut run = Run::new(&["udp-start", "udp-socket-read"]);
        run.samples("udp-start", 5000, 10);
        run.skips("udp-socket-read", reason("peek"), 9);
        // What the user did not select is not missing.
        run.skips("udp-start", reason("filtered"), 90);
        assert_eq!(notes(&report(&run.interval())), "");
    }

    #[test]
    fn packets_not_measured_are_counted_by_reason() {
        let mut run = Run::new(&["tcp-start", "udp-start", "udp-socket-read"]);
        run.samples("tcp-start", 5000, 788);
        run.skips("tcp-start", SkipReason::NO_TIMESTAMP, 12);
        run.skips("tcp-start", reason("negative"), 200);
        run.skips("udp-socket-read", reason("peek"), 9);
        run.skips("udp-start", SkipReason::NO_TIMESTAMP, 1);
        let expected = "\
not measured: tcp-start 212 of 1000 (21.2%): negative 200 no-timestamp 12
not measured: udp-start 1 of 1 (100%): no-timestamp 1
";
        assert_eq!(notes(&report(&run.interval())), expected);
    }

    #[test]
    fn missed_runs_and_clock_steps_are_told() {
        let mut run = Run::new(&["tcp-start", "udp-start"]);
        run.missed("udp-start", 3);
        run.missed("tcp-start", 4);
        run.end.counters.clock_steps = 2;
        let expected = "\
missed by the kernel (re-entered program): tcp-start 4 udp-start 3
clock: the wall clock was stepped 2 times in this interval
";
        assert_eq!(notes(&report(&run.interval())), expected);
    }

    #[test]
    fn costs_are_told_where_they_are_measured() {
        let mut run = Run::new(&["tcp-start", "udp-start"]);
        run.cost("tcp-start", 1_000_000, 250_000_000);
        // Serves tcp-start, and is off itself.
        run.cost("ip-start", 1_000_000, 40_000_000);
        run.end.counters.clock_cost = Some(Cost {
            runs: 2500,
            time_ns: 250_000,
        });
        assert_eq!(notes(&report(&run.interval())), "");
        run.start.counters.clock_cost = Some(Cost::default());
        // 290.25 ms of 10 s.
        let expected = "\
BPF time a run: ip-start 40ns tcp-start 250ns clock 100ns - 2002500 runs,
  2.90% of one CPU
";
        assert_eq!(notes(&report(&run.interval())), expected);
        run.cost("udp-start", 1_000_000, 90_000_000_000);
        assert!(notes(&report(&run.interval())).contains(" 902.90% of one CPU"));
    }

    #[test]
    fn programs_that_do_not_run_are_told_apart_from_silence() {
        let mut run = Run::new(&["tcp-start"]);
        (
            run.start.counters.clock_updates,
            run.end.counters.clock_updates,
        ) = (Some(7), Some(8));
        assert_eq!(notes(&report(&run.interval())), "");
        run.end.counters.clock_updates = Some(7);
        let expected = "\
stalled: the kernel called no BPF program in this interval: is
  kernel.ftrace_enabled 0?
";
        assert_eq!(notes(&report(&run.interval())), expected);
    }

    #[test]
    fn transmit_stamps_matter_to_tcp_only() {
        let mut run = Run::new(&["tcp-start"]);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 123_456_789_012);
        let expected = "\
tx-stamped: 123456789012 skbs (lo, veth): tcp-* measure them from local delivery
";
        assert_eq!(notes(&report(&run.interval())), expected);
        let mut run = Run::new(&["udp-start"]);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 1234);
        assert_eq!(notes(&report(&run.interval())), "");
    }
}
