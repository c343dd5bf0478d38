// SPDX-License-Identifier: Apache-2.0
//! Ids, groups, capabilities, limits, seccomp: what a process may do.

use crate::raw::{number, syscall};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Both effective ids and, beyond any, a mark that they are known.
static EFFECTIVE: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = u64::MAX;

/// The effective user and group id that this process began with (geteuid(2), getegid(2)); it keeps them.
pub fn effective_ids() -> (u32, u32) {
    let known = EFFECTIVE.load(Relaxed);
    if known != UNKNOWN {
        return ((known >> 32) as u32, known as u32);
    }
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    remember_effective_ids(ids);
    ids
}

/// Tells [`effective_ids`] what the kernel has told this process when it began.
pub fn remember_effective_ids((uid, gid): (u32, u32)) {
    EFFECTIVE.store(u64::from(uid) << 32 | u64::from(gid), Relaxed);
}

/// setresuid(2), all three ids.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed; single-threaded, so per-thread credentials are the process's.
    unsafe { syscall(number::SETRESUID, [uid as usize; 6]) }.map(drop)
}

/// setresgid(2), all three ids.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: as set_uid.
    unsafe { syscall(number::SETRESGID, [gid as usize; 6]) }.map(drop)
}

/// setgroups(2): `groups` is little-endian u32 after u32, as the plan carries it.
pub fn set_groups(groups: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel copies len/4 numbers from the live slice; it has no alignment needs.
    unsafe { syscall(number::SETGROUPS, [groups.len() / 4, groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Three capability sets as bit masks, bit n for capability n (capabilities(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

const VERSION_3: u32 = 0x2008_0522;

/// capset(2) for the caller.
pub fn capset(sets: Capabilities) -> Result<(), Errno> {
    let header = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [
        [low(sets.effective), low(sets.permitted), low(sets.inheritable)],
        [high(sets.effective), high(sets.permitted), high(sets.inheritable)],
    ];
    // SAFETY: header and data have the layout of version 3 and outlive the call.
    unsafe { syscall(number::CAPSET, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// capget(2) for the caller.
pub fn capget() -> Result<Capabilities, Errno> {
    let header = [VERSION_3, 0];
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: header and data have the layout of version 3 and outlive the call.
    unsafe { syscall(number::CAPGET, [header.as_ptr() as usize, data.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    let join = |i: usize| u64::from(data[0][i]) | u64::from(data[1][i]) << 32;
    Ok(Capabilities { effective: join(0), permitted: join(1), inheritable: join(2) })
}

/// prlimit(2) for the caller: `resource` is the kernel's number, limits in its unit, u64::MAX is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = [soft, hard];
    // SAFETY: `limit` is struct rlimit64 and outlives the call.
    unsafe { syscall(number::PRLIMIT64, [0, resource as usize, limit.as_ptr() as usize, 0, 0, 0]) }.map(drop)
}

/// The caller's limit on `resource`: (soft, hard) (prlimit(2)).
pub fn limit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = [0_u64; 2];
    // SAFETY: `limit` is struct rlimit64 and outlives the call.
    unsafe { syscall(number::PRLIMIT64, [0, resource as usize, 0, limit.as_mut_ptr() as usize, 0, 0]) }?;
    Ok((limit[0], limit[1]))
}

/// Flag of seccomp(2): the call returns the listener's descriptor.
pub const SECCOMP_NEW_LISTENER: u32 = 8;

/// Whether the kernel knows the filter action `action` (seccomp(2), SECCOMP_GET_ACTION_AVAIL).
pub fn seccomp_knows_action(action: u32) -> bool {
    // SAFETY: the kernel reads the four bytes of `action`, which outlives the call.
    unsafe { syscall(number::SECCOMP, [2, 0, &raw const action as usize, 0, 0, 0]) }.is_ok()
}

/// Whether the kernel knows the filter flags `flags`: with them and no filter seccomp(2) complains of the filter (EFAULT),
/// otherwise of the flags (EINVAL).
pub fn seccomp_knows_flags(flags: u32) -> bool {
    // SAFETY: a null filter is never followed; the kernel answers EFAULT.
    let answer = unsafe { syscall(number::SECCOMP, [1, flags as usize, 0, 0, 0, 0]) };
    answer == Err(Errno::FAULT)
}

/// seccomp(2) SECCOMP_SET_MODE_FILTER: `program` is struct sock_filter after struct sock_filter, 8 bytes each. Returns the
/// notification descriptor when `flags` has [`SECCOMP_NEW_LISTENER`].
pub fn install_filter(program: &[u8], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    #[repr(C)]
    struct Filter {
        length: u16,
        instructions: *const u8,
    }
    let filter = Filter { length: (program.len() / 8) as u16, instructions: program.as_ptr() };
    // SAFETY: the kernel copies `length` instructions of 8 bytes from the live slice and keeps no pointer.
    let result = unsafe { syscall(number::SECCOMP, [1, flags as usize, &raw const filter as usize, 0, 0, 0]) }?;
    if flags & SECCOMP_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with the flag the result is a new descriptor.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(result as i32) }))
}
