// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The findings of `netstacklat check`.

/// The state of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// Measuring works, but some figures are wrong or missing.
    Warning,
    /// All hooks or some of them cannot measure.
    Problem,
    /// The fact could not be read.
    Unknown,
}

impl Status {
    /// The name in every output.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Problem => "problem",
            Status::Unknown => "unknown",
        }
    }
}

/// One finding of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckItem {
    /// The subject: a word that scripts may rely on.
    pub subject: &'static str,
    /// Whether something is wrong.
    pub state: Status,
    /// The fact.
    pub found: String,
    /// The consequence for the figures, if it is not obvious.
    pub meaning: Option<String>,
    /// The fix, if there is one.
    pub remedy: Option<String>,
}

impl CheckItem {
    /// What is found of a hook that cannot be measured.
    pub const OFF: &str = "off";

    /// Whether it is of such a hook.
    pub fn is_off(&self) -> bool {
        self.found == CheckItem::OFF
    }

    /// A finding of state `ok`, without an explanation.
    pub fn ok(subject: &'static str, found: impl Into<String>) -> CheckItem {
        CheckItem {
            subject,
            state: Status::Ok,
            found: found.into(),
            meaning: None,
            remedy: None,
        }
    }

    /// A finding with an explanation.
    pub fn new(
        state: Status,
        subject: &'static str,
        found: impl Into<String>,
        meaning: impl Into<String>,
    ) -> CheckItem {
        CheckItem {
            state,
            meaning: Some(meaning.into()),
            ..CheckItem::ok(subject, found)
        }
    }

    /// The same with a fix.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> CheckItem {
        CheckItem {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// A list with one finding for each subject: the first, which is nearest to the
/// cause.
#[derive(Clone, Debug, Default)]
pub struct CheckItems(Vec<CheckItem>);

impl CheckItems {
    /// Adds a finding, unless there is one with the same subject.
    pub fn add(&mut self, finding: CheckItem) {
        if self.0.iter().all(|known| known.subject != finding.subject) {
            self.0.push(finding);
        }
    }

    /// The findings in the order in which they were added.
    pub fn into_vec(self) -> Vec<CheckItem> {
        self.0
    }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Every hook measures.
    Usable,
    /// Some hooks cannot measure.
    HooksMissing,
    /// Nothing can be measured, or the self-test failed.
    NotUsable,
}

impl CheckOutcome {
    /// The name in every output.
    pub fn name(self) -> &'static str {
        match self {
            CheckOutcome::Usable => "usable",
            CheckOutcome::HooksMissing => "hooks-missing",
            CheckOutcome::NotUsable => "not-usable",
        }
    }
}
