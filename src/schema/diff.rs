// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison found, as one object.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::group::Group;
use crate::model::side::PerSide;
use crate::schema::format::SCHEMA;
use crate::schema::slow::SlowFields;
use crate::schema::start::SelectionFields;

/// The result of `diff --json` and `compare --json`, not rounded. Null: it could not be computed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Diff")]
pub struct DiffLine<'a> {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `diff`.
    #[schemars(extend("const" = "diff"))]
    pub kind: &'static str,
    /// Version of netstacklat that compared.
    pub version: &'static str,
    /// What is repeated: `round` or `file`.
    #[schemars(extend("enum" = ["round", "file"]))]
    pub unit: &'static str,
    /// How many of them count.
    pub units_used: PerSide<usize>,
    /// Rounds that were meant to be made. Null of files.
    pub rounds_planned: Option<u64>,
    /// How many verdicts were judged together.
    pub questions: usize,
    /// How likely any one of those verdicts is wrong, at most.
    pub level: f64,
    /// The smallest p-value that there could be.
    pub p_value_floor: f64,
    /// Side A.
    pub a: DiffSideFields<'a>,
    /// Side B.
    pub b: DiffSideFields<'a>,
    /// What to know before any difference.
    pub warnings: Vec<WarningFields>,
    /// All hooks of the tool in path order.
    pub hooks: Vec<DiffHookFields>,
    /// With `--stages` on both sides: the stages in path order, without those of which there are few packets. Then ages are judged at the first and the last hooks only.
    pub stages: Vec<DiffStageFields>,
    /// The three slowest packets of each side, if they were looked for (`--slower-than`). Null: they were not.
    pub slow: PerSide<Option<SlowFields>>,
    /// Where changes begin, one for each protocol and kind of change. `[]` with stages, which say it themselves.
    pub onsets: Vec<OnsetFields>,
    /// The keys of the groups in their order. `[]`: nothing is grouped.
    pub by: Vec<String>,
    /// The groups that were compared, those with most packets first.
    pub groups: Vec<DiffGroupFields>,
    /// The groups with packets on one side only, those with most packets first; at most 1,024 a side.
    pub groups_only: PerSide<Vec<GroupPacketsFields>>,
    /// Groups of both sides that were not compared, because they have fewer packets than those in `groups` (`--top`).
    pub groups_left_out: usize,
    /// What became of each `--fail-if`; `any` is taken apart, and so are groups.
    pub limits: Vec<LimitFields>,
    /// Hooks at which a limit for `any` could not be judged, and groups for which a limit could not be judged.
    pub limits_not_judged: Vec<NotJudgedFields>,
}

/// A side that was compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiffSide")]
pub struct DiffSideFields<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its files, as given.
    pub files: Vec<String>,
    /// Host name of the first file.
    pub host: Option<&'a str>,
    /// Kernel release of the first file.
    pub kernel: Option<&'a str>,
    /// What was selected in the first file.
    pub selection: Option<SelectionFields>,
    /// Intervals in all of the files.
    pub intervals: u64,
    /// Time measured in all of the files.
    pub duration_ns: u64,
}

/// A warning.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub struct WarningFields {
    /// Of what kind, see below.
    pub code: &'static str,
    /// The hook that it is about. Null: all.
    pub hook: Option<&'static str>,
    /// The quantity that it is about. Null: all.
    pub quantity: Option<String>,
    /// Verdicts there may not mean what they seem to.
    pub puts_in_doubt: bool,
    /// In words.
    pub text: String,
}

/// A hook, compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiffHook")]
pub struct DiffHookFields {
    /// Its name.
    pub hook: &'static str,
    /// Whether it was on.
    pub measured: PerSide<bool>,
    /// Latencies, those over range included: with `--sample`, the number of samples, not multiplied.
    pub count: PerSide<u64>,
    /// What was compared, by name: `p50`, `p90`, `p99`, `p99.9`, `tail`.
    pub quantities: BTreeMap<String, QuantityFields>,
    /// With `--histograms` only: `[lo_ns, hi_ns, count]`, by powers of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<PerSide<Vec<[u64; 3]>>>,
}

/// A stage, compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiffStage")]
pub struct DiffStageFields {
    /// The hook where it begins.
    pub from: &'static str,
    /// The hook where it ends.
    pub to: &'static str,
    /// What happens in it.
    pub meaning: String,
    /// Packets: with `--sample`, the number of samples, not multiplied.
    pub count: PerSide<u64>,
    /// As those of a hook.
    pub quantities: BTreeMap<String, QuantityFields>,
}

/// A group, compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiffGroup")]
pub struct DiffGroupFields {
    /// The group's value of each key in `by`.
    pub group: BTreeMap<String, String>,
    /// Its packets, at the hook where they are most.
    pub packets: PerSide<u64>,
    /// All hooks of the tool in path order.
    pub hooks: Vec<DiffHookFields>,
    /// Where its changes begin.
    pub onsets: Vec<OnsetFields>,
}

/// A group that one side has, and the other has not.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupPackets")]
pub struct GroupPacketsFields {
    /// The group's value of each key in `by`.
    pub group: BTreeMap<String, String>,
    /// Its packets, at the hook where they are most.
    pub packets: u64,
}

