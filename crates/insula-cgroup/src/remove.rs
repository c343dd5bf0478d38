// SPDX-License-Identifier: Apache-2.0
//! Removing a container's cgroup.

use crate::group::{Entry, Group};
use crate::members::each_child;
use crate::path::{self, open_beneath};
use crate::wait::{Pauses, Until};
use core::ffi::CStr;
use core::time::Duration;
use insula_error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::io::{self, Errno};

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

impl Group {
    /// Removes the container's directories and what is below them, never what is above. One that is gone is fine. A unit of
    /// systemd is stopped before.
    ///
    /// A directory stays busy for a moment after its last process ended; it is tried again until `timeout` has passed.
    ///
    /// # Errors
    /// `Kernel(EBUSY)` naming a directory that still has processes; the others are removed all the same.
    pub fn remove(&self, timeout: Duration) -> Result<()> {
        let until = &Until::after(timeout);
        if let Some(unit) = &self.unit {
            // What is left in it would be systemd's to kill, by its own rules and at its own pace.
            if !self.wait_empty(timeout)? {
                let busy = Errno::BUSY.raw_os_error();
                return Err(Error::kernel(busy, "remove the cgroup")
                    .object(unit.name.as_str())
                    .reason("it still has processes"));
            }
            // One whose processes are gone ends without being told: a systemd that does not answer is no reason to fail.
            let _ = unit.stop();
        }
        let mut result = Ok(());
        for entry in &self.entries {
            if let Err(e) = remove_entry(entry, until)
                && result.is_ok()
            {
                let error = entry.error(e, "remove the cgroup", "");
                result = Err(if e == Errno::BUSY { error.reason("it still has processes") } else { error });
            }
        }
        result
    }
}

fn remove_entry(entry: &Entry, until: &Until) -> io::Result<()> {
    let (parent, name) = path::split(&entry.path);
    let opened;
    let parent = if parent.is_empty() {
        fine_if_gone(entry.root())?
    } else {
        opened = fine_if_gone(entry.root().and_then(|root| open_beneath(root, parent, DIRECTORY)))?;
        opened.as_ref().map(AsFd::as_fd)
    };
    let Some(parent) = parent else { return Ok(()) };
    let mut buffer = [0_u8; 256];
    buffer.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name.as_bytes());
    let name = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::NAMETOOLONG)?;
    remove_tree(parent, name, until)
}

fn fine_if_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(Errno::NOENT) => Ok(None),
        result => result.map(Some),
    }
}

/// Removes the cgroup `name` in `parent`: at once if that works, else after those below it.
fn remove_tree(parent: BorrowedFd<'_>, name: &CStr, until: &Until) -> io::Result<()> {
    let mut pauses = Pauses::new();
    let mut emptied = false;
    loop {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // EBUSY: processes or cgroups are in it; EROFS also if it is not there at all.
            Err(Errno::BUSY | Errno::INTR) => {}
            Err(e) => {
                let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
                return if matches!(there, Err(Errno::NOENT)) { Ok(()) } else { Err(e) };
            }
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(dir) => {
                let mut had_children = false;
                each_child(dir.as_fd(), |readable, child| {
                    had_children = true;
                    remove_tree(readable, child, until)
                })?;
                if had_children && !core::mem::replace(&mut emptied, true) {
                    continue;
                }
            }
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        if until.has_passed() {
            return Err(Errno::BUSY);
        }
        pauses.next(until);
    }
}
