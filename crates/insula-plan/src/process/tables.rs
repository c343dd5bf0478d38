// SPDX-License-Identifier: Apache-2.0
//! Names that the document uses and the numbers that the kernel uses.

/// Resource limits (getrlimit(2)).
const RESOURCES: &[&str] = &[
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

fn position(table: &[&str], name: &str) -> Option<u32> {
    table.iter().position(|known| *known == name).map(|number| number as u32)
}

/// Number of a resource limit.
pub(super) fn resource(name: &str) -> Option<u32> {
    position(RESOURCES, name)
}

/// Number of a scheduling policy (sched(7)); 4 was never used.
pub(super) fn policy(name: &str) -> Option<u32> {
    let policies =
        ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];
    position(&policies, name)
}

/// Bit of a scheduling flag (sched_setattr(2)).
pub(super) fn scheduler_flag(name: &str) -> Option<u64> {
    let flags = [
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
    ];
    position(&flags, name).map(|bit| 1 << bit)
}

/// Number of an I/O scheduling class (ioprio_set(2)).
pub(super) fn io_class(name: &str) -> Option<u32> {
    position(&["", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"], name).filter(|class| *class != 0)
}

/// Number of a memory policy mode (set_mempolicy(2)).
pub(super) fn memory_mode(name: &str) -> Option<u32> {
    let modes = [
        "MPOL_DEFAULT",
        "MPOL_PREFERRED",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_LOCAL",
        "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ];
    position(&modes, name)
}

/// Bit of a memory policy flag.
pub(super) fn memory_flag(name: &str) -> Option<u32> {
    [("MPOL_F_STATIC_NODES", 1 << 15), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_NUMA_BALANCING", 1 << 13)]
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bit)| *bit)
}

/// A list such as `0-2,7` as bits, `words` words of 64.
pub(super) fn bit_list(list: &str, words: usize) -> Option<alloc::vec::Vec<u8>> {
    let mut bits = alloc::vec![0_u64; words];
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if first > last || last >= words * 64 {
            return None;
        }
        for bit in first..=last {
            bits[bit / 64] |= 1 << (bit % 64);
        }
    }
    Some(bits.iter().flat_map(|word| word.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!((resource("RLIMIT_NOFILE"), resource("RLIMIT_RTTIME"), resource("NOFILE")), (Some(7), Some(15), None));
        assert_eq!((policy("SCHED_BATCH"), policy("SCHED_DEADLINE")), (Some(3), Some(6)));
        assert_eq!((io_class("IOPRIO_CLASS_IDLE"), io_class("")), (Some(3), None));
    }

    #[test]
    fn lists() {
        assert_eq!(bit_list("0-1,3", 1), Some(vec![0b1011, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(bit_list("2-1", 1), None);
        assert_eq!(bit_list("64", 1), None);
    }
}
