// SPDX-License-Identifier: Apache-2.0
//! The memory functions that compiled code calls by name, and what the prebuilt `alloc` refers to but never reaches.
//!
//! Loops in Rust would be recognised as `memcpy` and call themselves, hence assembly. `rep movsb` is as fast as
//! anything for more than a few words on every processor since 2012 (ERMS).

use core::panic::PanicInfo;

#[cfg(target_arch = "x86_64")]
mod imp {
    use core::arch::asm;
    use core::arch::x86_64::__m128i;

    /// memcpy(3)
    ///
    /// Nearly all copies are of a few words, for which `rep movsb` takes longer to begin than to copy: those are two
    /// loads and two stores that may overlap.
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
                17..=32 => ends::<__m128i>(dest, src, n),
                33..=64 => {
                    ends::<__m128i>(dest, src, 32);
                    ends::<__m128i>(dest.add(n - 32), src.add(n - 32), 32);
                }
                _ => asm!("rep movsb", inout("rcx") n => _, inout("rdi") dest => _, inout("rsi") src => _,
                    options(nostack, preserves_flags)),
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
            asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") dest.wrapping_add(n).wrapping_sub(1) => _,
                inout("rsi") src.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
        }
        dest
    }

    /// memset(3)
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(dest: *mut u8, byte: i32, n: usize) -> *mut u8 {
        // SAFETY: the caller vouches for n writable bytes.
        unsafe {
            asm!("rep stosb", inout("rcx") n => _, inout("rdi") dest => _, in("al") byte as u8,
                options(nostack, preserves_flags));
        }
        dest
    }

    /// memcmp(3)
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        let (mut left, mut right): (u32, u32);
        let mut i = 0;
        while i < n {
            // SAFETY: i < n, and the caller vouches for n readable bytes at both. `asm` keeps the loop a loop.
            unsafe {
                asm!("movzx {l:e}, byte ptr [{a}]", "movzx {r:e}, byte ptr [{b}]", l = out(reg) left, r = out(reg) right,
                    a = in(reg) a.wrapping_add(i), b = in(reg) b.wrapping_add(i), options(nostack, readonly, preserves_flags));
            }
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
        let end: *const u8;
        // SAFETY: the caller vouches for a terminating zero.
        unsafe {
            asm!("repne scasb", inout("rdi") string => end, inout("rcx") usize::MAX => _, in("al") 0u8,
                options(nostack, readonly));
        }
        (end as usize) - (string as usize) - 1
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
