// SPDX-License-Identifier: Apache-2.0
//! Signals to all processes of a cgroup.

use crate::file;
use crate::group::Group;
use crate::members::is_gone;
use crate::wait::{Pauses, Until};
use core::time::Duration;
use insula_error::{Error, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

impl Group {
    /// Kills every process in the cgroup and below it, and waits until they are gone; a frozen cgroup is thawed, so that
    /// they can die. A cgroup that does not exist counts as done.
    ///
    /// v2 (also hybrid's) does this with one write, safe against forks. What is in v1 alone is frozen, killed and thawed
    /// in rounds.
    ///
    /// # Errors
    /// `State` if some are left after `timeout` (a process in an uninterruptible sleep dies only after it).
    pub fn kill_all(&self, timeout: Duration) -> Result<()> {
        let until = &Until::after(timeout);
        if self.kill_at_once()? {
            self.thaw_if_frozen()?;
            if !self.wait_unpopulated(until)? {
                return Err(self.stubborn());
            }
        }
        let mut pauses = Pauses::new();
        loop {
            let members = self.all_members()?;
            if members.is_empty() {
                return Ok(());
            }
            if until.has_passed() {
                return Err(self.stubborn());
            }
            self.signal_round(Signal::KILL)?;
            pauses.next(until);
        }
    }

    /// Sends `signal` to every process in the cgroup and below it. Those that are born meanwhile get it too where the
    /// cgroup can be frozen.
    ///
    /// # Errors
    /// `State` if the cgroup does not exist.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        if !self.exists() {
            return Err(Error::state("signal all processes of the container", "its cgroup does not exist"));
        }
        if signal == Signal::KILL && self.kill_at_once()? {
            return self.thaw_if_frozen();
        }
        self.signal_round(signal)
    }

    /// Writes `cgroup.kill`; says whether there is one (Linux 5.14).
    fn kill_at_once(&self) -> Result<bool> {
        let Some(entry) = self.v2() else { return Ok(false) };
        match entry.dir().and_then(|dir| file::write(dir, "cgroup.kill", "1")) {
            Ok(()) => Ok(true),
            // Not there, or not for threaded cgroups: the rounds do it.
            Err(e) if is_gone(e) || e == rustix::io::Errno::OPNOTSUPP => Ok(false),
            Err(e) => Err(entry.error(e, "kill all processes of the cgroup", "cgroup.kill")),
        }
    }

    /// v1's frozen processes do not even die.
    fn thaw_if_frozen(&self) -> Result<()> {
        if self.frozen()? { self.thaw() } else { Ok(()) }
    }

    /// Freezes, signals each process, and thaws, unless somebody had frozen the cgroup before and it is not to die.
    fn signal_round(&self, signal: Signal) -> Result<()> {
        let was_frozen = self.frozen()?;
        // Without a freezer, or if it does not succeed, some may escape this round.
        let _ = self.freeze();
        let result = self.signal_members(signal);
        if !was_frozen || signal == Signal::KILL {
            let thawed = if self.freezer().is_some() && self.exists() { self.thaw() } else { Ok(()) };
            return result.and(thawed);
        }
        result
    }

    /// Signals by pidfd: one is opened for each listed pid, and used only if the pid is still listed afterwards, so that
    /// it cannot be a stranger's that got the number meanwhile.
    fn signal_members(&self, signal: Signal) -> Result<()> {
        let mut opened = alloc::vec::Vec::new();
        for pid in self.all_members()? {
            let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            opened.extend(handle.map(|handle| (pid, handle)));
        }
        let still = self.all_members()?;
        for (pid, handle) in opened {
            if still.binary_search(&pid).is_err() {
                continue;
            }
            match pidfd_send_signal(&handle, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(e) => {
                    let attempted = "signal all processes of the container";
                    return Err(Error::kernel(e.raw_os_error(), attempted).object(alloc::format!("process {pid}")));
                }
            }
        }
        Ok(())
    }

    fn stubborn(&self) -> Error {
        let left = self.all_members().map_or(0, |members| members.len());
        let reason = alloc::format!("{left} process(es) do not end");
        Error::state("kill all processes of the cgroup", reason)
            .advice("they may be in an uninterruptible sleep; try again later")
    }
}
