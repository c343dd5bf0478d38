// SPDX-License-Identifier: Apache-2.0
//! clone(2), execve(2), wait, signals, pidfds: what makes and ends processes.

use crate::raw::{number, syscall};
use core::ffi::{CStr, c_char};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Flags of clone3(2), unshare(2) and setns(2).
pub mod clone {
    pub use self::flags::*;
    mod flags {
        #![allow(missing_docs)]
        pub const NEWTIME: u64 = 0x80;
        pub const PARENT: u64 = 0x8000;
        pub const PIDFD: u64 = 0x1000;
        pub const NEWNS: u64 = 0x2_0000;
        pub const NEWCGROUP: u64 = 0x200_0000;
        pub const NEWUTS: u64 = 0x400_0000;
        pub const NEWIPC: u64 = 0x800_0000;
        pub const NEWUSER: u64 = 0x1000_0000;
        pub const NEWPID: u64 = 0x2000_0000;
        pub const NEWNET: u64 = 0x4000_0000;
        pub const INTO_CGROUP: u64 = 0x2_0000_0000;
    }
}

/// struct clone_args of clone3(2), its 88-byte version (Linux 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of a clone3(2) this is.
#[derive(Debug)]
pub enum Cloned {
    /// The caller: the child's process id as the caller's pid namespace numbers it, and a handle that is never recycled.
    Parent {
        /// Process id of the child.
        pid: i32,
        /// Its pidfd (close-on-exec).
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

const SIGCHLD: u64 = 17;

/// Makes a process as fork(2) does, in the new namespaces that `flags` names (`clone::NEW*`) and, on cgroup v2, born in
/// `cgroup`. With [`clone::PARENT`] the caller's parent becomes its parent. clone3(2), Linux 5.7.
///
/// The copy has its own memory, so nothing in the caller can be harmed by it; the programs are single-threaded.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd = -1_i32;
    let mut args = CloneArgs {
        flags: flags | clone::PIDFD,
        pidfd: core::ptr::from_mut(&mut pidfd) as u64,
        // with CLONE_PARENT the kernel takes the signal that the caller itself was made with, and demands 0 here
        exit_signal: if flags & clone::PARENT == 0 { SIGCHLD } else { 0 },
        ..CloneArgs::default()
    };
    if let Some(fd) = cgroup {
        args.flags |= clone::INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    // SAFETY: `args` and `pidfd` outlive the call; no stack is given, so parent and child each go on with their own copy.
    let pid = unsafe { syscall(number::CLONE3, [&raw const args as usize, size_of::<CloneArgs>(), 0, 0, 0, 0]) }?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: on success the kernel stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(core::ptr::read_volatile(&raw const pidfd)) };
    Ok(Cloned::Parent { pid: pid as i32, pidfd })
}

/// Bytes of stack that the child of [`spawn`] has.
const SPAWN_STACK: usize = 32 * 1024;

/// As [`clone3`], but the child runs `child` in the caller's own memory, on a stack of its own, and the caller stands still
/// until the child has become another program or has ended (CLONE_VM and CLONE_VFORK): nothing of the caller's memory is
/// copied, which costs as much as a small program's whole start.
///
/// What `child` changes stays changed for the caller; it must end by execve(2) or exit, within a few calls.
pub fn spawn<Child: Fn() -> core::convert::Infallible>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    child: &Child,
) -> Result<(i32, OwnedFd), Errno> {
    extern "C" fn enter<Child: Fn() -> core::convert::Infallible>(child: *const Child) -> ! {
        // SAFETY: the caller of `spawn` stands still with the closure on its stack.
        match unsafe { (*child)() } {}
    }
    let entry: extern "C" fn(*const Child) -> ! = enter::<Child>;
    let mut stack = alloc::vec::Vec::<u128>::with_capacity(SPAWN_STACK / 16);
    let mut pidfd = -1_i32;
    let mut args = CloneArgs {
        // CLONE_VM, CLONE_VFORK
        flags: flags | clone::PIDFD | 0x100 | 0x4000,
        pidfd: core::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: SIGCHLD,
        stack: stack.as_mut_ptr() as u64,
        stack_size: SPAWN_STACK as u64,
        ..CloneArgs::default()
    };
    if let Some(fd) = cgroup {
        args.flags |= clone::INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `args` and what it points to outlive the call, in which this process stands still while the child uses its
    // own stack; the child enters `entry` with the closure and never returns here.
    unsafe {
        core::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r12", "call r13", "ud2", "2:",
            inlateout("rax") number::CLONE3 as usize => result, in("rdi") &raw const args, in("rsi") size_of::<CloneArgs>(),
            in("r12") core::ptr::from_ref(child), in("r13") entry, lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "svc #0", "cbnz x0, 2f", "mov x29, #0", "mov x0, x20", "blr x21", "brk #0", "2:",
            in("x8") number::CLONE3 as usize, inlateout("x0") &raw const args => result, in("x1") size_of::<CloneArgs>(),
            in("x20") core::ptr::from_ref(child), in("x21") entry);
    }
    if result < 0 {
        return Err(Errno::from_raw_os_error(-result as i32));
    }
    // SAFETY: on success the kernel stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(core::ptr::read_volatile(&raw const pidfd)) };
    Ok((result as i32, pidfd))
}

