// SPDX-License-Identifier: Apache-2.0
//! Process entry (System V ABI, "Process Initialization"): the kernel leaves argc, argv, envp and auxv on the stack.

use core::ffi::CStr;
use core::ffi::c_char;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl {entry}",
    "brk #0",
    entry = sym entry,
);

#[unsafe(link_section = ".bss.first")]
static ARGC: AtomicUsize = AtomicUsize::new(0);
#[unsafe(link_section = ".bss.first")]
static ARGV: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());
#[unsafe(link_section = ".bss.first")]
static ENVP: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" {
    /// The program: returns its exit status (0 to 255).
    safe fn insula_main() -> i32;
}

unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: `stack` is the process's initial stack pointer: argc, argc pointers, null, environment pointers, null.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1).cast::<*const c_char>();
        ARGC.store(argc, Ordering::Relaxed);
        ARGV.store(argv.cast_mut(), Ordering::Relaxed);
        ENVP.store(argv.add(argc + 1).cast_mut(), Ordering::Relaxed);
    }
    exit(insula_main())
}

/// Ends the process with `status` (exit_group(2)).
pub fn exit(status: i32) -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: exit_group does not return and touches no memory of ours.
    unsafe {
        core::arch::asm!("syscall", in("rax") 231, in("rdi") status, options(noreturn, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("svc #0", in("x8") 94, in("x0") status, options(noreturn, nostack));
    }
}

/// The null-terminated list of strings that the kernel put on the stack.
#[derive(Clone)]
struct Strings(*const *const c_char);

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the pointer walks the kernel's list and stops at its null entry; the strings live as long as the process.
        unsafe {
            let string = *self.0;
            if string.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(string))
        }
    }
}

/// The command's arguments, the program's own name first.
#[derive(Clone)]
pub struct Args(Strings);

impl Iterator for Args {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.0.next()
    }
}

/// The real and effective ids that the process was started with: user, effective user, group, effective group (getauxval(3)).
pub fn ids() -> Option<[u32; 4]> {
    const AT_UID: usize = 11;
    let mut strings = Strings(ENVP.load(Ordering::Relaxed));
    while strings.next().is_some() {}
    let mut found = [None; 4];
    // SAFETY: behind the environment's null pointer the kernel has put pairs of numbers, of which the last is zero.
    unsafe {
        let mut pair = strings.0.add(1).cast::<[usize; 2]>();
        while (*pair)[0] != 0 {
            if let Some(place) = (*pair)[0].checked_sub(AT_UID).and_then(|at| found.get_mut(at)) {
                *place = Some((*pair)[1] as u32);
            }
            pair = pair.add(1);
        }
    }
    let [Some(uid), Some(euid), Some(gid), Some(egid)] = found else { return None };
    Some([uid, euid, gid, egid])
}

/// The arguments of this process.
pub fn args() -> Args {
    Args(Strings(ARGV.load(Ordering::Relaxed)))
}

/// The environment's entries, `NAME=value` each.
#[derive(Clone)]
pub struct Env(Strings);

impl Iterator for Env {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.0.next()
    }
}

/// The environment of this process.
pub fn env() -> Env {
    Env(Strings(ENVP.load(Ordering::Relaxed)))
}