/// The value of each key; none of [`Group::Other`].
pub fn group_fields(group: &Group) -> BTreeMap<String, String> {
    match group {
        Group::Of(values) => values.iter().cloned().collect(),
        Group::Other => BTreeMap::new(),
    }
}

/// A quantity at a hook, compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Quantity")]
pub struct QuantityFields {
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields have comments")]
    pub levels: Option<LevelFields>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields have comments")]
    pub shares: Option<ShareFields>,
    /// Rounds or files that have the quantity.
    pub units: PerSide<usize>,
    /// Numbers of the rounds that were excluded as disturbed.
    pub rounds_excluded: Vec<u64>,
    /// Change of B against A.
    pub change_percent: Option<f64>,
    /// The ends of its 95 % interval, the bucket included; null: that end is not bounded.
    pub interval_percent: Option<[Option<f64>; 2]>,
    /// The change that each round shows by itself.
    pub by_round: Vec<RoundFields>,
    /// Degrees of freedom of the interval.
    pub degrees_of_freedom: Option<f64>,
    /// Adjusted for all questions. Null where nothing was judged.
    pub p_value: Option<f64>,
    /// Width of the histogram's bucket there. Null of the tail.
    pub bucket_percent: Option<f64>,
    /// `slower`, `faster`, `below-bucket` (there is a change, of less than a bucket) or `not-found`. Null of p99.9, and where it could not be judged.
    pub verdict: Option<&'static str>,
    /// A warning may be the cause.
    pub in_doubt: bool,
    /// The smallest change that would have had a verdict, had it varied as much.
    pub least_percent: Option<f64>,
}

/// What the sides show of a quantile.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LevelFields {
    /// Of quantiles: the geometric mean of A, so placed that B / A is the change.
    pub a_ns: Option<f64>,
    /// Of quantiles: the same of B.
    pub b_ns: Option<f64>,
}

/// What the sides show of the tail.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShareFields {
    /// Of the tail: the share of A's latencies that are in it.
    pub a: Option<f64>,
    /// Of the tail: the same of B.
    pub b: Option<f64>,
}

/// The change that a round shows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Round")]
pub struct RoundFields {
    /// Its number.
    pub round: u64,
    /// Change of B against A. Null: the round has none.
    pub change_percent: Option<f64>,
}

/// Where changes begin.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Onset")]
pub struct OnsetFields {
    /// `tcp` or `udp`.
    pub path: String,
    /// The quantities that changed there.
    pub quantities: Vec<String>,
    /// `slower` or `faster`.
    pub verdict: &'static str,
    /// The first hook that changed.
    pub first: &'static str,
    /// What lies before that hook, in words.
    pub between: &'static str,
    /// The last hook before it that was judged and did not change.
    pub not_at: Option<&'static str>,
    /// As much time could be hidden there.
    pub may_hide: bool,
    /// Hooks between the two.
    pub unjudged: Vec<UnjudgedFields>,
    /// Later hooks.
    pub after: Vec<LaterFields>,
    /// In words.
    pub text: String,
}

/// A hook at which a change may already have begun.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnjudgedHook")]
pub struct UnjudgedFields {
    /// Its name.
    pub hook: &'static str,
    /// Why nothing can be told there: `off`, `idle`, `too-few-samples`, `in-doubt`, `below-bucket`.
    pub reason: &'static str,
}

/// A hook behind the one where a change begins.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LaterHook")]
pub struct LaterFields {
    /// Its name.
    pub hook: &'static str,
    /// Its verdict.
    pub verdict: &'static str,
    /// As much time could be hidden there.
    pub may_hide: bool,
}

/// A limit of `--fail-if`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limit")]
pub struct LimitFields {
    /// The limit.
    pub limit: String,
    /// The hook at which it was judged.
    pub hook: Option<&'static str>,
    /// The group for which it was judged. Null: all packets.
    pub group: Option<BTreeMap<String, String>>,
    /// What became of it.
    #[schemars(extend("enum" = ["exceeded", "within", "cannot-be-judged"]))]
    pub outcome: &'static str,
    /// Why it cannot be judged: `off`, `idle`, `too-few-samples`, `no-hook`.
    pub reason: Option<&'static str>,
    /// What was found. Null if the limit is a time.
    pub found_percent: Option<f64>,
    /// What the truth is above with 95 % confidence, not adjusted for other limits. Null if the limit is a time.
    pub lower_bound_percent: Option<f64>,
    /// What was found. Null if the limit is a percentage.
    pub found_ns: Option<f64>,
    /// What the truth is above with 95 % confidence, not adjusted for other limits. Null if the limit is a percentage.
    pub lower_bound_ns: Option<f64>,
    /// Adjusted for the limits that were judged together.
    pub p_value: Option<f64>,
    /// How many limits those are.
    pub together: usize,
    /// In words.
    pub text: String,
}

/// Hooks and groups for which a limit could not be judged.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitNotJudged")]
pub struct NotJudgedFields {
    /// The limit.
    pub limit: String,
    /// Names of the hooks.
    pub hooks: Vec<&'static str>,
    /// The groups: the value of each key.
    pub groups: Vec<BTreeMap<String, String>>,
    /// In words.
    pub text: String,
}
