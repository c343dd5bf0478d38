// SPDX-License-Identifier: Apache-2.0
//! `kill`: a signal to the container's first process, by its handle, or to all of its processes.

use crate::record::Record;
use crate::status;
use alloc::format;
use core::time::Duration;
use insula_error::{Error, Result};
use insula_ns::Kind;
use rustix::process::Signal;

const SIGKILL: i32 = 9;

/// Sends `signal` to the container's init, or with `all` to every process of its cgroup.
///
/// # Errors
/// `State` if the container is not running.
pub fn kill(record: &Record, signal: i32, all: bool) -> Result<()> {
    let group = status::group(record)?;
    // Without a pid namespace of its own, the end of init does not end the others.
    let own_pids = record.held(Kind::PID).is_some_and(|held| held.how == "created");
    if all && group.is_none() {
        return all_without_cgroup(record, signal, own_pids);
    }
    if all || (signal == SIGKILL && !own_pids && !group.is_none()) {
        if record.init().is_none() && group.is_empty().unwrap_or(true) {
            return if all { Ok(()) } else { Err(not_running(record)) };
        }
        if signal == SIGKILL {
            return group.kill_all(Duration::from_secs(10));
        }
        let named = Signal::from_named_raw(signal)
            .ok_or_else(|| Error::usage(format!("signal {signal} cannot be sent to all processes of a container")))?;
        return group.signal_all(named);
    }
    let init = record.init().ok_or_else(|| not_running(record))?;
    init.signal(signal)?;
    // A frozen process cannot die.
    if signal == SIGKILL && group.frozen().unwrap_or(false) {
        let _ = group.thaw();
    }
    Ok(())
}

/// What an ordinary user's container had no cgroup for: where init has ended, nothing can be known to be left.
fn all_without_cgroup(record: &Record, signal: i32, own_pids: bool) -> Result<()> {
    match record.init() {
        None => Ok(()),
        Some(init) if signal == SIGKILL && own_pids => init.signal(signal),
        Some(_) => Err(Error::state(
            format!("kill all processes of container {}", record.id),
            "it has no cgroup, so they cannot be known",
        )
        .advice("without --all the container's first process is signalled, and KILL ends its pid namespace with it")),
    }
}

fn not_running(record: &Record) -> Error {
    Error::state(format!("signal container {}", record.id), "container not running")
}
