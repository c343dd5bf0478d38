// SPDX-License-Identifier: Apache-2.0
//! bpf(2), as far as the device filter of a cgroup v2 needs it: load, attach, replace, query, detach.

use crate::raw::{number, syscall};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// struct bpf_insn of linux/bpf.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation: class, source and operation bits.
    pub code: u8,
    /// Source register in the upper four bits, destination in the lower four (little endian).
    pub registers: u8,
    /// Jump distance or memory offset.
    pub offset: i16,
    /// Immediate operand.
    pub immediate: i32,
}

const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_DETACH: usize = 9;
const PROG_GET_FD_BY_ID: usize = 13;
const PROG_QUERY: usize = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const F_ALLOW_MULTI: u32 = 2;
const F_REPLACE: u32 = 4;

/// The part of union bpf_attr that PROG_LOAD has had since Linux 4.15.
#[repr(C)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part of union bpf_attr for PROG_ATTACH and PROG_DETACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

/// The part of union bpf_attr for PROG_QUERY.
#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`; the kernel verifies it.
///
/// # Errors
/// `EPERM` without CAP_BPF or CAP_SYS_ADMIN, and before Linux 5.11 if RLIMIT_MEMLOCK is used up; `EINVAL` or `EACCES`
/// if the verifier refuses.
pub fn load_cgroup_device(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let license = c"GPL";
    let attr = Load {
        program_type: PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `attr`, the instructions and the license outlive the call; `count` is the slice's own length.
    let fd = unsafe { syscall(number::BPF, [PROG_LOAD, &raw const attr as usize, size_of::<Load>(), 0, 0, 0]) }?;
    // SAFETY: on success the result is a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches `program` to the v2 cgroup behind `cgroup`, beside what is attached already; with `replaced`, in its place
/// in one step (Linux 5.6, `EINVAL` before).
pub fn attach_cgroup_device(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let attr = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: F_ALLOW_MULTI | if replaced.is_some() { F_REPLACE } else { 0 },
        replaced: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: `attr` outlives the call and holds no pointers.
    unsafe { syscall(number::BPF, [PROG_ATTACH, &raw const attr as usize, size_of::<Attach>(), 0, 0, 0]) }.map(drop)
}

/// Takes `program` off the v2 cgroup behind `cgroup`.
pub fn detach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let attr = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    // SAFETY: `attr` outlives the call and holds no pointers.
    unsafe { syscall(number::BPF, [PROG_DETACH, &raw const attr as usize, size_of::<Attach>(), 0, 0, 0]) }.map(drop)
}

/// Writes the ids of the device programs attached to the v2 cgroup itself into `ids`; returns how many there are.
///
/// # Errors
/// `ENOSPC` if there are more than `ids` holds.
pub fn query_cgroup_device(cgroup: BorrowedFd<'_>, ids: &mut [u32]) -> Result<usize, Errno> {
    let mut attr = Query {
        target: cgroup.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    // SAFETY: `attr` and `ids` outlive the call; the kernel writes at most `count` ids.
    unsafe { syscall(number::BPF, [PROG_QUERY, &raw mut attr as usize, size_of::<Query>(), 0, 0, 0]) }?;
    // SAFETY: plain memory of ours; volatile because the kernel wrote it behind the compiler's back.
    Ok(unsafe { core::ptr::read_volatile(&raw const attr.count) } as usize)
}

/// A descriptor of the loaded program numbered `id`.
///
/// # Errors
/// `ENOENT` if it is gone, `EPERM` or `EACCES` if a security module hides it.
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    let attr = [id, 0_u32, 0];
    // SAFETY: `attr` outlives the call and holds no pointers.
    let fd = unsafe { syscall(number::BPF, [PROG_GET_FD_BY_ID, attr.as_ptr() as usize, size_of_val(&attr), 0, 0, 0]) }?;
    // SAFETY: on success the result is a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
