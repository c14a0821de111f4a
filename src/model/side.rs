// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One of something for each of two sides.

use std::ops::{Index, IndexMut};

use serde::Serialize;

use crate::model::comparison::Arm;

/// One of something for side A, and one for side B.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PerSide<T> {
    /// A's.
    pub a: T,
    /// B's.
    pub b: T,
}

impl<T> PerSide<T> {
    /// What `of` says of each side.
    pub fn of(mut of: impl FnMut(Arm) -> T) -> PerSide<T> {
        PerSide {
            a: of(Arm::A),
            b: of(Arm::B),
        }
    }

    /// The same on both sides.
    pub fn both(value: T) -> PerSide<T>
    where
        T: Clone,
    {
        PerSide {
            a: value.clone(),
            b: value,
        }
    }

    /// What becomes of each.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> PerSide<U> {
        PerSide {
            a: of(self.a),
            b: of(self.b),
        }
    }

    /// Each with the other's of the same side.
    pub fn zip<U>(self, other: PerSide<U>) -> PerSide<(T, U)> {
        PerSide {
            a: (self.a, other.a),
            b: (self.b, other.b),
        }
    }

    /// Borrowed.
    pub fn as_ref(&self) -> PerSide<&T> {
        PerSide {
            a: &self.a,
            b: &self.b,
        }
    }

    /// A's, then B's.
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

/// A's first, then B's.
impl<T> From<[T; 2]> for PerSide<T> {
    fn from([a, b]: [T; 2]) -> PerSide<T> {
        PerSide { a, b }
    }
}

/// A's, then B's.
impl<T> IntoIterator for PerSide<T> {
    type Item = T;
    type IntoIter = std::array::IntoIter<T, 2>;

    fn into_iter(self) -> Self::IntoIter {
        [self.a, self.b].into_iter()
    }
}
