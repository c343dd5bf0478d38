// SPDX-License-Identifier: Apache-2.0
//! A container's process, held so that it cannot be mistaken: a number is recycled, a pidfd is not.

use crate::file;
use alloc::format;
use insula_error::{Error, Result};
use insula_sys::weak::{self, Weakness};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat, fstatfs};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// f_type of pidfs (Linux 6.9).
const PID_FS_MAGIC: i64 = 0x5049_4446;

/// What tells a process from every other that ever had its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Identity {
    /// Its number in the runtime's pid namespace.
    pub pid: i32,
    /// Inode of its pidfd, unique as long as the machine runs; 0 on kernels before 6.9.
    pub inode: u64,
    /// Start time in clock ticks since boot, from /proc/<pid>/stat; 0 where the inode is known.
    pub start: u64,
    /// Sum of the boot's id: inodes and start times count from each boot, and a state directory on a disk outlives it. 0
    /// for one in memory, and where /proc does not tell.
    #[serde(default)]
    pub boot: u64,
}

/// The sum of this boot's random id (random(4)).
fn boot() -> u64 {
    let mut text = [0; 64];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    // It is told whole in one read.
    rustix::fs::open(c"/proc/sys/kernel/random/boot_id", flags, Mode::empty())
        .and_then(|id| {
            let length = rustix::io::read(&id, &mut text[..]);
            insula_sys::memory::leave(id);
            length
        })
        .map_or(0, |length| file::sum(&text[..length]))
}

impl Identity {
    /// The identity of the process behind `pidfd`, which has the number `pid` and was not waited for.
    pub fn of(pid: i32, pidfd: BorrowedFd<'_>) -> Self {
        Self { boot: boot(), ..Self::during(pid, pidfd, None) }
    }

    /// The same, where the id of this boot was read already; without one where it cannot matter, as nothing that remembers
    /// the identity outlives the boot.
    pub fn during(pid: i32, pidfd: BorrowedFd<'_>, boot: Option<&str>) -> Self {
        let inode = inode(pidfd);
        let start = if inode == 0 { start_time(pid).unwrap_or(0) } else { 0 };
        let boot = boot.map_or(0, |id| file::sum(format!("{id}\n").as_bytes()));
        Self { pid, inode, start, boot }
    }

    /// A handle of the process, if it is still there.
    pub fn open(&self) -> Option<Handle> {
        let pid = Pid::from_raw(self.pid).filter(|_| self.pid > 0)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Opened first, compared then: from here on the number no longer matters.
        let same =
            if self.inode == 0 { start_time(self.pid) == Some(self.start) } else { inode(pidfd.as_fd()) == self.inode };
        let same = same && (self.boot == 0 || self.boot == boot());
        let same = same || weak::is(Weakness::ByNumber);
        same.then_some(Handle { pid: self.pid, pidfd })
    }
}

fn inode(pidfd: BorrowedFd<'_>) -> u64 {
    let Ok(stat) = fstat(pidfd) else { return 0 };
    // Those of the kernels before are 0600, and all have the same inode.
    let pidfs =
        stat.st_mode & 0o7777 == 0o700 || fstatfs(pidfd).is_ok_and(|statfs| statfs.f_type as i64 == PID_FS_MAGIC);
    if pidfs { stat.st_ino } else { 0 }
}

/// Field 22 of /proc/<pid>/stat; the name before it may hold anything but ends at the last parenthesis.
fn start_time(pid: i32) -> Option<u64> {
    let text = file::read(CWD, &format!("/proc/{pid}/stat"), 4096, "look at a process").ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let field = text[end + 2..].split(|byte| *byte == b' ').nth(19)?;
    core::str::from_utf8(field).ok()?.parse().ok()
}

/// An open handle of a process.
#[derive(Debug)]
pub struct Handle {
    /// Its number, for showing.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
}

impl Handle {
    /// Whether it has ended (it may still be a zombie).
    pub fn has_ended(&self) -> bool {
        self.wait(0)
    }

    /// Waits up to `milliseconds` for its end (-1: for ever); says whether it came.
    pub fn wait(&self, milliseconds: i64) -> bool {
        let timeout = (milliseconds >= 0)
            .then_some(Timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 });
        loop {
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], timeout.as_ref()) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(Errno::INTR) if milliseconds < 0 => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends `signal`. A process that has ended is an error that the caller may overlook.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let failed =
            |errno: Errno| Error::kernel(errno.raw_os_error(), format!("send signal {signal} to process {}", self.pid));
        insula_sys::process::pidfd_send_signal(self.pidfd.as_fd(), signal).map_err(failed)
    }
}
