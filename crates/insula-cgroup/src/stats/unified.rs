// SPDX-License-Identifier: Apache-2.0
//! Counters of v2. Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.

use super::legacy::pids;
use super::source::{Source, huge_page_sizes, number};
use super::{Blkio, BlkioEntry, Cpu, Hugetlb, Memory, MemoryEntry, Pids, Stats};
use crate::group::Entry;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::Result;

const NANOSECONDS: u64 = 1000;

pub(super) fn stats(entry: &Entry) -> Result<Stats> {
    let source = Source(entry);
    Ok(Stats {
        cpu: cpu(source)?,
        memory: memory(source)?,
        pids: tasks(source)?,
        blkio: blkio(source)?,
        hugetlb: hugetlb(source)?,
        ..Stats::default()
    })
}

fn cpu(source: Source<'_>) -> Result<Cpu> {
    let mut cpu = Cpu { psi: source.pressure("cpu.pressure")?, ..Cpu::default() };
    for (key, value) in source.pairs("cpu.stat")? {
        match &*key {
            "usage_usec" => cpu.usage.total = value * NANOSECONDS,
            "user_usec" => cpu.usage.user = value * NANOSECONDS,
            "system_usec" => cpu.usage.kernel = value * NANOSECONDS,
            "nr_periods" => cpu.throttling.periods = value,
            "nr_throttled" => cpu.throttling.throttled_periods = value,
            "throttled_usec" => cpu.throttling.throttled_time = value * NANOSECONDS,
            _ => {}
        }
    }
    Ok(cpu)
}

fn memory(source: Source<'_>) -> Result<Memory> {
    let raw = source.pairs("memory.stat")?;
    let entry = |part: &str| {
        let number = |name: &str| source.number(&format!("memory.{part}{name}"));
        let Some(usage) = number("current")? else { return Ok::<_, insula_error::Error>(MemoryEntry::default()) };
        let (limit, max) = (number("max")?.unwrap_or(0), number("peak")?.unwrap_or(0));
        Ok(MemoryEntry { limit, usage, max, failcnt: 0 })
    };
    let usage = entry("")?;
    // The shape is v1's: memory and swap together, whose peak nobody knows.
    let mut swap = entry("swap.")?;
    swap.usage += usage.usage;
    swap.max = 0;
    if swap.limit != u64::MAX {
        swap.limit = swap.limit.saturating_add(usage.limit);
    }
    Ok(Memory {
        cache: raw.iter().find(|(key, _)| key == "file").map_or(0, |(_, value)| *value),
        usage,
        swap,
        raw,
        psi: source.pressure("memory.pressure")?,
        ..Memory::default()
    })
}

/// Without the controller the processes are counted by their list.
fn tasks(source: Source<'_>) -> Result<Pids> {
    if source.number("pids.current")?.is_some() {
        return pids(source);
    }
    let listed = match source.text("cgroup.procs")? {
        None => source.text("cgroup.threads")?,
        listed => listed,
    };
    Ok(Pids { current: listed.unwrap_or_default().lines().count() as u64, limit: 0 })
}

/// Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...`, in v1's words.
fn blkio(source: Source<'_>) -> Result<Blkio> {
    let mut blkio = Blkio { psi: source.pressure("io.pressure")?, ..Blkio::default() };
    let text = source.text("io.stat")?.unwrap_or_default();
    for line in text.lines() {
        let (device, counters) = line.split_once(' ').unwrap_or((line, ""));
        let Some((Some(major), Some(minor))) =
            device.split_once(':').map(|(major, minor)| (number(major), number(minor)))
        else {
            continue;
        };
        for (key, value) in counters.split(' ').filter_map(|counter| counter.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            let value = number(value).ok_or_else(|| source.malformed("io.stat", line))?;
            list.push(BlkioEntry { major, minor, op: op.to_string(), value });
        }
    }
    Ok(blkio)
}

fn hugetlb(source: Source<'_>) -> Result<Vec<(String, Hugetlb)>> {
    let mut list = Vec::new();
    for size in huge_page_sizes() {
        let reserved = source.number(&format!("hugetlb.{size}.rsvd.current"))?;
        let usage = if reserved.is_some() { reserved } else { source.number(&format!("hugetlb.{size}.current"))? };
        let Some(usage) = usage else { continue };
        let events = source.pairs(&format!("hugetlb.{size}.events"))?;
        let failcnt = events.iter().find(|(key, _)| key == "max").map_or(0, |(_, value)| *value);
        list.push((size, Hugetlb { usage, max: 0, failcnt }));
    }
    Ok(list)
}
