// SPDX-License-Identifier: Apache-2.0
//! `pause` and `resume`: the container's cgroup is frozen and thawed.

use crate::record::{Record, Status};
use crate::status;
use crate::store::Home;
use alloc::format;
use insula_error::{Error, Result};

/// Freezes the container; all its processes have stopped when this returns.
///
/// # Errors
/// `State` if it neither waits for its start nor runs; `Unsupported` without a freezer.
pub fn pause(home: &Home, record: &Record) -> Result<()> {
    home.lock()?;
    match status::of(home, record) {
        Status::Created | Status::Running => status::group(record)?.freeze(),
        Status::Paused => Err(Error::state(attempted("pause", record), "container is already paused")),
        Status::Stopped | Status::Creating => Err(not_running("pause", record)),
    }
}

/// Thaws the container.
///
/// # Errors
/// `State` if it is not paused.
pub fn resume(home: &Home, record: &Record) -> Result<()> {
    home.lock()?;
    // Its own switch is asked rather than the status: one that was paused before its start counts as created.
    let group = status::group(record)?;
    if record.init().is_none() {
        return Err(not_running("resume", record));
    }
    if group.frozen()? { group.thaw() } else { Err(Error::state(attempted("resume", record), "container not paused")) }
}

fn attempted(what: &str, record: &Record) -> alloc::string::String {
    format!("{what} container {}", record.id)
}

fn not_running(what: &str, record: &Record) -> Error {
    Error::state(attempted(what, record), "container not running")
}
