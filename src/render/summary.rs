// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports as a table with one line per hook.

use std::io::{self, Write};

use crate::model::group::Group;
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::listing::Listing;
use crate::model::quantile::REPORTED;
use crate::model::run::RunInfo;
use crate::model::snapshot::Interval;
use crate::render::table::{Row, Table, row, titles};
use crate::render::{Renderer, Report, Screen, groups, units};

/// One line per enabled hook, idle ones included, so lines keep their places from
/// report to report. Then, where packets are grouped, the same for each group, with
/// its share of slow packets.
///
/// If the screen is too narrow for all columns, some are dropped: first the rate,
/// then the mean, p90 and p99.9.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    screen: Screen,
    listing: Listing,
}

impl Summary {
    /// A renderer with the look of `screen`.
    pub(crate) fn new(screen: Screen) -> Summary {
        Summary {
            screen,
            listing: Listing::default(),
        }
    }

    /// The same with these groups.
    pub(crate) fn listing(self, listing: Listing) -> Summary {
        Summary { listing, ..self }
    }

    fn table(&self, page: &mut String, interval: &Interval) {
        let titles = titles();
        let counters = &interval.counters;
        let all = counters.hooks();
        let all: Vec<Row> = all
            .map(|(hook, stats)| of_hook(interval, hook, stats, String::new()))
            .collect();
        let list = self.listing.of(counters);
        let groups: Vec<(&Group, Vec<Row>)> = list
            .groups
            .iter()
            .map(|found| {
                let rows = found.hooks.iter();
                let rows = rows.map(|of_hook| {
                    let slow = groups::slow(of_hook.slow);
                    self::of_hook(interval, of_hook.hook, of_hook.counters, slow)
                });
                (found.group, rows.collect())
            })
            .collect();
        let of_groups = groups.iter().flat_map(|(_, rows)| rows);
        let rows = all.iter().chain(of_groups).chain([&titles]);
        let table = Table::new(&self.screen, rows, !groups.is_empty());
        *page += &self.screen.dim(&table.line(&titles));
        page.push('\n');
        let add = |page: &mut String, rows: &[Row]| {
            for row in rows {
                *page += &table.line(row);
                page.push('\n');
            }
        };
        add(page, &all);
        for (group, rows) in &groups {
            self.screen.group(page, group);
            add(page, rows);
        }
        self.screen.below_groups(page, &list);
    }
}

impl Renderer for Summary {
    /// Writes nothing: the description of a run goes to stderr.
    fn start(&mut self, _out: &mut dyn Write, _run: &RunInfo) -> io::Result<()> {
        Ok(())
    }

    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        let mut page = self.screen.page(report);
        self.table(&mut page, report.interval);
        self.screen.stages(&mut page, report.interval);
        self.screen.slow(&mut page, &report.interval.counters.slow);
        self.screen.notes(&mut page, report);
        out.write_all(page.as_bytes())
    }
}

