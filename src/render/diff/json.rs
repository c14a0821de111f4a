// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows the result of a comparison as one JSON object: [`crate::schema::diff`].

use std::io::{self, Write};

use crate::analysis::fail_if::{NotJudged, Outcome};
use crate::analysis::onset::{Onset, Reason};
use crate::analysis::warnings::Warning;
use crate::analysis::{Analysis, Design, GroupResult, HookResult, Input, Row};
use crate::model::comparison::Arm;
use crate::model::fail_if::Bound;
use crate::model::group::MAX_GROUPS;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::render::diff::{limits, onset, warnings};
use crate::runfile::Totals;
use crate::schema::diff::{
    DiffGroupFields, DiffHookFields, DiffLine, DiffSideFields, DiffStageFields, GroupPacketsFields,
    LaterFields, LevelFields, LimitFields, NotJudgedFields, OnsetFields, QuantityFields,
    RoundFields, ShareFields, UnjudgedFields, WarningFields, group_fields,
};
use crate::schema::format::{SCHEMA, write_line};
use crate::schema::slow::SlowFields;
use crate::schema::start::SelectionFields;
use crate::stats::shift::percent;

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
        DiffSideFields {
            name: &analysis.names[arm],
            files: files
                .iter()
                .map(|file| file.path.display().to_string())
                .collect(),
            host: files.first().map(|file| file.info.host.as_str()),
            kernel: files.first().map(|file| file.info.kernel.as_str()),
            selection: files
                .first()
                .map(|file| SelectionFields::from(&file.info.selection)),
            intervals: sum(|totals| totals.intervals),
            duration_ns: sum(|totals| totals.interval.duration_ns),
        }
    };
    let (unit, rounds_planned) = match analysis.design {
        Design::Rounds { planned, .. } => ("round", Some(planned)),
        Design::Files(_) => ("file", None),
    };
    let hooks = analysis.hooks.iter().map(|result| DiffHookFields {
        buckets: histograms.then(|| buckets(input, result)),
        ..DiffHookFields::from(result)
    });
    let not_judged = analysis.not_judged.iter();
    let groups = analysis.groups.as_ref();
    let only = |arm: Arm| -> Vec<GroupPacketsFields> {
        let only = groups.map_or(&[][..], |groups| &groups.only[arm]);
        let only = only.iter().take(MAX_GROUPS);
        let fields = only.map(|(group, packets)| GroupPacketsFields {
            group: group_fields(group),
            packets: *packets,
        });
        fields.collect()
    };
    write_line(
        out,
        &DiffLine {
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
            warnings: analysis.warnings.iter().map(WarningFields::from).collect(),
            hooks: hooks.collect(),
            stages: analysis.stages.iter().filter_map(stage_fields).collect(),
            slow: PerSide::of(|arm| {
                let slow = input.slow(arm);
                slow.is_on().then(|| SlowFields::from(&slow))
            }),
            onsets: analysis.onsets.iter().map(OnsetFields::from).collect(),
            by: groups.map_or(Vec::new(), |groups| groups.by.clone()),
            groups: groups
                .iter()
                .flat_map(|groups| &groups.compared)
                .map(DiffGroupFields::from)
                .collect(),
            groups_only: PerSide::of(only),
            groups_left_out: groups.map_or(0, |groups| groups.left_out),
            limits: analysis.limits.iter().map(LimitFields::from).collect(),
            limits_not_judged: not_judged.map(NotJudgedFields::from).collect(),
        },
    )
}

/// Buckets of powers of two, as in the text: `[lo_ns, hi_ns, count]`.
fn buckets(input: &Input, result: &HookResult) -> PerSide<Vec<[u64; 3]>> {
    PerSide::of(|arm| {
        let (histogram, _) = input.log2(arm, result.hook);
        let buckets = histogram.buckets();
        buckets
            .map(|bucket| [bucket.lo_ns, bucket.hi_ns, bucket.count])
            .collect()
    })
}

fn stage_fields(result: &HookResult) -> Option<DiffStageFields> {
    let stage = result.stage?;
    let fields = DiffHookFields::from(result);
    Some(DiffStageFields {
        from: stage.from().name(),
        to: stage.to().name(),
        meaning: stage.meaning(),
        count: fields.count,
        quantities: fields.quantities,
    })
}

