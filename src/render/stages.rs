// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The table of stages, and what is missing from it.

use crate::model::hooks::Hook;
use crate::model::quantile::{Beyond, Quantile, REPORTED};
use crate::model::snapshot::Interval;
use crate::model::stage::Cause;
use crate::render::table::{Row, Table, row, titles};
use crate::render::{Report, Screen, units};

impl Screen {
    /// Adds a table with the stages in which there were packets; nothing where none
    /// is measured.
    pub(super) fn stages(&self, page: &mut String, interval: &Interval) {
        let stages: Vec<(String, Row)> = interval
            .counters
            .stages()
            .filter(|(_, times)| times.count() > 0)
            .map(|(stage, times)| {
                let quantile =
                    |quantile: Quantile| units::estimate(quantile.of(times, Beyond::default()));
                let figures = row(interval, "", times, REPORTED.map(quantile), String::new());
                (format!("{stage}: {}", stage.meaning()), figures)
            })
            .collect();
        if stages.is_empty() {
            return;
        }
        let mut titles = titles();
        titles[0] = "stage".into();
        let rows = stages.iter().map(|(_, row)| row);
        let table = Table::new(self, rows.chain([&titles]), false);
        *page += &self.dim(&table.line(&titles));
        page.push('\n');
        for (name, row) in &stages {
            self.flow(page, " ", name.split(' ').map(String::from));
            *page += &table.line(row);
            page.push('\n');
        }
    }

    /// Adds how many packets have no stage, where that is a loss, and which figures
    /// it makes doubtful.
    pub(super) fn without_stage(&self, page: &mut String, report: &Report) {
        let counters = &report.interval.counters;
        let mut met = Vec::new();
        for (hook, stats) in counters.hooks() {
            let missing = stats.stageless.iter();
            let missing: Vec<_> = missing
                .map(|(cause, count)| match cause {
                    Cause::BEGUN => (cause, counters.lost_before(hook)),
                    _ => (cause, count),
                })
                .filter(|(_, count)| *count > 0)
                .collect();
            if missing.is_empty() {
                continue;
            }
            let recorded = stats.histogram.count();
            let packets = |count| units::packets(count, counters.sampling);
            let sum: u64 = missing.iter().map(|(_, count)| count).sum();
            let share = units::percentage(sum, recorded);
            let causes: Vec<_> = missing
                .iter()
                .map(|(cause, count)| format!("{} {}", cause.name(), packets(*count)))
                .collect();
            met.extend(missing.iter().map(|(cause, _)| *cause));
            let mut text = format!(
                "{} of {} ({share}) without a stage: {}",
                packets(sum),
                packets(recorded),
                causes.join(", ")
            );
            let lost = missing
                .iter()
                .filter(|(cause, _)| *cause != Cause::SAME_TIMESTAMP);
            let lost = lost.map(|(_, count)| count).sum();
            if let Some(doubtful) = doubtful(lost, recorded) {
                text += &format!(
                    "; {doubtful} of stages that end there may be too low, because packets that \
                     wait long lose their notes (--notes)"
                );
            }
            self.labelled(page, &self.dim(&label(hook)), &text);
        }
        met.sort_unstable();
        met.dedup();
        for cause in met {
            self.labelled(
                page,
                &self.dim(&format!("{}:", cause.name())),
                cause.meaning(),
            );
        }
    }
}

fn label(hook: Hook) -> String {
    format!("{hook}:")
}

