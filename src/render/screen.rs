// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How reports for people look: width, colour, time zone and header.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::render::{Kind, Report, units};

/// How a report looks: line width, colour and time zone.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    width: usize,
    colour: bool,
    zone: TimeZone,
    /// A report is on it already: the next keeps a distance.
    used: bool,
}

impl Screen {
    /// Columns where nobody says otherwise.
    pub(crate) const DEFAULT_WIDTH: usize = 80;

    /// Lines of at most `width` columns (taken to the nearest of 60..=200),
    /// escape codes only with `colour`, times in the host's zone, or in UTC
    /// where the host does not know its zone.
    pub(crate) fn new(width: usize, colour: bool) -> Screen {
        let zone = TimeZone::try_system().ok();
        let zone = zone.filter(|zone| !zone.is_unknown());
        Screen {
            width: width.clamp(60, 200),
            colour,
            zone: zone.unwrap_or(TimeZone::UTC),
            used: false,
        }
    }

    /// The same with times in UTC.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn utc(self) -> Screen {
        Screen {
            zone: TimeZone::UTC,
            ..self
        }
    }

    /// Columns per line.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Text that explains rather than tells.
    pub(super) fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// Text that the eye looks for.
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Text that tells of something worse.
    pub(super) fn worse(&self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// Text that tells of something better.
    pub(super) fn better(&self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.into()
        }
    }

    /// Adds `items` with `separator` between them, on as many lines as they
    /// need; all but the first are indented.
    pub(super) fn flow<S: AsRef<str>>(
        &self,
        page: &mut String,
        separator: &str,
        items: impl IntoIterator<Item = S>,
    ) {
        const INDENT: &str = "  ";
        let mut column = 0;
        for item in items {
            let item = item.as_ref();
            let columns = columns(item);
            if column == 0 {
                column = columns;
            } else if column + separator.len() + columns <= self.width {
                page.push_str(separator);
                column += separator.len() + columns;
            } else {
                page.push('\n');
                page.push_str(INDENT);
                column = INDENT.len() + columns;
            }
            page.push_str(item);
        }
        page.push('\n');
    }

    /// A report's first line, apart from the report before.
    pub(super) fn page(&mut self, report: &Report) -> String {
        let mut page = String::new();
        if std::mem::replace(&mut self.used, true) {
            page.push('\n');
        }
        self.header(&mut page, report);
        page
    }

    /// Adds the line that says which time a report covers.
    ///
    /// An interval is known by its end, which is when its report is made.
    fn header(&self, page: &mut String, report: &Report) {
        let interval = report.interval;
        let (start, end) = (self.zoned(interval.start), self.zoned(interval.end));
        let length = units::duration(interval.duration_ns);
        let mut items = match report.kind {
            Kind::Total => vec!["total".into(), length, span(&start, &end)],
            Kind::Interval if report.cumulative => {
                vec![full(&end), format!("{length} since start")]
            }
            Kind::Interval => vec![full(&end), length],
        };
        if report.partial {
            items.push("(partial)".into());
        }
        match report.missed_intervals {
            0 => {}
            1 if report.since_start() => items.push("(1 interval without a report)".into()),
            n if report.since_start() => items.push(format!("({n} intervals without a report)")),
            n => items.push(format!(
                "(covers {} intervals, {n} without a report)",
                n + 1
            )),
        }
        self.flow(page, "  ", items);
    }

    fn zoned(&self, time: SystemTime) -> Zoned {
        timestamp(time).to_zoned(self.zone.clone())
    }
}

/// A time as jiff has it. A clock set beyond the year 9999 counts as its end.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

fn full(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Two times without saying anything twice.
fn span(start: &Zoned, end: &Zoned) -> String {
    let zone = |time: &Zoned| time.strftime("%Z").to_string();
    let first = if zone(start) == zone(end) {
        start.strftime("%Y-%m-%d %H:%M:%S").to_string()
    } else {
        full(start)
    };
    let last = if start.date() == end.date() {
        end.strftime("%H:%M:%S %Z").to_string()
    } else {
        full(end)
    };
    format!("{first} .. {last}")
}

/// Columns that a text takes: escape codes take none.
fn columns(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, str::len);
    plain
        + parts
            .filter_map(|part| part.split_once('m'))
            .map(|(_, rest)| rest.len())
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::*;

    fn header(report: &Report) -> String {
        let mut page = String::new();
        Screen::new(80, false).utc().header(&mut page, report);
        page
    }

    #[test]
    fn headers_say_what_is_covered() {
        let interval = Run::new(&["udp-start"]).interval();
        let plain = report(&interval);
        let now = "2026-11-21 10:17:03 UTC  10.0s";
        for (report, expected) in [
            (plain, now.to_string()),
            (
                Report {
                    partial: true,
                    ..plain
                },
                format!("{now}  (partial)"),
            ),
            (
                Report {
                    missed_intervals: 2,
                    ..plain
                },
                format!("{now}  (covers 3 intervals, 2 without a report)"),
            ),
            (
                Report {
                    cumulative: true,
                    missed_intervals: 1,
                    ..plain
                },
                format!("{now} since start  (1 interval without a report)"),
            ),
            (
                Report {
                    kind: Kind::Total,
                    ..plain
                },
                "total  10.0s  2026-11-21 10:16:53 .. 10:17:03 UTC".into(),
            ),
        ] {
            assert_eq!(header(&report), expected + "\n");
        }
    }

    #[test]
    fn a_total_over_midnight_names_both_days() {
        let mut interval = Run::new(&[]).interval();
        interval.start -= std::time::Duration::from_secs(11 * 3600);
        let total = Report {
            kind: Kind::Total,
            ..report(&interval)
        };
        let expected = "total  10.0s  2026-11-20 23:16:53 .. 2026-11-21 10:17:03 UTC\n";
        assert_eq!(header(&total), expected);
    }

    #[test]
    fn times_name_their_zone() {
        let zone = |hours| TimeZone::fixed(jiff::tz::offset(hours));
        let time = timestamp(std::time::UNIX_EPOCH + std::time::Duration::from_secs(END_S));
        let (one, two) = (time.to_zoned(zone(1)), time.to_zoned(zone(2)));
        assert_eq!(full(&one), "2026-11-21 11:17:03 +01");
        let expected = "2026-11-21 11:17:03 +01 .. 12:17:03 +02";
        assert_eq!(span(&one, &two), expected);
    }

    #[test]
    fn widths_stay_within_reason() {
        assert_eq!(Screen::new(20, false).width(), 60);
        assert_eq!(Screen::new(132, false).width(), 132);
        assert_eq!(Screen::new(999, false).width(), 200);
    }

    #[test]
    fn escape_codes_take_no_columns() {
        let screen = Screen::new(80, true);
        assert_eq!(columns(&screen.bold("tcp-start")), 9);
        assert_eq!(columns(&format!("a {} b", screen.dim("idle:"))), 9);
    }
}
