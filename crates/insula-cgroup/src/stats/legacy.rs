// SPDX-License-Identifier: Apache-2.0
//! Counters of v1's controllers. Source: the kernel's Documentation/admin-guide/cgroup-v1.

use super::source::{Source, huge_page_sizes, number};
use super::{Blkio, BlkioEntry, Cpu, Cpuset, Hugetlb, Memory, MemoryEntry, Pids, Stats};
use crate::group::Group;
use crate::layout::Controller;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::Result;

/// `cpuacct.stat` counts in ticks of USER_HZ, which is 100 everywhere.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

pub(super) fn stats(group: &Group) -> Result<Stats> {
    let mut stats = Stats::default();
    let source = |controller| group.v1(controller).map(Source);
    if let Some(source) = source(Controller::Cpu) {
        throttling(source, &mut stats.cpu)?;
    }
    if let Some(source) = source(Controller::Cpuacct) {
        usage(source, &mut stats.cpu)?;
    }
    if let Some(source) = source(Controller::Cpuset) {
        stats.cpuset = cpuset(source)?;
    }
    if let Some(source) = source(Controller::Memory) {
        stats.memory = memory(source)?;
    }
    if let Some(source) = source(Controller::Pids) {
        stats.pids = pids(source)?;
    }
    if let Some(source) = source(Controller::Io) {
        stats.blkio = blkio(source)?;
    }
    if let Some(source) = source(Controller::Hugetlb) {
        stats.hugetlb = hugetlb(source)?;
    }
    Ok(stats)
}

fn throttling(source: Source<'_>, cpu: &mut Cpu) -> Result<()> {
    for (key, value) in source.pairs("cpu.stat")? {
        match &*key {
            "nr_periods" => cpu.throttling.periods = value,
            "nr_throttled" => cpu.throttling.throttled_periods = value,
            "throttled_time" => cpu.throttling.throttled_time = value,
            _ => {}
        }
    }
    Ok(())
}

fn usage(source: Source<'_>, cpu: &mut Cpu) -> Result<()> {
    for (key, ticks) in source.pairs("cpuacct.stat")? {
        match &*key {
            "user" => cpu.usage.user = ticks * NANOSECONDS_PER_TICK,
            "system" => cpu.usage.kernel = ticks * NANOSECONDS_PER_TICK,
            _ => {}
        }
    }
    cpu.usage.total = source.number("cpuacct.usage")?.unwrap_or(0);
    let percpu = source.text("cpuacct.usage_percpu")?.unwrap_or_default();
    cpu.usage.percpu = percpu.split_ascii_whitespace().filter_map(number).collect();
    // "cpu user system", then a line for each CPU
    let all = source.text("cpuacct.usage_all")?.unwrap_or_default();
    for line in all.lines().skip(1) {
        let mut words = line.split(' ').skip(1).map(number);
        if let (Some(Some(user)), Some(Some(kernel))) = (words.next(), words.next()) {
            cpu.usage.percpu_user.push(user);
            cpu.usage.percpu_kernel.push(kernel);
        }
    }
    Ok(())
}

fn cpuset(source: Source<'_>) -> Result<Cpuset> {
    let number = |name: &str| Ok(source.number(&format!("cpuset.{name}"))?.unwrap_or(0));
    let level = source.text("cpuset.sched_relax_domain_level")?.unwrap_or_default();
    Ok(Cpuset {
        cpus: source.list("cpuset.cpus")?,
        cpu_exclusive: number("cpu_exclusive")?,
        mems: source.list("cpuset.mems")?,
        mem_hardwall: number("mem_hardwall")?,
        mem_exclusive: number("mem_exclusive")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: level.trim_end().parse().unwrap_or(0),
    })
}

fn memory(source: Source<'_>) -> Result<Memory> {
    let raw = source.pairs("memory.stat")?;
    let entry = |part: &str| {
        let number = |name: &str| Ok(source.number(&format!("memory.{part}{name}"))?.unwrap_or(0));
        Ok::<_, insula_error::Error>(MemoryEntry {
            limit: number("limit_in_bytes")?,
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
        })
    };
    Ok(Memory {
        cache: raw.iter().find(|(key, _)| key == "cache").map_or(0, |(_, value)| *value),
        usage: entry("")?,
        swap: entry("memsw.")?,
        kernel: entry("kmem.")?,
        kernel_tcp: entry("kmem.tcp.")?,
        raw,
        psi: None,
    })
}

pub(super) fn pids(source: Source<'_>) -> Result<Pids> {
    let limit = source.number("pids.max")?.filter(|limit| *limit != u64::MAX);
    Ok(Pids { current: source.number("pids.current")?.unwrap_or(0), limit: limit.unwrap_or(0) })
}

