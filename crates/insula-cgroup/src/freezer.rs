// SPDX-License-Identifier: Apache-2.0
//! Stopping and resuming all processes of a cgroup. Source: cgroups(7); the kernel's cgroup-v1/freezer-subsystem.rst.

use crate::file::{self, value_of};
use crate::group::{Entry, Group, read_value};
use crate::join::pause;
use crate::layout::{Controller, Version};
use crate::members::is_gone;
use crate::wait::{Events, Until};
use core::time::Duration;
use insula_error::{Error, Result};
use rustix::io::Errno;

const V1_STATE: &str = "freezer.state";
const FROZEN: &str = "FROZEN";
const THAWED: &str = "THAWED";
const V2_FREEZE: &str = "cgroup.freeze";

/// How often v1 is asked to freeze. Tasks that fork meanwhile keep it from succeeding; a short thaw now and then helps
/// (COMPAT(runc): the numbers are from its measurements).
const V1_ATTEMPTS: usize = 1000;
const V1_THAW_EVERY: usize = 50;
const V1_THAW_NANOSECONDS: i64 = 10_000_000;
const V1_SETTLE_EVERY: usize = 25;
const V1_SETTLE_NANOSECONDS: i64 = 10_000;

/// How long v2 may take to freeze: a task in an uninterruptible sleep comes last.
const V2_PATIENCE: Duration = Duration::from_secs(10);

impl Group {
    /// The directory whose freezer stops all members.
    pub(crate) fn freezer(&self) -> Option<&Entry> {
        self.v1(Controller::Freezer).or_else(|| self.v2())
    }

    fn freezer_or_error(&self, attempted: &'static str) -> Result<&Entry> {
        let missing = || {
            Error::new(insula_error::Kind::Unsupported, attempted).reason("the container has no cgroup with a freezer")
        };
        self.freezer().ok_or_else(missing)
    }

    /// Stops all processes of the cgroup, and returns once they are stopped. On failure they run on.
    pub fn freeze(&self) -> Result<()> {
        const ATTEMPTED: &str = "freeze the cgroup";
        let entry = self.freezer_or_error(ATTEMPTED)?;
        let (name, result) = match entry.version {
            Version::V1 => (V1_STATE, freeze_v1(entry)),
            Version::V2 => (V2_FREEZE, freeze_v2(entry)),
        };
        result.map_err(|e| {
            let _ = set(entry, false);
            let error = entry.error(e, ATTEMPTED, name);
            if e == Errno::TIMEDOUT { error.reason("some of its processes do not stop") } else { error }
        })
    }

    /// Lets all processes of the cgroup run again.
    pub fn thaw(&self) -> Result<()> {
        const ATTEMPTED: &str = "thaw the cgroup";
        let entry = self.freezer_or_error(ATTEMPTED)?;
        set(entry, false).map_err(|e| entry.error(e, ATTEMPTED, ""))
    }

    /// Lets process `pid`, which was killed, die although the cgroup is frozen. On v1 a frozen process does not even die:
    /// it is moved to the hierarchy's root. Failing to is overlooked, as it may be dead already.
    pub fn release(&self, pid: i32) {
        if let Some(entry) = self.v1(Controller::Freezer)
            && let Ok(root) = entry.root()
        {
            let _ = file::write(root, "tasks", &alloc::format!("{pid}"));
        }
    }

    /// Whether the cgroup itself (not only one above it) was asked to freeze. One that is gone is not frozen.
    pub fn frozen(&self) -> Result<bool> {
        let Some(entry) = self.freezer() else { return Ok(false) };
        is_frozen(entry).map_err(|e| entry.error(e, "ask whether the cgroup is frozen", ""))
    }
}

fn set(entry: &Entry, frozen: bool) -> rustix::io::Result<()> {
    let (name, value) = match (entry.version, frozen) {
        (Version::V1, true) => (V1_STATE, FROZEN),
        (Version::V1, false) => (V1_STATE, THAWED),
        (Version::V2, true) => (V2_FREEZE, "1"),
        (Version::V2, false) => (V2_FREEZE, "0"),
    };
    file::write(entry.dir()?, name, value)
}

/// Whether the directory's own switch is set; hierarchies without one are never frozen.
pub(crate) fn is_frozen(entry: &Entry) -> rustix::io::Result<bool> {
    let name = match entry.version {
        Version::V1 if entry.controllers.contains(Controller::Freezer) => "freezer.self_freezing",
        Version::V1 => return Ok(false),
        Version::V2 => V2_FREEZE,
    };
    match read_value(entry, name) {
        Ok(value) => Ok(value == "1"),
        Err(e) if is_gone(e) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether a directory above is frozen, and the directory with it: a process that was born there would not run, nor its
/// maker go on, until somebody thaws that.
pub(crate) fn is_frozen_from_above(entry: &Entry) -> rustix::io::Result<bool> {
    if !entry.path.contains('/') {
        return Ok(false);
    }
    let is = match entry.version {
        Version::V1 if entry.controllers.contains(Controller::Freezer) => {
            read_value(entry, "freezer.parent_freezing").map(|value| value == "1")
        }
        Version::V1 => return Ok(false),
        Version::V2 => entry
            .dir()
            .and_then(|dir| file::read(dir, "cgroup.events"))
            .map(|events| file::value_of(&events, "frozen") == Some("1")),
    };
    match is {
        Err(e) if is_gone(e) => Ok(false),
        done => done,
    }
}

fn freeze_v1(entry: &Entry) -> rustix::io::Result<()> {
    for attempt in 1..=V1_ATTEMPTS {
        if attempt % V1_THAW_EVERY == 0 {
            set(entry, false)?;
            pause(V1_THAW_NANOSECONDS);
        }
        set(entry, true)?;
        if attempt % V1_SETTLE_EVERY == 0 {
            pause(V1_SETTLE_NANOSECONDS);
        }
        if read_value(entry, V1_STATE)? == FROZEN {
            return Ok(());
        }
    }
    Err(Errno::TIMEDOUT)
}

fn freeze_v2(entry: &Entry) -> rustix::io::Result<()> {
    let events = Events::open(entry)?;
    set(entry, true)?;
    let until = &Until::after(V2_PATIENCE);
    let done = events.wait(|text| value_of(text, "frozen") == Some("1"), until)?;
    if done { Ok(()) } else { Err(Errno::TIMEDOUT) }
}
