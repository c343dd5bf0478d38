// SPDX-License-Identifier: Apache-2.0
//! Descriptors that are needed for a moment. Every one is closed by init's last execve at the latest, so they are not
//! closed one by one, which would be a quarter of init's system calls, but all together, when there are many.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

/// How many may be open at a time.
const MANY: u32 = 48;

/// A bit for every number that is to be closed; higher ones are left to execve, or closed at once.
static PENDING: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];
static COUNT: AtomicU32 = AtomicU32::new(0);

fn mark(fd: i32) -> bool {
    let Some(word) = PENDING.get(fd as usize / 64) else { return false };
    word.store(word.load(Relaxed) | 1 << (fd % 64), Relaxed);
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    true
}

/// The descriptor of `fd`, good until the step's end.
pub(crate) fn temporary(fd: OwnedFd) -> BorrowedFd<'static> {
    let number = fd.into_raw_fd();
    mark(number);
    insula_sys::memory::borrow(number)
}

/// A descriptor of the plan's that is needed no more.
pub(crate) fn done(fd: BorrowedFd<'_>) {
    if !mark(fd.as_raw_fd()) {
        insula_sys::memory::close(fd);
    }
}

/// Between two steps: closes what has gathered, if that is much.
pub(crate) fn sweep_many() {
    if COUNT.load(Relaxed) >= MANY {
        sweep();
    }
}

/// Between two steps: closes what has gathered, each row of numbers by one call.
pub(crate) fn sweep() {
    COUNT.store(0, Relaxed);
    let mut first = None;
    for number in 0..=(PENDING.len() * 64) as u32 {
        let pending =
            PENDING.get(number as usize / 64).is_some_and(|word| word.load(Relaxed) >> (number % 64) & 1 != 0);
        match (first, pending) {
            (None, true) => first = Some(number),
            (Some(start), false) => {
                insula_sys::memory::close_range(start, number - 1);
                first = None;
            }
            _ => {}
        }
    }
    for word in &PENDING {
        word.store(0, Relaxed);
    }
}
