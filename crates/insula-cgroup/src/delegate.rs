// SPDX-License-Identifier: Apache-2.0
//! Giving a v2 cgroup to the container's user, so that it can divide it further.
//! Source: runtime-spec, config-linux.md, "Cgroup ownership"; cgroups(7), "Delegating a cgroup".

use crate::group::Group;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Uid, chownat};
use rustix::io::Errno;

const ATTEMPTED: &str = "delegate the cgroup";

/// What the kernel says is to be delegated (Linux 4.15).
const LIST: &str = "/sys/kernel/cgroup/delegate";
/// What that was when it did not say yet.
const ALWAYS: &str = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

impl Group {
    /// Makes the user with the host's id `uid` the owner of the cgroup's directory and of those files in it that the
    /// kernel holds safe to delegate. For a container with a cgroup namespace of its own and a writable cgroup mount.
    ///
    /// v1 is not safe to delegate; there nothing is done.
    pub fn delegate(&self, uid: u32) -> Result<()> {
        let Some(entry) = self.v2().filter(|_| self.is_unified()) else {
            return Ok(());
        };
        let owner = Some(Uid::from_raw(uid));
        let dir = entry.dir().map_err(|e| entry.error(e, ATTEMPTED, ""))?;
        let failed = |e: Errno, name: &str| {
            Error::kernel(e.raw_os_error(), ATTEMPTED).object(format!("chown {}/{name} to {uid}", entry.display()))
        };
        chownat(dir, c"", owner, None, AtFlags::EMPTY_PATH).map_err(|e| failed(e, ""))?;
        for name in delegated().lines() {
            match chownat(dir, name, owner, None, AtFlags::SYMLINK_NOFOLLOW) {
                // The list names files of all controllers.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(failed(e, name)),
            }
        }
        Ok(())
    }
}

fn delegated() -> String {
    let text = rustix::fs::openat(CWD, LIST, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|fd| crate::file::read_all(fd.as_fd()));
    text.unwrap_or_else(|_| String::from(ALWAYS))
}
