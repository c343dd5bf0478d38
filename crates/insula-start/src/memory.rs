// SPDX-License-Identifier: Apache-2.0
//! The memory functions that compiled code calls by name, and what the prebuilt `alloc` refers to but never reaches.
//!
//! Loops in Rust would be recognised as `memcpy` and call themselves, hence assembly. `rep movsb` is as fast as
//! anything for more than a few words on every processor since 2012 (ERMS).

use core::panic::PanicInfo;

/// memcpy(3)
///
/// Nearly all copies are of a few words, for which a bulk copy takes longer to begin than to copy: those are two loads and
/// two stores that may overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller vouches for n readable and n writable bytes that do not overlap; both blocks of each pair
    // lie within them, because n is at least the size of one.
    unsafe {
        match n {
            0 => {}
            1..4 => {
                let (middle, last) = (*src.add(n / 2), *src.add(n - 1));
                *dest = *src;
                *dest.add(n / 2) = middle;
                *dest.add(n - 1) = last;
            }
            4..8 => ends::<u32>(dest, src, n),
            8..=16 => ends::<u64>(dest, src, n),
            17..=32 => ends::<arch::Wide>(dest, src, n),
            33..=64 => {
                ends::<arch::Wide>(dest, src, 32);
                ends::<arch::Wide>(dest.add(n - 32), src.add(n - 32), 32);
            }
            _ => arch::copy_up(dest, src, n),
        }
    }
    dest
}

/// Copies the first and the last block of n bytes.
#[inline]
unsafe fn ends<Block>(dest: *mut u8, src: *const u8, n: usize) {
    let far = n - size_of::<Block>();
    // SAFETY: the caller vouches for n bytes at both, and that n is at least one block.
    unsafe {
        let (first, last) = (src.cast::<Block>().read_unaligned(), src.add(far).cast::<Block>().read_unaligned());
        dest.cast::<Block>().write_unaligned(first);
        dest.add(far).cast::<Block>().write_unaligned(last);
    }
}

/// memmove(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller vouches for both ranges; copying towards higher addresses is safe unless dest lies within
    // the source, and then the copy runs downwards from the last byte.
    unsafe {
        if (dest as usize).wrapping_sub(src as usize) >= n {
            return memcpy(dest, src, n);
        }
        arch::copy_down(dest, src, n);
    }
    dest
}

/// memset(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dest: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller vouches for n writable bytes.
    unsafe { arch::fill(dest, byte as u8, n) };
    dest
}

/// memcmp(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i < n {
        // SAFETY: i < n, and the caller vouches for n readable bytes at both.
        let (left, right) = unsafe { (arch::byte(a.wrapping_add(i)), arch::byte(b.wrapping_add(i))) };
        if left != right {
            return left as i32 - right as i32;
        }
        i += 1;
    }
    0
}

