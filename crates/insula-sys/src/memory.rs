// SPDX-License-Identifier: Apache-2.0
//! mmap(2) of whole read-only files.

use crate::raw::{number, syscall};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::Errno;

/// Maps `length` bytes of the sealed file behind `fd` from `offset` (a multiple of the page size) for the rest of the
/// process's life, read-only.
///
/// Sound only for a file that cannot change or shrink: the caller passes a memfd sealed against both, as insula's init
/// does with its plan.
pub fn map_sealed(fd: BorrowedFd<'_>, offset: u64, length: usize) -> Result<&'static [u8], Errno> {
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a fresh mapping at an address of the kernel's choice (PROT_READ, MAP_PRIVATE) touches nothing that exists.
    let address = unsafe { syscall(number::MMAP, [0, length, 1, 2, fd.as_raw_fd() as usize, offset as usize]) }?;
    // SAFETY: the mapping has `length` readable bytes, is never unmapped, and its file is sealed.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}

/// Adopts the descriptor with number `fd`, which the process that started this one left open for it.
///
/// # Safety
/// Nothing else in this process may own the descriptor.
pub unsafe fn adopt(fd: i32) -> rustix::fd::OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { rustix::fd::FromRawFd::from_raw_fd(fd) }
}

/// Borrows the descriptor with number `fd`; a number that is not open makes calls fail with EBADF, nothing worse.
pub fn borrow(fd: i32) -> BorrowedFd<'static> {
    // SAFETY: the numbers come from the sealed plan; those descriptors stay open until execve closes them.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// close(2) of a borrowed descriptor that this process inherited and that no owner stands for.
pub fn close(fd: BorrowedFd<'_>) {
    // SAFETY: inherited descriptors have no owning value in this process, so none is closed twice.
    unsafe { rustix::io::close(fd.as_raw_fd()) }
}

/// close_range(2) of inherited descriptors, `first` to `last`, that no owner stands for. Where that is refused, each is
/// closed by itself.
pub fn close_range(first: u32, last: u32) {
    // SAFETY: no memory is passed; the caller holds no owning value for any of these numbers.
    let done = unsafe { syscall(number::CLOSE_RANGE, [first as usize, last as usize, 0, 0, 0, 0]) };
    if done.is_err() {
        for number in first..=last.min(first.saturating_add(4096)) {
            // SAFETY: as above.
            unsafe { rustix::io::close(number as i32) };
        }
    }
}

/// Descriptors that are left open at most.
const LEFT: u32 = 32;
static LEFT_SO_FAR: AtomicU32 = AtomicU32::new(0);

/// Is done with a descriptor that execve(2) closes: a command that lives for milliseconds need not close each file it reads.
/// After some of them, so that one that stays does not gather them.
pub fn leave(fd: OwnedFd) {
    let before = LEFT_SO_FAR.load(Relaxed);
    if before < LEFT {
        LEFT_SO_FAR.store(before + 1, Relaxed);
        core::mem::forget(fd);
    }
}

/// Closes all of `fds`, each row of numbers by one call.
pub fn close_all(fds: impl IntoIterator<Item = OwnedFd>) {
    let mut numbers: alloc::vec::Vec<u32> = fds.into_iter().map(|fd| fd.into_raw_fd() as u32).collect();
    numbers.sort_unstable();
    for row in numbers.chunk_by(|one, next| one + 1 == *next) {
        if let (Some(first), Some(last)) = (row.first(), row.last()) {
            close_range(*first, *last);
        }
    }
}

/// dup3(2): makes descriptor number `to` refer to what `fd` refers to, open across execve.
pub fn place(fd: BorrowedFd<'_>, to: i32) -> Result<(), Errno> {
    // SAFETY: init is the only owner of its descriptors, and the plan leaves `to` free.
    unsafe { syscall(number::DUP3, [fd.as_raw_fd() as usize, to as usize, 0, 0, 0, 0]) }.map(drop)
}
