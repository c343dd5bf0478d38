// SPDX-License-Identifier: Apache-2.0
//! One value for each kind.

use core::ops::{Index, IndexMut};

use super::{ALL, Kind};

/// One `T` for each kind of namespace, indexed by [`Kind`].
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct PerKind<T>([T; ALL.len()]);

impl<T> PerKind<T> {
    /// Calls `value` for every kind, in the order of [`Kind::all`].
    pub fn from_fn(mut value: impl FnMut(Kind) -> T) -> Self {
        Self(core::array::from_fn(|index| value(Kind(index as u8))))
    }

    /// Every kind with its value, in the order of [`Kind::all`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &T)> {
        Kind::all().zip(&self.0)
    }

    /// Every kind with its value, which may be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Kind, &mut T)> {
        Kind::all().zip(&mut self.0)
    }

    /// The same kinds with what `f` makes of the values.
    pub fn map<U>(self, mut f: impl FnMut(Kind, T) -> U) -> PerKind<U> {
        let mut kinds = Kind::all();
        PerKind(self.0.map(|value| f(kinds.next().unwrap_or(Kind(0)), value)))
    }
}

impl<T> Index<Kind> for PerKind<T> {
    type Output = T;
    fn index(&self, kind: Kind) -> &T {
        &self.0[usize::from(kind.0)]
    }
}

impl<T> IndexMut<Kind> for PerKind<T> {
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[usize::from(kind.0)]
    }
}
