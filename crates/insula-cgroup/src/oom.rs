// SPDX-License-Identifier: Apache-2.0
//! News that a cgroup ran out of memory. Source: the kernel's cgroup-v1/memory.rst ("OOM Control"), cgroup-v2.rst.

use crate::file::{self, value_of};
use crate::group::{Entry, Group};
use crate::layout::{Controller, Version};
use crate::members::is_gone;
use crate::wait::Until;
use alloc::format;
use alloc::string::String;
use core::time::Duration;
use insula_error::{Error, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{OFlags, SeekFrom};
use rustix::io::Errno;

const ATTEMPTED: &str = "watch for lack of memory";
const V1_FILE: &str = "memory.oom_control";
const V2_FILE: &str = "memory.events";
const V2_STATE: &str = "cgroup.events";

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomEvent {
    /// The cgroup ran out of memory.
    OutOfMemory,
    /// Nothing more will happen: the cgroup is gone, or (v2) has no process any more.
    Ended,
    /// The time is over.
    Timeout,
}

/// A watch on one cgroup.
#[derive(Debug)]
pub struct OomWatch {
    version: Version,
    /// v1: an eventfd; v2: `memory.events`.
    events: OwnedFd,
    /// v1: `memory.oom_control`, which the kernel wants kept open; v2: `cgroup.events`.
    state: OwnedFd,
    /// v2: kills counted so far.
    kills: u64,
}

impl Group {
    /// Starts watching.
    ///
    /// # Errors
    /// `Unsupported` without a memory controller.
    pub fn watch_oom(&self) -> Result<OomWatch> {
        let entry = self.memory()?;
        let opened = match entry.version {
            Version::V1 => watch_v1(entry),
            Version::V2 => watch_v2(entry),
        };
        opened.map_err(|e| entry.error(e, ATTEMPTED, if entry.version == Version::V1 { V1_FILE } else { V2_FILE }))
    }

    /// How many processes the kernel has killed for lack of memory in this cgroup; 0 if it does not count them.
    pub fn oom_kills(&self) -> Result<u64> {
        let Ok(entry) = self.memory() else { return Ok(0) };
        let name = if entry.version == Version::V1 { V1_FILE } else { V2_FILE };
        match entry.dir().and_then(|dir| file::read(dir, name)) {
            Ok(text) => Ok(kills(&text)),
            Err(e) if is_gone(e) => Ok(0),
            Err(e) => Err(entry.error(e, "count the processes killed for lack of memory", name)),
        }
    }

    fn memory(&self) -> Result<&Entry> {
        let missing = || Error::new(insula_error::Kind::Unsupported, ATTEMPTED).reason("memory controller missing");
        self.of(Controller::Memory).ok_or_else(missing)
    }
}

fn kills(text: &str) -> u64 {
    value_of(text, "oom_kill").and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn watch_v1(entry: &Entry) -> rustix::io::Result<OomWatch> {
    let dir = entry.dir()?;
    let state = file::open(dir, V1_FILE, OFlags::RDONLY)?;
    let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    file::write(dir, "cgroup.event_control", &format!("{} {}", events.as_raw_fd(), state.as_raw_fd()))?;
    Ok(OomWatch { version: Version::V1, events, state, kills: 0 })
}

fn watch_v2(entry: &Entry) -> rustix::io::Result<OomWatch> {
    let dir = entry.dir()?;
    let events = file::open(dir, V2_FILE, OFlags::RDONLY)?;
    let state = file::open(dir, V2_STATE, OFlags::RDONLY)?;
    let kills = kills(&reread(&events)?);
    reread(&state)?;
    Ok(OomWatch { version: Version::V2, events, state, kills })
}

fn reread(fd: &OwnedFd) -> rustix::io::Result<String> {
    rustix::fs::seek(fd, SeekFrom::Start(0))?;
    file::read_all(fd.as_fd())
}

impl OomWatch {
    /// Waits for the next news, at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<OomEvent> {
        let until = Until::after(timeout);
        loop {
            match self.look() {
                Ok(None) => {}
                Ok(Some(event)) => return Ok(event),
                Err(e) if is_gone(e) => return Ok(OomEvent::Ended),
                Err(e) => return Err(Error::kernel(e.raw_os_error(), ATTEMPTED)),
            }
            let left = until.left();
            if left.is_zero() {
                return Ok(OomEvent::Timeout);
            }
            let time = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            let interest = if self.version == Version::V1 { PollFlags::IN } else { PollFlags::PRI };
            let mut fds = [PollFd::new(&self.events, interest), PollFd::new(&self.state, PollFlags::PRI)];
            // v1's second file has nothing to say.
            let watched = if self.version == Version::V1 { 1 } else { 2 };
            match poll(&mut fds[..watched], Some(&time)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(Error::kernel(e.raw_os_error(), ATTEMPTED)),
            }
        }
    }

    fn look(&mut self) -> rustix::io::Result<Option<OomEvent>> {
        if self.version == Version::V1 {
            return match rustix::io::read(&self.events, &mut [0; 8]) {
                // The removal of the cgroup is an event too; its files then answer ENODEV.
                Ok(_) => reread(&self.state).map(|_| Some(OomEvent::OutOfMemory)),
                Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                Err(e) => Err(e),
            };
        }
        let now = kills(&reread(&self.events)?);
        let before = core::mem::replace(&mut self.kills, now);
        if now > before {
            return Ok(Some(OomEvent::OutOfMemory));
        }
        let populated = value_of(&reread(&self.state)?, "populated") != Some("0");
        Ok((!populated).then_some(OomEvent::Ended))
    }
}