/// The first quantile that could change if all packets without a note were the
/// slowest.
fn doubtful(lost: u64, recorded: u64) -> Option<String> {
    let depends = |quantile: &&Quantile| quantile.depends_on(lost, recorded);
    let first = REPORTED.iter().find(depends)?;
    let last = REPORTED.last()?;
    Some(if first == last {
        first.name()
    } else {
        format!("{} to {}", first.name(), last.name())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::skips::SkipReason;
    use crate::render::{Summary, Text};
    use crate::test_support::*;

    /// 1000 datagrams: 3 us in netfilter, 5 us to the queue; then 20 of 1 ms and 980
    /// of 20 us. 10 have lost their note at the read.
    fn run() -> Run {
        let mut run = Run::new(&["ip-start", "udp-start", "udp-socket-read"]);
        run.samples("ip-start", 1000, 1000);
        run.samples("udp-start", 4000, 1000);
        run.samples("udp-socket-read", 20_000, 1000);
        run.stage("ip-start", "udp-start", 3000, 1000);
        run.stage("udp-start", "udp-socket-read", 1_000_000, 20);
        run.stage("udp-start", "udp-socket-read", 20_000, 970);
        run.stageless("udp-socket-read", Cause::NOTE_LOST, 10);
        run
    }

    const TABLE: &str = "\
stage       count  rate/s    mean     p50     p90     p99   p99.9
ip-start -> udp-start: netfilter, routing
             1000     100  3.00us  3.01us  3.01us  3.01us  3.01us
udp-start -> udp-socket-read: socket lookup; enqueuing; waiting for the reader
              990    99.0  39.8us  20.0us  20.0us   999us       -
";

    #[test]
    fn stages_have_a_table() {
        let interval = run().interval();
        let page = rendered(
            Summary::new(Screen::new(80, false).utc()),
            &report(&interval),
        );
        assert!(page.contains(TABLE), "{page}");
        let page = rendered(Text::new(Screen::new(80, false).utc()), &report(&interval));
        assert!(page.contains(&format!("\n\n{TABLE}\n")), "{page}");
    }

    #[test]
    fn lost_notes_are_said_with_what_they_may_change() {
        let mut run = run();
        let notes = |run: &Run| {
            let interval = run.interval();
            let mut page = String::new();
            let screen = Screen::new(200, false).utc();
            screen.without_stage(&mut page, &report(&interval));
            page
        };
        let page = notes(&run);
        let expected = "udp-socket-read: 10 of 1000 (1.00%) without a stage: note-lost 10; p99 to p99.9 of \
                        stages that end there may be too low";
        assert!(page.starts_with(expected), "{page}");
        let meaning = format!("note-lost: {}\n", Cause::NOTE_LOST.meaning());
        assert!(page.ends_with(&meaning), "{page}");
        // Those that share a timestamp are not the slow ones.
        run.stageless("udp-start", Cause::SAME_TIMESTAMP, 400);
        let page = notes(&run);
        let expected = "udp-start: 400 of 1000 (40.0%) without a stage: same-timestamp 400\n";
        assert!(page.starts_with(expected), "{page}");
        // That they begin there is no loss.
        let mut run = Run::new(&["tcp-start"]);
        run.samples("tcp-start", 1000, 5);
        run.stageless("tcp-start", Cause::BEGUN, 5);
        assert_eq!(notes(&run), "");
        // Where IP has seen that they get their timestamp later, the others are lost.
        let mut run = Run::new(&["ip-start", "tcp-start"]);
        run.samples("tcp-start", 1000, 100);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 90);
        run.stageless("tcp-start", Cause::BEGUN, 90);
        assert_eq!(notes(&run), "");
        run.stageless("tcp-start", Cause::BEGUN, 2);
        let page = notes(&run);
        let expected = "tcp-start: 2 of 100 (2.00%) without a stage: begun 2; p99 to p99.9 of";
        assert!(page.starts_with(expected), "{page}");
    }

    #[test]
    fn a_loss_makes_high_quantiles_doubtful_first() {
        assert_eq!(doubtful(0, 0), None);
        assert_eq!(doubtful(9, 10_000), None);
        assert_eq!(doubtful(10, 10_000).unwrap(), "p99.9");
        assert_eq!(doubtful(5000, 10_000).unwrap(), "p50 to p99.9");
    }
}
