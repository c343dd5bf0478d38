// SPDX-License-Identifier: Apache-2.0
//! The one place that enters the kernel: six registers in, one out.

use rustix::io::Errno;

/// Makes system call `number`.
///
/// # Safety
/// The arguments must be what the call's man page asks for: pointers to memory that lives and is large enough for as
/// long as the kernel uses it.
pub(crate) unsafe fn syscall(number: u32, a: [usize; 6]) -> Result<usize, Errno> {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; the kernel clobbers rcx and r11 only.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number as usize => result, in("rdi") a[0], in("rsi") a[1],
            in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!("svc #0", in("x8") number as usize, inlateout("x0") a[0] => result, in("x1") a[1],
            in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    if (-4095..0).contains(&result) { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(result as usize) }
}

/// Numbers of the calls made here, for the architecture that is built for.
pub(crate) mod number {
    pub(crate) use linux_raw_sys::general::{
        __NR_bpf as BPF, __NR_capget as CAPGET, __NR_capset as CAPSET, __NR_clock_gettime as CLOCK_GETTIME,
        __NR_clone3 as CLONE3, __NR_close_range as CLOSE_RANGE, __NR_dup3 as DUP3, __NR_execve as EXECVE,
        __NR_execveat as EXECVEAT, __NR_exit_group as EXIT_GROUP, __NR_flock as FLOCK, __NR_ioctl as IOCTL,
        __NR_ioprio_set as IOPRIO_SET, __NR_keyctl as KEYCTL, __NR_mmap as MMAP, __NR_mount_setattr as MOUNT_SETATTR,
        __NR_name_to_handle_at as NAME_TO_HANDLE_AT, __NR_open_tree_attr as OPEN_TREE_ATTR,
        __NR_personality as PERSONALITY, __NR_pidfd_send_signal as PIDFD_SEND_SIGNAL, __NR_prctl as PRCTL,
        __NR_prlimit64 as PRLIMIT64, __NR_rt_sigaction as RT_SIGACTION, __NR_rt_sigprocmask as RT_SIGPROCMASK,
        __NR_sched_setaffinity as SCHED_SETAFFINITY, __NR_sched_setattr as SCHED_SETATTR, __NR_seccomp as SECCOMP,
        __NR_set_mempolicy as SET_MEMPOLICY, __NR_setgroups as SETGROUPS, __NR_setns as SETNS,
        __NR_setresgid as SETRESGID, __NR_setresuid as SETRESUID, __NR_signalfd4 as SIGNALFD4, __NR_unshare as UNSHARE,
    };
}
