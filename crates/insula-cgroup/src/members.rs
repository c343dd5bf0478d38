// SPDX-License-Identifier: Apache-2.0
//! The processes in a cgroup.

use crate::file;
use crate::group::{Entry, Group};
use crate::layout::Controller;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use insula_error::Result;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

impl Group {
    /// Process ids in the cgroup, as the caller's pid namespace numbers them; with `recursive` also those in cgroups
    /// below it. Empty if the cgroup is gone.
    ///
    /// On v1 the devices hierarchy is asked (COMPAT(runc)).
    pub fn pids(&self, recursive: bool) -> Result<Vec<i32>> {
        let entry = self.of(Controller::Devices).or(self.entries.first());
        entry.map_or(Ok(Vec::new()), |entry| pids_of(entry, recursive))
    }

    /// Every process that is in the cgroup, or below it, in any hierarchy.
    pub(crate) fn all_members(&self) -> Result<Vec<i32>> {
        let mut members = Vec::new();
        for entry in &self.entries {
            members.append(&mut pids_of(entry, true)?);
        }
        members.sort_unstable();
        members.dedup();
        Ok(members)
    }

    /// Whether no process is in the cgroup or below it, in any hierarchy.
    pub fn is_empty(&self) -> Result<bool> {
        for entry in &self.entries {
            if !pids_of(entry, true)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn pids_of(entry: &Entry, recursive: bool) -> Result<Vec<i32>> {
    let mut members = Vec::new();
    let result = entry.dir().and_then(|dir| collect(dir, &mut members, recursive));
    match result {
        Ok(()) => Ok(members),
        Err(e) if is_gone(e) => Ok(Vec::new()),
        Err(e) => Err(entry.error(e, "list the processes of the cgroup", "cgroup.procs")),
    }
}

/// What the kernel answers when a cgroup was removed meanwhile.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV)
}

/// Appends the process ids in the cgroup `dir`.
pub(crate) fn collect(dir: BorrowedFd<'_>, members: &mut Vec<i32>, recursive: bool) -> rustix::io::Result<()> {
    let text = match file::read(dir, "cgroup.procs") {
        // A threaded cgroup lists no processes, only threads (cgroups(7)).
        Err(Errno::OPNOTSUPP) => file::read(dir, "cgroup.threads")?,
        result => result?,
    };
    // 0 is a process that the caller's pid namespace cannot see: it cannot be named, but it is there.
    members.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    if recursive {
        for child in children(dir)? {
            match collect(child.as_fd(), members, true) {
                Err(e) if !is_gone(e) => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The cgroups right below `dir`.
fn children(dir: BorrowedFd<'_>) -> rustix::io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    each_child(dir, |readable, name| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(readable, name, flags, Mode::empty()) {
            Ok(child) => found.push(child),
            Err(e) if is_gone(e) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    })?;
    Ok(found)
}

/// Calls `visit` with a readable descriptor of `dir` and the name of each cgroup right below it.
pub(crate) fn each_child(
    dir: BorrowedFd<'_>,
    mut visit: impl FnMut(BorrowedFd<'_>, &core::ffi::CStr) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    let mut buffer = [core::mem::MaybeUninit::<u8>::uninit(); 4096];
    let mut entries = RawDir::new(&readable, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == rustix::fs::FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.iter().try_for_each(|name| visit(readable.as_fd(), name))
}
