// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports as text with a histogram for each hook.

use std::io::{self, Write};

use crate::model::histogram::{Bucket, MAX_NS, Resolution};
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::listing::Listing;
use crate::model::quantile::REPORTED;
use crate::model::run::RunInfo;
use crate::model::skips::SkipReason;
use crate::model::snapshot::Interval;
use crate::render::{Renderer, Report, Screen, groups, units};

/// A histogram and quantiles for each hook that has samples; where packets are
/// grouped, for each hook of each group.
///
/// Rows are powers of two at any resolution, so the rows of different intervals
/// line up. Quantiles use the full resolution.
///
/// Of a sample, counts are those of all packets that it stands for, in the rows
/// too, so that all of a page are of the same packets. The footer has the number
/// of samples, on which quantiles depend.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    screen: Screen,
    listing: Listing,
}

impl Text {
    /// A renderer with the look of `screen`.
    pub(crate) fn new(screen: Screen) -> Text {
        Text {
            screen,
            listing: Listing::default(),
        }
    }

    /// The same with these groups.
    pub(crate) fn listing(self, listing: Listing) -> Text {
        Text { listing, ..self }
    }

    /// `slow` is of groups.
    fn hook(
        &self,
        page: &mut String,
        interval: &Interval,
        (hook, stats): (Hook, &HookCounters),
        slow: Option<String>,
    ) {
        let title = self.screen.bold(&format!("{hook}:"));
        self.screen.labelled(page, &title, hook.meaning());
        self.rows(page, interval, stats);
        self.footer(page, interval, stats, slow);
        page.push('\n');
    }

    fn rows(&self, page: &mut String, interval: &Interval, stats: &HookCounters) {
        // The widest label has two bounds of six columns.
        const LABEL: usize = "(1.02us, 2.05us]".len();
        const MIN_COUNT: usize = 12;
        let over_range = stats.skips.get(SkipReason::OVER_RANGE);
        let rows = rows(stats);
        let largest = rows.iter().map(|row| row.count).max().unwrap_or(0);
        let packets = |samples: u64| units::packets(samples, interval.counters.sampling);
        let digits = packets(largest.max(over_range)).len().max(MIN_COUNT);
        let bar_columns = self.screen.width() - LABEL - digits - " ||".len();
        for row in &rows {
            let label = self.screen.dim(&format!("{:LABEL$}", units::bounds(row)));
            let bar = "@".repeat(bar_length(row.count, largest, bar_columns));
            let count = packets(row.count);
            *page += &format!("{label}{count:>digits$} |{bar:bar_columns$}|\n");
        }
        if over_range > 0 {
            let label = format!("({}, ...)", units::duration(MAX_NS));
            let label = self.screen.dim(&format!("{label:LABEL$}"));
            let full = "over-range: counted in quantiles only";
            let remark = if full.len() <= bar_columns {
                full
            } else {
                "over-range"
            };
            let count = packets(over_range);
            *page += &format!("{label}{count:>digits$} |{remark}\n");
        }
    }

    fn footer(
        &self,
        page: &mut String,
        interval: &Interval,
        stats: &HookCounters,
        slow: Option<String>,
    ) {
        let dim = |label: &str| self.screen.dim(label);
        let sampling = interval.counters.sampling;
        let about = units::about(sampling);
        let count = stats.histogram.count();
        let rate = units::rate(interval.rate(sampling.scale(count)));
        let max = match stats.histogram.max_le_ns() {
            _ if stats.skips.get(SkipReason::OVER_RANGE) > 0 => units::over_range(),
            _ if stats.skips.get(SkipReason::COLLAPSED) > 0 => units::UNKNOWN.into(),
            Some(ns) => units::duration(ns),
            None => units::NONE.into(),
        };
        let mean = units::optional(stats.histogram.mean_ns());
        let mut items = vec![
            format!("{} {}", dim("count"), units::packets(count, sampling)),
            format!("{about}{rate}/s"),
            format!("{} {mean}", dim("mean")),
            format!("{} {max}", dim("max")),
        ];
        if sampling.is_on() {
            items.push(format!("{} {count}", dim("samples")));
        }
        self.screen.flow(page, "  ", items);
        let quantiles = REPORTED.map(|quantile| {
            let samples = count + stats.skips.get(SkipReason::OVER_RANGE);
            let shown = match stats.quantile(quantile) {
                None if sampling.is_on() => {
                    format!("n/a ({samples} samples < {})", quantile.samples_to_show())
                }
                None => format!("n/a ({samples} < {})", quantile.samples_to_show()),
                found => units::estimate(found),
            };
            format!("{} {shown}", dim(&quantile.name()))
        });
        let slow = slow.map(|slow| format!("{} {slow}", dim(groups::SLOW)));
        self.screen
            .flow(page, "  ", quantiles.into_iter().chain(slow));
    }

