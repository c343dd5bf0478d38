// SPDX-License-Identifier: Apache-2.0
//! Namespaces of processes: those of their main threads, of other threads, and of children they would make.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::collector::Collector;
use super::{Keeper, Scope, descriptors};
use crate::identity::open_at;
use crate::kind::{Kind, PerKind};
use crate::procfs::{numbers, place, text};

/// What the links below `/proc/<pid>/ns` are called.
struct Links {
    own: PerKind<&'static str>,
    for_children: Vec<(Kind, String)>,
}

/// Where in the collection the namespaces of one thread are.
type Places = PerKind<Option<usize>>;

/// Looks at every process.
pub(super) fn scan(collector: &mut Collector, proc: BorrowedFd<'_>, scope: Scope) {
    let links = Links {
        own: PerKind::from_fn(|kind| kind.namespace().proc_name),
        for_children: Kind::all().filter_map(|kind| Some((kind, kind.namespace().for_children()?))).collect(),
    };
    let (mut pids, mut threads) = (Vec::new(), Vec::new());
    numbers(proc, c".", &mut pids);
    for pid in pids {
        let Ok(process) = place(proc, DecInt::new(pid)) else { continue };
        let Some(places) = main_thread(collector, process.as_fd(), pid, &links) else { continue };
        if scope == Scope::Everything {
            numbers(process.as_fd(), c"task", &mut threads);
            for tid in threads.iter().filter(|tid| **tid != pid) {
                thread(collector, process.as_fd(), pid, *tid, &links, &places);
            }
            descriptors::scan(collector, process.as_fd(), pid, places[Kind::NETWORK]);
        }
    }
}

fn main_thread(collector: &mut Collector, process: BorrowedFd<'_>, pid: i32, links: &Links) -> Option<Places> {
    let ns = place(process, c"ns").ok()?;
    let places = match follow(collector, ns.as_fd(), links) {
        Ok(places) => places,
        Err(Errno::ACCESS | Errno::PERM) => {
            collector.unreadable += 1;
            return None;
        }
        Err(_) => return None,
    };
    let mut buffer = [0; 8192];
    let cgroups = text(process, c"cgroup", &mut buffer).unwrap_or_default();
    let identities = places.map(|_, place| place.map(|index| collector.found[index].entry.identity));
    let container = collector.recogniser.container_of(pid, cgroups, &identities);
    for (_, place) in places.iter() {
        let Some(index) = place else { continue };
        let entry = &mut collector.found[*index].entry;
        entry.pids.push(pid);
        if let Some(container) = container
            && !entry.containers.contains(&container)
        {
            entry.containers.push(container);
        }
    }
    note_children(collector, ns.as_fd(), pid, pid, links, &places);
    Some(places)
}

fn thread(collector: &mut Collector, process: BorrowedFd<'_>, pid: i32, tid: i32, links: &Links, main: &Places) {
    let Ok(task) = place(process, c"task").and_then(|tasks| place(tasks.as_fd(), DecInt::new(tid))) else { return };
    let Ok(ns) = place(task.as_fd(), c"ns") else { return };
    let Ok(places) = follow(collector, ns.as_fd(), links) else { return };
    for (kind, place) in places.iter() {
        if let Some(index) = place
            && main[kind] != *place
        {
            collector.keep(*index, Keeper::Thread { pid, tid });
        }
    }
    note_children(collector, ns.as_fd(), pid, tid, links, &places);
}

/// Notes the eight namespaces that the links in `ns` lead to.
fn follow(collector: &mut Collector, ns: BorrowedFd<'_>, links: &Links) -> Result<Places, Errno> {
    let mut refused = None;
    let places = links.own.map(|kind, name| match statat(ns, name, AtFlags::empty()) {
        Ok(stat) => Some(collector.see(kind, &stat, || open_at(ns, name).ok())),
        // A zombie keeps only some; the other errors hold for all links.
        Err(Errno::NOENT) => None,
        Err(errno) => {
            refused = Some(errno);
            None
        }
    });
    refused.map_or(Ok(places), Err)
}

/// Notes namespaces in which only children of the thread would be.
fn note_children(
    collector: &mut Collector,
    ns: BorrowedFd<'_>,
    pid: i32,
    tid: i32,
    links: &Links,
    own: &PerKind<Option<usize>>,
) {
    for (kind, name) in &links.for_children {
        // ENOENT for PID: made by unshare, but without its first process.
        let Ok(stat) = statat(ns, name.as_str(), AtFlags::empty()) else { continue };
        let index = collector.see(*kind, &stat, || open_at(ns, name.as_str()).ok());
        if own[*kind] != Some(index) {
            collector.keep(index, Keeper::ForChildren { pid, tid });
        }
    }
}
