// SPDX-License-Identifier: Apache-2.0
//! Mounts of a container without a mount namespace of its own: they lie in the caller's, below one directory of the
//! container's state.
//!
//! The directory is made before anything can be mounted in it, and its name is always the same: whatever a kill leaves,
//! `delete` finds it there. A root file system that is mounted at one place for each container needs no search in the
//! table of mounts, and cannot be confused with another's.

use crate::store::Home;
use alloc::format;
use insula_error::{Error, Result};
use insula_sys::mount::{MountAttr, mount_setattr, propagation};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags, mkdirat, openat, statx, unlinkat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

/// For the caller alone: the container's files are nobody else's (a set-user-ID program in them least of all).
const DIRECTORY: &str = "mounts";
/// What the root file system is mounted on.
const POINT: &str = "mounts/rootfs";

/// How many mounts may lie on each other there: the root's own, and what somebody has put over it.
const STACKED: u32 = 64;

fn failed(errno: Errno, attempted: &'static str, home: &Home) -> Error {
    Error::kernel(errno.raw_os_error(), attempted).object(format!("{}/{POINT}", home.path))
}

fn open(home: &Home) -> core::result::Result<OwnedFd, Errno> {
    // Without O_CLOEXEC: init gets it.
    openat(home.fd(), POINT, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Makes the directory. The descriptor survives execve.
pub(crate) fn make(home: &Home) -> Result<OwnedFd> {
    let private = Mode::from_raw_mode(0o700);
    mkdirat(home.fd(), DIRECTORY, private)
        .and_then(|()| mkdirat(home.fd(), POINT, private))
        .and_then(|()| open(home))
        .map_err(|e| failed(e, "make the directory of the container's mounts", home))
}

/// Unmounts what is mounted there, with all below, and removes the directory; nothing is done where there is none.
///
/// Copies that the host's propagation has made in other mount namespaces go with the directory: the kernel detaches what
/// is mounted elsewhere on one that is removed.
pub(crate) fn remove(home: &Home) -> Result<()> {
    let attempted = "unmount the container's root file system";
    for _ in 0..STACKED {
        let top = match open(home) {
            Err(Errno::NOENT) => break,
            done => done.map_err(|e| failed(e, attempted, home))?,
        };
        if !is_mounted(&top).map_err(|e| failed(e, attempted, home))? {
            break;
        }
        // A mount below that is shared with the host's would take the host's own with it (umount2(2), propagation).
        let private = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
        mount_setattr(top.as_fd(), c"", true, &private).map_err(|e| failed(e, attempted, home))?;
        let path = format!("/proc/self/fd/{}", top.as_raw_fd());
        unmount(path.as_str(), UnmountFlags::DETACH).map_err(|e| failed(e, attempted, home))?;
    }
    for name in [POINT, DIRECTORY] {
        match unlinkat(home.fd(), name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno, "remove the directory of the container's mounts", home)),
        }
    }
    Ok(())
}

/// Whether `point` is the root of a mount rather than the directory itself.
fn is_mounted(point: &OwnedFd) -> core::result::Result<bool, Errno> {
    let stat = statx(point, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE)?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
