// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What must hold of any input, whoever made it up.

use std::path::Path;

use netstacklat::cli::{parse_duration, parse_interval};
use netstacklat::model::fail_if::{Bound, Limit};
use netstacklat::model::hooks::Hook;
use netstacklat::model::quantile::REPORTED;
use netstacklat::runfile::{Content, RunFile, Totals};

/// A run file is refused, or what was read of it can be worked with.
pub fn runfile(bytes: &[u8]) {
    // What is shown must not steer a terminal.
    let shown = |text: &str| {
        let steers = text.chars().any(char::is_control);
        assert!(!steers && text.len() < 32 << 10, "{text:?}");
    };
    let file = match RunFile::read_from(bytes, Path::new("file")) {
        Ok(file) => file,
        Err(error) => return shown(&format!("{error:#}")),
    };
    let info = &file.info;
    let told = file.excluded.iter().chain(&file.problems);
    told.for_each(|text| shown(text));
    for text in [&info.version, &info.host, &info.kernel, &info.arch] {
        shown(text);
    }
    for (name, text) in &info.facts {
        shown(name);
        shown(text);
    }
    for (name, values) in &info.selection.options {
        shown(name);
        values.iter().for_each(|value| shown(value));
    }
    info.selection.by.iter().for_each(|key| shown(key));
    match &file.content {
        Content::Recording(totals) => usable(totals),
        Content::Comparison { periods, a, b } => {
            usable(a);
            usable(b);
            assert_eq!(periods.len() % 4, 0);
            for round in periods.chunks(4) {
                assert!(round.iter().all(|period| period.round == round[0].round));
            }
            let hooks = periods.iter().flat_map(|it| it.interval.counters.hooks());
            for (_, counters) in hooks {
                let sparse = &counters.histogram;
                for ns in REPORTED.into_iter().filter_map(|q| sparse.quantile(q)) {
                    assert!(ns.is_finite() && ns >= 0.0);
                }
            }
        }
    }
}

/// What `diff` does with it, and JSON.
fn usable(totals: &Totals) {
    for stats in Hook::all().filter_map(|hook| totals.hook(hook)) {
        let histogram = &stats.histogram;
        let buckets: u64 = histogram.buckets().map(|bucket| bucket.count).sum();
        assert_eq!(histogram.count(), buckets);
        let runs = histogram.count().checked_add(stats.skips.total());
        assert!(runs.is_some_and(|runs| runs.checked_add(stats.missed).is_some()));
        let _ = (
            histogram.mean_ns(),
            histogram.max_le_ns(),
            stats.skips.lost(totals.interval.counters.sampling),
        );
        for quantile in REPORTED {
            let _ = stats.quantile(quantile);
        }
        assert_eq!(histogram.to_log2().count(), buckets);
    }
}

/// A duration is refused, or within the limits that the errors name.
pub fn duration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let duration = parse_duration(text);
    if let Ok(duration) = duration {
        assert!(!duration.is_zero() && duration.as_secs() <= 365 * 24 * 60 * 60);
    }
    if let Ok(interval) = parse_interval(text) {
        assert_eq!(Ok(interval), duration);
        assert!(interval.as_millis() >= 10 && interval.as_secs() <= 24 * 60 * 60);
    }
}

/// A limit is refused with a reason, or one that can be judged.
pub fn limit(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Limit>() {
        Err(reason) => assert!(!reason.is_empty() && reason.len() < 2000, "{reason}"),
        Ok(limit) => {
            assert!(limit.quantity.quantile().is_some());
            assert!(!matches!(limit.bound, Bound::Percent(p) if !p.is_finite()));
        }
    }
}
