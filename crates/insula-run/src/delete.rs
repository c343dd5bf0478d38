// SPDX-License-Identifier: Apache-2.0
//! `delete`: takes back everything that `create` made, from whatever state a kill has left it in.

use crate::handle::Handle;
use crate::hooks::Subject;
use crate::launch::Log;
use crate::record::{Record, Status};
use crate::spawn::end_noted;
use crate::start::{document, understood};
use crate::status;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use core::time::Duration;
use insula_cgroup::Group;
use insula_error::{Error, Result};
use insula_sys::weak::{self, Weakness};

/// How long processes may take to die, and cgroups to empty.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes the container; `force` kills it first, and goes on without a readable record.
///
/// # Errors
/// `State` if it runs and `force` is not given.
pub fn delete(home: Home, force: bool, log: &dyn Log) -> Result<()> {
    if force {
        // What another command, or its own creator, has taken away meanwhile needs no force.
        if !home.lock_again()? {
            return Ok(());
        }
    } else {
        home.lock()?;
    }
    end_noted(home.fd());
    let record = match home.record() {
        Ok(Some(record)) => record,
        // Its creator died before the commit: what it intended is all there can be.
        Ok(None) => return clean(home, log),
        Err(e) if force => {
            log.warn(&format!("{e}"));
            return clean(home, log);
        }
        Err(e) => return Err(e),
    };
    let init = record.init();
    if !force {
        let now = status::with_init(&home, &record, init.as_ref());
        // COMPAT(runc): one that never started has nothing to lose.
        if now != Status::Stopped && now != Status::Created {
            return Err(Error::state(
                format!("delete container {} that is not stopped: {}", record.id, now.name()),
                "its processes would be lost",
            )
            .advice("kill it first, or use --force"));
        }
    }
    let group = status::group(&record)?;
    take_back(home, &record, init.as_ref(), group, log)
}

/// Deletes the container of `record` after this command, which made it and has unlocked it, has seen its end. Nothing is
/// done where somebody has deleted it meanwhile. `group` is its cgroup.
///
/// # Errors
/// Whatever could not be taken back.
pub fn after_end(home: Home, record: &Record, group: Group, log: &dyn Log) -> Result<()> {
    if home.lock_again()? { take_back(home, record, None, group, log) } else { Ok(()) }
}

fn take_back(home: Home, record: &Record, init: Option<&Handle>, group: Group, log: &dyn Log) -> Result<()> {
    end(record, init, &group)?;
    if record.resctrl {
        crate::resctrl::remove(&home, Some(log))?;
    }
    if crate::create::chrooted(record) {
        crate::anchor::remove(&home)?;
    }
    let poststop = poststop(&home, record);
    if weak::is(Weakness::StrictHooks) && !poststop.is_empty() {
        return poststop.into_iter().next().map_or(Ok(()), Err);
    }
    home.remove()?;
    core::mem::forget(group);
    for error in poststop {
        log.warn(&format!("{error}"));
    }
    Ok(())
}

/// Kills init by its handle and whatever else is in the cgroup, and removes the cgroup.
fn end(record: &Record, init: Option<&Handle>, group: &Group) -> Result<()> {
    if let Some(init) = init {
        // What has ended meanwhile needs no signal; waiting for what got none would be in vain.
        init.signal(9).or_else(|e| if init.has_ended() { Ok(()) } else { Err(e) })?;
        if group.frozen().unwrap_or(false) {
            let _ = group.thaw();
        }
        if !init.wait(PATIENCE.as_millis() as i64) {
            return Err(Error::state(
                format!("delete container {}", record.id),
                "its first process does not die: it waits in the kernel",
            )
            .advice("delete it again once the device or file system it waits for answers"));
        }
    }
    // Nearly always nothing is left in it: the kernel says so by removing it, for less than it costs to look.
    if group.remove(Duration::ZERO).is_ok() {
        return Ok(());
    }
    if group.exists() && !group.is_empty().unwrap_or(false) && !weak::is(Weakness::LeaveMembers) {
        group.kill_all(PATIENCE)?;
    }
    group.remove(PATIENCE)
}

/// Removes what is known from the intent alone.
fn clean(home: Home, log: &dyn Log) -> Result<()> {
    let intent = home.intent().map(|lines| Group::from_record(&lines, false));
    if let Some(Ok(group)) = intent {
        if group.exists() && !group.is_empty().unwrap_or(true) {
            group.kill_all(PATIENCE)?;
        }
        group.remove(PATIENCE)?;
    } else if home.has_record() {
        // A creator that was killed has left a torn intent only before the first effect; this one has got further.
        log.warn(&format!("container {}: state and intent are torn, so its cgroup is unknown and stays", home.id));
    }
    crate::resctrl::remove(&home, Some(log))?;
    crate::anchor::remove(&home)?;
    home.remove()
}

/// Runs the poststop hooks; their failures come back as texts.
fn poststop(home: &Home, record: &Record) -> alloc::vec::Vec<Error> {
    if !record.hooks {
        return alloc::vec::Vec::new();
    }
    let config = match document(home) {
        Ok(config) => config,
        Err(e) => return alloc::vec![e],
    };
    let spec = match understood(home, &config) {
        Ok(spec) => spec,
        Err(e) => return alloc::vec![e],
    };
    let subject = Subject { pid: 0, ..Subject::of(record, home, None) };
    subject.run_all(&spec.hooks.poststop, "poststop", Status::Stopped)
}

/// As runc words a container that is not there.
pub fn missing(id: &str) -> String {
    format!("container {id:?} does not exist")
}
