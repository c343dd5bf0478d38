// SPDX-License-Identifier: Apache-2.0
//! Waiting for a cgroup to change, with a deadline.

use crate::file::{self, value_of};
use crate::group::{Entry, Group};
use crate::join::pause;
use crate::members::is_gone;
use alloc::string::String;
use core::cell::OnceCell;
use core::time::Duration;
use insula_error::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

/// A deadline. The clock starts when it is first asked for, as what is done at once needs none.
#[derive(Debug)]
pub(crate) struct Until {
    time: Duration,
    end: OnceCell<Duration>,
}

impl Until {
    pub(crate) fn after(time: Duration) -> Self {
        Self { time, end: OnceCell::new() }
    }

    /// What is left; zero once it has passed.
    pub(crate) fn left(&self) -> Duration {
        let now = now();
        self.end.get_or_init(|| now + self.time).saturating_sub(now)
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.left().is_zero()
    }
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// A growing pause between two looks: 1 ms at first, 20 ms at last, never beyond the deadline.
#[derive(Debug)]
pub(crate) struct Pauses(i64);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(1_000_000)
    }

    pub(crate) fn next(&mut self, until: &Until) {
        let left = i64::try_from(until.left().as_nanos()).unwrap_or(i64::MAX);
        pause(self.0.min(left));
        self.0 = (self.0 * 2).min(20_000_000);
    }
}

/// `cgroup.events` of a v2 cgroup: poll(2) reports each change.
#[derive(Debug)]
pub(crate) struct Events(OwnedFd);

impl Events {
    pub(crate) fn open(entry: &Entry) -> rustix::io::Result<Self> {
        file::open(entry.dir()?, "cgroup.events", OFlags::RDONLY).map(Self)
    }

    fn read(&self) -> rustix::io::Result<String> {
        rustix::fs::seek(&self.0, SeekFrom::Start(0))?;
        file::read_all(self.0.as_fd())
    }

    /// Waits until `wanted` holds for the file's text; says whether it came to that.
    pub(crate) fn wait(&self, wanted: impl Fn(&str) -> bool, until: &Until) -> rustix::io::Result<bool> {
        loop {
            if wanted(&self.read()?) {
                return Ok(true);
            }
            if until.has_passed() {
                return Ok(false);
            }
            let left = until.left();
            let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.0, PollFlags::PRI)], Some(&timeout)) {
                Err(Errno::INTR) | Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Group {
    /// Waits until no process is left in the cgroup and below it; says whether it came to that within `timeout`.
    pub fn wait_empty(&self, timeout: Duration) -> Result<bool> {
        let until = &Until::after(timeout);
        if !self.wait_unpopulated(until)? {
            return Ok(false);
        }
        // v1 reports nothing, so it has to be asked again and again.
        let mut pauses = Pauses::new();
        while !self.is_unified() && !self.is_empty()? {
            if until.has_passed() {
                return Ok(false);
            }
            pauses.next(until);
        }
        Ok(true)
    }

    /// Waits until no process is left in the v2 cgroup and below it; says whether it came to that.
    pub(crate) fn wait_unpopulated(&self, until: &Until) -> Result<bool> {
        let Some(entry) = self.v2() else { return Ok(true) };
        let events = Events::open(entry);
        match events.and_then(|events| events.wait(|text| value_of(text, "populated") == Some("0"), until)) {
            Err(e) if is_gone(e) => Ok(true),
            result => result.map_err(|e| entry.error(e, "wait for the cgroup's processes to end", "cgroup.events")),
        }
    }
}
