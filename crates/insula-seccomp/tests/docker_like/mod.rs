// SPDX-License-Identifier: Apache-2.0
//! A profile that answers as Docker's default one does (for x86_64, with its default capabilities), told by what it
//! leaves out.

use insula_spec::{Seccomp, Syscall, SyscallArg};

/// Calls that are not allowed.
const DENIED: &str = "
    acct afs_syscall bdflush bpf break create_module delete_module fanotify_init finit_module ftime get_kernel_syms
    get_mempolicy getpmsg gtty idle init_module ioperm iopl kcmp lock lookup_dcookie mbind migrate_pages move_pages mpx
    nfsservctl nice open_by_handle_at perf_event_open pidfd_getfd process_madvise prof profil putpmsg query_module
    readdir reboot security set_mempolicy set_mempolicy_home_node sysfs syslog tuxcall ulimit uprobe uselib userfaultfd
    ustat vhangup vserver _sysctl rseq_slice_yield file_getattr file_setattr
    add_key keyctl request_key
    fsconfig fsmount fsopen fspick listns mount mount_setattr move_mount open_tree open_tree_attr pivot_root
    quotactl quotactl_fd setns swapoff swapon umount umount2 unshare
    io_uring_enter io_uring_register io_uring_setup
    kexec_file_load kexec_load
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr
    oldfstat oldlstat oldolduname oldstat olduname
    clock_settime clock_settime64 setdomainname sethostname settimeofday stime
    sgetmask sigaction signal sigpending sigsuspend ssetmask stty vm86 vm86old
";

/// Calls that are allowed with some arguments.
const CHECKED: [&str; 4] = ["clone", "clone3", "personality", "socket"];

/// Flags of clone(2) for namespaces.
const NAMESPACES: u64 = 0x7e02_0000;

fn allowed(name: &'static str, op: &'static str, value: u64) -> Syscall<'static> {
    let argument = SyscallArg { index: 0, value, value_two: 0, op: op.into() };
    Syscall { names: vec![name.into()], action: "SCMP_ACT_ALLOW".into(), errno_ret: None, args: vec![argument] }
}

/// The profile.
pub(crate) fn profile() -> Seccomp<'static> {
    let names = insula_seccomp::features::system_calls();
    let names =
        names.filter(|name| !CHECKED.contains(name) && !DENIED.split_whitespace().any(|denied| denied == *name));
    let everywhere = Syscall {
        names: names.map(Into::into).collect(),
        action: "SCMP_ACT_ALLOW".into(),
        errno_ret: None,
        args: Vec::new(),
    };
    let clone3 = Syscall {
        names: vec!["clone3".into()],
        action: "SCMP_ACT_ERRNO".into(),
        errno_ret: Some(38),
        args: Vec::new(),
    };
    let mut syscalls = vec![everywhere];
    // Only AF_ALG (38) and AF_VSOCK (40) are refused.
    syscalls.push(allowed("socket", "SCMP_CMP_LT", 38));
    syscalls.push(allowed("socket", "SCMP_CMP_EQ", 39));
    syscalls.push(allowed("socket", "SCMP_CMP_GT", 40));
    syscalls.extend([0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|value| allowed("personality", "SCMP_CMP_EQ", value)));
    syscalls.push(allowed("clone", "SCMP_CMP_MASKED_EQ", NAMESPACES));
    syscalls.push(clone3);
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".into(),
        default_errno_ret: Some(1),
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"].map(Into::into).into(),
        syscalls,
        ..Seccomp::default()
    }
}
