// SPDX-License-Identifier: Apache-2.0
//! Names in the document that stand for a number of the kernel's interface and belong to no namespace, mount,
//! capability or system call filter.

use alloc::string::String;

/// Names and the numbers they stand for.
#[derive(Debug)]
pub struct Names(&'static [(&'static str, u32)]);

impl Names {
    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The names, as advice lists them.
    pub(crate) fn list(&self) -> String {
        let mut list = String::from("known are ");
        for (number, name) in self.iter().enumerate() {
            list.push_str(if number > 0 { ", " } else { "" });
            list.push_str(name);
        }
        list
    }
}

/// `process.rlimits[].type`: resources of getrlimit(2), with the numbers of asm-generic/resource.h.
pub static RLIMITS: Names = Names(&[
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
]);

/// `process.scheduler.policy`: policies of sched_setattr(2).
pub static SCHEDULER_POLICIES: Names = Names(&[
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
]);

/// `process.scheduler.flags[]`: bits of sched_setattr(2).
pub static SCHEDULER_FLAGS: Names = Names(&[
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
]);

/// `process.ioPriority.class`: classes of ioprio_set(2).
pub static IO_PRIORITY_CLASSES: Names =
    Names(&[("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)]);

/// `linux.personality.domain`: personas of personality(2).
pub static PERSONALITY_DOMAINS: Names = Names(&[("LINUX", 0), ("LINUX32", 8)]);

/// `linux.memoryPolicy.mode`: modes of set_mempolicy(2).
pub static MEMORY_POLICY_MODES: Names = Names(&[
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
]);

/// `linux.memoryPolicy.flags[]`: bits that set_mempolicy(2) takes with the mode.
pub static MEMORY_POLICY_FLAGS: Names =
    Names(&[("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)]);
