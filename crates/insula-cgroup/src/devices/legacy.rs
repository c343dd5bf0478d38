// SPDX-License-Identifier: Apache-2.0
//! Device rules in cgroup v1's words: reading `devices.list`, and the fewest writes that lead from it to other rules.

use super::{DeviceAccess, DeviceKind, DeviceRules, Exception, Target};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// One write: into `devices.allow` or `devices.deny`, and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) allow: bool,
    pub(crate) line: String,
}

impl DeviceRules {
    /// Whether everything is allowed.
    pub fn allow_all(&self) -> bool {
        self.default_allow && self.exceptions.is_empty()
    }

    /// Reads `devices.list`. A cgroup that allows by default does not list what it denies: it reads as allowing all.
    pub(crate) fn parse_list(list: &str) -> Option<Self> {
        let mut rules = Self::default();
        for line in list.lines() {
            if line.starts_with('a') {
                return Some(Self { default_allow: true, exceptions: Vec::new() });
            }
            let Exception { target, access } = parse_line(line)?;
            rules.except(target, access);
        }
        Some(rules)
    }

    /// Whether `self`, read back from `devices.list`, is what `wanted` asks, as far as the list shows it.
    pub(crate) fn shows(&self, wanted: &Self) -> bool {
        if wanted.default_allow { self.default_allow } else { self == wanted }
    }

    /// The writes that lead from `self` to `wanted`. Access that both allow is not interrupted, unless the list does
    /// not say what is denied now, or the default changes: then everything is set anew.
    pub(crate) fn changes(&self, wanted: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut old: &[Exception] = &self.exceptions;
        if self.default_allow || wanted.default_allow {
            changes.push(Change { allow: wanted.default_allow, line: String::from("a") });
            old = &[];
        }
        let held = |list: &[Exception], target: Target| {
            let found = list.binary_search_by_key(&target, |exception| exception.target);
            found.map_or(DeviceAccess(0), |at| list[at].access)
        };
        let mut push = |allow: bool, target: Target, access: DeviceAccess| {
            if !access.is_empty() {
                changes.push(Change { allow, line: format!("{target} {access}") });
            }
        };
        for exception in old {
            let dropped = exception.access.without(held(&wanted.exceptions, exception.target));
            push(wanted.default_allow, exception.target, dropped);
        }
        for exception in &wanted.exceptions {
            let gained = exception.access.without(held(old, exception.target));
            push(!wanted.default_allow, exception.target, gained);
        }
        changes
    }
}

/// A line such as `c 1:3 rwm` or `b 8:* r`.
fn parse_line(line: &str) -> Option<Exception> {
    let mut words = line.split([' ', ':']);
    let kind = match words.next()? {
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Character,
        _ => return None,
    };
    let mut number = || match words.next()? {
        "*" => Some(None),
        digits => digits.parse().ok().map(Some),
    };
    let (major, minor) = (number()?, number()?);
    let access = DeviceAccess::parse(words.next()?)?;
    words.next().is_none().then_some(Exception { target: Target { major, minor, kind }, access })
}