/// Replaces the program by the one behind `program` (execveat(2) with AT_EMPTY_PATH); returns only on failure.
pub fn execveat(program: BorrowedFd<'_>, argv: &[&CStr; 2], envp: &[&CStr; 1]) -> Errno {
    let argv = [argv[0].as_ptr(), argv[1].as_ptr(), core::ptr::null()];
    let envp = [envp[0].as_ptr(), core::ptr::null()];
    let empty = c"";
    // SAFETY: all strings and both lists outlive the call; the lists end in null.
    unsafe {
        syscall(
            number::EXECVEAT,
            [
                program.as_raw_fd() as usize,
                empty.as_ptr() as usize,
                argv.as_ptr() as usize,
                envp.as_ptr() as usize,
                0x1000,
                0,
            ],
        )
    }
    .err()
    .unwrap_or(Errno::INVAL)
}

/// A list of C strings in the form that execve(2) takes.
#[derive(Debug, Default)]
pub struct StringList<'a> {
    pointers: alloc::vec::Vec<*const c_char>,
    strings: core::marker::PhantomData<&'a CStr>,
}

impl<'a> StringList<'a> {
    /// An empty list with room for `capacity` strings.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut pointers = alloc::vec::Vec::with_capacity(capacity + 1);
        pointers.push(core::ptr::null());
        Self { pointers, strings: core::marker::PhantomData }
    }

    /// Appends `string`.
    pub fn push(&mut self, string: &'a CStr) {
        self.pointers.pop();
        self.pointers.push(string.as_ptr());
        self.pointers.push(core::ptr::null());
    }
}

impl<'a> FromIterator<&'a CStr> for StringList<'a> {
    fn from_iter<I: IntoIterator<Item = &'a CStr>>(strings: I) -> Self {
        let mut list = Self::with_capacity(8);
        for string in strings {
            list.push(string);
        }
        list
    }
}

/// execve(2): replaces the program; returns only on failure.
pub fn execve(path: &CStr, argv: &StringList<'_>, envp: &StringList<'_>) -> Errno {
    // SAFETY: the lists end in null and their strings outlive the call, by StringList's lifetime.
    unsafe {
        syscall(
            number::EXECVE,
            [path.as_ptr() as usize, argv.pointers.as_ptr() as usize, envp.pointers.as_ptr() as usize, 0, 0, 0],
        )
    }
    .err()
    .unwrap_or(Errno::INVAL)
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC: every descriptor from `first` on will not survive execve. Linux 5.11;
/// older kernels have CLOSE_RANGE without the flag (EINVAL) or nothing (ENOSYS).
pub fn cloexec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: changes flags of descriptors only; no memory is passed.
    unsafe { syscall(number::CLOSE_RANGE, [first as usize, u32::MAX as usize, 4, 0, 0, 0]) }.map(drop)
}

/// close_range(2): closes every descriptor from 3 on but `keep`. For a child that goes on without the values that own
/// them: it must end by `exit` or execve.
pub fn close_all_but(keep: BorrowedFd<'_>) -> Result<(), Errno> {
    let keep = keep.as_raw_fd() as usize;
    for (first, last) in [(3, keep.wrapping_sub(1)), (keep + 1, u32::MAX as usize)] {
        if first <= last && last != usize::MAX {
            // SAFETY: no memory is passed; the owners of these descriptors are never dropped in this process.
            unsafe { syscall(number::CLOSE_RANGE, [first, last, 0, 0, 0, 0]) }?;
        }
    }
    Ok(())
}

