// SPDX-License-Identifier: Apache-2.0
//! Where a container is in its life. Nothing of it is stored: it is read off the process, the fifo and the freezer, so it
//! cannot be out of date.

use crate::handle::Handle;
use crate::record::{Record, Status};
use crate::store::{Home, Root};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::Group;
use insula_error::{Error, Result};

/// The status of the container with this record.
pub fn of(home: &Home, record: &Record) -> Status {
    with_init(home, record, record.init().as_ref())
}

/// As [`of`], where the container's first process was looked for already.
pub fn with_init(home: &Home, record: &Record, init: Option<&Handle>) -> Status {
    if init.is_none() {
        return Status::Stopped;
    }
    if home.waits_for_start() {
        return Status::Created;
    }
    match group(record).and_then(|group| group.frozen()) {
        Ok(true) => Status::Paused,
        _ => Status::Running,
    }
}

/// The container's cgroup.
pub fn group(record: &Record) -> Result<Group> {
    let lines: Vec<&str> = record.unit.iter().chain(&record.cgroup).map(String::as_str).collect();
    Group::from_record(&lines, record.rootless)
}

/// The error for a container that is not there, in runc's words.
pub fn missing(id: &str) -> Error {
    Error::state(format!("find container {id:?}"), "container does not exist")
}

/// A container that was created.
///
/// # Errors
/// `State` if there is none of this id, or it is still being created.
pub fn find(root: Option<&Root>, id: &str) -> Result<(Home, Record)> {
    let home = root.map(|root| root.home(id)).transpose()?.flatten().ok_or_else(|| missing(id))?;
    let record = home.record()?.ok_or_else(|| missing(id))?;
    Ok((home, record))
}
