// SPDX-License-Identifier: Apache-2.0
//! Writes the tables of system call names, one per family of ABIs, as Rust source.
//!
//! The numbers come from the `syscalls` crate, which reads them from the kernel's own tables. What it lacks stands
//! here: calls newer than the crate, the x32 ABI (arch/x86/entry/syscalls/syscall_64.tbl), the private calls of
//! 32-bit ARM, and the calls that i386 reaches through socketcall(2) and ipc(2).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

#[path = "src/hash.rs"]
mod hash;

/// Slots of the hash table: 2^BITS.
const BITS: u32 = 10;

/// Entry of a column for a call that the ABI does not have.
const NONE: u16 = u16::MAX;

/// Calls newer than the `syscalls` crate; since Linux 5.1 a new call has one number everywhere.
const NEWER: [(&str, u16); 2] = [("listns", 470), ("rseq_slice_yield", 471)];

/// Calls of x86_64 that x32 lacks ("64" in syscall_64.tbl).
const NOT_X32: [&str; 11] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uselib",
    "vserver",
];

/// Calls that x32 has at a number of its own, from 512 on ("x32" in syscall_64.tbl).
const X32: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// Calls of socketcall(2), from 1 on (linux/net.h, `SYS_*`).
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// Calls of ipc(2) (linux/ipc.h).
const IPC: [(&str, u8); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The private calls of 32-bit ARM, counted from 0x0f_0000 (arch/arm/include/uapi/asm/unistd.h).
const ARM_PRIVATE: [(&str, u16); 6] =
    [("breakpoint", 1), ("cacheflush", 2), ("usr26", 3), ("usr32", 4), ("set_tls", 5), ("get_tls", 6)];

/// Where the private calls stand in a column; see `Abi::number`.
const PRIVATE: u16 = 600;

/// What a name means: its number per ABI of the family, and its call of socketcall(2) or (from 128 on) ipc(2).
#[derive(Clone, Copy)]
struct Entry {
    numbers: [u16; 3],
    call: u8,
}

#[derive(Default)]
struct Names(BTreeMap<&'static str, Entry>);

impl Names {
    fn entry(&mut self, name: &'static str) -> &mut Entry {
        self.0.entry(name).or_insert(Entry { numbers: [NONE; 3], call: 0 })
    }

    fn add(&mut self, column: usize, name: &'static str, number: u16) {
        self.entry(name).numbers[column] = number;
    }

    /// The table as Rust source.
    fn source(&self) -> String {
        let names: Vec<_> = self.0.keys().copied().collect();
        let (seed, slots) = layout(&names);
        let text = names.concat();
        let mut source = format!("Names {{ seed: {seed}, bits: {BITS}, text: b{text:?}, entries: &[");
        let mut start = 0;
        for (name, Entry { numbers, call }) in &self.0 {
            let length = name.len();
            write!(source, "Entry {{ start: {start}, length: {length}, call: {call}, numbers: {numbers:?} }},")
                .expect("writing to a string");
            start += length;
        }
        write!(source, "], slots: &{slots:?} }}").expect("writing to a string");
        source
    }
}

/// The seed that gives the shortest searches, and the slots: index of the entry plus one, 0 where empty.
fn layout(names: &[&str]) -> (u32, Vec<u16>) {
    let attempt = |seed: u32| {
        let mut slots = vec![0_u16; 1 << BITS];
        let mut steps = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let mut slot = hash::slot(name.as_bytes(), seed, BITS);
            let mut step = 0;
            while slots[slot] != 0 {
                slot = (slot + 1) % slots.len();
                step += 1;
            }
            slots[slot] = u16::try_from(index + 1).expect("few names");
            steps.push(step);
        }
        ((steps.iter().max().copied(), steps.iter().sum::<usize>()), seed, slots)
    };
    let (_, seed, slots) = (1..=2000_u32).map(attempt).min().expect("some seeds");
    (seed, slots)
}

/// Adds all calls of an architecture of the `syscalls` crate. (Its own iterator leaves the last one out.)
macro_rules! add_all {
    ($names:ident, $column:literal, $architecture:ident) => {
        let last = syscalls::$architecture::Sysno::last().id() as usize;
        for call in (0..=last).filter_map(syscalls::$architecture::Sysno::new) {
            // i386 has a call whose name is a word of Rust.
            let name = call.name().trim_start_matches("r#");
            $names.add($column, name, u16::try_from(call.id()).expect("a small number"));
        }
        for (name, number) in NEWER {
            $names.add($column, name, number);
        }
    };
}

/// x86_64, i386, x32.
fn x86() -> Names {
    let mut names = Names::default();
    add_all!(names, 0, x86_64);
    add_all!(names, 1, x86);
    for (name, Entry { numbers, .. }) in &mut names.0 {
        if !NOT_X32.contains(name) {
            numbers[2] = numbers[0];
        }
    }
    for (number, name) in (512..).zip(X32) {
        names.add(2, name, number);
    }
    for (call, name) in (1..).zip(SOCKETCALL) {
        names.entry(name).call = call;
    }
    for (name, call) in IPC {
        names.entry(name).call = 0x80 | call;
    }
    names
}

/// aarch64, 32-bit ARM.
fn arm() -> Names {
    let mut names = Names::default();
    add_all!(names, 0, aarch64);
    // The crate lists 32-bit ABIs' calls for 64-bit time here too, and has another name for one call.
    names.0.retain(|_, entry| !(403..=423).contains(&entry.numbers[0]));
    let fstatat = names.0.remove("fstatat").expect("the crate calls newfstatat so");
    names.0.insert("newfstatat", fstatat);
    add_all!(names, 1, arm);
    for (name, number) in ARM_PRIVATE {
        names.add(1, name, PRIVATE + number);
    }
    names
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/hash.rs");
    let directory = env::var_os("OUT_DIR").expect("cargo sets it");
    for (file, names) in [("x86.rs", x86()), ("arm.rs", arm())] {
        fs::write(Path::new(&directory).join(file), names.source()).expect("the output directory is writable");
    }
}
