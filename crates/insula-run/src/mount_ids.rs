// SPDX-License-Identifier: Apache-2.0
//! User namespaces for the id maps of mounts (mount_setattr(2), MOUNT_ATTR_IDMAP). One is made by a process that does
//! nothing else, and lives on in its descriptor.

use crate::handle::Handle;
use crate::maps;
use crate::prepare::failed;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_plan::{Field, MountIds};
use insula_sys::mount::{MountAttr, attr, mount_setattr};
use insula_sys::process::{Cloned, clone, clone3};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, WaitId, WaitIdOptions, pidfd_getfd, waitid};

const ATTEMPTED: &str = "map the ids of a mount";

/// The user namespaces that the mounts of one container need: one for each map, however many mounts have it.
pub(crate) struct Users {
    joined: Option<OwnedFd>,
    made: Vec<(MountIds, OwnedFd)>,
}

impl Users {
    /// With the user namespace that the container joins, if it does.
    pub(crate) fn new(joined: Option<&OwnedFd>) -> Result<Self> {
        let joined = joined.map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3)).transpose();
        let joined = joined.map_err(|e| Error::kernel(e.raw_os_error(), "hold the user namespace"))?;
        Ok(Self { joined, made: Vec::new() })
    }

    /// The descriptor of a user namespace with this map; good as long as `self`.
    pub(crate) fn descriptor(&mut self, ids: &MountIds, field: Field) -> Result<u64> {
        if ids.users.is_empty() {
            let joined = self
                .joined
                .as_ref()
                .ok_or_else(|| failed(Errno::BADF, ATTEMPTED, "the joined user namespace", field))?;
            return Ok(joined.as_raw_fd() as u64);
        }
        let same = |known: &&(MountIds, OwnedFd)| known.0.users == ids.users && known.0.groups == ids.groups;
        if let Some((_, fd)) = self.made.iter().find(same) {
            return Ok(fd.as_raw_fd() as u64);
        }
        let fd = make(ids, field)?;
        let number = fd.as_raw_fd() as u64;
        self.made.push((ids.clone(), fd));
        Ok(number)
    }
}

impl Users {
    /// The same as a descriptor of its own that survives execve.
    pub(crate) fn inherited(&mut self, ids: &MountIds, field: Field) -> Result<OwnedFd> {
        let number = self.descriptor(ids, field)? as i32;
        rustix::io::dup(insula_sys::memory::borrow(number)).map_err(|e| failed(e, ATTEMPTED, "a user namespace", field))
    }
}

/// Maps the ids of the detached tree that init has made, with the user namespace that is its descriptor `users`. Init may
/// lack the right: it is over the file system, not over the container.
pub(crate) fn of_init(init: &Handle, tree: &OwnedFd, users: i32, recursive: bool) -> Result<()> {
    let attempted = |e: Errno| Error::kernel(e.raw_os_error(), ATTEMPTED).field("/mounts");
    let users = pidfd_getfd(&init.pidfd, users, PidfdGetfdFlags::empty()).map_err(attempted)?;
    let attr = MountAttr { set: attr::IDMAP, userns_fd: users.as_raw_fd() as u64, ..MountAttr::default() };
    mount_setattr(tree.as_fd(), c"", recursive, &attr).map_err(attempted)
}

fn make(ids: &MountIds, field: Field) -> Result<OwnedFd> {
    let error = |e: Errno| failed(e, ATTEMPTED, "a user namespace", field);
    let (pid, pidfd) = match clone3(clone::NEWUSER, None).map_err(error)? {
        Cloned::Child => loop {
            // Until it is killed, below; should its maker die, then by that.
            let _ = insula_sys::process::prctl(insula_sys::process::PrctlOp::SetParentDeathSignal, 9, 0);
            let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 3600, tv_nsec: 0 });
        },
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let made = (|| {
        let directory = maps::directory(pid)?;
        maps::write_range(directory.as_fd(), "gid_map", &ids.groups, field)?;
        maps::write_range(directory.as_fd(), "uid_map", &ids.users, field)?;
        openat(&directory, "ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(error)
    })();
    let _ = insula_sys::process::pidfd_send_signal(pidfd.as_fd(), 9);
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    made
}

/// What the kernel's answer means.
pub(crate) fn refused(errno: Errno, path: &str, field: Field) -> Error {
    let error = failed(errno, ATTEMPTED, path, field);
    match errno {
        Errno::INVAL => {
            error.reason("the file system of the source cannot be mapped by this kernel, or it is mapped already")
        }
        Errno::PERM => error.reason("the caller has no rights over the file system, or its mount is mapped already"),
        _ => error,
    }
}
