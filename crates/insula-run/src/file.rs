// SPDX-License-Identifier: Apache-2.0
//! Whole files, read and written in as few calls as it takes.

use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// The content of `path` below `dir`, at most `limit` bytes. Only regular files and those of procfs and sysfs: a fifo or
/// device under the name is refused rather than waited for.
///
/// # Errors
/// `Kernel`, or `State` if it is no plain file or larger than `limit`.
pub fn read(dir: BorrowedFd<'_>, path: &str, limit: usize, attempted: &'static str) -> Result<Vec<u8>> {
    let failed = |errno: Errno| Error::kernel(errno.raw_os_error(), attempted).object(path);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = openat(dir, path, flags, Mode::empty()).map_err(failed)?;
    let stat = fstat(&fd).map_err(failed)?;
    let refuse = |reason: &'static str| Err(Error::state(attempted, reason).object(path));
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return refuse("it is no plain file");
    }
    if stat.st_size as usize > limit {
        return refuse("it is too large");
    }
    let mut text = Vec::with_capacity(stat.st_size as usize + 1024);
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => return Ok(text),
            Ok(_) if text.len() > limit => return refuse("it is too large"),
            Ok(_) => {
                // The size was known, so a short second read ends it; procfs has sizes of 0 and grows.
                if stat.st_size > 0 && text.len() == stat.st_size as usize {
                    insula_sys::memory::leave(fd);
                    return Ok(text);
                }
                text.reserve(1024);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// The content of a file that the user names, which may also be a pipe (`<(…)` of a shell), at most `limit` bytes.
///
/// # Errors
/// As [`read`].
pub fn read_stream(dir: BorrowedFd<'_>, path: &str, limit: usize, attempted: &'static str) -> Result<Vec<u8>> {
    let failed = |errno: Errno| Error::kernel(errno.raw_os_error(), attempted).object(path);
    let fd = openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).map_err(failed)?;
    read_all(fd.as_fd(), limit).map_err(failed)?.ok_or_else(|| Error::state(attempted, "it is too large").object(path))
}

/// Everything up to the end of `fd`; `None` if that is more than `limit` bytes.
pub fn read_all(fd: BorrowedFd<'_>, limit: usize) -> core::result::Result<Option<Vec<u8>>, Errno> {
    let mut text = Vec::with_capacity(4096);
    loop {
        text.reserve(4096);
        match rustix::io::read(fd, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => return Ok(Some(text)),
            Ok(_) if text.len() > limit => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// As [`read`], as text.
pub fn read_text(dir: BorrowedFd<'_>, path: &str, limit: usize, attempted: &'static str) -> Result<String> {
    let bytes = read(dir, path, limit, attempted)?;
    String::from_utf8(bytes).map_err(|_| Error::state(attempted, "it is not UTF-8").object(path))
}

/// Writes all of `bytes`.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> core::result::Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Makes the new file `name` below `dir` with `bytes` in it.
pub fn write_new(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> core::result::Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = openat(dir, name, flags, Mode::from_raw_mode(mode))?;
    write_all(fd.as_fd(), bytes)?;
    insula_sys::memory::leave(fd);
    Ok(())
}

/// Puts `bytes` under `name` in one step: a reader sees the old content or the new, never half.
pub fn replace(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> core::result::Result<(), Errno> {
    let temporary = alloc::format!(".{name}.{}", rustix::process::getpid().as_raw_nonzero());
    match write_new(dir, &temporary, bytes, mode) {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(dir, &temporary, AtFlags::empty())?;
            write_new(dir, &temporary, bytes, mode)?;
        }
        Err(errno) => {
            let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
            return Err(errno);
        }
        Ok(()) => {}
    }
    rustix::fs::renameat(dir, &temporary, dir, name).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
    })
}

/// As [`replace`], in a directory that is not ours to clean up: the new file has no name until it is complete (open(2),
/// `O_TMPFILE`). What was there goes first, so that a reader may find nothing for a moment.
pub fn put(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> core::result::Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let fd = match openat(dir, ".", flags, Mode::from_raw_mode(mode)) {
        // Not every file system has nameless files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => return replace(dir, name, bytes, mode),
        done => done?,
    };
    write_all(fd.as_fd(), bytes)?;
    let nameless = alloc::format!("/proc/self/fd/{}", fd.as_raw_fd());
    // Bounded, should somebody put something there again and again.
    for _ in 0..64 {
        match rustix::fs::linkat(CWD, &*nameless, dir, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::EXIST) => match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            },
            // Without /proc the file stays nameless.
            Err(Errno::NOENT | Errno::XDEV) => return replace(dir, name, bytes, mode),
            done => return done,
        }
    }
    Err(Errno::EXIST)
}

/// A number that differs for texts that differ in one byte (FNV-1a, 64 bits).
pub fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Opens a directory for use as a base.
pub fn open_dir(dir: BorrowedFd<'_>, path: &str) -> core::result::Result<OwnedFd, Errno> {
    openat(dir, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
