// SPDX-License-Identifier: Apache-2.0
//! `update`: other limits for a container that exists.
//!
//! Some files of cgroup v2 hold two limits (`cpu.max`), and some limits count from another (`memory.swap.max`). So the
//! partner of a limit that changes is looked up in what the container has: its document, with earlier updates over it.

use crate::file;
use crate::record::{Record, Status};
use crate::status;
use crate::store::Home;
use alloc::format;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::{Cpu, IntelRdt, Memory, Resources};
use rustix::io::Errno;

/// The container's limits after the last update, in its state directory.
const LIMITS: &str = "resources.json";

/// Sets the limits that `wanted` names, and the schemata that `rdt` names; all others stay.
///
/// # Errors
/// `State` if the container has stopped; as [`insula_cgroup::Group::apply`] otherwise.
pub fn update(home: &Home, mut record: Record, mut wanted: Resources<'_>, rdt: &IntelRdt<'_>) -> Result<()> {
    home.lock()?;
    let attempted = format!("update container {}", record.id);
    if status::of(home, &record) == Status::Stopped {
        return Err(Error::state(attempted, "container not running"));
    }
    let group = status::group(&record)?;
    if group.is_none() {
        return Err(Error::state(attempted, "it has no cgroup"));
    }
    if *rdt != IntelRdt::default() {
        crate::resctrl::update(home, &record.id, record.init.pid, rdt)?;
        if !record.resctrl {
            record.resctrl = true;
            home.commit(&record)?;
        }
    }
    let kept = match file::read(home.fd(), LIMITS, insula_spec::MAX_DOCUMENT, "read the container's limits") {
        Ok(bytes) => Some(bytes),
        Err(e) if e.errno() == Some(Errno::NOENT.raw_os_error()) => None,
        Err(e) => return Err(e),
    };
    let config = if kept.is_some() { Vec::new() } else { crate::start::document(home)? };
    let mut known = match &kept {
        Some(bytes) => insula_spec::load_resources(bytes).map_err(|e| e.object(format!("{}/{LIMITS}", home.path)))?,
        None => crate::start::understood(home, &config)?.linux.resources.unwrap_or_default(),
    };
    complete(&mut wanted, &known);
    // Device rules are never changed: an engine may have added to them since.
    wanted.devices.clear();
    group.apply(&wanted, None)?;
    remember(&mut known, wanted);
    let text = insula_spec::to_json(&known);
    file::replace(home.fd(), LIMITS, text.as_bytes(), 0o600).map_err(|e| {
        Error::kernel(e.raw_os_error(), "keep the container's limits").object(format!("{}/{LIMITS}", home.path))
    })
}

/// Adds to the limits of `wanted` those that the kernel takes only together with them.
fn complete(wanted: &mut Resources<'_>, known: &Resources<'_>) {
    if let Some(cpu) = &mut wanted.cpu {
        let known = known.cpu.clone().unwrap_or_default();
        let given = |value: Option<i64>| value.filter(|value| *value != 0);
        let (quota, period) = (given(cpu.quota), cpu.period.filter(|period| *period != 0));
        if quota.is_some() != period.is_some() {
            cpu.quota = quota.or(known.quota);
            cpu.period = period.or(known.period);
        }
    }
    if let Some(memory) = &mut wanted.memory {
        let known = known.memory.clone().unwrap_or_default();
        match (memory.limit, memory.swap) {
            (Some(limit), None) if limit != -1 => memory.swap = known.swap,
            (None, Some(_)) => memory.limit = known.limit,
            _ => {}
        }
    }
}

/// `known`, as it is now that `set` was applied.
fn remember<'a>(known: &mut Resources<'a>, set: Resources<'a>) {
    if let Some(cpu) = set.cpu {
        remember_cpu(known.cpu.get_or_insert_default(), cpu);
    }
    if let Some(memory) = set.memory {
        remember_memory(known.memory.get_or_insert_default(), &memory);
    }
    if set.pids.is_some() {
        known.pids = set.pids;
    }
    if set.block_io.is_some() {
        known.block_io = set.block_io;
    }
    for (name, value) in &set.unified {
        known.unified.insert(name.clone(), value.clone());
    }
}

fn replace<T>(known: &mut Option<T>, set: Option<T>) {
    if set.is_some() {
        *known = set;
    }
}

fn remember_cpu<'a>(known: &mut Cpu<'a>, set: Cpu<'a>) {
    replace(&mut known.shares, set.shares);
    replace(&mut known.quota, set.quota);
    replace(&mut known.burst, set.burst);
    replace(&mut known.period, set.period);
    replace(&mut known.realtime_runtime, set.realtime_runtime);
    replace(&mut known.realtime_period, set.realtime_period);
    replace(&mut known.cpus, set.cpus);
    replace(&mut known.mems, set.mems);
    replace(&mut known.idle, set.idle);
}

fn remember_memory(known: &mut Memory, set: &Memory) {
    replace(&mut known.limit, set.limit);
    replace(&mut known.swap, set.swap);
    replace(&mut known.reservation, set.reservation);
    if set.limit == Some(-1) && set.swap.is_none() {
        known.swap = Some(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(quota: Option<i64>, period: Option<u64>) -> Resources<'static> {
        Resources { cpu: Some(Cpu { quota, period, ..Cpu::default() }), ..Resources::default() }
    }

    #[test]
    fn a_quota_alone_keeps_the_period() {
        let mut known = cpu(Some(500_000), Some(1_000_000));
        let mut wanted = cpu(Some(100_000), None);
        complete(&mut wanted, &known);
        assert_eq!(wanted, cpu(Some(100_000), Some(1_000_000)));
        remember(&mut known, wanted);
        let mut wanted = cpu(None, Some(900_000));
        complete(&mut wanted, &known);
        assert_eq!(wanted, cpu(Some(100_000), Some(900_000)));
    }

    #[test]
    fn swap_counts_from_the_limit_that_is() {
        let known = Resources {
            memory: Some(Memory { limit: Some(64 << 20), swap: Some(96 << 20), ..Memory::default() }),
            ..Resources::default()
        };
        let memory = |limit, swap| Resources {
            memory: Some(Memory { limit, swap, ..Memory::default() }),
            ..Resources::default()
        };
        let mut wanted = memory(None, Some(128 << 20));
        complete(&mut wanted, &known);
        assert_eq!(wanted, memory(Some(64 << 20), Some(128 << 20)));
        let mut wanted = memory(Some(-1), None);
        complete(&mut wanted, &known);
        assert_eq!(wanted, memory(Some(-1), None), "no limit of memory means none of swap");
    }
}
