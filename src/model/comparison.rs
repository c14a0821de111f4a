// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison on one host: its two sides, and the plan of its rounds.

use std::time::Duration;

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The state before a change, or without it.
    A,
    /// The state after a change, or with it.
    B,
}

impl Arm {
    /// Both sides, A first.
    pub const BOTH: [Arm; 2] = [Arm::A, Arm::B];

    /// Finds a side by its name in run files.
    pub fn find(name: &str) -> Option<Arm> {
        Arm::BOTH.into_iter().find(|arm| arm.name() == name)
    }

    /// The name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Arm::A => "a",
            Arm::B => "b",
        }
    }
}

/// The period of a comparison that a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The side of the period.
    pub arm: Arm,
    /// The number of the round, from 1. `None` in a total, which is about all rounds.
    pub round: Option<u64>,
}

/// One side: its name, and the commands that change the host and change it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// The name that the user gave.
    pub name: String,
    /// The shell command that runs before each period of the side.
    pub start: Option<String>,
    /// The shell command that runs after each period of the side.
    pub stop: Option<String>,
}

/// The plan of a comparison, which is fixed before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Side A.
    pub a: Side,
    /// Side B.
    pub b: Side,
    /// The shell command that makes traffic.
    pub load: Option<String>,
    /// The number of rounds; with `auto_rounds` the highest number.
    pub rounds: u64,
    /// Whether the comparison stops at the first of [`crate::stats::looks::LOOKS`] at
    /// which the answer is known.
    pub auto_rounds: bool,
    /// The time for which a period is measured.
    pub period: Duration,
    /// The time before that which is not measured.
    pub settle: Duration,
    /// The seed from which the orders of the rounds are drawn.
    pub seed: u64,
}

impl Comparison {
    /// The description of a side.
    pub fn side(&self, arm: Arm) -> &Side {
        match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        }
    }

    /// Whether each start command undoes the other: both sides have a start command,
    /// and neither has a stop command. A's start command is then the last to run.
    pub fn is_toggled(&self) -> bool {
        let starts = |side: &Side| side.start.is_some() && side.stop.is_none();
        starts(&self.a) && starts(&self.b)
    }

    /// The command that undoes a side's start command.
    pub fn undo_of(&self, arm: Arm) -> Option<&str> {
        if self.is_toggled() {
            self.a.start.as_deref()
        } else {
            self.side(arm).stop.as_deref()
        }
    }
}
