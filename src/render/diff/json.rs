// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison found, as one JSON object.
//!
//! `docs/json.md` says what each field means.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::analysis::fail_if::{NotJudged, Outcome};
use crate::analysis::onset::{Onset, Reason};
use crate::analysis::warnings::Warning;
use crate::analysis::{Analysis, Design, HookResult, Input, Row};
use crate::model::comparison::Arm;
use crate::model::fail_if::Bound;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::render::diff::{limits, onset, warnings};
use crate::render::json::{SCHEMA, write_line};
use crate::runfile::Totals;
use crate::stats::shift::percent;

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    kind: &'static str,
    version: &'static str,
    unit: &'static str,
    units_used: PerSide<usize>,
    rounds_planned: Option<u64>,
    questions: usize,
    level: f64,
    p_value_floor: f64,
    a: Side<'a>,
    b: Side<'a>,
    warnings: Vec<ObjectWarning>,
    hooks: Vec<Hook>,
    onsets: Vec<ObjectOnset>,
    limits: Vec<ObjectLimit>,
    limits_not_judged: Vec<ObjectNotJudged>,
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    files: Vec<String>,
    host: Option<&'a str>,
    kernel: Option<&'a str>,
    selection: Option<&'a BTreeMap<String, String>>,
    intervals: u64,
    duration_ns: u64,
}

#[derive(Serialize)]
struct ObjectWarning {
    code: &'static str,
    hook: Option<&'static str>,
    quantity: Option<String>,
    puts_in_doubt: bool,
    text: String,
}

#[derive(Serialize)]
struct Hook {
    hook: &'static str,
    measured: PerSide<bool>,
    count: PerSide<u64>,
    quantities: BTreeMap<String, ObjectRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<PerSide<Vec<(u64, u64, u64)>>>,
}

#[derive(Serialize)]
struct ObjectRow {
    /// Of the tail, shares.
    #[serde(flatten)]
    levels: Levels,
    units: PerSide<usize>,
    rounds_excluded: Vec<u64>,
    change_percent: Option<f64>,
    interval_percent: Option<(f64, f64)>,
    by_round: Vec<ObjectRound>,
    degrees_of_freedom: Option<f64>,
    p_value: Option<f64>,
    bucket_percent: Option<f64>,
    verdict: Option<&'static str>,
    in_doubt: bool,
    least_percent: Option<f64>,
}

