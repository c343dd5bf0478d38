// SPDX-License-Identifier: Apache-2.0
//! What the kernel counts for a cgroup, in the shape of `runc events --stats` (its types/events.go): engines parse it.
//!
//! Times are in nanoseconds, sizes in bytes. What a kernel does not count is zero or left out, as with runc.

mod intel_rdt;
mod legacy;
mod source;
mod unified;

#[cfg(test)]
mod tests;

pub use intel_rdt::{Bandwidth, IntelRdt, L3CacheInfo, MemBwInfo, Occupancy};

use crate::group::Group;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::Result;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Everything counted for a container.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Cpu,
    /// CPU placement (v1).
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub blkio: Blkio,
    /// Huge pages by page size.
    #[serde(serialize_with = "as_map")]
    pub hugetlb: Vec<(String, Hugetlb)>,
    /// The class of service; resctrl counts it, not a control group.
    pub intel_rdt: IntelRdt,
    /// Not counted here; the shape has it.
    pub network_interfaces: Option<()>,
}

/// CPU time.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct Cpu {
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: CpuUsage,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "is_zero")]
    pub psi: Option<Pressure>,
}

/// CPU time used, in nanoseconds.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub percpu: Vec<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub percpu_user: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

/// Effect of the CPU quota.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Pressure stall information (the kernel's accounting/psi.rst): share of time that some or all tasks waited.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct Pressure {
    #[serde(skip_serializing_if = "is_zero")]
    pub some: Stall,
    #[serde(skip_serializing_if = "is_zero")]
    pub full: Stall,
}

/// Percent of the last 10, 60 and 300 seconds; microseconds in all.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct Stall {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

/// cpuset of v1.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct Cpuset {
    #[serde(skip_serializing_if = "is_zero")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
pub struct Memory {
    /// Page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: MemoryEntry,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "is_zero")]
    pub swap: MemoryEntry,
    /// Kernel memory (v1).
    #[serde(skip_serializing_if = "is_zero")]
    pub kernel: MemoryEntry,
    /// TCP buffers (v1).
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_zero")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat` as it is.
    #[serde(serialize_with = "as_map", skip_serializing_if = "is_zero")]
    pub raw: Vec<(String, u64)>,
    /// Pressure.
    #[serde(skip_serializing_if = "is_zero")]
    pub psi: Option<Pressure>,
}

/// One sort of memory; no limit is the greatest number.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct MemoryEntry {
    pub limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

/// Tasks; 0 is no limit.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Block devices.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of v1's files")]
pub struct Blkio {
    #[serde(skip_serializing_if = "is_zero")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_queue_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "is_zero")]
    pub psi: Option<Pressure>,
}

/// One counter of one device.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub op: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's counters")]
pub struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn as_map<S: Serializer, V: Serialize>(pairs: &[(String, V)], serializer: S) -> core::result::Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
    map.end()
}

impl Group {
    /// Reads all counters.
    ///
    /// # Errors
    /// `State` for a file that is not as the kernel's documentation has it; `Kernel` if one cannot be read, other than
    /// for not being there.
    pub fn stats(&self) -> Result<Stats> {
        match self.v2() {
            Some(entry) if self.is_unified() => unified::stats(entry),
            _ => legacy::stats(self),
        }
    }
}
