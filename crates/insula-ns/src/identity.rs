// SPDX-License-Identifier: Apache-2.0
//! Which kernel object a namespace is. A path only leads to one, and its inode number is used again within
//! milliseconds of its end, so insula remembers identities, and compares them while it holds a descriptor.

use alloc::format;
use core::fmt;

use insula_error::{Error, Result};
use insula_sys::nsfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::kind::{Kind, PerKind};

/// One namespace of the running kernel.
#[derive(Copy, Clone, Debug)]
pub struct Identity {
    /// Its kind.
    pub kind: Kind,
    /// Device of its nsfs file.
    pub dev: u64,
    /// Inode of its nsfs file; unique as long as the namespace lives.
    pub ino: u64,
    /// Its number that is never used again while the machine runs, where asked for and the kernel has it.
    pub id: Option<u64>,
}

/// Inode of the initial user namespace (PROC_USER_INIT_INO, linux/proc_ns.h), the same on every kernel.
const INITIAL_USER: u64 = 0xEFFF_FFFD;

impl Identity {
    /// Identity of the namespace behind `ns`, which is known to be of `kind`; without `id`. One system call.
    pub fn of_fd(ns: BorrowedFd<'_>, kind: Kind) -> Result<Self> {
        let stat = fstat(ns).map_err(|errno| failed(errno, "look at a namespace's descriptor"))?;
        Ok(Self::of_stat(&stat, kind))
    }

    /// Identity of the caller's own namespace of `kind`; without `id`. One system call.
    ///
    /// # Errors
    /// `Kernel(ENOENT)` if this kernel lacks the kind or /proc is not mounted.
    pub fn of_self(kind: Kind) -> Result<Self> {
        Self::at(CWD, &format!("/proc/thread-self/ns/{}", kind.namespace().proc_name), kind)
    }

    /// Identity of the namespace of `kind` that the process is in whose `/proc/<pid>` is open as `process`; without
    /// `id`. One system call.
    ///
    /// # Errors
    /// `Kernel(ESRCH)` if the process is gone; `Kernel(ENOENT)` also for most kinds of a zombie; `Kernel(EACCES)` if
    /// the caller may not look into the process (ptrace(2), PTRACE_MODE_READ).
    pub fn of_process(process: BorrowedFd<'_>, kind: Kind) -> Result<Self> {
        Self::at(process, &format!("ns/{}", kind.namespace().proc_name), kind)
    }

    /// The user namespace that the machine booted with; `dev` is the device that all namespaces share.
    pub fn initial_user(dev: u64) -> Self {
        Self { kind: Kind::USER, dev, ino: INITIAL_USER, id: None }
    }

    /// Whether it is the one of its kind that the machine booted with, as far as its number tells: those of ipc, uts, user,
    /// pid, cgroup and time namespaces are fixed (include/linux/proc_ns.h), since Linux 6.18 those of network and mount
    /// namespaces too (linux/nsfs.h).
    pub fn is_initial(&self) -> bool {
        (0xEFFF_FFF8..=0xEFFF_FFFF).contains(&self.ino)
    }

    /// The same with the id of the namespace behind `ns`, if the kernel tells: one or two system calls.
    #[must_use]
    pub fn with_id(mut self, ns: BorrowedFd<'_>) -> Self {
        self.id = id(ns);
        self
    }

    /// Whether both are the same kernel object. Ids decide where both have one; else device and inode, which is sound
    /// only while a descriptor, a process or a mount kept both alive between the two looks.
    pub fn same_object(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(one), Some(two)) => self.kind == other.kind && one == two,
            _ => (self.dev, self.ino) == (other.dev, other.ino),
        }
    }

    fn at(dir: BorrowedFd<'_>, name: &str, kind: Kind) -> Result<Self> {
        match statat(dir, name, AtFlags::empty()) {
            Ok(stat) => Ok(Self::of_stat(&stat, kind)),
            Err(errno) => Err(failed(errno, "identify a namespace").object(name)),
        }
    }

    fn of_stat(stat: &Stat, kind: Kind) -> Self {
        Self { kind, dev: stat.st_dev, ino: stat.st_ino, id: None }
    }
}

impl fmt::Display for Identity {
    /// As procfs shows it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:[{}]", self.kind.namespace().proc_name, self.ino))
    }
}

/// Kind and inode of a namespace as procfs and [`Identity`] write them: `net:[4026531840]`.
pub fn parse(text: &str) -> Option<(Kind, u64)> {
    let (name, rest) = text.split_once(":[")?;
    Some((Kind::from_proc_name(name)?, rest.strip_suffix(']')?.parse().ok()?))
}

/// Identities of all eight namespaces of the caller, without ids; `None` for kinds that this kernel lacks.
pub fn all_of_self() -> Result<PerKind<Option<Identity>>> {
    all_below(CWD, "/proc/thread-self/ns")
}

/// Identities of all eight namespaces of process `pid`, without ids. Ten system calls.
///
/// # Errors
/// `Kernel(ENOENT)` or `Kernel(ESRCH)` if there is no such process, `Kernel(EACCES)` if the caller may not look into
/// it. Hold a pidfd and check that it is still alive afterwards: the number may have been used again.
pub fn all_of_process(pid: i32) -> Result<PerKind<Option<Identity>>> {
    all_below(CWD, &format!("/proc/{pid}/ns"))
}

/// Identities of all eight namespaces of the process whose `/proc/<pid>` is open as `process`, without ids.
///
/// # Errors
/// As [`all_of_process`]; the directory stays with the process, so a reused number is not mistaken for it.
pub fn all_at(process: BorrowedFd<'_>) -> Result<PerKind<Option<Identity>>> {
    all_below(process, "ns")
}

