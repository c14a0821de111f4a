// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The result of a comparison in words and rounded figures, before it is laid out.
//! The JSON has the computed figures, and the same sentences.

use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;

/// The tone of a text, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Less important: a value that is not judged.
    Dim,
    Worse,
    Better,
}

/// All texts, in the order of the page.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The name of each side, and what was measured.
    pub(super) sides: PerSide<(String, String)>,
    pub(super) warnings: Vec<String>,
    /// Whether any row has an interval.
    pub(super) judged: bool,
    pub(super) rows: Vec<RowView>,
    /// Hooks without a row.
    pub(super) idle: Vec<Hook>,
    pub(super) unsampled: Vec<Hook>,
    pub(super) off: Vec<Hook>,
    /// The stages, each with its table.
    pub(super) stages: Vec<StageView>,
    /// If the comparison is grouped.
    pub(super) groups: Option<GroupsView>,
    /// Each has a label, which may be empty, and a text.
    pub(super) notes: Vec<(String, String)>,
    pub(super) limits: Vec<LimitView>,
}

/// A stage with its table.
#[derive(Clone, Debug)]
pub(super) struct StageView {
    /// Its hooks, and what happens in it.
    pub(super) name: String,
    pub(super) rows: Vec<RowView>,
}

/// The groups of a comparison.
#[derive(Clone, Debug)]
pub(super) struct GroupsView {
    /// By what they are told apart.
    pub(super) by: String,
    /// How many there are, and have changed.
    pub(super) title: String,
    /// Those that have a table.
    pub(super) groups: Vec<GroupView>,
    /// What there is to say of the others: a label and a text.
    pub(super) notes: Vec<(String, String)>,
}

/// A group with its table.
#[derive(Clone, Debug)]
pub(super) struct GroupView {
    pub(super) name: String,
    pub(super) rows: Vec<RowView>,
    /// Where its changes begin: a label and a text.
    pub(super) sentences: Vec<(String, String)>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct RowView {
    /// Whether it is the first row of its hook.
    pub(super) first: bool,
    pub(super) hook: Hook,
    pub(super) quantity: Quantity,
    pub(super) levels: PerSide<String>,
    pub(super) change: String,
    pub(super) interval: Option<(String, String)>,
    pub(super) verdict: String,
    pub(super) tone: Tone,
}

/// The outcome of a limit.
#[derive(Clone, Debug)]
pub(super) struct LimitView {
    pub(super) outcome: &'static str,
    pub(super) tone: Tone,
    pub(super) text: String,
}
