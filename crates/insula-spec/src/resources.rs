// SPDX-License-Identifier: Apache-2.0
//! `linux.resources`, which is also what `update` reads. Source: runtime-spec, config-linux.md, "Control groups".

use crate::object::{Joined, join};
use crate::{Map, Str};
use alloc::vec::Vec;

object! {
    /// `linux.resources`: limits of the container's cgroup. An absent limit is not written.
    pub struct Resources<'a> {
        /// Device access rules, applied in order; the last match counts.
        devices: Vec<DeviceRule<'a>> = optional "devices",
        /// Memory.
        memory: Option<Memory> = optional "memory",
        /// CPU time and placement.
        cpu: Option<Cpu<'a>> = joined "cpu" or "CPU",
        /// Number of tasks.
        pids: Option<Pids> = optional "pids",
        /// Disk access.
        block_io: Option<BlockIo> = optional "blockIO",
        /// Huge pages.
        hugepage_limits: Vec<HugepageLimit<'a>> = optional "hugepageLimits",
        /// Marks of network traffic (cgroup v1).
        network: Option<Network<'a>> = optional "network",
        /// RDMA, by device name.
        rdma: Map<'a, Rdma> = optional "rdma",
        /// Files of cgroup v2 and what to write into them.
        unified: Map<'a, Str<'a>> = optional "unified",
    }
}

object! {
    /// `linux.resources.devices[]`.
    pub struct DeviceRule<'a> {
        /// Whether access is allowed or denied.
        allow: bool = required "allow",
        /// `a` (all), `c` or `b`; absent is all.
        kind: Option<Str<'a>> = optional "type",
        /// Major number; absent is any.
        major: Option<i64> = optional "major",
        /// Minor number; absent is any.
        minor: Option<i64> = optional "minor",
        /// Letters of `r`, `w`, `m`; absent is all.
        access: Option<Str<'a>> = optional "access",
    }
}

object! {
    /// `linux.resources.memory`, in bytes; -1 is no limit.
    pub struct Memory {
        /// Limit.
        limit: Option<i64> = optional "limit",
        /// Soft limit.
        reservation: Option<i64> = optional "reservation",
        /// Limit of memory and swap together.
        swap: Option<i64> = optional "swap",
        /// Kernel memory (deprecated; the kernel dropped it in 5.4).
        kernel: Option<i64> = optional "kernel",
        /// Kernel memory of TCP buffers.
        kernel_tcp: Option<i64> = optional "kernelTCP",
        /// Eagerness to swap, 0 to 100.
        swappiness: Option<u64> = optional "swappiness",
        /// Whether to pause rather than kill when out of memory (cgroup v1).
        disable_oom_killer: Option<bool> = optional "disableOOMKiller",
        /// Whether children count (cgroup v1).
        use_hierarchy: Option<bool> = optional "useHierarchy",
        /// Whether to refuse a limit below the present use.
        check_before_update: Option<bool> = optional "checkBeforeUpdate",
    }
}

object! {
    /// `linux.resources.cpu`; times in microseconds.
    pub struct Cpu<'a> {
        /// Relative weight, 2 to 262144.
        shares: Option<u64> = optional "shares",
        /// Time per period; -1 is no limit.
        quota: Option<i64> = optional "quota",
        /// Unused time that may be saved up.
        burst: Option<u64> = optional "burst",
        /// Period.
        period: Option<u64> = optional "period",
        /// Real-time scheduling: time per period.
        realtime_runtime: Option<i64> = optional "realtimeRuntime",
        /// Real-time scheduling: period.
        realtime_period: Option<u64> = optional "realtimePeriod",
        /// CPUs, such as `0-3,7`.
        cpus: Option<Str<'a>> = optional "cpus" or "Cpus",
        /// Memory nodes, such as `0-1`.
        mems: Option<Str<'a>> = optional "mems" or "Mems",
        /// 1 makes the cgroup run only when nothing else does.
        idle: Option<i64> = optional "idle",
    }
}

