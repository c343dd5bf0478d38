// SPDX-License-Identifier: Apache-2.0
//! The global allocator: a bump arena. A command lives for milliseconds and ends, so nothing is given back; the last
//! block grows and shrinks in place, which is what a growing `Vec` or `String` needs.
//!
//! Loops that live long (`events`, a foreground `run`) take a [`mark`] and [`reset`] to it each time round.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

/// Served from the program's own zero pages first: untouched pages of it cost nothing.
const FIRST: usize = 512 * 1024;
/// What is asked of the kernel at least, once that is full.
const CHUNK: usize = 4 * 1024 * 1024;

#[repr(align(64))]
struct First(UnsafeCell<[u8; FIRST]>);

// SAFETY: the programs are single-threaded; no second thread is ever started.
unsafe impl Sync for First {}

static BYTES: First = First(UnsafeCell::new([0; FIRST]));

struct Cursor {
    next: usize,
    end: usize,
}

struct Arena(UnsafeCell<Cursor>);

// SAFETY: as First.
unsafe impl Sync for Arena {}

// Beside the first page of BYTES rather than behind the last: one page less of a waiting init (insula-init/link.ld).
#[unsafe(link_section = ".bss.first")]
#[global_allocator]
static ARENA: Arena = Arena(UnsafeCell::new(Cursor { next: 0, end: 0 }));

fn map(size: usize) -> usize {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a fresh anonymous private mapping (PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS) touches nothing that exists.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") 9_usize => address, in("rdi") 0, in("rsi") size, in("rdx") 3,
            in("r10") 0x22, in("r8") -1_isize, in("r9") 0, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("svc #0", in("x8") 222, inlateout("x0") 0_usize => address, in("x1") size, in("x2") 3,
            in("x3") 0x22, in("x4") -1_isize, in("x5") 0, options(nostack));
    }
    if address > usize::MAX - 4096 { 0 } else { address }
}

// SAFETY: blocks are disjoint by construction: the cursor only moves up over memory that is ours alone, and `reset` is
// the caller's promise that nothing allocated since `mark` is used again.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: single-threaded, so this is the only reference.
        let cursor = unsafe { &mut *self.0.get() };
        if cursor.end == 0 {
            cursor.next = BYTES.0.get() as usize;
            cursor.end = cursor.next + FIRST;
        }
        let start = (cursor.next + layout.align() - 1) & !(layout.align() - 1);
        match start.checked_add(layout.size()) {
            Some(end) if end <= cursor.end => {
                cursor.next = end;
                start as *mut u8
            }
            _ => {
                let Some(wanted) = layout.size().checked_add(layout.align()) else { return null_mut() };
                let size = wanted.max(CHUNK).next_multiple_of(4096);
                let address = map(size);
                if address == 0 {
                    return null_mut();
                }
                let start = (address + layout.align() - 1) & !(layout.align() - 1);
                cursor.next = start + layout.size();
                cursor.end = address + size;
                start as *mut u8
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: single-threaded, so this is the only reference.
        let cursor = unsafe { &mut *self.0.get() };
        if block as usize + layout.size() == cursor.next {
            cursor.next = block as usize;
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: forwarded; reused blocks may hold old bytes, so they are cleared.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: single-threaded, so this is the only reference.
        let cursor = unsafe { &mut *self.0.get() };
        let start = block as usize;
        if start + layout.size() == cursor.next && start.checked_add(size).is_some_and(|end| end <= cursor.end) {
            cursor.next = start + size;
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the new block is disjoint from the old one and larger.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size());
            }
            new
        }
    }
}

/// A place in the arena to come back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize, usize);

/// Remembers how far the arena is used.
pub fn mark() -> Mark {
    // SAFETY: single-threaded.
    let cursor = unsafe { &*ARENA.0.get() };
    Mark(cursor.next, cursor.end)
}

/// Gives back everything allocated since `mark`, unless the arena moved to a new chunk meanwhile.
///
/// # Safety
/// Nothing allocated since `mark` may be used afterwards.
pub unsafe fn reset(mark: Mark) {
    // SAFETY: single-threaded.
    let cursor = unsafe { &mut *ARENA.0.get() };
    if cursor.end == mark.1 {
        cursor.next = mark.0;
    }
}
