// SPDX-License-Identifier: Apache-2.0
//! From a path to a namespace: opened once, checked on the descriptor, and never anything but a namespace.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use insula_error::{Error, Kind as ErrorKind, Result};
use insula_sys::nsfs;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use rustix::path::{Arg, DecInt};

use crate::identity::{kind_of, open_at, pid_namespace_alive};
use crate::kind::{ALL, Kind};

/// Opens the namespace that the absolute `path` leads to, for setns(2), and says its kind.
///
/// Symbolic links are followed: a path below /proc/\<pid\>/ns is one. What is found is looked at without being opened
/// (O_PATH), so a FIFO cannot block the caller and a device does nothing. Five system calls.
///
/// # Errors
/// `InvalidConfig` for an empty or relative path and for anything that is no namespace; `Kernel` for what the kernel
/// refuses, with what that means for a namespace path. The caller adds the field.
pub fn open_path(path: &str) -> Result<(OwnedFd, Kind)> {
    if let Some(reason) = unusable(path) {
        return Err(wrong(path).reason(reason));
    }
    if weak::is(Weakness::OpenFirst) {
        drop(openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()));
    }
    let place =
        openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| refused(path, errno))?;
    let system = fstatfs(&place).map_err(|errno| refused(path, errno))?;
    if system.f_type as u64 != nsfs::NSFS_MAGIC {
        return Err(not_a_namespace(path, &place));
    }
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let fd = open_at(CWD, &again).map_err(|errno| refused(path, errno))?;
    let kind = kind_of(fd.as_fd()).map_err(|error| error.object(path))?;
    Ok((fd, kind))
}

/// As [`open_path`], of a namespace that must be of `kind`; a PID namespace must also have its init.
///
/// # Errors
/// `InvalidConfig` also if it is of another kind, `State` if nothing can be run in it any more.
pub fn open_path_as(path: &str, kind: Kind) -> Result<OwnedFd> {
    let (fd, found) = open_path(path)?;
    if found != kind {
        return Err(wrong(path).reason(format!("is a {found} namespace, not {kind}")));
    }
    if kind == Kind::PID && pid_namespace_alive(fd.as_fd()) == Some(false) {
        return Err(Error::new(ErrorKind::State, "use a namespace")
            .object(path)
            .reason("its init has exited: no process can be started in this PID namespace any more"));
    }
    Ok(fd)
}

/// Opens the namespace at `path` below `dir` as [`open_path`] does, without texts. `descriptors` is /proc/self/fd.
pub(crate) fn namespace_at(
    dir: BorrowedFd<'_>,
    path: impl Arg,
    descriptors: BorrowedFd<'_>,
) -> core::result::Result<OwnedFd, Errno> {
    let place = openat(dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&place)?.f_type as u64 != nsfs::NSFS_MAGIC {
        return Err(Errno::INVAL);
    }
    open_at(descriptors, DecInt::new(place.as_raw_fd()))
}

fn wrong(path: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "use a namespace").object(String::from(path))
}

fn unusable(path: &str) -> Option<&'static str> {
    match path {
        "" => Some("the path is empty"),
        _ if !path.starts_with('/') => Some("the path must be absolute"),
        _ if path.contains('\0') => Some("the path contains a NUL byte"),
        _ => None,
    }
}

/// Says what lies at `path` instead of a namespace.
fn not_a_namespace(path: &str, place: &OwnedFd) -> Error {
    let file = fstat(place).map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode));
    let reason = match file {
        FileType::RegularFile => {
            "is a plain file, not a namespace: one that was bound there is gone (deleted, or lost in a reboot)"
        }
        FileType::Directory => "is a directory, not a namespace",
        FileType::Fifo => "is a FIFO, not a namespace",
        FileType::Socket => "is a socket, not a namespace",
        FileType::CharacterDevice | FileType::BlockDevice => "is a device, not a namespace",
        _ => "is not a namespace",
    };
    wrong(path).reason(reason)
}

/// Says what the kernel's refusal means for a namespace path.
fn refused(path: &str, errno: Errno) -> Error {
    let process = ProcPath::parse(path);
    let meaning: Option<(ErrorKind, Cow<'static, str>)> = match (errno, process) {
        (Errno::NOENT | Errno::SRCH, Some(process)) => process.absence(),
        (Errno::ACCESS | Errno::PERM, Some(process)) => {
            return Error::kernel(errno.raw_os_error(), "use a namespace").object(path).advice(format!(
                "the caller may not look into process {}: it is another user's, non-dumpable or has more capabilities",
                process.pid
            ));
        }
        _ => None,
    };
    match meaning {
        Some((kind, reason)) => Error::new(kind, "use a namespace").object(path).reason(reason),
        None => Error::kernel(errno.raw_os_error(), "use a namespace").object(path),
    }
}

/// The parts of `/proc/<pid>/ns/<name>`.
struct ProcPath<'a> {
    pid: u32,
    name: &'a str,
}

impl<'a> ProcPath<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let (pid, rest) = path.strip_prefix("/proc/")?.split_once('/')?;
        Some(Self { pid: pid.parse().ok()?, name: rest.strip_prefix("ns/")? })
    }

    /// Why there is nothing at this path.
    fn absence(&self) -> Option<(ErrorKind, Cow<'static, str>)> {
        let Self { pid, name } = self;
        if *pid == 0 {
            let reason = "there is no process 0: the container was not running when the config was made";
            return Some((ErrorKind::InvalidConfig, reason.into()));
        }
        let reason = match state_of(*pid) {
            None => format!("process {pid} is gone"),
            Some(b'Z' | b'X') => format!("process {pid} is a zombie: it has left its namespaces"),
            Some(_) if !ALL.iter().any(|ns| name.starts_with(ns.proc_name)) => {
                return Some((ErrorKind::InvalidConfig, format!("there is no kind of namespace \"{name}\"").into()));
            }
            Some(_) => return None,
        };
        Some((ErrorKind::State, reason.into()))
    }
}

/// The state letter of process `pid`, from /proc/\<pid\>/stat; `None` if there is no such process.
fn state_of(pid: u32) -> Option<u8> {
    let stat = open_at(CWD, format!("/proc/{pid}/stat")).ok()?;
    let mut text = [0u8; 256];
    let length = rustix::io::read(&stat, &mut text).ok()?;
    let after = text[..length].iter().rposition(|b| *b == b')')?;
    text.get(after + 2).copied()
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
