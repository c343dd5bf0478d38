// SPDX-License-Identifier: Apache-2.0
//! Device access: the rule list of a container in normal form, and the decision it makes.
//!
//! The normal form is what cgroup v1's devices controller keeps: a default for all devices, and exceptions from it.
//! `program` turns it into BPF for v2, `legacy` into writes for v1. Source: runtime-spec, config-linux.md, "Allowed
//! Device list"; the kernel's Documentation/admin-guide/cgroup-v1/devices.rst.

mod apply;
mod legacy;
mod program;
mod unit;

#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use insula_error::{Error, Result};
use insula_spec::{Device, DeviceRule};

/// Sort of device node. The order is that of the letters, which is how rules are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Block device.
    Block,
    /// Character device.
    Character,
}

impl DeviceKind {
    fn letter(self) -> char {
        match self {
            Self::Block => 'b',
            Self::Character => 'c',
        }
    }
}

/// A set of kinds of access, with the bits that BPF gives them (linux/bpf.h, BPF_DEVCG_ACC_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    /// mknod(2).
    pub const MKNOD: Self = Self(1);
    /// Opening for reading.
    pub const READ: Self = Self(2);
    /// Opening for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// The set with these bits (1 mknod, 2 read, 4 write).
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        text.bytes().try_fold(Self(0), |set, letter| match letter {
            b'r' => Some(Self(set.0 | Self::READ.0)),
            b'w' => Some(Self(set.0 | Self::WRITE.0)),
            b'm' => Some(Self(set.0 | Self::MKNOD.0)),
            // The validator lets it through beside others, as runc does.
            b'a' => Some(set),
            _ => None,
        })
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.contains(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Which devices an exception is about; `None` is every number. Sorts by major, minor, kind, wildcards first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    major: Option<u32>,
    minor: Option<u32>,
    kind: DeviceKind,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.letter())?;
        match self.major {
            Some(major) => write!(f, "{major}:")?,
            None => f.write_str("*:")?,
        }
        match self.minor {
            Some(minor) => write!(f, "{minor}"),
            None => f.write_str("*"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exception {
    target: Target,
    access: DeviceAccess,
}

/// A rule list in normal form.
///
/// Rules count in order: one without a type resets everything to its own `allow`; one that agrees with the default
/// takes access away from the exception for exactly its devices; any other adds to that exception.
///
/// An exception allows an access that it covers whole, and denies one that it covers in part: denying `w` alone also denies
/// opening for reading and writing at once. So does v1's kernel (security/device_cgroup.c, `match_exception_partial`); the
/// decisions of runc on v2 are the yardstick for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceRules {
    default_allow: bool,
    /// Sorted by target, each target once, never with an empty access.
    exceptions: Vec<Exception>,
}

/// One line of the list that every container gets, by the path that makes it redundant (COMPAT(runc): a device of
/// the same path in `linux.devices` removes it).
struct Default {
    path: &'static str,
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: DeviceAccess,
}

const fn character(path: &'static str, major: u32, minor: Option<u32>) -> Default {
    Default { path, kind: DeviceKind::Character, major: Some(major), minor, access: DeviceAccess::ALL }
}

const fn any(kind: DeviceKind) -> Default {
    Default { path: "", kind, major: None, minor: None, access: DeviceAccess::MKNOD }
}

/// Appended to every container's rules. The specification demands the nodes ("Default Devices"); mknod of anything,
/// the terminals and /dev/net/tun (10:200) are what runc allows besides, and engines rely on it.
static DEFAULTS: [Default; 11] = [
    any(DeviceKind::Character),
    any(DeviceKind::Block),
    character("/dev/null", 1, Some(3)),
    character("/dev/random", 1, Some(8)),
    character("/dev/full", 1, Some(7)),
    character("/dev/tty", 5, Some(0)),
    character("/dev/zero", 1, Some(5)),
    character("/dev/urandom", 1, Some(9)),
    character("", 136, None),
    character("", 5, Some(2)),
    character("", 10, Some(200)),
];

impl DeviceRules {
    /// The rules of a container: `linux.resources.devices` in order, then the defaults, less those whose node
    /// `linux.devices` replaces.
    ///
    /// # Errors
    /// `InvalidConfig` for a rule that is malformed, or that would take single devices out of a wildcard rule (v1
    /// ignores such a request, so nobody may rely on it).
    pub fn for_container(rules: &[DeviceRule<'_>], nodes: &[Device<'_>]) -> Result<Self> {
        let mut result = Self::new(rules)?;
        for default in &DEFAULTS {
            if default.path.is_empty() || nodes.iter().all(|node| node.path != default.path) {
                let target = Target { major: default.major, minor: default.minor, kind: default.kind };
                result
                    .apply(true, target, default.access)
                    .map_err(|e| e.field("/linux/resources/devices").advice("put no hole into a wildcard rule"))?;
            }
        }
        Ok(result)
    }

    /// `linux.resources.devices` alone, on top of denying everything.
    ///
    /// # Errors
    /// As [`Self::for_container`].
    pub fn new(rules: &[DeviceRule<'_>]) -> Result<Self> {
        let mut result = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            result.add(rule).map_err(|e| {
                let part = e.pointer().unwrap_or_default();
                let pointer = format!("/linux/resources/devices/{index}{part}");
                e.field(pointer)
            })?;
        }
        Ok(result)
    }

    /// How many exceptions there are from what holds for all devices.
    pub fn len(&self) -> usize {
        self.exceptions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// Whether the rules allow `access` (all of it at once, as an open for reading and writing asks) to a device.
    pub fn decide(&self, kind: DeviceKind, major: u32, minor: u32, access: DeviceAccess) -> bool {
        let excepted = self.exceptions.iter().any(|exception| {
            exception.target.kind == kind
                && exception.target.major.is_none_or(|number| number == major)
                && exception.target.minor.is_none_or(|number| number == minor)
                && if self.default_allow {
                    exception.access.overlaps(access)
                } else {
                    exception.access.contains(access)
                }
        });
        excepted != self.default_allow
    }

    fn add(&mut self, rule: &DeviceRule<'_>) -> Result<()> {
        let access = match rule.access.as_deref() {
            None => DeviceAccess::ALL,
            Some(text) => DeviceAccess::parse(text)
                .filter(|access| !access.is_empty())
                .ok_or_else(|| invalid("/access", format!("access {text:?} is not made of the letters r, w and m")))?,
        };
        let kind = match rule.kind.as_deref() {
            None | Some("a") => {
                *self = Self { default_allow: rule.allow, exceptions: Vec::new() };
                return Ok(());
            }
            Some("b") => DeviceKind::Block,
            Some("c") => DeviceKind::Character,
            Some(other) => return Err(invalid("/type", format!("type {other:?} is not one of a, b and c"))),
        };
        let target = Target { major: number(rule.major, "/major")?, minor: number(rule.minor, "/minor")?, kind };
        self.apply(rule.allow, target, access)
    }

    fn apply(&mut self, allow: bool, target: Target, access: DeviceAccess) -> Result<()> {
        if allow == self.default_allow {
            return self.subtract(target, access);
        }
        self.except(target, access);
        Ok(())
    }

    fn except(&mut self, target: Target, access: DeviceAccess) {
        match self.exceptions.binary_search_by_key(&target, |exception| exception.target) {
            Ok(at) => self.exceptions[at].access = self.exceptions[at].access.union(access),
            Err(at) => self.exceptions.insert(at, Exception { target, access }),
        }
    }

    fn subtract(&mut self, target: Target, access: DeviceAccess) -> Result<()> {
        let Target { major, minor, kind } = target;
        for (major, minor) in [(None, minor), (major, None), (None, None)] {
            let wider = Target { major, minor, kind };
            if wider != target && !self.access_of(wider).intersection(access).is_empty() {
                let wider_access = self.access_of(wider);
                let reason = format!("{target} {access} would make a hole in the wildcard rule {wider} {wider_access}");
                return Err(invalid("", reason));
            }
        }
        self.reduce(target, access);
        Ok(())
    }

    fn reduce(&mut self, target: Target, access: DeviceAccess) {
        if let Ok(at) = self.exceptions.binary_search_by_key(&target, |exception| exception.target) {
            self.exceptions[at].access = self.exceptions[at].access.without(access);
            if self.exceptions[at].access.is_empty() {
                self.exceptions.remove(at);
            }
        }
    }

    fn access_of(&self, target: Target) -> DeviceAccess {
        let found = self.exceptions.binary_search_by_key(&target, |exception| exception.target);
        found.map_or(DeviceAccess(0), |at| self.exceptions[at].access)
    }
}

fn number(value: Option<i64>, pointer: &'static str) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| invalid(pointer, format!("{value} is not a device number; -1 stands for all"))),
    }
}

fn invalid(pointer: &'static str, reason: String) -> Error {
    Error::invalid(pointer, "set the device rules", reason)
}
