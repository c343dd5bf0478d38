// SPDX-License-Identifier: Apache-2.0
//! The collection under way: each namespace once, held open, so that no number can come to mean another one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use insula_error::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Stat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Entry, Keeper, Scope, Survey, mounts, processes};
use crate::containers::{Known, Recogniser};
use crate::identity::{self, Identity, open_at};
use crate::kind::Kind;
use crate::procfs::{bytes, place, text};

/// Longest command line kept, in bytes.
const COMMAND: usize = 256;

pub(super) struct Collector {
    pub(super) found: Vec<Found>,
    /// Position in `found` by inode: nsfs has one device, and one inode number counts for all kinds.
    by_ino: BTreeMap<u64, usize>,
    pub(super) recogniser: Recogniser,
    pub(super) unreadable: usize,
}

pub(super) struct Found {
    pub(super) entry: Entry,
    /// Keeps it from ending, and answers questions; none if it could not be opened.
    pub(super) fd: Option<OwnedFd>,
}

/// Looks everywhere that `scope` asks for.
pub(super) fn look(scope: Scope, known: &[Known<'_>]) -> Result<Survey> {
    let proc = place(CWD, "/proc").map_err(|errno| {
        Error::kernel(errno.raw_os_error(), "survey the namespaces of this machine").object("/proc")
    })?;
    let limit = raise_descriptor_limit();
    let mut collector = Collector {
        found: Vec::with_capacity(256),
        by_ino: BTreeMap::new(),
        recogniser: Recogniser::new(known),
        unreadable: 0,
    };
    collector.note_own();
    processes::scan(&mut collector, proc.as_fd(), scope);
    if scope == Scope::Everything {
        mounts::scan(&mut collector);
    }
    collector.close_over_owners();
    collector.describe_members(proc.as_fd());
    let survey = collector.finish();
    if let Some(limit) = limit {
        // It was the limit until now, so it is a valid one.
        let _restored = setrlimit(Resource::Nofile, limit);
    }
    Ok(survey)
}

/// Raises the soft limit on descriptors to the hard one; what it was before, if it could be raised.
fn raise_descriptor_limit() -> Option<Rlimit> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, ..before };
    (before.current != before.maximum && setrlimit(Resource::Nofile, raised).is_ok()).then_some(before)
}

impl Collector {
    /// Notes the namespace that was just looked at as `stat`, opening it with `open` if it is new; where it is in
    /// `found`.
    pub(super) fn see(&mut self, kind: Kind, stat: &Stat, open: impl FnOnce() -> Option<OwnedFd>) -> usize {
        if let Some(index) = self.by_ino.get(&stat.st_ino) {
            return *index;
        }
        match open() {
            // Asked again through the descriptor: the process may have moved since it was looked at.
            Some(fd) => self.adopt(kind, fd),
            None => self.push(Identity { kind, dev: stat.st_dev, ino: stat.st_ino, id: None }, None),
        }
    }

    /// Notes the namespace behind `fd` and holds it; where it is in `found`.
    pub(super) fn adopt(&mut self, kind: Kind, fd: OwnedFd) -> usize {
        let Ok(identity) = Identity::of_fd(fd.as_fd(), kind) else {
            // fstat of a live descriptor does not fail; without its number there is nothing to note.
            return self.push(Identity { kind, dev: 0, ino: 0, id: None }, Some(fd));
        };
        if let Some(index) = self.by_ino.get(&identity.ino) {
            let index = *index;
            self.found[index].fd.get_or_insert(fd);
            return index;
        }
        let identity = identity.with_id(fd.as_fd());
        self.push(identity, Some(fd))
    }

    /// Where the namespace with this inode is in `found`.
    pub(super) fn position(&self, ino: u64) -> Option<usize> {
        self.by_ino.get(&ino).copied()
    }

    /// Notes a namespace that is known but may not be open; where it is in `found`.
    pub(super) fn push(&mut self, identity: Identity, fd: Option<OwnedFd>) -> usize {
        let index = self.found.len();
        let entry = Entry {
            identity,
            owner: None,
            parent: None,
            owner_uid: None,
            own: false,
            pids: Vec::new(),
            uid: None,
            command: String::new(),
            kept_by: Vec::new(),
            containers: Vec::new(),
        };
        self.found.push(Found { entry, fd });
        self.by_ino.insert(identity.ino, index);
        index
    }