#[derive(Serialize)]
struct ObjectRound {
    round: u64,
    change_percent: Option<f64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Levels {
    Ns {
        a_ns: Option<f64>,
        b_ns: Option<f64>,
    },
    Share {
        a: Option<f64>,
        b: Option<f64>,
    },
}

#[derive(Serialize)]
struct ObjectOnset {
    path: String,
    quantities: Vec<String>,
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

#[derive(Serialize)]
struct ObjectNotJudged {
    limit: String,
    hooks: Vec<&'static str>,
    text: String,
}

pub(super) fn write(
    out: &mut dyn Write,
    input: &Input,
    analysis: &Analysis,
    histograms: bool,
) -> io::Result<()> {
    let side = |arm: Arm| {
        let files = input.side(arm);
        let sum = |of: fn(&Totals) -> u64| {
            let all = files.iter().map(|file| of(file.totals(arm)));
            all.fold(0, u64::saturating_add)
        };
        Side {
            name: &analysis.names[arm],
            files: files
                .iter()
                .map(|file| file.path.display().to_string())
                .collect(),
            host: files.first().map(|file| file.info.host.as_str()),
            kernel: files.first().map(|file| file.info.kernel.as_str()),
            selection: files.first().map(|file| &file.info.filters),
            intervals: sum(|totals| totals.intervals),
            duration_ns: sum(|totals| totals.interval.duration_ns),
        }
    };
    let (unit, rounds_planned) = match analysis.design {
        Design::Rounds { planned, .. } => ("round", Some(planned)),
        Design::Files(_) => ("file", None),
    };
    let hooks = analysis.hooks.iter().map(|finding| Hook {
        buckets: histograms.then(|| buckets(input, finding)),
        ..Hook::from(finding)
    });
    let not_judged = analysis.not_judged.iter();
    write_line(
        out,
        &Object {
            schema: SCHEMA,
            kind: "diff",
            version: crate::VERSION,
            unit,
            units_used: analysis.design.units(),
            rounds_planned,
            questions: analysis.family.questions,
            level: analysis.family.level,
            p_value_floor: analysis.family.floor,
            a: side(Arm::A),
            b: side(Arm::B),
            warnings: analysis.warnings.iter().map(ObjectWarning::from).collect(),
            hooks: hooks.collect(),
            onsets: analysis.onsets.iter().map(ObjectOnset::from).collect(),
            limits: analysis.limits.iter().map(ObjectLimit::from).collect(),
            limits_not_judged: not_judged.map(ObjectNotJudged::from).collect(),
        },
    )
}

/// Powers of two, as in the text: `[lo_ns, hi_ns, count]`.
fn buckets(input: &Input, finding: &HookResult) -> PerSide<Vec<(u64, u64, u64)>> {
    PerSide::of(|arm| {
        let (histogram, _) = input.log2(arm, finding.hook);
        let buckets = histogram.buckets();
        buckets
            .map(|bucket| (bucket.lo_ns, bucket.hi_ns, bucket.count))
            .collect()
    })
}

impl From<&Warning> for ObjectWarning {
    fn from(warning: &Warning) -> ObjectWarning {
        ObjectWarning {
            code: warning.code(),
            hook: warning.hook.map(|hook| hook.name()),
            quantity: warning.quantity.map(Quantity::name),
            puts_in_doubt: warning.is_serious(),
            text: warnings::text(warning),
        }
    }
}

impl From<&HookResult> for Hook {
    fn from(finding: &HookResult) -> Hook {
        Hook {
            hook: finding.hook.name(),
            measured: finding.measured,
            count: finding.counts,
            quantities: finding
                .rows()
                .map(|row| (row.quantity.name(), ObjectRow::from(row)))
                .collect(),
            buckets: None,
        }
    }
}

impl From<&Row> for ObjectRow {
    fn from(row: &Row) -> ObjectRow {
        ObjectRow {
            levels: match row.quantity {
                Quantity::Tail => Levels::Share {
                    a: row.levels.a,
                    b: row.levels.b,
                },
                _ => Levels::Ns {
                    a_ns: row.levels.a,
                    b_ns: row.levels.b,
                },
            },
            units: row.units,
            rounds_excluded: row.excluded.clone(),
            change_percent: row.ln().map(percent),
            interval_percent: row.shift.map(|shift| shift.interval_percent()),
            by_round: row.by_round.iter().map(ObjectRound::from).collect(),
            degrees_of_freedom: row.shift.map(|shift| shift.dof),
            p_value: row.p_value,
            bucket_percent: row.quantity.quantile().map(|_| percent(row.bucket_ln)),
            verdict: row.verdict.map(|verdict| verdict.name()),
            in_doubt: row.in_doubt,
            least_percent: row.least_ln.map(percent),
        }
    }
}

impl From<&(u64, Option<f64>)> for ObjectRound {
    fn from((round, ln): &(u64, Option<f64>)) -> ObjectRound {
        ObjectRound {
            round: *round,
            change_percent: ln.map(percent),
        }
    }
}

impl From<&NotJudged> for ObjectNotJudged {
    fn from(not_judged: &NotJudged) -> ObjectNotJudged {
        ObjectNotJudged {
            limit: not_judged.limit.to_string(),
            hooks: not_judged.hooks.iter().map(|hook| hook.name()).collect(),
            text: limits::not_judged_text(not_judged),
        }
    }
}

impl From<&Onset> for ObjectOnset {
    fn from(onset: &Onset) -> ObjectOnset {
        let unjudged = onset.unjudged.iter().map(|(hook, why)| ObjectUnjudged {
            hook: hook.name(),
            reason: match why {
                Reason::Unjudged(why) => why.code(),
                Reason::InDoubt => "in-doubt",
                Reason::BelowBucket => "below-bucket",
            },
        });
        let after = onset.after.iter().map(|after| ObjectAfter {
            hook: after.hook.name(),
            verdict: after.verdict.name(),
            may_hide: after.may_hide,
        });
        ObjectOnset {
            path: onset.path.name().to_ascii_lowercase(),
            quantities: onset.quantities.iter().map(|q| q.name()).collect(),
            verdict: onset.verdict.name(),
            first: onset.first.name(),
            between: onset.first.before(),
            not_at: onset.not_at.map(|hook| hook.name()),
            may_hide: onset.may_hide,
            unjudged: unjudged.collect(),
            after: after.collect(),
            text: onset::sentence(onset),
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
                Ok(judged) if judged.exceeded => "exceeded",
                Ok(_) => "within",
                Err(_) => "cannot-be-judged",
            },
            reason: outcome.result.as_ref().err().map(|why| why.code()),
            found_percent: percent.map(|judged| judged.found),
            lower_bound_percent: percent.map(|judged| judged.lower_bound),
            found_ns: ns.map(|judged| judged.found),
            lower_bound_ns: ns.map(|judged| judged.lower_bound),
            p_value: judged.map(|judged| judged.p_value),
            together: judged.map_or(0, |judged| judged.together),
            text: limits::limit_text(outcome),
        }
    }
}
