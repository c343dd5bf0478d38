// SPDX-License-Identifier: Apache-2.0
//! `events`: what a container uses, and news that it ran out of memory, in the shape of `runc events` (its
//! types/events.go).

use crate::record::{Record, Status};
use crate::status;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use core::time::Duration;
use insula_cgroup::{Group, OomEvent, Stats};
use insula_error::{Error, Result};
use serde::Serialize;

/// One line of output.
#[derive(Debug, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Stats>,
}

fn line(kind: &str, id: &str, data: Option<&Stats>) -> String {
    let mut text = serde_json::to_string(&Event { kind, id, data }).unwrap_or_default();
    text.push('\n');
    text
}

/// The figures of this moment, as one line, and whether there is a cgroup in which they are counted: without (an ordinary
/// user's container) all of them are zero, as runc has it.
///
/// # Errors
/// `State` if the container has stopped.
pub fn once(home: &Home, record: &Record) -> Result<(String, bool)> {
    let group = group_of_running(home, record)?;
    let stats = if group.is_none() { Stats::default() } else { figures(home, record, &group)? };
    Ok((line("stats", &record.id, Some(&stats)), !group.is_none()))
}

/// Gives `print` a line at every `interval` and at every lack of memory, until the container is gone or `print` fails.
///
/// # Errors
/// `State` if the container has stopped; `Unsupported` without a memory controller.
pub fn follow(
    home: &Home,
    record: &Record,
    interval: Duration,
    print: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let group = group_of_running(home, record)?;
    if group.is_none() {
        return Err(Error::state(
            format!("watch container {}", record.id),
            "it has no cgroup, so nothing is counted for it",
        ));
    }
    let mut watch = group.watch_oom()?;
    let mut next = crate::spawn::now() + interval.as_millis() as i64;
    loop {
        let left = next - crate::spawn::now();
        match watch.wait(Duration::from_millis(left.max(0).cast_unsigned()))? {
            OomEvent::OutOfMemory => print(&line("oom", &record.id, None))?,
            OomEvent::Ended => return Ok(()),
            OomEvent::Timeout => {
                // Deleted, or ended with nothing left to count.
                if !group.exists() || (record.init().is_none() && group.is_empty().unwrap_or(true)) {
                    return Ok(());
                }
                print(&line("stats", &record.id, Some(&figures(home, record, &group)?)))?;
                next += interval.as_millis().max(1) as i64;
            }
        }
    }
}

/// What the kernel has counted so far.
fn figures(home: &Home, record: &Record, group: &Group) -> Result<Stats> {
    let mut stats = group.stats()?;
    if record.resctrl {
        stats.intel_rdt = crate::resctrl::stats(home)?;
    }
    Ok(stats)
}

fn group_of_running(home: &Home, record: &Record) -> Result<Group> {
    if status::of(home, record) == Status::Stopped {
        return Err(Error::state(
            format!("watch container {}", record.id),
            format!("container with id {} is not running", record.id),
        ));
    }
    status::group(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_as_runc_has_it() {
        assert_eq!(line("oom", "web\"1", None), "{\"type\":\"oom\",\"id\":\"web\\\"1\"}\n");
        let stats = line("stats", "web1", Some(&Stats::default()));
        assert!(stats.starts_with("{\"type\":\"stats\",\"id\":\"web1\",\"data\":{\"cpu\":"), "{stats}");
        assert_eq!(stats.matches('\n').count(), 1);
    }
}