    /// Notes what keeps a namespace.
    pub(super) fn keep(&mut self, index: usize, keeper: Keeper) {
        self.found[index].entry.kept_by.push(keeper);
    }

    /// The descriptors of this very process that the collection holds.
    pub(super) fn held(&self) -> BTreeSet<i32> {
        self.found.iter().filter_map(|found| found.fd.as_ref()).map(AsRawFd::as_raw_fd).collect()
    }

    fn note_own(&mut self) {
        let Ok(ns) = place(CWD, "/proc/thread-self/ns") else { return };
        for kind in Kind::all() {
            if let Ok(fd) = open_at(ns.as_fd(), kind.namespace().proc_name) {
                let index = self.adopt(kind, fd);
                self.found[index].entry.own = true;
            }
        }
    }

    /// Asks every namespace for its owner and parent, and those again: some have no other trace.
    fn close_over_owners(&mut self) {
        let mut next = 0;
        while next < self.found.len() {
            let kind = self.found[next].entry.identity.kind;
            if let Some(fd) = &self.found[next].fd {
                let (owner, parent) = (identity::owner(fd.as_fd()), identity::parent(fd.as_fd(), kind));
                let uid = (kind == Kind::USER).then(|| identity::owner_uid(fd.as_fd()).ok()).flatten();
                let owner = self.adopt_related(owner);
                let parent = self.adopt_related(parent);
                let entry = &mut self.found[next].entry;
                (entry.owner, entry.parent, entry.owner_uid) = (owner, parent, uid);
            }
            next += 1;
        }
    }

    fn adopt_related(&mut self, related: Result<Option<(OwnedFd, Identity)>>) -> Option<Identity> {
        let (fd, identity) = related.ok().flatten()?;
        let index = self.adopt(identity.kind, fd);
        Some(self.found[index].entry.identity)
    }

    fn describe_members(&mut self, proc: BorrowedFd<'_>) {
        // Most namespaces of a container share their lowest process.
        let mut described: BTreeMap<i32, (Option<u32>, String)> = BTreeMap::new();
        for found in &mut self.found {
            let Some(pid) = found.entry.pids.first() else { continue };
            let (uid, command) = described.entry(*pid).or_insert_with(|| describe(proc, *pid));
            (found.entry.uid, found.entry.command) = (*uid, command.clone());
        }
    }

    fn finish(self) -> Survey {
        let mut namespaces: Vec<Entry> = self.found.into_iter().map(|found| found.entry).collect();
        namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
        let users = user_names(&namespaces);
        let containers = self.recogniser.finish(&mut namespaces);
        Survey { namespaces, containers, users, unreadable: self.unreadable }
    }
}

/// Effective user and command line of process `pid`.
fn describe(proc: BorrowedFd<'_>, pid: i32) -> (Option<u32>, String) {
    let Ok(process) = place(proc, rustix::path::DecInt::new(pid)) else { return (None, String::new()) };
    let mut buffer = [0; 1024];
    let uid = text(process.as_fd(), "status", &mut buffer).and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    });
    let length = bytes(process.as_fd(), "cmdline", &mut buffer[..COMMAND]).unwrap_or(0);
    if length == 0 {
        let name = text(process.as_fd(), "comm", &mut buffer).unwrap_or_default().trim_end();
        return (uid, if name.is_empty() { String::new() } else { alloc::format!("[{name}]") });
    }
    let line = String::from_utf8_lossy(&buffer[..length]).replace('\0', " ");
    (uid, line.trim_end().into())
}

/// Names of the users that occur, from /etc/passwd.
fn user_names(namespaces: &[Entry]) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    let mut buffer = alloc::vec![0; 64 * 1024];
    for line in text(CWD, "/etc/passwd", &mut buffer).unwrap_or_default().lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) else { continue };
        if namespaces.iter().any(|entry| entry.uid == Some(uid) || entry.owner_uid == Some(uid)) {
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}