/// bcmp(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: as memcmp.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller vouches for a terminating zero.
    while unsafe { arch::byte(string.wrapping_add(length)) } != 0 {
        length += 1;
    }
    length
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use core::arch::asm;

    /// The widest block that one load takes.
    pub(super) type Wide = core::arch::x86_64::__m128i;

    /// Copies n bytes towards higher addresses.
    #[inline]
    pub(super) unsafe fn copy_up(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the caller vouches for both ranges.
        unsafe {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") dest => _, inout("rsi") src => _,
                options(nostack, preserves_flags));
        }
    }

    /// Copies n bytes from the last one down.
    #[inline]
    pub(super) unsafe fn copy_down(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the caller vouches for both ranges; the direction flag is clear again afterwards.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") dest.wrapping_add(n).wrapping_sub(1) => _,
                inout("rsi") src.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
        }
    }

    /// Writes n times the same byte.
    #[inline]
    pub(super) unsafe fn fill(dest: *mut u8, byte: u8, n: usize) {
        // SAFETY: the caller vouches for n writable bytes.
        unsafe {
            asm!("rep stosb", inout("rcx") n => _, inout("rdi") dest => _, in("al") byte,
                options(nostack, preserves_flags));
        }
    }

    /// One byte, in a way that keeps the loop around it a loop.
    #[inline]
    pub(super) unsafe fn byte(from: *const u8) -> u32 {
        let byte: u32;
        // SAFETY: the caller vouches for a readable byte.
        unsafe {
            asm!("movzx {byte:e}, byte ptr [{from}]", byte = out(reg) byte, from = in(reg) from,
                options(nostack, readonly, preserves_flags));
        }
        byte
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use core::arch::asm;

    /// The widest block that one load takes.
    pub(super) type Wide = u128;

    /// Copies n bytes, more than none, towards higher addresses.
    #[inline]
    pub(super) unsafe fn copy_up(dest: *mut u8, src: *const u8, n: usize) {
        let blocks = n / 16;
        // SAFETY: the caller vouches for both ranges and at least 16 bytes; the last block may overlap the one before it.
        unsafe {
            asm!("2:", "ldp {a}, {b}, [{src}], #16", "stp {a}, {b}, [{dest}], #16", "subs {n}, {n}, #1", "b.ne 2b",
                a = out(reg) _, b = out(reg) _, src = inout(reg) src => _, dest = inout(reg) dest => _,
                n = inout(reg) blocks => _, options(nostack));
            asm!("ldp {a}, {b}, [{src}]", "stp {a}, {b}, [{dest}]", a = out(reg) _, b = out(reg) _,
                src = in(reg) src.wrapping_add(n).wrapping_sub(16), dest = in(reg) dest.wrapping_add(n).wrapping_sub(16),
                options(nostack, preserves_flags));
        }
    }

    /// Copies n bytes from the last one down.
    #[inline]
    pub(super) unsafe fn copy_down(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the caller vouches for both ranges.
        unsafe {
            asm!("cbz {n}, 3f", "2:", "ldrb {a:w}, [{src}, #-1]!", "strb {a:w}, [{dest}, #-1]!", "subs {n}, {n}, #1",
                "b.ne 2b", "3:", a = out(reg) _, src = inout(reg) src.wrapping_add(n) => _,
                dest = inout(reg) dest.wrapping_add(n) => _, n = inout(reg) n => _, options(nostack));
        }
    }

    /// Writes n times the same byte.
    #[inline]
    pub(super) unsafe fn fill(dest: *mut u8, byte: u8, n: usize) {
        let word = u64::from(byte) * 0x0101_0101_0101_0101;
        // SAFETY: the caller vouches for n writable bytes.
        unsafe {
            asm!("2:", "cmp {n}, #16", "b.lo 3f", "stp {a}, {a}, [{dest}], #16", "sub {n}, {n}, #16", "b 2b",
                "3:", "cbz {n}, 5f", "4:", "strb {a:w}, [{dest}], #1", "subs {n}, {n}, #1", "b.ne 4b", "5:",
                a = in(reg) word, dest = inout(reg) dest => _, n = inout(reg) n => _, options(nostack));
        }
    }

    /// One byte, in a way that keeps the loop around it a loop.
    #[inline]
    pub(super) unsafe fn byte(from: *const u8) -> u32 {
        let byte: u32;
        // SAFETY: the caller vouches for a readable byte.
        unsafe {
            asm!("ldrb {byte:w}, [{from}]", byte = out(reg) byte, from = in(reg) from,
                options(nostack, readonly, preserves_flags));
        }
        byte
    }
}

/// The prebuilt `core` and `alloc` were compiled to unwind and refer to this; both programs abort instead.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    crate::entry::exit(134)
}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::entry::exit(134)
}

/// Writes to standard error without allocating: the heap may be what failed.
struct Stderr;

impl core::fmt::Write for Stderr {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: write(2) reads s.len() bytes of a live string.
        unsafe {
            core::arch::asm!("syscall", inlateout("rax") 1_usize => _, in("rdi") 2, in("rsi") s.as_ptr(), in("rdx") s.len(),
                lateout("rcx") _, lateout("r11") _, options(nostack, readonly));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            core::arch::asm!("svc #0", in("x8") 64, inlateout("x0") 2_usize => _, in("x1") s.as_ptr(), in("x2") s.len(),
                options(nostack, readonly));
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-message")]
    let _ =
        core::fmt::Write::write_fmt(&mut Stderr, format_args!("insula: internal error, please report it: {info}\n"));
    #[cfg(not(feature = "panic-message"))]
    {
        let _ = info;
        let _ = core::fmt::Write::write_str(&mut Stderr, "insula: internal error in init, please report it\n");
    }
    crate::entry::exit(134)
}
