// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a look at the host found, one thing at a time.

/// How a thing stands with measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It measures, but a figure or a part of it suffers.
    Warning,
    /// It keeps all or a part of it from measuring.
    Problem,
    /// It could not be seen from here.
    Unknown,
}

impl Status {
    /// The name that every output shows.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Problem => "problem",
            Status::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckItem {
    /// What was looked at: a word that programs may rely on.
    pub subject: &'static str,
    /// How it stands.
    pub state: Status,
    /// What was found.
    pub found: String,
    /// What that means for the figures, where it is not plain.
    pub meaning: Option<String>,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

impl CheckItem {
    /// Nothing to explain.
    pub fn ok(subject: &'static str, found: impl Into<String>) -> CheckItem {
        CheckItem {
            subject,
            state: Status::Ok,
            found: found.into(),
            meaning: None,
            remedy: None,
        }
    }

    /// Something to explain.
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

    /// The same with what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> CheckItem {
        CheckItem {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// One finding to a subject: the first, which is the nearest to the cause.
#[derive(Clone, Debug, Default)]
pub struct CheckItems(Vec<CheckItem>);

impl CheckItems {
    /// Adds it, unless its subject has been told already.
    pub fn add(&mut self, finding: CheckItem) {
        if self.0.iter().all(|told| told.subject != finding.subject) {
            self.0.push(finding);
        }
    }

    /// In the order in which they were added.
    pub fn into_vec(self) -> Vec<CheckItem> {
        self.0
    }
}

/// What can be done on the host, by this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Every hook measures.
    Usable,
    /// It measures, but some hooks are off.
    HooksMissing,
    /// Nothing is measured, or not what should be.
    NotUsable,
}

impl CheckOutcome {
    /// The name that every output shows.
    pub fn name(self) -> &'static str {
        match self {
            CheckOutcome::Usable => "usable",
            CheckOutcome::HooksMissing => "hooks-missing",
            CheckOutcome::NotUsable => "not-usable",
        }
    }
}
