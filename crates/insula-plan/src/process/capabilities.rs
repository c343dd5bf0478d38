// SPDX-License-Identifier: Apache-2.0
//! Capabilities by name (capabilities(7)).

use crate::compile::Planned;
use crate::namespaces::Phase;
use insula_spec::{Process, Str};
use insula_steps::Step;

/// In the kernel's order: the position is the number.
static NAMES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The names, in the kernel's order.
pub fn names() -> &'static [&'static str] {
    NAMES
}

/// The number of the capability with this name, as the document spells it.
pub fn capability(name: &str) -> Option<u32> {
    NAMES.iter().position(|known| *known == name).map(|number| number as u32)
}

/// The five sets as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) bounding: u64,
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) ambient: u64,
}

/// The process's sets. Names that this kernel's headers do not know are left out, as runc does with a warning: an engine
/// newer than the runtime must still be able to start containers, and the container gets less, not more.
pub(super) fn sets(process: &Process<'_>) -> Sets {
    let Some(given) = &process.capabilities else { return Sets::default() };
    let bits =
        |list: &[Str<'_>]| list.iter().filter_map(|name| capability(name)).fold(0, |set, number| set | 1 << number);
    Sets {
        bounding: bits(&given.bounding),
        effective: bits(&given.effective),
        permitted: bits(&given.permitted),
        inheritable: bits(&given.inheritable),
        ambient: bits(&given.ambient),
    }
}

/// What a step needs that the program may not have.
pub(super) fn needed(planned: &Planned, process: &Process<'_>) -> u64 {
    let bits = |names: &[&str]| names.iter().filter_map(|name| capability(name)).fold(0, |set, n| set | 1_u64 << n);
    match planned.step {
        // A namespace that is entered only once the process is in its cgroup.
        Step::Join { .. } | Step::Unshare { .. } => bits(&["CAP_SYS_ADMIN"]),
        Step::User { uid: 0, .. } => bits(&["CAP_SETGID", "CAP_SETUID"]),
        Step::User { .. } => bits(&["CAP_SETGID", "CAP_SETUID", "CAP_CHOWN"]),
        Step::Limit { .. } => bits(&["CAP_SYS_RESOURCE"]),
        Step::Scheduler { .. } | Step::IoPriority { .. } => bits(&["CAP_SYS_NICE", "CAP_SYS_ADMIN"]),
        Step::MemoryPolicy { .. } => bits(&["CAP_SYS_NICE"]),
        // One with a listener is installed before no_new_privs is set.
        Step::Seccomp { .. } if !process.no_new_privileges || planned.phase == Phase::Process => {
            bits(&["CAP_SYS_ADMIN"])
        }
        // Opened with the rights that root has over whatever the container made of its devpts.
        Step::Terminal { .. } => bits(&["CAP_DAC_OVERRIDE"]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_sight_while_a_process_enters_is_told() {
        let told = include_str!("../../../../SECURITY.md").split("## The moment of entering").nth(1).unwrap();
        let source = include_str!("capabilities.rs").split("fn needed(").nth(1).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        let names: Vec<&str> = source.split('"').filter(|word| word.starts_with("CAP_")).collect();
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            assert!(told.contains(name), "{name} is not in SECURITY.md");
        }
    }

    #[test]
    fn numbers_are_the_kernels() {
        // linux/capability.h
        for (name, number) in
            [("CAP_CHOWN", 0), ("CAP_SYS_ADMIN", 21), ("CAP_SYSLOG", 34), ("CAP_CHECKPOINT_RESTORE", 40)]
        {
            assert_eq!(capability(name), Some(number));
        }
        assert_eq!(capability("CAP_NONSENSE"), None);
    }
}
