// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a look at the host found, one thing at a time.

/// How a thing stands with measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// It measures, but a figure or a part of it suffers.
    Warning,
    /// It keeps all or a part of it from measuring.
    Problem,
    /// It could not be seen from here.
    Unknown,
}

impl State {
    /// The name that every output shows.
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
            State::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: a word that programs may rely on.
    pub subject: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What that means for the figures, where it is not plain.
    pub meaning: Option<String>,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// Nothing to explain.
    pub fn ok(subject: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            subject,
            state: State::Ok,
            found: found.into(),
            meaning: None,
            remedy: None,
        }
    }

    /// Something to explain.
    pub fn new(
        state: State,
        subject: &'static str,
        found: impl Into<String>,
        meaning: impl Into<String>,
    ) -> Finding {
        Finding {
            state,
            meaning: Some(meaning.into()),
            ..Finding::ok(subject, found)
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Finding {
        Finding {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// One finding to a subject: the first, which is the nearest to the cause.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds it, unless its subject has been told already.
    pub fn add(&mut self, finding: Finding) {
        if self.0.iter().all(|told| told.subject != finding.subject) {
            self.0.push(finding);
        }
    }

    /// In the order in which they were added.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// What can be done on the host, by this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every hook measures.
    Usable,
    /// It measures, but some hooks are off.
    HooksMissing,
    /// Nothing is measured, or not what should be.
    NotUsable,
}

impl Outcome {
    /// The name that every output shows.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Usable => "usable",
            Outcome::HooksMissing => "hooks-missing",
            Outcome::NotUsable => "not-usable",
        }
    }
}
