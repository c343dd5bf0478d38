// SPDX-License-Identifier: Apache-2.0
//! Provenance: the place in `config.json` that asked for a step, as a JSON pointer (RFC 6901).

use core::fmt;

/// A JSON pointer, kept unformatted: it is needed only when something is printed or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Nothing in the document asked for it; insula always does it.
    None,
    /// A pointer without an index.
    At(&'static str),
    /// An entry of the list at the pointer.
    Entry(&'static str, usize),
    /// A member of an entry of the list at the pointer.
    Member(&'static str, usize, &'static str),
}

impl Field {
    /// Whether the document asked for it.
    pub fn is_some(self) -> bool {
        self != Self::None
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::At(pointer) => f.write_str(pointer),
            Self::Entry(list, index) => write!(f, "{list}/{index}"),
            Self::Member(list, index, member) => write!(f, "{list}/{index}/{member}"),
        }
    }
}
