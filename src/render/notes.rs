// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The notes below a report: what its numbers do not contain, and why.

use crate::model::hooks::Hook;
use crate::model::skips::SkipReason;
use crate::render::{Report, Screen, units};

impl Screen {
    /// Adds a note for each thing that makes the numbers incomplete or doubtful.
    pub(super) fn notes(&self, page: &mut String, report: &Report) {
        self.stalled(page, report);
        self.not_measured(page, report);
        self.without_stage(page, report);
        self.missed(page, report);
        self.clock_steps(page, report);
        self.small_clock_steps(page, report);
        self.transmit_timestamps(page, report);
        self.program_cost(page, report);
    }

    fn stalled(&self, page: &mut String, report: &Report) {
        if report.interval.stalled() {
            let text = "the kernel called no BPF program in this interval: is \
                        kernel.ftrace_enabled 0?";
            self.labelled(page, &self.dim("stalled:"), text);
        }
    }

    /// For each hook the packets that should have been measured and were not, by
    /// reason, largest first. Then the meaning of each reason. Of a sample, what was
    /// found in it stands for more packets.
    fn not_measured(&self, page: &mut String, report: &Report) {
        let mut seen: Vec<SkipReason> = Vec::new();
        let sampling = report.interval.counters.sampling;
        for (hook, stats) in report.interval.counters.hooks() {
            let lost = stats.skips.lost(sampling);
            if lost == 0 {
                continue;
            }
            let met = sampling.scale(stats.histogram.count()).saturating_add(lost);
            let share = units::percentage(lost, met);
            let reasons = stats.skips.iter().filter(|(r, _)| r.is_loss());
            let reasons = reasons.map(|(r, count)| (r, r.estimate(count, sampling)));
            let mut reasons: Vec<_> = reasons.collect();
            reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            seen.extend(reasons.iter().map(|(reason, _)| reason));
            let about = |reason: &SkipReason| {
                if reason.is_sampled() {
                    units::about(sampling)
                } else {
                    ""
                }
            };
            let sum_is_about = if reasons.iter().any(|(reason, _)| reason.is_sampled()) {
                units::about(sampling)
            } else {
                ""
            };
            let met_is_about = units::about(sampling);
            let reasons = reasons.iter();
            let reasons: Vec<_> = reasons
                .map(|(r, n)| format!("{} {}{n}", r.name(), about(r)))
                .collect();
            let text = format!(
                "{sum_is_about}{lost} of {met_is_about}{met} ({share}) not measured: {}",
                reasons.join(", ")
            );
            self.labelled(page, &self.dim(&format!("{hook}:")), &text);
        }
        seen.sort_unstable();
        seen.dedup();
        for reason in seen {
            self.labelled(
                page,
                &self.dim(&format!("{}:", reason.name())),
                reason.meaning(),
            );
        }
    }