    fn idle(&self, page: &mut String, interval: &Interval) {
        let hooks = interval.counters.hooks();
        let silent: Vec<_> = hooks.filter(|(_, stats)| !stats.has_samples()).collect();
        let left_out = |stats: &HookCounters| stats.skips.get(SkipReason::SAMPLED_OUT);
        let (idle, unsampled): (Vec<_>, Vec<_>) = silent
            .into_iter()
            .partition(|(_, stats)| left_out(stats) == 0);
        for (label, hooks) in [("idle:", idle), ("none in the sample:", unsampled)] {
            let names = hooks.iter().map(|(hook, stats)| match left_out(stats) {
                0 => hook.name().to_owned(),
                packets => format!("{hook} (of {packets})"),
            });
            let items: Vec<_> = [self.screen.dim(label)].into_iter().chain(names).collect();
            if items.len() > 1 {
                self.screen.flow(page, " ", items);
            }
        }
    }
}

impl Renderer for Text {
    /// Writes nothing: the description of a run goes to stderr.
    fn start(&mut self, _out: &mut dyn Write, _run: &RunInfo) -> io::Result<()> {
        Ok(())
    }

    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        let mut page = self.screen.page(report);
        page.push('\n');
        let counters = &report.interval.counters;
        let list = self.listing.of(counters);
        for found in &list.groups {
            self.screen.group(&mut page, found.group);
            for of_hook in &found.hooks {
                let counted = (of_hook.hook, of_hook.counters);
                let slow = groups::slow(of_hook.slow);
                self.hook(&mut page, report.interval, counted, Some(slow));
            }
        }
        if list.groups.is_empty() {
            let with_samples = counters.hooks().filter(|(_, stats)| stats.has_samples());
            for counted in with_samples {
                self.hook(&mut page, report.interval, counted, None);
            }
        }
        self.screen.below_groups(&mut page, &list);
        let before = page.len();
        self.screen.stages(&mut page, report.interval);
        self.screen.slow(&mut page, &report.interval.counters.slow);
        if page.len() > before {
            page.push('\n');
        }
        self.idle(&mut page, report.interval);
        self.screen.notes(&mut page, report);
        // If no note follows, there is no empty line at the end.
        let end = page.trim_end().len();
        page.truncate(end);
        page.push('\n');
        out.write_all(page.as_bytes())
    }
}

/// The powers of two from the lowest to the highest with samples, including the
/// empty ones between them.
fn rows(stats: &HookCounters) -> Vec<Bucket> {
    let mut rows: Vec<Bucket> = Vec::new();
    for bucket in stats.histogram.to_log2().buckets() {
        while let Some(last) = rows.last().filter(|last| last.hi_ns < bucket.lo_ns) {
            let index = Resolution::LOG2.index(last.hi_ns).unwrap_or(0) + 1;
            let (lo_ns, hi_ns) = Resolution::LOG2.bounds(index);
            rows.push(Bucket {
                lo_ns,
                hi_ns,
                count: 0,
            });
        }
        rows.push(bucket);
    }
    rows
}

