// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison found, as one JSON object.
//!
//! `docs/json.md` says what each field means.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::analysis::caution::Caution;
use crate::analysis::judge::Outcome;
use crate::analysis::limit::Bound;
use crate::analysis::onset::{Onset, Reason};
use crate::analysis::values::tally;
use crate::analysis::{Design, Finding, Row, path};
use crate::model::comparison::Arm;
use crate::model::quantile::REPORTED;
use crate::render::json::{SCHEMA, write_line};
use crate::render::{Diff, diff_onset, diff_words};
use crate::stats::shift::percent;

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    kind: &'static str,
    version: &'static str,
    unit: &'static str,
    units_used: [usize; 2],
    rounds_planned: Option<u64>,
    a: Side<'a>,
    b: Side<'a>,
    cautions: Vec<ObjectCaution>,
    hooks: Vec<Hook>,
    onsets: Vec<ObjectOnset>,
    limits: Vec<ObjectLimit>,
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    files: Vec<String>,
    host: Option<&'a str>,
    kernel: Option<&'a str>,
    intervals: u64,
    duration_ns: u64,
}

#[derive(Serialize)]
struct ObjectCaution {
    code: &'static str,
    hook: Option<&'static str>,
    quantile: Option<String>,
    tempers: bool,
    text: String,
}

#[derive(Serialize)]
struct Hook {
    hook: &'static str,
    measured: [bool; 2],
    count: [u64; 2],
    quantiles: BTreeMap<String, ObjectRow>,
}

#[derive(Serialize)]
struct ObjectRow {
    a_ns: Option<f64>,
    b_ns: Option<f64>,
    units: [usize; 2],
    change_percent: Option<f64>,
    interval_percent: Option<(f64, f64)>,
    degrees_of_freedom: Option<f64>,
    p_value: Option<f64>,
    bucket_percent: Option<f64>,
    verdict: Option<&'static str>,
    tempered: bool,
    least_percent: Option<f64>,
}

#[derive(Serialize)]
struct ObjectOnset {
    path: &'static str,
    quantiles: Vec<String>,
    verdict: &'static str,
    first: &'static str,
    between: &'static str,
    not_at: Option<&'static str>,
    may_hide: bool,
    unjudged: Vec<ObjectUnjudged>,
    after: Vec<ObjectAfter>,
    text: String,
}

#[derive(Serialize)]
struct ObjectUnjudged {
    hook: &'static str,
    reason: &'static str,
}

#[derive(Serialize)]
struct ObjectAfter {
    hook: &'static str,
    verdict: &'static str,
    may_hide: bool,
}

#[derive(Serialize)]
struct ObjectLimit {
    limit: String,
    hook: Option<&'static str>,
    outcome: &'static str,
    reason: Option<&'static str>,
    found_percent: Option<f64>,
    lower_bound_percent: Option<f64>,
    found_ns: Option<f64>,
    lower_bound_ns: Option<f64>,
    p_value: Option<f64>,
    together: usize,
    text: String,
}

pub(super) fn write(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    let analysis = diff.analysis;
    let side = |arm: Arm| {
        let files = diff.input.side(arm);
        let sum = |of: fn(&crate::runfile::Tally) -> u64| {
            let all = files.iter().map(|file| of(tally(file, arm)));
            all.fold(0, u64::saturating_add)
        };
        Side {
            name: &analysis.names[arm as usize],
            files: files
                .iter()
                .map(|file| file.path.display().to_string())
                .collect(),
            host: files.first().map(|file| file.info.host.as_str()),
            kernel: files.first().map(|file| file.info.kernel.as_str()),
            intervals: sum(|tally| tally.intervals),
            duration_ns: sum(|tally| tally.duration_ns),
        }
    };
    let (unit, units_used, rounds_planned) = match analysis.design {
        Design::Rounds { used, planned } => ("round", [used; 2], Some(planned)),
        Design::Files(files) => ("file", files, None),
    };
    write_line(
        out,
        &Object {
            schema: SCHEMA,
            kind: "diff",
            version: crate::VERSION,
            unit,
            units_used,
            rounds_planned,
            a: side(Arm::A),
            b: side(Arm::B),
            cautions: analysis.cautions.iter().map(ObjectCaution::from).collect(),
            hooks: analysis.hooks.iter().map(Hook::from).collect(),
            onsets: analysis.onsets.iter().map(ObjectOnset::from).collect(),
            limits: analysis.limits.iter().map(ObjectLimit::from).collect(),
        },
    )
}