/// A set of signals, bit n-1 for signal n (sigset_t of the kernel).
pub type SignalSet = u64;

/// Blocks exactly `set` (rt_sigprocmask(2), SIG_SETMASK) and returns what was blocked before.
pub fn set_signal_mask(set: SignalSet) -> Result<SignalSet, Errno> {
    let mut old: SignalSet = 0;
    // SAFETY: both sets are eight bytes and outlive the call.
    unsafe { syscall(number::RT_SIGPROCMASK, [2, &raw const set as usize, &raw mut old as usize, 8, 0, 0]) }?;
    Ok(old)
}

/// Gives signal `signal` its default action (rt_sigaction(2)).
pub fn default_signal(signal: u32) -> Result<(), Errno> {
    // handler, flags, restorer, mask: all zero is SIG_DFL
    let action = [0_u64; 4];
    // SAFETY: `action` is the kernel's struct sigaction and outlives the call.
    unsafe { syscall(number::RT_SIGACTION, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) }.map(drop)
}

/// Ignores signal `signal` (rt_sigaction(2)).
pub fn ignore_signal(signal: u32) -> Result<(), Errno> {
    // SIG_IGN is 1.
    let action = [1_u64, 0, 0, 0];
    // SAFETY: `action` is the kernel's struct sigaction and outlives the call.
    unsafe { syscall(number::RT_SIGACTION, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) }.map(drop)
}

/// Whether signal `signal` is ignored at this moment (rt_sigaction(2)).
pub fn is_ignored(signal: u32) -> bool {
    let mut action = [0_u64; 4];
    // SAFETY: `action` is the kernel's struct sigaction and outlives the call.
    let asked = unsafe { syscall(number::RT_SIGACTION, [signal as usize, 0, action.as_mut_ptr() as usize, 8, 0, 0]) };
    asked.is_ok() && action[0] == 1
}

/// A descriptor from which the signals in `set` are read (signalfd4(2), close-on-exec, non-blocking). They must be blocked.
pub fn signalfd(set: SignalSet) -> Result<OwnedFd, Errno> {
    // SAFETY: `set` is eight bytes and outlives the call.
    let fd = unsafe { syscall(number::SIGNALFD4, [usize::MAX, &raw const set as usize, 8, 0o2_004_000, 0, 0]) }?;
    // SAFETY: the kernel made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// prctl(2) with plain numbers: operations whose arguments are no pointers.
pub fn prctl(operation: PrctlOp, a: u64, b: u64) -> Result<i32, Errno> {
    // SAFETY: every operation in PrctlOp takes integers only.
    unsafe { syscall(number::PRCTL, [operation as usize, a as usize, b as usize, 0, 0, 0]) }.map(|r| r as i32)
}

/// Operations of prctl(2) that take plain numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum PrctlOp {
    /// PR_SET_PDEATHSIG: signal when the parent dies.
    SetParentDeathSignal = 1,
    /// PR_SET_DUMPABLE
    SetDumpable = 4,
    /// PR_SET_KEEPCAPS: keep permitted capabilities across setuid.
    SetKeepCaps = 8,
    /// PR_CAPBSET_READ
    ReadBounding = 23,
    /// PR_CAPBSET_DROP
    DropBounding = 24,
    /// PR_SET_CHILD_SUBREAPER
    SetChildSubreaper = 36,
    /// PR_SET_NO_NEW_PRIVS
    SetNoNewPrivs = 38,
    /// PR_CAP_AMBIENT
    Ambient = 47,
}