impl From<&Warning> for WarningFields {
    fn from(warning: &Warning) -> WarningFields {
        WarningFields {
            code: warning.code(),
            hook: warning.hook.map(|hook| hook.name()),
            quantity: warning.quantity.map(Quantity::name),
            puts_in_doubt: warning.is_serious(),
            text: warnings::text(warning),
        }
    }
}

impl From<&HookResult> for DiffHookFields {
    fn from(result: &HookResult) -> DiffHookFields {
        DiffHookFields {
            hook: result.hook.name(),
            measured: result.measured,
            count: result.counts,
            quantities: result
                .rows()
                .map(|row| (row.quantity.name(), QuantityFields::from(row)))
                .collect(),
            buckets: None,
        }
    }
}

impl From<&GroupResult> for DiffGroupFields {
    fn from(result: &GroupResult) -> DiffGroupFields {
        let onsets = result.onsets.iter().map(|onset| OnsetFields {
            text: onset::sentence_of_group(onset),
            ..OnsetFields::from(onset)
        });
        DiffGroupFields {
            group: group_fields(&result.group),
            packets: result.packets,
            hooks: result.hooks.iter().map(DiffHookFields::from).collect(),
            onsets: onsets.collect(),
        }
    }
}

impl From<&Row> for QuantityFields {
    fn from(row: &Row) -> QuantityFields {
        let is_tail = row.quantity == Quantity::Tail;
        let end = |percent: f64| percent.is_finite().then_some(percent);
        QuantityFields {
            levels: (!is_tail).then_some(LevelFields {
                a_ns: row.levels.a,
                b_ns: row.levels.b,
            }),
            shares: is_tail.then_some(ShareFields {
                a: row.levels.a,
                b: row.levels.b,
            }),
            units: row.units,
            rounds_excluded: row.excluded.clone(),
            change_percent: row.ln().map(percent),
            interval_percent: row.shift.map(|shift| {
                let (low, high) = shift.interval_percent();
                [end(low), end(high)]
            }),
            by_round: row.by_round.iter().map(RoundFields::from).collect(),
            degrees_of_freedom: row.shift.map(|shift| shift.dof),
            p_value: row.p_value,
            bucket_percent: row.quantity.quantile().map(|_| percent(row.bucket_ln)),
            verdict: row.verdict.map(|verdict| verdict.name()),
            in_doubt: row.in_doubt,
            least_percent: row.least_ln.map(percent),
        }
    }
}

impl From<&(u64, Option<f64>)> for RoundFields {
    fn from((round, ln): &(u64, Option<f64>)) -> RoundFields {
        RoundFields {
            round: *round,
            change_percent: ln.map(percent),
        }
    }
}

impl From<&NotJudged> for NotJudgedFields {
    fn from(not_judged: &NotJudged) -> NotJudgedFields {
        NotJudgedFields {
            limit: not_judged.limit.to_string(),
            hooks: not_judged.hooks.iter().map(|hook| hook.name()).collect(),
            groups: not_judged.groups.iter().map(group_fields).collect(),
            text: limits::not_judged_text(not_judged),
        }
    }
}

impl From<&Onset> for OnsetFields {
    fn from(onset: &Onset) -> OnsetFields {
        let unjudged = onset.unjudged.iter().map(|(hook, why)| UnjudgedFields {
            hook: hook.name(),
            reason: match why {
                Reason::Unjudged(why) => why.code(),
                Reason::InDoubt => "in-doubt",
                Reason::BelowBucket => "below-bucket",
            },
        });
        let after = onset.after.iter().map(|after| LaterFields {
            hook: after.hook.name(),
            verdict: after.verdict.name(),
            may_hide: after.may_hide,
        });
        OnsetFields {
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

impl From<&Outcome> for LimitFields {
    fn from(outcome: &Outcome) -> LimitFields {
        let judged = outcome.result.as_ref().ok();
        let in_percent = matches!(outcome.limit.bound, Bound::Percent(_));
        let percent = judged.filter(|_| in_percent);
        let ns = judged.filter(|_| !in_percent);
        LimitFields {
            limit: outcome.limit.to_string(),
            hook: outcome.hook.map(|hook| hook.name()),
            group: outcome.group.as_ref().map(group_fields),
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
