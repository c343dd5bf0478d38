// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.memory`. Kernel memory limits do nothing any more and are left out (COMPAT(runc)); v2 knows neither
//! swappiness nor the OOM killer's switch; both versions are hierarchical by now.

use super::Write;
use crate::group::{Entry, read_value};
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::{Memory, Resources};

const LIMIT: &str = "/linux/resources/memory/limit";
const SWAP: &str = "/linux/resources/memory/swap";
const RESERVATION: &str = "/linux/resources/memory/reservation";
const SWAPPINESS: &str = "/linux/resources/memory/swappiness";

const V1_LIMIT: &str = "memory.limit_in_bytes";
const V1_SWAP: &str = "memory.memsw.limit_in_bytes";
const V1_USAGE: &str = "memory.usage_in_bytes";
const V2_USAGE: &str = "memory.current";

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) -> Result<()> {
    let Some(memory) = &resources.memory else { return Ok(()) };
    match version {
        Version::V1 => legacy(memory, list),
        Version::V2 => unified(memory, list),
    }
}

fn set(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn write(file: &'static str, value: String, pointer: &'static str) -> Write {
    Write::new(Controller::Memory, file, value, pointer)
}

fn legacy(memory: &Memory, list: &mut Vec<Write>) -> Result<()> {
    let (limit, swap) = (set(memory.limit), set(memory.swap));
    // Without a limit on memory, an earlier one on memory and swap together would stay a limit on memory.
    if limit == Some(-1) && swap.is_none() {
        list.push(write(V1_SWAP, "-1".to_string(), LIMIT).optional());
    }
    list.extend(limit.map(|limit| write(V1_LIMIT, limit.to_string(), LIMIT)));
    list.extend(swap.map(|swap| write(V1_SWAP, swap.to_string(), SWAP)));
    let reservation = set(memory.reservation);
    list.extend(reservation.map(|value| write("memory.soft_limit_in_bytes", value.to_string(), RESERVATION)));
    if memory.disable_oom_killer == Some(true) {
        list.push(write("memory.oom_control", "1".to_string(), "/linux/resources/memory/disableOOMKiller"));
    }
    match memory.swappiness {
        // COMPAT(runc): engines write -1 for "unset", which arrives as this.
        None | Some(u64::MAX) => {}
        Some(value @ 0..=100) => list.push(write("memory.swappiness", value.to_string(), SWAPPINESS)),
        Some(value) => {
            return Err(Error::invalid(SWAPPINESS, "limit memory", format!("{value} is not within 0 to 100")));
        }
    }
    Ok(())
}

fn unified(memory: &Memory, list: &mut Vec<Write>) -> Result<()> {
    let (limit, swap) = (set(memory.limit), set(memory.swap));
    if let Some(swap) = swap_alone(limit, swap)? {
        // Without swap in the kernel, "none" and "any" are true already.
        let write = write("memory.swap.max", or_max(swap), if memory.swap.is_some() { SWAP } else { LIMIT });
        list.push(if swap <= 0 { write.optional() } else { write });
    }
    list.extend(limit.map(|limit| write("memory.max", or_max(limit), LIMIT)));
    list.extend(set(memory.reservation).map(|value| write("memory.low", or_max(value), RESERVATION)));
    Ok(())
}

fn or_max(value: i64) -> String {
    if value == -1 { "max".to_string() } else { value.to_string() }
}

/// v2's limit of swap alone, where it can be told.
pub(crate) fn swap_limit(memory: &Memory) -> Option<i64> {
    swap_alone(set(memory.limit), set(memory.swap)).ok().flatten()
}

/// v2's limit of swap alone, from the document's limits of memory and of both together; -1 is no limit.
fn swap_alone(limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>> {
    let invalid = |reason: &'static str| Err(Error::invalid(SWAP, "limit memory and swap", reason));
    match (limit, swap) {
        (Some(-1), None) | (_, Some(-1)) => Ok(Some(-1)),
        (_, None) => Ok(None),
        (Some(-1), Some(swap)) => Ok(Some(swap)),
        (None, Some(_)) => invalid("unable to set swap limit without memory limit"),
        (Some(..0), Some(_)) => invalid("the memory limit is negative"),
        (Some(limit), Some(swap)) if swap < limit => invalid("memory+swap limit should be >= memory limit"),
        (Some(limit), Some(swap)) => Ok(Some(swap - limit)),
    }
}

/// Refuses a limit that the present use exceeds, if `checkBeforeUpdate` asks for it (v2; v1's kernel does it itself).
pub(crate) fn check_usage(entry: &Entry, resources: &Resources<'_>) -> Result<()> {
    let Some(memory) = resources.memory.as_ref().filter(|memory| memory.check_before_update == Some(true)) else {
        return Ok(());
    };
    // To the best of our knowledge only: a cgroup without the file has no use to exceed.
    let Some(usage) = read_value(entry, V2_USAGE).ok().and_then(|value| value.parse::<i64>().ok()) else {
        return Ok(());
    };
    for (name, value, pointer) in [("memory+swap", memory.swap, SWAP), ("memory", memory.limit, LIMIT)] {
        if let Some(value) = value.filter(|value| (1..=usage).contains(value)) {
            let reason = format!("rejecting {name} limit {value} <= usage {usage}");
            return Err(Error::invalid(pointer, "limit memory", reason));
        }
    }
    Ok(())
}

/// What EBUSY for a file means: v1 cannot push the use below the new limit.
pub(crate) fn explain_busy(entry: &Entry, file: &str, value: &str) -> Option<String> {
    let usage = read_value(entry, V1_USAGE).ok()?;
    let peak = read_value(entry, "memory.max_usage_in_bytes").ok()?;
    (file == V1_LIMIT)
        .then(|| format!("unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})"))
}