impl From<&Caution> for ObjectCaution {
    fn from(caution: &Caution) -> ObjectCaution {
        ObjectCaution {
            code: caution.code(),
            hook: caution.hook.map(|hook| hook.name()),
            quantile: caution.quantile.map(|place| REPORTED[place].name()),
            tempers: caution.is_serious(),
            text: diff_words::text(caution),
        }
    }
}

impl From<&Finding> for Hook {
    fn from(finding: &Finding) -> Hook {
        let rows = REPORTED.iter().zip(&finding.rows);
        Hook {
            hook: finding.hook.name(),
            measured: finding.measured,
            count: finding.counts,
            quantiles: rows
                .map(|(quantile, row)| (quantile.name(), ObjectRow::from(row)))
                .collect(),
        }
    }
}

impl From<&Row> for ObjectRow {
    fn from(row: &Row) -> ObjectRow {
        ObjectRow {
            a_ns: row.a_ns,
            b_ns: row.b_ns,
            units: row.units,
            change_percent: row.ln().map(percent),
            interval_percent: row.shift.map(|shift| shift.interval_percent()),
            degrees_of_freedom: row.shift.map(|shift| shift.freedom),
            p_value: row.shift.map(|shift| shift.p_value()),
            bucket_percent: row.bucket_ln.map(percent),
            verdict: row.verdict.map(|verdict| verdict.name()),
            tempered: row.tempered,
            least_percent: row.least_ln.map(percent),
        }
    }
}

impl From<&Onset> for ObjectOnset {
    fn from(onset: &Onset) -> ObjectOnset {
        let unjudged = onset.unjudged.iter().map(|(hook, why)| ObjectUnjudged {
            hook: hook.name(),
            reason: match why {
                Reason::Unjudged(why) => why.code(),
                Reason::Tempered => "tempered",
            },
        });
        let after = onset.after.iter().map(|after| ObjectAfter {
            hook: after.hook.name(),
            verdict: after.verdict.name(),
            may_hide: after.may_hide,
        });
        ObjectOnset {
            path: match onset.path {
                path::Path::Tcp => "tcp",
                path::Path::Udp => "udp",
            },
            quantiles: onset
                .quantiles
                .iter()
                .map(|&place| REPORTED[place].name())
                .collect(),
            verdict: onset.verdict.name(),
            first: onset.first.name(),
            between: path::before(onset.first),
            not_at: onset.not_at.map(|hook| hook.name()),
            may_hide: onset.may_hide,
            unjudged: unjudged.collect(),
            after: after.collect(),
            text: diff_onset::sentence(onset),
        }
    }
}

impl From<&Outcome> for ObjectLimit {
    fn from(outcome: &Outcome) -> ObjectLimit {
        let judged = outcome.result.as_ref().ok();
        let in_percent = matches!(outcome.limit.bound, Bound::Percent(_));
        let percent = judged.filter(|_| in_percent);
        let ns = judged.filter(|_| !in_percent);
        ObjectLimit {
            limit: outcome.limit.to_string(),
            hook: outcome.hook.map(|hook| hook.name()),
            outcome: match &outcome.result {
                Ok(judged) if judged.passed => "passed",
                Ok(_) => "not-passed",
                Err(_) => "cannot-be-judged",
            },
            reason: outcome.result.as_ref().err().map(|why| why.code()),
            found_percent: percent.map(|judged| judged.found),
            lower_bound_percent: percent.map(|judged| judged.lower_bound),
            found_ns: ns.map(|judged| judged.found),
            lower_bound_ns: ns.map(|judged| judged.lower_bound),
            p_value: judged.map(|judged| judged.p_value),
            together: judged.map_or(0, |judged| judged.together),
            text: diff_words::limit_text(outcome),
        }
    }
}
