// SPDX-License-Identifier: Apache-2.0
//! The process that a scope begins with: it waits, in the new cgroup, until it is told to end or the runtime is gone.

use insula_error::{Error, Result};
use insula_sys::process::{Cloned, clone3, close_all_but, exit, pidfd_send_signal, set_name};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};

const SIGKILL: i32 = 9;

/// A copy of this process that does nothing. It ends when this value is dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct Placeholder {
    pid: i32,
    pidfd: OwnedFd,
    /// What it waits for the end of.
    _held: OwnedFd,
}

impl Placeholder {
    pub(crate) fn start() -> Result<Self> {
        let failed = |e: Errno| Error::kernel(e.raw_os_error(), "start the process that a scope begins with");
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        match clone3(0, None).map_err(failed)? {
            Cloned::Child => {
                let _ = set_name(c"insula-holds");
                // The other end above all: with it held here, the end of the runtime would not show.
                if close_all_but(read.as_fd()).is_ok() {
                    while rustix::io::read(&read, &mut [0_u8; 1]) == Err(Errno::INTR) {}
                }
                exit(0)
            }
            Cloned::Parent { pid, pidfd } => Ok(Self { pid, pidfd, _held: write }),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(self.pidfd.as_fd(), SIGKILL);
        while matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED), Err(Errno::INTR)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lives_until_it_is_dropped() {
        let placeholder = Placeholder::start().unwrap();
        let status = std::format!("/proc/{}/status", placeholder.pid());
        let text = std::fs::read_to_string(&status).unwrap();
        assert!(text.contains(&std::format!("PPid:\t{}\n", std::process::id())), "{text}");
        drop(placeholder);
        assert!(std::fs::metadata(&status).is_err(), "it is reaped");
    }
}
