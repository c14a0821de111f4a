// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! All that is said of a comparison, in words and rounded figures, before it
//! becomes a text or a page. The JSON has the figures as they were computed, and
//! the same sentences.

use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Of less weight: known, and not judged.
    Dim,
    Worse,
    Better,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// What each side is: its name, and what was measured.
    pub(super) sides: PerSide<(String, String)>,
    pub(super) warnings: Vec<String>,
    /// Whether rows have intervals and verdicts.
    pub(super) judged: bool,
    pub(super) rows: Vec<RowView>,
    /// Hooks without a row.
    pub(super) idle: Vec<Hook>,
    pub(super) off: Vec<Hook>,
    /// A label, which may be empty, and a text.
    pub(super) notes: Vec<(String, String)>,
    pub(super) limits: Vec<LimitView>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct RowView {
    /// The first row of its hook.
    pub(super) first: bool,
    pub(super) hook: Hook,
    pub(super) quantity: Quantity,
    pub(super) levels: PerSide<String>,
    pub(super) change: String,
    pub(super) interval: Option<(String, String)>,
    pub(super) verdict: String,
    pub(super) tone: Tone,
}

/// What became of a limit.
#[derive(Clone, Debug)]
pub(super) struct LimitView {
    pub(super) limit: String,
    pub(super) outcome: &'static str,
    pub(super) tone: Tone,
    pub(super) text: String,
}
