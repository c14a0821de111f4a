// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison on one host: two sides, and how they take turns.

use std::time::Duration;

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// Before, or without.
    A,
    /// After, or with.
    B,
}

impl Arm {
    /// Both, in their order.
    pub const BOTH: [Arm; 2] = [Arm::A, Arm::B];

    /// The side of a name in run files.
    pub fn find(name: &str) -> Option<Arm> {
        Arm::BOTH.into_iter().find(|arm| arm.name() == name)
    }

    /// As in run files.
    pub fn name(self) -> &'static str {
        match self {
            Arm::A => "a",
            Arm::B => "b",
        }
    }
}

/// Which period of a comparison a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its side.
    pub arm: Arm,
    /// Its round, from 1. `None` in a total, which is of all rounds.
    pub round: Option<u64>,
}

/// One side: what it is called and how the host is brought there and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// What the user calls it.
    pub name: String,
    /// The shell command before each of its periods.
    pub start: Option<String>,
    /// The shell command after each of its periods.
    pub stop: Option<String>,
}

/// All of a comparison that is fixed before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Side A.
    pub a: Side,
    /// Side B.
    pub b: Side,
    /// Shell command that makes traffic.
    pub load: Option<String>,
    /// Rounds that are meant to be made, at most with `auto_rounds`.
    pub rounds: u64,
    /// Whether it stops as soon as the answer is known, at one of
    /// [`crate::stats::looks::LOOKS`].
    pub auto_rounds: bool,
    /// How long each period is measured.
    pub period: Duration,
    /// How long each waits before that.
    pub settle: Duration,
    /// What the orders of the rounds are drawn from.
    pub seed: u64,
}

impl Comparison {
    /// One side.
    pub fn side(&self, arm: Arm) -> &Side {
        match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        }
    }

    /// Both sides have a start command and neither a stop command: each start
    /// command undoes the other, and A's is the last to run.
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