    fn missed(&self, page: &mut String, report: &Report) {
        let hooks = report.interval.counters.hooks();
        let missed = hooks.filter(|(_, stats)| stats.missed > 0);
        let missed: Vec<_> = missed
            .map(|(hook, stats)| format!("{hook} {}", stats.missed))
            .collect();
        if !missed.is_empty() {
            let text = format!(
                "{} (the CPU was already in this program)",
                missed.join(", ")
            );
            self.labelled(page, &self.dim("missed:"), &text);
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
        self.labelled(page, &self.dim("clock:"), &text);
    }

    /// Steps that no packet is refused for: what they may have made wrong.
    fn small_clock_steps(&self, page: &mut String, report: &Report) {
        let steps = report.interval.counters.small_steps;
        let number = match steps.count {
            0 => return,
            1 => "1 small step".into(),
            n => format!("{n} small steps"),
        };
        let error = units::duration(steps.error_ns());
        let text = format!("{number} of the wall clock: latencies may be wrong by up to {error}");
        self.labelled(page, &self.dim("clock:"), &text);
    }

    /// Only `ip-start` sees a transmit timestamp. Local delivery gives such an skb a
    /// new timestamp, so the later hooks measure less than the whole latency. The note
    /// fits one line of 80 columns, so that it is not overlooked.
    fn transmit_timestamps(&self, page: &mut String, report: &Report) {
        let counters = &report.interval.counters;
        let skbs = counters.tx_timestamped();
        if skbs == 0 || !counters.enabled.iter().any(Hook::is_restamped) {
            return;
        }
        let sampling = counters.sampling;
        let skbs = units::count(sampling.scale(skbs), "skb");
        let skbs = format!("{}{skbs}", units::about(sampling));
        let text = format!("{skbs} (lo, veth): tcp-* start late, at local delivery");
        self.labelled(page, &self.dim("tx-timestamp:"), &text);
    }

    /// The mean time of a run for each hook, and the time of all runs as a share of one
    /// CPU.
    fn program_cost(&self, page: &mut String, report: &Report) {
        let interval = report.interval;
        let (Some(clock), Some(total)) =
            (interval.counters.clock_cost, interval.counters.total_cost())
        else {
            return;
        };
        let mut items = vec![self.dim("BPF time per run:")];
        let named = interval
            .counters
            .costs()
            .map(|(hook, cost)| (hook.name(), cost));
        for (name, cost) in named.chain([("clock", clock)]) {
            if let Some(mean) = cost.time_ns.checked_div(cost.runs) {
                items.push(format!("{name} {}", units::duration(mean)));
            }
        }
        // Several CPUs together can exceed 100 %.
        let share = 100.0 * total.time_ns as f64 / interval.duration_ns.max(1) as f64;
        items.push(format!("({} runs,", total.runs));
        items.push(format!("{share:.2}% of one CPU)"));
        self.flow(page, " ", items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counters::SmallSteps;
    use crate::model::hook_counters::Cost;
    use crate::test_support::*;

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
tcp-start: 212 of 1000 (21.2%) not measured: negative 200, no-timestamp 12
udp-start: 1 of 1 (100%) not measured: no-timestamp 1
";
        let meanings = [SkipReason::NO_TIMESTAMP, reason("negative")]
            .map(|reason| format!("{}: {}\n", reason.name(), reason.meaning()));
        assert_eq!(
            notes(&report(&run.interval())),
            expected.to_owned() + &meanings.concat()
        );
    }

    #[test]
    fn missed_runs_and_clock_steps_have_notes() {
        let mut run = Run::new(&["tcp-start", "udp-start"]);
        run.missed("udp-start", 3);
        run.missed("tcp-start", 4);
        run.end.counters.clock_steps = 2;
        run.end.counters.small_steps = SmallSteps {
            count: 3,
            sum_ns: 70_000,
        };
        let expected = "\
missed: tcp-start 4, udp-start 3 (the CPU was already in this program)
clock: the wall clock was stepped 2 times in this interval
clock: 3 small steps of the wall clock: latencies may be wrong by up to 70.0us
";
        assert_eq!(notes(&report(&run.interval())), expected);
    }

    #[test]
    fn costs_have_a_note_if_they_are_measured() {
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
BPF time per run: ip-start 40ns tcp-start 250ns clock 100ns (2002500 runs,
  2.90% of one CPU)
";
        assert_eq!(notes(&report(&run.interval())), expected);
        run.cost("udp-start", 1_000_000, 90_000_000_000);
        assert!(notes(&report(&run.interval())).contains("902.90% of one CPU)"));
    }

    #[test]
    fn programs_that_do_not_run_are_not_taken_for_idle_hooks() {
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
    fn transmit_timestamps_matter_to_tcp_only() {
        let mut run = Run::new(&["tcp-start"]);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 123_456_789_012);
        let expected = "\
tx-timestamp: 123456789012 skbs (lo, veth): tcp-* start late, at local delivery
";
        assert_eq!(notes(&report(&run.interval())), expected);
        run.sampled(2);
        let page = notes(&report(&run.interval()));
        assert!(page.contains("tx-timestamp: ~246913578024 skbs"), "{page}");
        let mut run = Run::new(&["udp-start"]);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 1234);
        assert_eq!(notes(&report(&run.interval())), "");
    }
}