/// The length of a bar: `columns` for the largest count, others in proportion.
fn bar_length(count: u64, largest: u64, columns: usize) -> usize {
    let (count, largest) = (u128::from(count), u128::from(largest.max(1)));
    ((count * columns as u128 + largest / 2) / largest) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::Kind;
    use crate::test_support::*;

    fn shown(report: &Report) -> String {
        rendered(Text::new(Screen::new(80, false).utc()), report)
    }

    #[test]
    fn a_hook_shows_its_rows_and_figures() {
        // 6 of 1.5 us, 60 of 3 us, 30 of 5 us, none to 16.4 us, 4 of 20 us.
        let mut run = Run::new(&["tcp-start", "ip-start", "tcp-do-rcv"]);
        for (ns, count) in [(1500, 6), (3000, 60), (5000, 30), (20_000, 4)] {
            run.samples("tcp-start", ns, count);
        }
        let interval = run.interval();
        // Mean: (9000 + 180000 + 150000 + 80000) / 100 = 4190 ns. Buckets of
        // 3000: 128 ns wide from 2944, middle 3008; 5000: 256 from 4864, 4992;
        // 20000: 1024 from 19456, 19968, and no
        // sample above 20480. Rank 50 lies in the first, 90 in the
        // second, 99 in the third. Largest row 60: 30 is half of 49, rounded
        // up; 6 a tenth, 4.9; 4 is 3.27.
        let bar = |n: usize| format!("|{:49}|", "@".repeat(n));
        let expected = format!(
            "\
2026-11-21 10:17:03 UTC  10.0s

tcp-start: past routing and netfilter, at TCP
(1.02us, 2.05us]           6 {}
(2.05us, 4.10us]          60 {}
(4.10us, 8.19us]          30 {}
(8.19us, 16.4us]           0 {}
(16.4us, 32.8us]           4 {}
count 100  10.0/s  mean 4.19us  max 20.5us
p50 3.01us  p90 4.99us  p99 20.0us  p99.9 n/a (100 < 1000)

idle: ip-start tcp-do-rcv
",
            bar(5),
            bar(49),
            bar(25),
            bar(0),
            bar(3)
        );
        assert_eq!(shown(&report(&interval)), expected);
    }

    #[test]
    fn over_range_samples_have_a_row_of_their_own() {
        let mut run = Run::new(&["udp-start"]);
        run.samples_over_range("udp-start", 3);
        let expected = "\
2026-11-21 10:17:03 UTC  10.0s

udp-start: past routing and netfilter, at UDP
(17.2s, ...)               3 |over-range: counted in quantiles only
count 0  0/s  mean -  max >17.2s
p50 >17.2s  p90 n/a (3 < 10)  p99 n/a (3 < 100)  p99.9 n/a (3 < 1000)

udp-start: 3 of 3 (100%) not measured: over-range 3
over-range: more than 2^34 ns (17.2 s)
";
        assert_eq!(shown(&report(&run.interval())), expected);
    }

    /// The rows are of packets, like all counts; what quantiles depend on is there too.
    #[test]
    fn rows_of_a_sample_stand_for_packets() {
        let mut run = Run::new(&["udp-start", "udp-queue-rcv", "udp-socket-read"]);
        run.sampled(100);
        run.skips("udp-socket-read", SkipReason::SAMPLED_OUT, 37);
        run.samples("udp-start", 3000, 8);
        run.samples_over_range("udp-start", 1);
        let bar = "@".repeat(49);
        let expected = format!(
            "\
2026-11-21 10:17:03 UTC  10.0s  (1 in 100 packets measured; ~: count x 100)

udp-start: past routing and netfilter, at UDP
(2.05us, 4.10us]        ~800 |{bar}|
(17.2s, ...)            ~100 |over-range: counted in quantiles only
count ~800  ~80.0/s  mean 3.00us  max >17.2s  samples 8
p50 3.01us  p90 n/a (9 samples < 10)  p99 n/a (9 samples < 100)
  p99.9 n/a (9 samples < 1000)

idle: udp-queue-rcv
none in the sample: udp-socket-read (of 37)
udp-start: ~100 of ~900 (11.1%) not measured: over-range ~100
over-range: more than 2^34 ns (17.2 s)
"
        );
        assert_eq!(shown(&report(&run.interval())), expected);
    }

    #[test]
    fn an_idle_report_is_three_lines() {
        let run = Run::new(&["udp-start", "udp-queue-rcv"]);
        let expected = "2026-11-21 10:17:03 UTC  10.0s\n\nidle: udp-start udp-queue-rcv\n";
        assert_eq!(shown(&report(&run.interval())), expected);
    }

    #[test]
    fn reports_are_a_blank_line_apart() {
        let interval = Run::new(&["udp-start"]).interval();
        let total = Report {
            kind: Kind::Total,
            ..report(&interval)
        };
        let mut text = Text::new(Screen::new(80, false).utc());
        let mut out = Vec::new();
        text.report(&mut out, &report(&interval)).unwrap();
        text.report(&mut out, &total).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("idle: udp-start\n\ntotal  10.0s  "), "{out}");
    }

    #[test]
    fn colour_adds_escape_codes_and_nothing_else() {
        let mut run = Run::new(&["tcp-start", "udp-start", "tcp-socket-enqueued"]);
        run.samples("tcp-start", 5000, 12);
        run.skips("tcp-start", SkipReason::NO_TIMESTAMP, 3);
        let interval = run.interval();
        let plain = shown(&report(&interval));
        let coloured = rendered(Text::new(Screen::new(80, true).utc()), &report(&interval));
        assert!(!plain.contains('\x1b'));
        assert!(coloured.contains("\x1b[1mtcp-start:\x1b[0m past"));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }

    proptest! {
        #[test]
        fn lines_fit_whatever_was_counted(run in runs(), width in 60usize..=200) {
            let interval = run.interval();
            let text = Text::new(Screen::new(width, false).utc());
            assert_fits(&rendered(text, &run.report(&interval)), width);
        }

        /// The bars' counts are the histogram's, and no row is missing.
        #[test]
        fn rows_hold_every_sample(run in runs()) {
            let interval = run.interval();
            for (_, stats) in interval.counters.hooks() {
                let rows = rows(stats);
                let sum: u64 = rows.iter().map(|row| row.count).sum();
                prop_assert_eq!(sum, stats.histogram.count());
                for pair in rows.windows(2) {
                    prop_assert_eq!(pair[0].hi_ns, pair[1].lo_ns);
                }
            }
        }
    }
}
