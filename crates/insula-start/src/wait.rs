// SPDX-License-Identifier: Apache-2.0
//! Waiting in as little memory as it takes: a created container may wait for its start for days, and hundreds may.

/// One descriptor that poll(2) looks at, as the kernel lays it out.
#[repr(C)]
struct Polled {
    fd: i32,
    events: i16,
    revents: i16,
}

const POLLIN: i16 = 1;
/// Stack below the current frame that earlier calls may have touched.
const STACK: usize = 64 * 1024;
const PAGE: usize = 4096;

unsafe extern "C" {
    /// The first byte of the image and the first one behind its code (insula-init/link.ld).
    static image_start: u8;
    static image_end: u8;
}

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const MADVISE: usize = 28;
    pub(super) const PPOLL: usize = 271;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const MADVISE: usize = 233;
    pub(super) const PPOLL: usize = 73;
}

/// A system call of up to five arguments.
#[expect(clippy::inline_always, reason = "code elsewhere is not mapped by then")]
#[inline(always)]
unsafe fn call(number: usize, arguments: [usize; 5]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
            in("rdx") arguments[2], in("r10") arguments[3], in("r8") arguments[4], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("svc #0", in("x8") number, inlateout("x0") arguments[0] => result, in("x1") arguments[1], in("x2") arguments[2],
            in("x3") arguments[3], in("x4") arguments[4], options(nostack));
    }
    result
}

/// This function alone stays mapped while it waits: it lies in a mapping of its own, and calls nothing.
#[unsafe(link_section = ".wait")]
#[inline(never)]
unsafe fn wait_alone(polled: &mut [Polled; 2], unneeded: &[(usize, usize); 3]) -> isize {
    const MADV_DONTNEED: usize = 4;
    for &(start, length) in unneeded {
        // SAFETY: the caller's promise: what is dropped there comes back unchanged, or is not used again.
        unsafe { call(number::MADVISE, [start, length, MADV_DONTNEED, 0, 0]) };
    }
    // SAFETY: two entries that live; no time-out, no signal mask.
    unsafe { call(number::PPOLL, [polled.as_mut_ptr() as usize, 2, 0, 0, 8]) }
}

/// Waits until one of two descriptors can be read (ppoll(2)), and says which, or the negative errno. Meanwhile the pages of
/// init's image, of `steps` and of the unused stack are not in this process: the first come back from the sealed file that
/// they are of, when they are touched.
///
/// # Safety
/// `steps` is a mapping of a file that cannot change.
#[inline]
pub unsafe fn wait_for_either(first: i32, second: i32, steps: &[u8]) -> Result<(bool, bool), i32> {
    let mut polled = [first, second].map(|fd| Polled { fd, events: POLLIN, revents: 0 });
    let down = |address: usize| address & !(PAGE - 1);
    let span = |start: usize, end: usize| (down(start), end.next_multiple_of(PAGE).saturating_sub(down(start)));
    let here = core::ptr::from_ref(&polled) as usize;
    let image = (&raw const image_start as usize, &raw const image_end as usize);
    let steps = (steps.as_ptr() as usize, steps.as_ptr() as usize + steps.len());
    // Two pages are far more than the frame of `wait_alone`.
    let stack = (down(here) - PAGE - STACK, down(here) - PAGE);
    let unneeded = [span(image.0, image.1), span(steps.0, steps.1), span(stack.0, stack.1)];
    // SAFETY: the image and the steps are read-only mappings of a sealed file; nothing below the frame of `wait_alone` is
    // in use, which is less than a page below this one.
    let result = unsafe { wait_alone(&mut polled, &unneeded) };
    if result < 0 { Err(-(result as i32)) } else { Ok((polled[0].revents != 0, polled[1].revents != 0)) }
}
