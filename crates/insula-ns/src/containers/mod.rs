// SPDX-License-Identifier: Apache-2.0
//! Recognising containers: insula's own, which the caller knows, and those of Docker, containerd, Podman, CRI-O, runc
//! and crun, by the cgroup of their processes and by what these engines leave in their state directories.
//!
//! Owns: which process belongs to which container. It trusts no process number in a file by itself: the process must
//! be in a cgroup named after the container, or have started before the file was last written.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::CWD;

use crate::identity::Identity;
use crate::kind::PerKind;
use crate::procfs::text;
use crate::survey::Entry;

mod cgroup;
mod engines;

/// What insula calls itself as an engine.
pub const INSULA: &str = "insula";

/// Those that make containers for other engines.
const RUNTIMES: [&str; 3] = [INSULA, "runc", "crun"];

/// A running container that the caller of a survey knows of and has verified (through a pidfd, say).
#[derive(Copy, Clone, Debug)]
pub struct Known<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its init.
    pub pid: i32,
    /// Path of the cgroup that was made for it, as in /proc/\<pid\>/cgroup (of any hierarchy), if one was. Processes in
    /// it or below belong to the container.
    pub cgroup: Option<&'a str>,
}

/// A running container.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Who made it: `docker`, `containerd`, `podman`, `cri-o`, `insula`, `runc` or `crun`; the outermost that is known.
    pub engine: &'static str,
    /// Its id.
    pub id: String,
    /// What its engine calls it, if that was easily learnt.
    pub name: Option<String>,
    /// Its init, or else the lowest process seen in it.
    pub pid: i32,
    /// How many processes are in it.
    pub processes: usize,
    /// The namespaces of `pid`.
    pub namespaces: PerKind<Option<Identity>>,
}

impl Container {
    /// What people call it: the name, or the id, cut to 12 characters if it is one of 64 hexadecimal digits.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if cgroup::is_long_id(&self.id) => &self.id[..12],
            None => &self.id,
        }
    }
}

/// Assigns processes to containers.
#[derive(Default)]
pub(crate) struct Recogniser {
    /// Those of the state directories may have ended long ago: they count once a process of theirs is seen.
    containers: Vec<Container>,
    by_id: BTreeMap<String, usize>,
    by_pid: BTreeMap<i32, usize>,
    /// By the path of their own cgroup.
    by_cgroup: BTreeMap<String, usize>,
}

impl Recogniser {
    /// Knows the caller's containers and those of the state directories of this machine.
    pub(crate) fn new(known: &[Known<'_>]) -> Self {
        let mut recogniser = Self::default();
        for Known { id, pid, cgroup } in known {
            let container = Container { engine: INSULA, id: (*id).into(), pid: *pid, ..Container::default() };
            let index = recogniser.add(container);
            if let Some(path) = cgroup.filter(|path| path.len() > 1) {
                recogniser.by_cgroup.insert(path.into(), index);
            }
        }
        engines::read_state("", |found| recogniser.add_stated(found));
        recogniser
    }

    /// Adds what a state directory says, if the process is still the one it means.
    fn add_stated(&mut self, mut found: engines::Stated) {
        let mut buffer = [0; 8192];
        let cgroups = text(CWD, format!("/proc/{}/cgroup", found.container.pid), &mut buffer).unwrap_or_default();
        let own = cgroup::named_after(&found.container.id, cgroups);
        if own.is_none() && !found.started_before_written() {
            found.container.pid = 0;
        }
        let index = self.add(found.container);
        if let Some(path) = own {
            self.by_cgroup.entry(path.into()).or_insert(index);
        }
    }

    /// Adds a container, or what it tells of one that is known by the same id; where it is in `containers`.
    fn add(&mut self, new: Container) -> usize {
        let index = *self.by_id.entry(new.id.clone()).or_insert(self.containers.len());
        if new.pid != 0 {
            self.by_pid.entry(new.pid).or_insert(index);
        }
        let Some(old) = self.containers.get_mut(index) else {
            self.containers.push(new);
            return index;
        };
        // insula, runc and crun work for the others.
        if RUNTIMES.contains(&old.engine) && !RUNTIMES.contains(&new.engine) {
            old.engine = new.engine;
        }
        old.name = old.name.take().or(new.name);
        if old.pid == 0 {
            old.pid = new.pid;
        }
        index
    }

    /// The container that process `pid` belongs to, whose /proc/\<pid\>/cgroup is `cgroups`. Processes must come in
    /// ascending order.
    pub(crate) fn container_of(
        &mut self,
        pid: i32,
        cgroups: &str,
        namespaces: &PerKind<Option<Identity>>,
    ) -> Option<usize> {
        let index = self.find(pid, cgroups)?;
        let container = &mut self.containers[index];
        container.processes += 1;
        if container.pid == 0 {
            container.pid = pid;
        }
        if container.pid == pid {
            container.namespaces = *namespaces;
        }
        Some(index)
    }

    fn find(&mut self, pid: i32, cgroups: &str) -> Option<usize> {
        if let Some((engine, id)) = cgroup::recognise(cgroups) {
            return Some(match self.by_id.get(id) {
                Some(index) => {
                    let container = &mut self.containers[*index];
                    if RUNTIMES.contains(&container.engine) {
                        container.engine = engine;
                    }
                    *index
                }
                None => self.add(Container { engine, id: id.into(), ..Container::default() }),
            });
        }
        let below_own = || {
            let mut paths = cgroup::paths(cgroups).flat_map(cgroup::with_ancestors);
            paths.find_map(|path| self.by_cgroup.get(path)).copied()
        };
        let found = if self.by_cgroup.is_empty() { None } else { below_own() };
        found.or_else(|| self.by_pid.get(&pid).copied())
    }

    /// The containers that were seen, by label; `namespaces` are told their new indices.
    pub(crate) fn finish(self, namespaces: &mut [Entry]) -> Vec<Container> {
        let mut seen: Vec<(usize, Container)> =
            self.containers.into_iter().enumerate().filter(|(_, container)| container.processes > 0).collect();
        seen.sort_by(|(_, a), (_, b)| a.label().cmp(b.label()).then_with(|| a.id.cmp(&b.id)));
        let new: BTreeMap<usize, usize> = seen.iter().enumerate().map(|(new, (old, _))| (*old, new)).collect();
        for entry in namespaces {
            entry.containers = entry.containers.iter().filter_map(|old| new.get(old).copied()).collect();
            entry.containers.sort_unstable();
        }
        seen.into_iter().map(|(_, container)| container).collect()
    }
}

#[cfg(test)]
mod tests;
