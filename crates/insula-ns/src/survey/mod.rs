// SPDX-License-Identifier: Apache-2.0
//! The survey: every namespace on the machine, who is in it, what keeps it, and which containers use it.
//!
//! Owns: finding namespaces in all their hiding places, and the plain data that comes of it. Rendering is in
//! [`crate::render`], recognising containers in [`crate::containers`].
//!
//! ```
//! use insula_ns::survey::{Scope, Survey};
//! use insula_ns::{Identity, Kind};
//!
//! let survey = Survey::of_host(Scope::Everything, &[])?;
//! let own = survey.find(&Identity::of_self(Kind::NETWORK)?).expect("the own network namespace");
//! assert!(own.own && own.pids.contains(&(std::process::id() as i32)));
//! # Ok::<(), insula_error::Error>(())
//! ```

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use insula_error::Result;

use crate::containers::{Container, Known};
use crate::identity::Identity;
use crate::kind::Kind;

mod collector;
mod descriptors;
mod elsewhere;
mod mounts;
mod processes;
mod selection;

pub use selection::Selection;

/// How far to look.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The namespaces of processes, and their owners and parents: cheap.
    Processes,
    /// Also those of single threads and future children, and those that only a descriptor, a socket or a mount keeps.
    Everything,
}

/// What was found on the machine, or as much as the caller may see of it.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Every namespace, by kind and then inode.
    pub namespaces: Vec<Entry>,
    /// Every running container that was recognised.
    pub containers: Vec<Container>,
    /// Names of the users of this survey, from /etc/passwd.
    pub users: BTreeMap<u32, String>,
    /// How many processes the caller may not look into; what only they use is missing.
    pub unreadable: usize,
}

/// One namespace.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which one, with its 64-bit id where the kernel has one.
    pub identity: Identity,
    /// The user namespace that owns it; `None` if the caller cannot see it. A user namespace's is its parent.
    pub owner: Option<Identity>,
    /// The parent of a user or PID namespace; `None` also if it lies outside the caller's view.
    pub parent: Option<Identity>,
    /// The user who made it, if it is a user namespace.
    pub owner_uid: Option<u32>,
    /// Whether the caller of the survey is in it: on a host, the host's own.
    pub own: bool,
    /// Processes whose main thread is in it, ascending.
    pub pids: Vec<i32>,
    /// Effective user of the lowest of these.
    pub uid: Option<u32>,
    /// Command line of the lowest of these, or its name in brackets if it has none.
    pub command: String,
    /// What else keeps it alive.
    pub kept_by: Vec<Keeper>,
    /// Which containers' processes are in it, as indices into [`Survey::containers`], ascending.
    pub containers: Vec<usize>,
}

/// What keeps a namespace alive, beside processes and namespaces below it.
#[derive(Clone, Debug)]
pub enum Keeper {
    /// A thread that is elsewhere than its main thread.
    Thread {
        /// Its process.
        pid: i32,
        /// Its own number.
        tid: i32,
    },
    /// A thread whose children would be born in it, while itself is elsewhere.
    ForChildren {
        /// Its process.
        pid: i32,
        /// Its own number.
        tid: i32,
    },
    /// A descriptor of the namespace itself.
    Descriptor {
        /// The process that has it open.
        pid: i32,
        /// Its number there.
        fd: i32,
    },
    /// A socket made in it, in the hands of a process elsewhere.
    Socket {
        /// The process that has it open.
        pid: i32,
        /// Its number there.
        fd: i32,
    },
    /// A bind mount.
    Mount {
        /// Where, seen from the root of the mount namespace.
        path: String,
        /// The mount namespace that it is in.
        within: Identity,
    },
}

impl Survey {
    /// Looks at the whole machine. `known` are running containers that the caller has verified itself.
    ///
    /// What vanishes meanwhile and what the caller may not see is left out; root in the initial namespaces sees all.
    /// The soft limit on descriptors is raised while it looks, since one per namespace is held.
    ///
    /// # Errors
    /// `Kernel` if /proc cannot be read.
    pub fn of_host(scope: Scope, known: &[Known<'_>]) -> Result<Self> {
        collector::look(scope, known)
    }

    /// The namespace that `identity` means, if it was found.
    pub fn find(&self, identity: &Identity) -> Option<&Entry> {
        self.position(identity).map(|index| &self.namespaces[index])
    }

    /// Where in [`Self::namespaces`] the one is that `identity` means.
    pub fn position(&self, identity: &Identity) -> Option<usize> {
        let key = |one: &Identity| (one.kind, one.ino);
        self.namespaces.binary_search_by_key(&key(identity), |entry| key(&entry.identity)).ok()
    }

    /// The namespaces of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.namespaces.iter().filter(move |entry| entry.identity.kind == kind)
    }
}
