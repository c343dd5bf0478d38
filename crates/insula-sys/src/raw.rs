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

/// Numbers of the calls made here; those above 423 are the same everywhere.
pub(crate) mod number {
    #![allow(dead_code)]
    #[cfg(target_arch = "x86_64")]
    mod arch {
        pub(crate) const RT_SIGACTION: u32 = 13;
        pub(crate) const RT_SIGPROCMASK: u32 = 14;
        pub(crate) const IOCTL: u32 = 16;
        pub(crate) const EXECVE: u32 = 59;
        pub(crate) const FLOCK: u32 = 73;
        pub(crate) const PERSONALITY: u32 = 135;
        pub(crate) const SETGROUPS: u32 = 116;
        pub(crate) const SETRESUID: u32 = 117;
        pub(crate) const SETRESGID: u32 = 119;
        pub(crate) const CAPGET: u32 = 125;
        pub(crate) const CAPSET: u32 = 126;
        pub(crate) const PRCTL: u32 = 157;
        pub(crate) const MMAP: u32 = 9;
        pub(crate) const MUNMAP: u32 = 11;
        pub(crate) const SET_MEMPOLICY: u32 = 238;
        pub(crate) const SCHED_SETAFFINITY: u32 = 203;
        pub(crate) const DUP3: u32 = 292;
        pub(crate) const KEYCTL: u32 = 250;
        pub(crate) const IOPRIO_SET: u32 = 251;
        pub(crate) const UNSHARE: u32 = 272;
        pub(crate) const SIGNALFD4: u32 = 289;
        pub(crate) const PRLIMIT64: u32 = 302;
        pub(crate) const SETNS: u32 = 308;
        pub(crate) const SCHED_SETATTR: u32 = 314;
        pub(crate) const SECCOMP: u32 = 317;
        pub(crate) const BPF: u32 = 321;
        pub(crate) const EXECVEAT: u32 = 322;
        pub(crate) const EXIT_GROUP: u32 = 231;
        pub(crate) const CLOCK_GETTIME: u32 = 228;
        pub(crate) const NAME_TO_HANDLE_AT: u32 = 303;
    }
    #[cfg(target_arch = "aarch64")]
    mod arch {
        pub(crate) const IOCTL: u32 = 29;
        pub(crate) const IOPRIO_SET: u32 = 30;
        pub(crate) const FLOCK: u32 = 32;
        pub(crate) const SIGNALFD4: u32 = 74;
        pub(crate) const CAPGET: u32 = 90;
        pub(crate) const CAPSET: u32 = 91;
        pub(crate) const PERSONALITY: u32 = 92;
        pub(crate) const UNSHARE: u32 = 97;
        pub(crate) const RT_SIGACTION: u32 = 134;
        pub(crate) const RT_SIGPROCMASK: u32 = 135;
        pub(crate) const SETRESUID: u32 = 147;
        pub(crate) const SETRESGID: u32 = 149;
        pub(crate) const SETGROUPS: u32 = 159;
        pub(crate) const PRCTL: u32 = 167;
        pub(crate) const MUNMAP: u32 = 215;
        pub(crate) const KEYCTL: u32 = 219;
        pub(crate) const EXECVE: u32 = 221;
        pub(crate) const MMAP: u32 = 222;
        pub(crate) const SET_MEMPOLICY: u32 = 237;
        pub(crate) const SCHED_SETAFFINITY: u32 = 122;
        pub(crate) const DUP3: u32 = 24;
        pub(crate) const PRLIMIT64: u32 = 261;
        pub(crate) const SETNS: u32 = 268;
        pub(crate) const SCHED_SETATTR: u32 = 274;
        pub(crate) const SECCOMP: u32 = 277;
        pub(crate) const BPF: u32 = 280;
        pub(crate) const EXECVEAT: u32 = 281;
        pub(crate) const EXIT_GROUP: u32 = 94;
        pub(crate) const CLOCK_GETTIME: u32 = 113;
        pub(crate) const NAME_TO_HANDLE_AT: u32 = 264;
    }
    pub(crate) use arch::*;
    pub(crate) const PIDFD_SEND_SIGNAL: u32 = 424;
    pub(crate) const CLONE3: u32 = 435;
    pub(crate) const CLOSE_RANGE: u32 = 436;
    pub(crate) const MOUNT_SETATTR: u32 = 442;
    pub(crate) const OPEN_TREE_ATTR: u32 = 467;
}