impl Joined for Cpu<'_> {
    fn join(&mut self, more: Self) -> Result<(), &'static str> {
        join(&mut self.shares, more.shares, "shares")?;
        join(&mut self.quota, more.quota, "quota")?;
        join(&mut self.burst, more.burst, "burst")?;
        join(&mut self.period, more.period, "period")?;
        join(&mut self.realtime_runtime, more.realtime_runtime, "realtimeRuntime")?;
        join(&mut self.realtime_period, more.realtime_period, "realtimePeriod")?;
        join(&mut self.cpus, more.cpus, "cpus")?;
        join(&mut self.mems, more.mems, "mems")?;
        join(&mut self.idle, more.idle, "idle")
    }
}

object! {
    /// `linux.resources.pids`.
    pub struct Pids {
        /// Number of tasks; -1 is no limit.
        limit: Option<i64> = optional "limit",
    }
}

object! {
    /// `linux.resources.blockIO`.
    pub struct BlockIo {
        /// Weight, 10 to 1000.
        weight: Option<u16> = optional "weight",
        /// Weight against child cgroups (cgroup v1, CFQ).
        leaf_weight: Option<u16> = optional "leafWeight",
        /// Weights by device.
        weight_device: Vec<WeightDevice> = optional "weightDevice",
        /// Reading, bytes per second.
        throttle_read_bps_device: Vec<ThrottleDevice> = optional "throttleReadBpsDevice",
        /// Writing, bytes per second.
        throttle_write_bps_device: Vec<ThrottleDevice> = optional "throttleWriteBpsDevice",
        /// Reading, operations per second.
        throttle_read_iops_device: Vec<ThrottleDevice> = optional "throttleReadIOPSDevice",
        /// Writing, operations per second.
        throttle_write_iops_device: Vec<ThrottleDevice> = optional "throttleWriteIOPSDevice",
    }
}

object! {
    /// `linux.resources.blockIO.weightDevice[]`.
    pub struct WeightDevice {
        /// Major number.
        major: i64 = required "major",
        /// Minor number.
        minor: i64 = required "minor",
        /// Weight, 10 to 1000.
        weight: Option<u16> = optional "weight",
        /// Weight against child cgroups (cgroup v1, CFQ).
        leaf_weight: Option<u16> = optional "leafWeight",
    }
}

object! {
    /// `linux.resources.blockIO.throttle*Device[]`.
    pub struct ThrottleDevice {
        /// Major number.
        major: i64 = required "major",
        /// Minor number.
        minor: i64 = required "minor",
        /// Bytes or operations per second; 0 is no limit.
        rate: u64 = always "rate",
    }
}

object! {
    /// `linux.resources.hugepageLimits[]`.
    pub struct HugepageLimit<'a> {
        /// Size such as `64KB`, `2MB`, `1GB`.
        page_size: Str<'a> = required "pageSize" or "pagesize",
        /// Limit in bytes.
        limit: u64 = required "limit",
    }
}

object! {
    /// `linux.resources.network` (cgroup v1).
    pub struct Network<'a> {
        /// Class of the container's packets.
        class_id: Option<u32> = optional "classID",
        /// Priorities by interface.
        priorities: Vec<InterfacePriority<'a>> = optional "priorities",
    }
}

object! {
    /// `linux.resources.network.priorities[]`.
    pub struct InterfacePriority<'a> {
        /// Interface name in the runtime's network namespace.
        name: Str<'a> = required "name",
        /// Priority.
        priority: u32 = required "priority",
    }
}

object! {
    /// `linux.resources.rdma`, one device.
    pub struct Rdma {
        /// Handles; absent is no limit.
        hca_handles: Option<u32> = optional "hcaHandles",
        /// Objects; absent is no limit.
        hca_objects: Option<u32> = optional "hcaObjects",
    }
}
