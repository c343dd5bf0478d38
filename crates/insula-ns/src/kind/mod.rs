// SPDX-License-Identifier: Apache-2.0
//! The table of the eight kinds. Code elsewhere iterates over it and reads its columns; it does not match on kinds.
//!
//! A ninth kind is one new file here, its `mod` line and its row in `ALL`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use insula_error::{Error, Kind as ErrorKind, Result};

mod cgroup;
mod ipc;
mod mount;
mod network;
mod per_kind;
mod pid;
mod time;
mod user;
mod uts;

pub use per_kind::PerKind;

/// Every kind, in the order in which insula shows them.
pub static ALL: [&Namespace; 8] = [
    &user::NAMESPACE,
    &pid::NAMESPACE,
    &network::NAMESPACE,
    &mount::NAMESPACE,
    &ipc::NAMESPACE,
    &uts::NAMESPACE,
    &cgroup::NAMESPACE,
    &time::NAMESPACE,
];

/// Whom a call moves into the namespace.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Moves {
    /// The caller, and with it every child made later.
    Caller,
    /// Only children made later; the caller stays where it is.
    Children,
}

/// What insula knows of one kind of namespace. Source: namespaces(7) and the kind's own page.
#[derive(Debug)]
pub struct Namespace {
    /// Name in `linux.namespaces[].type` of config.json.
    pub spec_name: &'static str,
    /// Name below `/proc/<pid>/ns/`, and in texts such as `net:[4026531840]`.
    pub proc_name: &'static str,
    /// Long command-line option that overrides the document, without dashes; none for mount, which is always made.
    pub option: Option<&'static str>,
    /// Its `CLONE_NEW…` bit, for clone3(2), unshare(2) and setns(2), and what `NS_GET_NSTYPE` answers.
    pub clone_flag: u64,
    /// Whom unshare(2) moves.
    pub unshare_moves: Moves,
    /// Whom setns(2) moves.
    pub setns_moves: Moves,
    /// Order of joining among namespaces that can be joined before the user namespace: lower first.
    pub join_rank: u8,
    /// Order of creating one by one: lower first.
    pub create_rank: u8,
    /// JSON pointers of the fields that make sense only with a namespace of this kind.
    pub owns: &'static [&'static str],
    /// Sysctl keys that belong to it, with dots.
    pub sysctls: &'static [&'static str],
    /// Beginnings of sysctl keys that belong to it, with dots.
    pub sysctl_prefixes: &'static [&'static str],
    /// First Linux release whose namespaces of this kind can be used.
    pub since: (u16, u16),
    /// What a container that inherits the host's is exposed to: a clause for "network: inherited: …".
    pub exposes: &'static str,
    /// Whether namespaces of this kind have parents (`NS_GET_PARENT`).
    pub hierarchical: bool,
}

impl Namespace {
    /// Its file name below `/proc/<pid>/ns/` for children made later, if that can differ from the process's own.
    pub fn for_children(&self) -> Option<String> {
        (self.unshare_moves == Moves::Children).then(|| format!("{}_for_children", self.proc_name))
    }
}

/// One kind of namespace: an index into [`ALL`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u8);

impl Kind {
    /// The user namespace, before and after which the other joins are sorted.
    pub const USER: Self = Self(0);
    /// The PID namespace, entered by a fork.
    pub const PID: Self = Self(1);
    /// The network namespace.
    pub const NETWORK: Self = Self(2);
    /// The mount namespace.
    pub const MOUNT: Self = Self(3);
    /// The IPC namespace.
    pub const IPC: Self = Self(4);
    /// The UTS namespace.
    pub const UTS: Self = Self(5);
    /// The cgroup namespace.
    pub const CGROUP: Self = Self(6);
    /// The time namespace.
    pub const TIME: Self = Self(7);

    /// Every kind, in the order of [`ALL`].
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..ALL.len() as u8).map(Self)
    }

    /// Its row of the table.
    pub fn namespace(self) -> &'static Namespace {
        ALL[usize::from(self.0)]
    }

    /// Position in [`ALL`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The kind that config.json calls `name`.
    ///
    /// # Errors
    /// `InvalidConfig`, with the name that was probably meant or else all names. The caller adds the field.
    pub fn from_spec_name(name: &str) -> Result<Self> {
        Self::find(|ns| ns.spec_name == name).ok_or_else(|| {
            let advice = match Self::meant_by(name) {
                Some(kind) => Cow::Owned(format!("did you mean \"{}\"?", kind.namespace().spec_name)),
                None => Cow::Owned(format!("the types are {}", names())),
            };
            Error::new(ErrorKind::InvalidConfig, format!("make a namespace of type \"{}\"", name.escape_debug()))
                .reason("there is no such type")
                .advice(advice)
        })
    }

    /// The kind that `/proc/<pid>/ns` calls `name`; `None` also for `pid_for_children` and the like.
    pub fn from_proc_name(name: &str) -> Option<Self> {
        Self::find(|ns| ns.proc_name == name)
    }

    /// The kind by any of its names: config.json's, procfs's, or the command-line option's.
    pub fn from_any_name(name: &str) -> Option<Self> {
        Self::find(|ns| [ns.spec_name, ns.proc_name].contains(&name) || ns.option == Some(name))
    }

    /// The kind whose `CLONE_NEW…` bit is `flag` (as `NS_GET_NSTYPE` gives it).
    pub fn from_clone_flag(flag: u64) -> Option<Self> {
        Self::find(|ns| ns.clone_flag == flag)
    }

    /// The kind that the sysctl `key` belongs to, written with dots or slashes; `None` if it is the whole host's.
    pub fn of_sysctl(key: &str) -> Option<Self> {
        let same = |a: u8, b: u8| a == b || (a == b'/' && b == b'.');
        let starts = |with: &str| key.len() >= with.len() && key.bytes().zip(with.bytes()).all(|(a, b)| same(a, b));
        Self::find(|ns| {
            ns.sysctls.iter().any(|exact| exact.len() == key.len() && starts(exact))
                || ns.sysctl_prefixes.iter().any(|prefix| key.len() > prefix.len() && starts(prefix))
        })
    }

    /// The kind that the config.json field at `pointer` makes sense only with, if there is one.
    pub fn of_field(pointer: &str) -> Option<Self> {
        Self::find(|ns| ns.owns.contains(&pointer))
    }

    fn find(matches: impl Fn(&Namespace) -> bool) -> Option<Self> {
        Self::all().find(|kind| matches(kind.namespace()))
    }

    /// What a wrong `name` most likely means: a name used elsewhere, other capitals, or at most two letters off.
    fn meant_by(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        Self::from_any_name(&lower).or_else(|| {
            let (kind, distance) =
                Self::all().map(|kind| (kind, distance(&lower, kind.namespace().spec_name))).min_by_key(|(_, d)| *d)?;
            let enough = kind.namespace().spec_name.len() / 2;
            (distance <= enough.min(2)).then_some(kind)
        })
    }
}

impl fmt::Display for Kind {
    /// The name that config.json uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.namespace().spec_name)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.namespace().spec_name)
    }
}

/// All names of config.json, for messages.
fn names() -> String {
    let mut text = String::new();
    for (index, ns) in ALL.iter().enumerate() {
        text += [", ", ""][usize::from(index == 0)];
        text += ns.spec_name;
    }
    text
}

/// Levenshtein distance, in bytes; long input is cut, since no name is long.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 16;
    let (a, b) = (&a.as_bytes()[..a.len().min(LONGEST)], &b.as_bytes()[..b.len().min(LONGEST)]);
    let mut row: [usize; LONGEST + 1] = core::array::from_fn(|column| column);
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