fn of_hook(interval: &Interval, hook: Hook, stats: &HookCounters, slow: String) -> Row {
    let quantiles = REPORTED.map(|quantile| units::estimate(stats.quantile(quantile)));
    row(interval, hook.name(), &stats.histogram, quantiles, slow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::skips::SkipReason;
    use crate::render::Text;
    use crate::render::table::OF_GROUPS;
    use crate::test_support::*;

    fn shown(report: &Report, width: usize) -> String {
        rendered(Summary::new(Screen::new(width, false).utc()), report)
    }

    /// 2000 samples of 3000 ns, 10 of 20 us, 5 over range, and 2 without a
    /// timestamp;
    /// and one of 5 us.
    fn run() -> Run {
        let mut run = Run::new(&["tcp-start", "udp-queue-rcv", "udp-socket-enqueued"]);
        run.samples("tcp-start", 3000, 2000);
        run.samples("tcp-start", 20_000, 10);
        run.samples_over_range("tcp-start", 5);
        run.skips("tcp-start", SkipReason::NO_TIMESTAMP, 2);
        run.samples("udp-queue-rcv", 5000, 1);
        run
    }

    #[test]
    fn every_enabled_hook_has_a_line() {
        // Mean (6000000 + 200000) / 2010 = 3084 ns. Rank 2013 of 2015 (p99.9)
        // is over range. Lost: 7 of 2017, 0.347 %.
        let expected = "\
2026-11-21 10:17:03 UTC  10.0s
hook                      count  rate/s    mean     p50     p90     p99   p99.9
tcp-start                  2010     201  3.08us  3.01us  3.01us  3.01us  >17.2s
udp-queue-rcv                 1    0.10  5.00us       -       -       -       -
udp-socket-enqueued           0       0       -       -       -       -       -
tcp-start: 7 of 2017 (0.35%) not measured: over-range 5, no-timestamp 2
";
        let page = shown(&report(&run().interval()), 80);
        assert!(page.starts_with(expected), "{page}");
    }

    /// Without a share of slow packets, the group that has counted most comes first.
    #[test]
    fn groups_follow_all_packets() {
        let mut run = Run::new(&["udp-start", "udp-socket-read"]);
        let small = group([("interface", "eth0"), ("process", "nginx(7)")]);
        let large = group([("interface", "lo"), ("process", "dns(9)")]);
        run.group_samples(&small, "udp-start", 3000, 1);
        run.group_samples(&large, "udp-start", 3000, 2);
        run.group_samples(&large, "udp-socket-read", 20_000, 2);
        run.group_samples(&Group::Other, "udp-start", 3000, 9);
        let expected = "\
hook                  count    mean     p50     p90     p99   p99.9    slow
udp-start                12  3.00us  3.01us  3.01us       -       -
udp-socket-read           2  20.0us  20.0us       -       -       -
interface lo, process dns(9)
udp-start                 2  3.00us  3.01us       -       -       -       -
udp-socket-read           2  20.0us  20.0us       -       -       -       -
interface eth0, process nginx(7)
udp-start                 1  3.00us       -       -       -       -       -
other: there was no room for more groups (--max-groups, --group-memory)
udp-start                 9  3.00us  3.01us       -       -       -       -
";
        let page = shown(&report(&run.interval()), 80);
        let table: String = page.split_inclusive('\n').skip(1).collect();
        assert_eq!(table, expected);
    }

    /// Of 2 in 16, 16 and so on: all counts are of packets, the percentiles of samples.
    #[test]
    fn a_sample_stands_for_more_packets() {
        let mut run = Run::new(&["udp-start", "udp-socket-read"]);
        run.sampled(16);
        run.samples("udp-start", 3000, 20);
        run.samples("udp-socket-read", 5000, 1);
        run.samples_over_range("udp-start", 1);
        run.skips("udp-start", reason("owner-unknown"), 4);
        run.skips("udp-start", SkipReason::SAMPLED_OUT, 300);
        // 16 over range and 4 without an owner of 320 + 20.
        let expected = "\
2026-11-21 10:17:03 UTC  10.0s  (1 in 16 packets measured; ~: count x 16)
hook                  count  rate/s    mean     p50     p90     p99   p99.9
udp-start              ~320   ~32.0  3.00us  3.01us  3.01us       -       -
udp-socket-read         ~16   ~1.60  5.00us       -       -       -       -
udp-start: ~20 of ~340 (5.88%) not measured: over-range ~16, owner-unknown 4
";
        let page = shown(&report(&run.interval()), 80);
        assert!(page.starts_with(expected), "{page}");
    }

    /// 801 packets of 1 us, 100 of 100 us, and 99 of 1 us: ten of the hundred are
    /// above the p99 of all.
    #[test]
    fn groups_are_sorted_and_counted() {
        let mut run = Run::new(&["udp-start"]);
        for (name, ns, count) in [
            ("few", 1000, 99),
            ("fast", 1000, 801),
            ("slow", 100_000, 100),
        ] {
            run.group_samples(&group([("process", name)]), "udp-start", ns, count);
        }
        let interval = run.interval();
        let listing = Listing {
            top: 2,
            ..Listing::default()
        };
        let screen = Screen::new(80, false).utc();
        let page = rendered(
            Summary::new(screen.clone()).listing(listing),
            &report(&interval),
        );
        let groups = page.split_once("process slow").expect("a group").1;
        let expected = "
udp-start         100    10.0   100us   100us   100us   100us       -   10.0%
process fast
udp-start         801    80.1  1.00us  1.01us  1.01us  1.01us       -      0%
1 more group with packets, not listed: --top 3 lists all, --sort says which come
  first
slow: share of the group's packets above the p99 of all packets at the hook
  (average: 1%)
";
        assert_eq!(groups, expected, "{page}");
        let text = rendered(Text::new(screen).listing(listing), &report(&interval));
        let at = |words: &str| {
            text.find(words)
                .unwrap_or_else(|| panic!("{words}:\n{text}"))
        };
        assert!(at("process slow") < at("process fast"), "{text}");
        at("p99 100us  p99.9 n/a (100 < 1000)  slow 10.0%\n");
        at("\n1 more group with packets, not listed: --top 3 ");
        assert!(!text.contains("few"), "{text}");
    }

    #[test]
    fn a_narrow_screen_drops_the_rate_then_the_mean() {
        let titles = |width| {
            let page = shown(&report(&run().interval()), width);
            let line = page.lines().nth(1).unwrap().to_string();
            line.split_whitespace()
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(titles(79).len(), OF_GROUPS);
        let without_rate = ["hook", "count", "mean", "p50", "p90", "p99", "p99.9"];
        assert_eq!(titles(78), without_rate);
        assert_eq!(titles(71), without_rate);
        assert_eq!(titles(70), ["hook", "count", "p50", "p90", "p99", "p99.9"]);
        assert_eq!(titles(60), ["hook", "count", "p50", "p99", "p99.9"]);
    }

    proptest! {
        #[test]
        fn lines_fit_whatever_was_counted(run in runs(), width in 60usize..=200) {
            let interval = run.interval();
            assert_fits(&shown(&run.report(&interval), width), width);
        }
    }
}