type Counter = (fn(&mut Blkio) -> &mut Vec<BlkioEntry>, &'static str);

/// Sets of files, of which the first that is there counts: BFQ with debugging, BFQ, CFQ, throttling.
static COUNTERS: [&[Counter]; 5] = [
    &[
        (|io| &mut io.sectors_recursive, "blkio.bfq.sectors_recursive"),
        (|io| &mut io.io_service_time_recursive, "blkio.bfq.io_service_time_recursive"),
        (|io| &mut io.io_wait_time_recursive, "blkio.bfq.io_wait_time_recursive"),
        (|io| &mut io.io_merged_recursive, "blkio.bfq.io_merged_recursive"),
        (|io| &mut io.io_queue_recursive, "blkio.bfq.io_queued_recursive"),
        (|io| &mut io.io_time_recursive, "blkio.bfq.time_recursive"),
        (|io| &mut io.io_serviced_recursive, "blkio.bfq.io_serviced_recursive"),
        (|io| &mut io.io_service_bytes_recursive, "blkio.bfq.io_service_bytes_recursive"),
    ],
    &[
        (|io| &mut io.io_serviced_recursive, "blkio.bfq.io_serviced_recursive"),
        (|io| &mut io.io_service_bytes_recursive, "blkio.bfq.io_service_bytes_recursive"),
    ],
    &[
        (|io| &mut io.sectors_recursive, "blkio.sectors_recursive"),
        (|io| &mut io.io_service_time_recursive, "blkio.io_service_time_recursive"),
        (|io| &mut io.io_wait_time_recursive, "blkio.io_wait_time_recursive"),
        (|io| &mut io.io_merged_recursive, "blkio.io_merged_recursive"),
        (|io| &mut io.io_queue_recursive, "blkio.io_queued_recursive"),
        (|io| &mut io.io_time_recursive, "blkio.time_recursive"),
        (|io| &mut io.io_serviced_recursive, "blkio.io_serviced_recursive"),
        (|io| &mut io.io_service_bytes_recursive, "blkio.io_service_bytes_recursive"),
    ],
    &[
        (|io| &mut io.io_serviced_recursive, "blkio.throttle.io_serviced_recursive"),
        (|io| &mut io.io_service_bytes_recursive, "blkio.throttle.io_service_bytes_recursive"),
    ],
    &[
        (|io| &mut io.io_serviced_recursive, "blkio.throttle.io_serviced"),
        (|io| &mut io.io_service_bytes_recursive, "blkio.throttle.io_service_bytes"),
    ],
];

fn blkio(source: Source<'_>) -> Result<Blkio> {
    let mut blkio = Blkio::default();
    for set in COUNTERS {
        for (index, (field, name)) in set.iter().enumerate() {
            let Some(text) = source.text(name)? else { break };
            let entries = entries(&text).map_err(|line| source.malformed(name, line))?;
            // A set without an entry counts nothing here; another may.
            if index == 0 && entries.is_empty() {
                break;
            }
            *field(&mut blkio) = entries;
            if index == set.len() - 1 {
                return Ok(blkio);
            }
        }
    }
    Ok(blkio)
}

/// Lines `8:0 Read 1234` or `8:0 1234`; `Total` of all devices is left out.
pub(super) fn entries(text: &str) -> core::result::Result<Vec<BlkioEntry>, &str> {
    let mut entries = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("Total")) {
        let words: Vec<&str> = line.split([' ', ':']).filter(|word| !word.is_empty()).collect();
        let (op, value) = match *words.as_slice() {
            [_, _, value] => ("", value),
            [_, _, op, value] => (op, value),
            _ => return Err(line),
        };
        match (number(words[0]), number(words[1]), number(value)) {
            (Some(major), Some(minor), Some(value)) => {
                entries.push(BlkioEntry { major, minor, op: op.to_string(), value });
            }
            _ => return Err(line),
        }
    }
    Ok(entries)
}

fn hugetlb(source: Source<'_>) -> Result<Vec<(String, Hugetlb)>> {
    let mut list = Vec::new();
    for size in huge_page_sizes() {
        let number = |name: &str| {
            let reserved = source.number(&format!("hugetlb.{size}.rsvd.{name}"))?;
            let counted =
                if reserved.is_some() { reserved } else { source.number(&format!("hugetlb.{size}.{name}"))? };
            Ok::<_, insula_error::Error>(counted.unwrap_or(0))
        };
        let counters = Hugetlb {
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
        };
        list.push((size.clone(), counters));
    }
    Ok(list)
}
