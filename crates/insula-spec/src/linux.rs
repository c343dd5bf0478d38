// SPDX-License-Identifier: Apache-2.0
//! `linux`. Source: runtime-spec, config-linux.md.

use crate::{Map, Resources, Seccomp, Str};
use alloc::vec::Vec;

object! {
    /// `linux`: what is particular to Linux. Source: runtime-spec, config-linux.md.
    pub struct Linux<'a> {
        /// User ids of the user namespace.
        uid_mappings: Vec<IdMapping> = optional "uidMappings",
        /// Group ids of the user namespace.
        gid_mappings: Vec<IdMapping> = optional "gidMappings",
        /// Kernel parameters, by name.
        sysctl: Map<'a, Str<'a>> = optional "sysctl",
        /// Limits of the cgroup.
        resources: Option<Resources<'a>> = optional "resources",
        /// Path of the cgroup; absolute is relative to the cgroup mount point, or `slice:prefix:name` for systemd.
        cgroups_path: Option<Str<'a>> = optional "cgroupsPath",
        /// Namespaces to create or join.
        namespaces: Vec<Namespace<'a>> = optional "namespaces",
        /// Device nodes to create.
        devices: Vec<Device<'a>> = optional "devices",
        /// Network devices to move into the container, by their name on the host.
        net_devices: Map<'a, NetDevice<'a>> = optional "netDevices",
        /// Filter of system calls.
        seccomp: Option<Seccomp<'a>> = optional "seccomp",
        /// Propagation of the root mount: `shared`, `slave`, `private` or `unbindable`.
        rootfs_propagation: Option<Str<'a>> = optional "rootfsPropagation",
        /// Paths in the container that cannot be read.
        masked_paths: Vec<Str<'a>> = optional "maskedPaths",
        /// Paths in the container that cannot be written.
        readonly_paths: Vec<Str<'a>> = optional "readonlyPaths",
        /// SELinux context of the mounts.
        mount_label: Option<Str<'a>> = optional "mountLabel",
        /// Cache and memory bandwidth.
        intel_rdt: Option<IntelRdt<'a>> = optional "intelRdt",
        /// NUMA memory policy.
        memory_policy: Option<MemoryPolicy<'a>> = optional "memoryPolicy",
        /// Execution domain.
        personality: Option<Personality<'a>> = optional "personality",
        /// Shifts of clocks, by clock name.
        time_offsets: Map<'a, TimeOffset> = optional "timeOffsets",
    }
}

object! {
    /// `linux.namespaces[]`.
    pub struct Namespace<'a> {
        /// Type, as the document has it.
        kind: Str<'a> = required "type",
        /// File of a namespace to join; absent is a new one.
        path: Option<Str<'a>> = optional "path",
    }
}

object! {
    /// One line of an id map. Source: user_namespaces(7).
    pub struct IdMapping {
        /// First id inside.
        container_id: u32 = required "containerID",
        /// First id outside.
        host_id: u32 = required "hostID",
        /// How many.
        size: u32 = required "size",
    }
}

object! {
    /// `linux.timeOffsets`, one clock. Source: time_namespaces(7).
    pub struct TimeOffset {
        /// Seconds.
        secs: i64 = optional "secs",
        /// Nanoseconds to add, 0 to 999 999 999.
        nanosecs: u32 = optional "nanosecs",
    }
}

object! {
    /// `linux.devices[]`. Source: mknod(2).
    pub struct Device<'a> {
        /// Path in the container.
        path: Str<'a> = required "path",
        /// `c`, `b`, `u` (as `c`) or `p` (fifo).
        kind: Str<'a> = required "type",
        /// Major number.
        major: i64 = always "major",
        /// Minor number.
        minor: i64 = always "minor",
        /// Permission bits; absent is 0666.
        file_mode: Option<u32> = optional "fileMode",
        /// Owner in the container; absent is 0.
        uid: Option<u32> = optional "uid",
        /// Group in the container; absent is 0.
        gid: Option<u32> = optional "gid",
    }
}

object! {
    /// `linux.netDevices`, one device.
    pub struct NetDevice<'a> {
        /// Name in the container; absent keeps the host's.
        name: Option<Str<'a>> = optional "name",
    }
}

object! {
    /// `linux.intelRdt`. Source: the kernel's Documentation/filesystems/resctrl.rst.
    pub struct IntelRdt<'a> {
        /// Class of service; absent is the container's id.
        clos_id: Option<Str<'a>> = optional "closID",
        /// Lines of the schemata file, as they are.
        schemata: Vec<Str<'a>> = optional "schemata",
        /// `L3:` line.
        l3_cache_schema: Option<Str<'a>> = optional "l3CacheSchema",
        /// `MB:` line.
        mem_bw_schema: Option<Str<'a>> = optional "memBwSchema",
        /// Whether to make a monitoring group.
        enable_monitoring: bool = optional "enableMonitoring",
    }
}

object! {
    /// `linux.memoryPolicy`. Source: set_mempolicy(2).
    pub struct MemoryPolicy<'a> {
        /// Name such as `MPOL_BIND`.
        mode: Str<'a> = always "mode",
        /// Memory nodes, such as `0-1,3`.
        nodes: Option<Str<'a>> = optional "nodes",
        /// Names such as `MPOL_F_STATIC_NODES`.
        flags: Vec<Str<'a>> = optional "flags",
    }
}

object! {
    /// `linux.personality`. Source: personality(2).
    pub struct Personality<'a> {
        /// `LINUX` or `LINUX32`.
        domain: Str<'a> = always "domain",
        /// Further flags; none are defined.
        flags: Vec<Str<'a>> = optional "flags",
    }
}