/// Sets the name that `ps` and /proc/<pid>/comm show (PR_SET_NAME, 15 bytes).
pub fn set_name(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the name outlives the call; the kernel copies at most 16 bytes up to the zero.
    unsafe { syscall(number::PRCTL, [15, name.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// setns(2): joins the namespace(s) behind `fd`; `kinds` are clone flags and must name exactly one kind for an nsfs
/// descriptor, any number for a pidfd (Linux 5.8). The caller must be single-threaded for user, mount and time.
pub fn setns(fd: BorrowedFd<'_>, kinds: u64) -> Result<(), Errno> {
    // SAFETY: no memory is passed; the programs are single-threaded, so no thread is left behind.
    unsafe { syscall(number::SETNS, [fd.as_raw_fd() as usize, kinds as usize, 0, 0, 0, 0]) }.map(drop)
}

/// unshare(2): new namespaces for the caller (for its children: pid, time).
pub fn unshare(kinds: u64) -> Result<(), Errno> {
    // SAFETY: no memory is passed; CLONE_FILES and CLONE_VM are never among the kinds.
    unsafe { syscall(number::UNSHARE, [kinds as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// personality(2): sets the execution domain.
pub fn personality(persona: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::PERSONALITY, [persona as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// ioprio_set(2) for the caller; `priority` is class << 13 | level.
pub fn set_io_priority(priority: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::IOPRIO_SET, [1, 0, priority as usize, 0, 0, 0]) }.map(drop)
}

/// struct sched_attr of sched_setattr(2), its 48-byte version.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// sched_setattr(2) for the caller.
pub fn sched_setattr(attr: &SchedAttr) -> Result<(), Errno> {
    // SAFETY: `attr` has the size it states and outlives the call.
    unsafe { syscall(number::SCHED_SETATTR, [0, core::ptr::from_ref(attr) as usize, 0, 0, 0, 0]) }.map(drop)
}

/// set_mempolicy(2): `mode` with its flags, `nodes` as a bit set of up to 1024 nodes.
pub fn set_mempolicy(mode: u32, nodes: &[u64; 16]) -> Result<(), Errno> {
    let empty = nodes.iter().all(|word| *word == 0);
    let (mask, bits) = if empty { (0, 0) } else { (nodes.as_ptr() as usize, 1024 + 1) };
    // SAFETY: the kernel reads maxnode-1 bits, which is the whole array.
    unsafe { syscall(number::SET_MEMPOLICY, [mode as usize, mask, bits, 0, 0, 0]) }.map(drop)
}

/// Takes (`exclusive`) or tries a lock on the open file (flock(2)); the kernel drops it with the last descriptor.
pub fn flock(fd: BorrowedFd<'_>, wait: bool) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::FLOCK, [fd.as_raw_fd() as usize, if wait { 2 } else { 6 }, 0, 0, 0, 0]) }.map(drop)
}

/// Gives the lock on an open file back (flock(2), LOCK_UN).
pub fn funlock(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::FLOCK, [fd.as_raw_fd() as usize, 8, 0, 0, 0, 0]) }.map(drop)
}

/// keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a fresh session keyring. Without a name, because by a name the call joins one
/// that somebody else has prepared.
pub fn new_session_keyring() -> Result<i32, Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::KEYCTL, [1, 0, 0, 0, 0, 0]) }.map(|r| r as i32)
}

/// keyctl(2) KEYCTL_DESCRIBE permissions are not needed; KEYCTL_SETPERM gives the keyring `permissions`.
pub fn set_key_permissions(key: i32, permissions: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    unsafe { syscall(number::KEYCTL, [5, key as usize, permissions as usize, 0, 0, 0]) }.map(drop)
}

/// sched_setaffinity(2) for the caller: `cpus` is a little-endian bit mask, a multiple of eight bytes.
pub fn set_affinity(cpus: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `cpus.len()` bytes of the live slice.
    unsafe { syscall(number::SCHED_SETAFFINITY, [0, cpus.len(), cpus.as_ptr() as usize, 0, 0, 0]) }.map(drop)
}

/// pidfd_send_signal(2) with any signal number, 0 and real-time ones included.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no siginfo is passed.
    unsafe { syscall(number::PIDFD_SEND_SIGNAL, [pidfd.as_raw_fd() as usize, signal as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Seconds since 1970 and nanoseconds (clock_gettime(2), CLOCK_REALTIME), by the call itself: for one look the kernel's own
/// library need not be searched.
pub fn wall_clock() -> (i64, u32) {
    let mut time = [0_i64; 2];
    // SAFETY: the kernel writes a struct timespec, two words of 64 bits, into the live array.
    let _ = unsafe { syscall(number::CLOCK_GETTIME, [0, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    (time[0], time[1] as u32)
}

/// exit_group(2): ends the process.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: no memory is passed; the call does not return.
        let _ = unsafe { syscall(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