/// As [`all_below`], with their ids, in as many system calls; `dev` is the device that all namespaces share. `None`
/// where the kernel tells no ids this way, or something else is amiss.
///
/// KERNEL(6.18): namespaces have file handles with ids in them.
pub fn all_with_ids(dir: BorrowedFd<'_>, path: &str, dev: u64) -> Option<PerKind<Option<Identity>>> {
    let ns = openat(dir, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut known = true;
    let all = PerKind::from_fn(|kind| {
        let mut name = [0_u8; 16];
        let proc_name = kind.namespace().proc_name.as_bytes();
        name.get_mut(..proc_name.len())?.copy_from_slice(proc_name);
        let name = core::ffi::CStr::from_bytes_until_nul(&name).ok()?;
        let found = if known { nsfs::handle_at(ns.as_fd(), name) } else { Err(Errno::OPNOTSUPP) };
        known = found.is_ok();
        found.ok().map(|(id, ino)| Identity { kind, dev, ino, id: Some(id) })
    });
    insula_sys::memory::leave(ns);
    known.then_some(all)
}

/// Identities of all eight namespaces whose files are in the directory `path` below `dir`, without ids.
///
/// # Errors
/// As [`all_of_process`].
pub fn all_below(dir: BorrowedFd<'_>, path: &str) -> Result<PerKind<Option<Identity>>> {
    let attempted = "identify the namespaces of a process";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let ns = openat(dir, path, flags, Mode::empty()).map_err(|errno| failed(errno, attempted).object(path))?;
    let mut error = None;
    let all = PerKind::from_fn(|kind| match statat(&ns, kind.namespace().proc_name, AtFlags::empty()) {
        Ok(stat) => Some(Identity::of_stat(&stat, kind)),
        // KERNEL(5.6): no time namespaces; or a zombie, which keeps only user and pid.
        Err(Errno::NOENT) => None,
        Err(errno) => {
            error = Some(failed(errno, attempted).object(format!("{path}/{}", kind.namespace().proc_name)));
            None
        }
    });
    insula_sys::memory::leave(ns);
    error.map_or(Ok(all), Err)
}

/// The 64-bit id of the namespace behind `ns`, never used again while the machine runs; `None` if the kernel has none.
pub fn id(ns: BorrowedFd<'_>) -> Option<u64> {
    // KERNEL(6.18): before, only mount namespaces have ids.
    nsfs::get_id(ns).or_else(|_| nsfs::get_mntns_id(ns)).ok()
}

/// The kind of the namespace behind `fd`.
///
/// # Errors
/// `Kernel(ENOTTY)` if it is no namespace.
pub fn kind_of(fd: BorrowedFd<'_>) -> Result<Kind> {
    let attempted = "ask for the kind of a namespace";
    let flag = nsfs::get_nstype(fd).map_err(|errno| failed(errno, attempted))?;
    Kind::from_clone_flag(flag).ok_or_else(|| {
        Error::new(insula_error::Kind::Unsupported, attempted)
            .reason(format!("unknown to insula: CLONE_NEW bit {flag:#x}"))
    })
}

/// The user namespace that owns the namespace behind `ns`; `None` if it lies outside the caller's own user namespace.
/// For a user namespace that is its parent.
pub fn owner(ns: BorrowedFd<'_>) -> Result<Option<(OwnedFd, Identity)>> {
    related(nsfs::get_userns(ns), Kind::USER, "ask who owns a namespace")
}

/// The parent of the user or PID namespace behind `ns`; `None` if it lies outside the caller's view, or `ns` is of
/// another kind.
pub fn parent(ns: BorrowedFd<'_>, kind: Kind) -> Result<Option<(OwnedFd, Identity)>> {
    if !kind.namespace().hierarchical {
        return Ok(None);
    }
    related(nsfs::get_parent(ns), kind, "ask for the parent of a namespace")
}

fn related(
    answer: core::result::Result<OwnedFd, Errno>,
    kind: Kind,
    attempted: &'static str,
) -> Result<Option<(OwnedFd, Identity)>> {
    match answer {
        Ok(fd) => {
            let identity = Identity::of_fd(fd.as_fd(), kind)?;
            Ok(Some((fd, identity)))
        }
        Err(Errno::PERM) => Ok(None),
        Err(errno) => Err(failed(errno, attempted)),
    }
}

/// The user id, as the caller sees it, that made the user namespace behind `ns`; 65534 if it is not mapped here.
pub fn owner_uid(ns: BorrowedFd<'_>) -> Result<u32> {
    nsfs::get_owner_uid(ns).map_err(|errno| failed(errno, "ask who made a user namespace"))
}

/// Whether the PID namespace behind `ns` still has its init; without one a process can join it but not fork there.
/// `None` if the kernel (before 6.11) cannot say.
pub fn pid_namespace_alive(ns: BorrowedFd<'_>) -> Option<bool> {
    match nsfs::get_pid_from_pidns(ns, 1) {
        Ok(pid) => Some(!has_ended(pid)),
        Err(Errno::SRCH) => Some(false),
        Err(_) => None,
    }
}

/// Whether process `pid` has ended, be it reaped or not; false if it cannot be seen from here.
fn has_ended(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else { return false };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => {
            let mut polled = [PollFd::new(&process, PollFlags::IN)];
            matches!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
        }
        // EINVAL: it is being reaped at this moment.
        Err(errno) => matches!(errno, Errno::SRCH | Errno::INVAL),
    }
}

/// Opens `path` for reading below `dir`, without side effects beyond those of open(2).
pub(crate) fn open_at(dir: BorrowedFd<'_>, path: impl Arg) -> core::result::Result<OwnedFd, Errno> {
    openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn failed(errno: Errno, attempted: &'static str) -> Error {
    Error::kernel(errno.raw_os_error(), attempted)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
