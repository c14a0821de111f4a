// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A pair of values, one for each side of a comparison.

use std::ops::{Index, IndexMut};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::comparison::Arm;

/// A value for side A, and one for side B.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PerSide<T> {
    /// The value of A.
    pub a: T,
    /// The value of B.
    pub b: T,
}

impl<T> PerSide<T> {
    /// Calls `of` for each side.
    pub fn of(mut of: impl FnMut(Arm) -> T) -> PerSide<T> {
        PerSide {
            a: of(Arm::A),
            b: of(Arm::B),
        }
    }

    /// The same value for both sides.
    pub fn both(value: T) -> PerSide<T>
    where
        T: Clone,
    {
        PerSide {
            a: value.clone(),
            b: value,
        }
    }

    /// Converts both values.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> PerSide<U> {
        PerSide {
            a: of(self.a),
            b: of(self.b),
        }
    }

    /// Pairs the values of the same side.
    pub fn zip<U>(self, other: PerSide<U>) -> PerSide<(T, U)> {
        PerSide {
            a: (self.a, other.a),
            b: (self.b, other.b),
        }
    }

    /// References to both values.
    pub fn as_ref(&self) -> PerSide<&T> {
        PerSide {
            a: &self.a,
            b: &self.b,
        }
    }

    /// Iterates over A, then B.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        [&self.a, &self.b].into_iter()
    }
}

impl<T> Index<Arm> for PerSide<T> {
    type Output = T;

    fn index(&self, arm: Arm) -> &T {
        match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        }
    }
}

impl<T> IndexMut<Arm> for PerSide<T> {
    fn index_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::A => &mut self.a,
            Arm::B => &mut self.b,
        }
    }
}

/// A first, then B.
impl<T> From<[T; 2]> for PerSide<T> {
    fn from([a, b]: [T; 2]) -> PerSide<T> {
        PerSide { a, b }
    }
}

/// A, then B.
impl<T> IntoIterator for PerSide<T> {
    type Item = T;
    type IntoIter = std::array::IntoIter<T, 2>;

    fn into_iter(self) -> Self::IntoIter {
        [self.a, self.b].into_iter()
    }
}
