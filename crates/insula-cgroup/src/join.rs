// SPDX-License-Identifier: Apache-2.0
//! Putting processes into a cgroup.
//!
//! Writing a pid to `cgroup.procs` waits for an RCU grace period under a lock of the whole host, about 10 ms. So a
//! process is born in its v2 cgroup (clone3(2), CLONE_INTO_CGROUP), and writes "0" to `tasks` of its v1 cgroups
//! itself: the kernel takes no lock for a single thread that moves itself. [`Doors::join_pid`] is for what cannot.

use crate::file;
use crate::group::{Entry, Group};
use crate::layout::{Version, open_root};
use crate::path::{self, open_beneath};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::NanosleepRelativeResult::Interrupted;

/// How often a task too young to be moved is tried again, and how long to wait in between (COMPAT(runc)).
const ATTEMPTS: usize = 5;
const PAUSE_NANOSECONDS: i64 = 30_000_000;

/// A cgroup below the container's, as `exec --cgroup` names it: `path`, or `controller[,controller]:path` on v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubGroup {
    /// Empty: all hierarchies.
    controllers: String,
    path: String,
}

impl SubGroup {
    /// Reads the values of `--cgroup`.
    ///
    /// # Errors
    /// `Usage` if several values do not all name controllers, or name one twice.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Result<Vec<Self>> {
        let mut groups: Vec<Self> = Vec::new();
        for argument in arguments.iter().map(AsRef::as_ref) {
            let invalid = |reason: &str| Error::usage(format!("invalid --cgroup argument: {argument} ({reason})"));
            let (controllers, path) = match argument.split_once(':') {
                None if arguments.len() > 1 => return Err(invalid("missing <controller>: prefix")),
                None => ("", argument),
                Some((_, rest)) if rest.contains(':') => return Err(invalid("more than one colon")),
                Some((controllers, _)) if controllers.split(',').any(str::is_empty) => {
                    return Err(invalid("empty <controller> prefix"));
                }
                Some(parts) => parts,
            };
            let named = |name: &str| groups.iter().any(|group| group.controllers.split(',').any(|other| other == name));
            if let Some(name) = controllers.split(',').find(|name| !name.is_empty() && named(name)) {
                return Err(invalid(&format!("controller {name} specified multiple times")));
            }
            groups.push(Self { controllers: controllers.to_string(), path: path.to_string() });
        }
        Ok(groups)
    }
}

enum Dir<'a> {
    Held(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Dir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(fd) => *fd,
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

/// The directories that a process joining a container's cgroup is put into.
pub struct Doors<'a> {
    unified: Option<Dir<'a>>,
    legacy: Vec<Dir<'a>>,
    display: String,
}

impl Group {
    /// The way into the cgroup, or with `sub` into cgroups below it that exist already.
    ///
    /// # Errors
    /// `Kernel` if a directory is gone; `InvalidConfig` if a sub-cgroup leads out or names a controller that is not
    /// there.
    pub fn open_for_join(&self, sub: &[SubGroup]) -> Result<Doors<'_>> {
        let mut doors = Doors { unified: None, legacy: Vec::with_capacity(self.entries.len()), display: String::new() };
        if let Some(unknown) = sub.iter().find(|group| !self.entries.iter().any(|entry| group.applies_to(entry))) {
            return Err(Error::usage(format!("unknown controller {} in --cgroup", unknown.controllers)));
        }
        for entry in &self.entries {
            let group = sub.iter().find(|group| group.applies_to(entry)).filter(|group| !group.path.is_empty());
            let failed = |e: Errno, name: &str| match e {
                Errno::XDEV => Error::usage(format!("bad sub cgroup path: {name}")),
                e => entry.error(e, "open the cgroup before adding pid to it", name),
            };
            let dir = match group {
                None => match entry.dir() {
                    Err(_) if entry.is_for_tracking() => continue,
                    dir => Dir::Held(dir.map_err(|e| failed(e, ""))?),
                },
                Some(SubGroup { path, .. }) => {
                    let base = entry.dir().map_err(|e| failed(e, ""))?;
                    let relative = path.trim_start_matches('/');
                    Dir::Opened(
                        open_beneath(base, relative, OFlags::PATH | OFlags::DIRECTORY).map_err(|e| failed(e, path))?,
                    )
                }
            };
            doors.display = entry.display();
            match entry.version {
                Version::V1 => doors.legacy.push(dir),
                Version::V2 => doors.unified = Some(dir),
            }
        }
        Ok(doors)
    }
}

impl SubGroup {
    fn applies_to(&self, entry: &Entry) -> bool {
        let listed =
            |name: &str| entry.list.strip_prefix("name=").unwrap_or(&entry.list).split(',').any(|other| other == name);
        self.controllers.is_empty() || self.controllers.split(',').any(listed)
    }
}

impl Doors<'_> {
    /// The v2 cgroup that process `pid` is in. `exec` falls back to that of the container's first process when the
    /// container's own takes no processes any more, because it has enabled controllers for cgroups below it.
    pub fn of_process(pid: i32) -> Result<Doors<'static>> {
        let name = format!("/proc/{pid}/cgroup");
        let failed =
            |e: Errno| Error::kernel(e.raw_os_error(), "find the cgroup of the container").object(name.clone());
        let fd = rustix::fs::open(&*name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let text = file::read_all(fd.as_fd()).map_err(failed)?;
        let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let own = path::clean(own, "")?;
        let root = open_root("").map_err(failed)?;
        let dir = open_beneath(root.as_fd(), &own, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
        Ok(Doors { unified: Some(Dir::Opened(dir)), legacy: Vec::new(), display: own })
    }

    /// The v2 directory (also hybrid's), for CLONE_INTO_CGROUP. v1 cgroups are to be joined besides.
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Files into each of which the new process, while it has one thread, writes "0": `tasks` of each v1 cgroup. `flags`
    /// are added to O_WRONLY (O_CLOEXEC or nothing). With `and_unified` also `cgroup.procs` of the v2 cgroup, where
    /// CLONE_INTO_CGROUP does not work (before Linux 5.7).
    pub fn task_fds(&self, flags: OFlags, and_unified: bool) -> Result<Vec<OwnedFd>> {
        let open = |dir: &Dir<'_>, name: &'static str| {
            rustix::fs::openat(dir, name, OFlags::WRONLY | flags, Mode::empty()).map_err(|e| self.error(e, name))
        };
        let legacy = self.legacy.iter().map(|dir| open(dir, "tasks"));
        let unified = self.unified.iter().filter(|_| and_unified).map(|dir| open(dir, "cgroup.procs"));
        legacy.chain(unified).collect()
    }

    /// Moves process `pid` into the cgroups, by the slow way.
    pub fn join_pid(&self, pid: i32) -> Result<()> {
        let text = format!("{pid}");
        for dir in self.legacy.iter().chain(&self.unified) {
            let fd =
                file::open(dir.as_fd(), "cgroup.procs", OFlags::WRONLY).map_err(|e| self.error(e, "cgroup.procs"))?;
            let mut attempt = 1;
            // EINVAL: the task is still being born (TASK_NEW).
            while let Err(e) = file::write_to(fd.as_fd(), &text) {
                if e != Errno::INVAL || attempt == ATTEMPTS {
                    return Err(self.error(e, "cgroup.procs"));
                }
                attempt += 1;
                pause(PAUSE_NANOSECONDS);
            }
        }
        Ok(())
    }

    fn error(&self, errno: Errno, name: &str) -> Error {
        let error = Error::kernel(errno.raw_os_error(), "join the cgroup").object(format!("{}/{name}", self.display));
        match errno {
            Errno::BUSY => error.reason("it has enabled controllers for cgroups below it, so it takes no processes"),
            Errno::OPNOTSUPP => error.reason("it is in an invalid domain (cgroups(7), \"Thread mode\")"),
            _ => error,
        }
    }
}

/// Sleeps, whatever signals arrive.
pub(crate) fn pause(nanoseconds: i64) {
    let mut left = rustix::thread::Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    while let Interrupted(remaining) = rustix::thread::nanosleep(&left) {
        left = remaining;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insula_error::Kind;

    #[test]
    fn sub_cgroups_are_read_as_runc_reads_them() {
        let one = |controllers: &str, path: &str| SubGroup { controllers: controllers.into(), path: path.into() };
        assert_eq!(SubGroup::parse::<&str>(&[]).unwrap(), []);
        assert_eq!(SubGroup::parse(&["sub"]).unwrap(), [one("", "sub")]);
        assert_eq!(SubGroup::parse(&["/"]).unwrap(), [one("", "/")]);
        assert_eq!(SubGroup::parse(&["cpu,memory:a", "pids:b"]).unwrap(), [one("cpu,memory", "a"), one("pids", "b")]);
    }

    #[test]
    fn bad_sub_cgroups_are_refused() {
        for arguments in [&["a", "b"][..], &["cpu:a:b"], &[":a"], &["cpu,:a"], &["cpu:a", "memory,cpu:b"]] {
            assert_eq!(SubGroup::parse(arguments).unwrap_err().kind(), Kind::Usage, "{arguments:?}");
        }
    }

    #[test]
    fn sub_cgroups_choose_hierarchies_by_any_of_their_controllers() {
        let group =
            Group::from_record(&["cpu,cpuacct:cpu,cpuacct:/a", "name=systemd:systemd:/a", "::/a"], false).unwrap();
        let applies = |controllers: &str| {
            let sub = SubGroup { controllers: controllers.into(), path: "s".into() };
            group.entries.iter().map(|entry| sub.applies_to(entry)).collect::<Vec<bool>>()
        };
        assert_eq!(applies(""), [true, true, true]);
        assert_eq!(applies("cpuacct"), [true, false, false]);
        assert_eq!(applies("systemd"), [false, true, false]);
        assert_eq!(applies("memory"), [false, false, false]);
    }
}
