// SPDX-License-Identifier: Apache-2.0
//! Reading and writing the files of a cgroup through the descriptor of its directory.

use alloc::string::String;
use alloc::vec::Vec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

/// Opens the file `name` of the cgroup `dir`.
pub(crate) fn open(dir: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

/// Writes `value` into the file `name` of the cgroup `dir`.
pub(crate) fn write(dir: BorrowedFd<'_>, name: &str, value: &str) -> Result<()> {
    let file = open(dir, name, OFlags::WRONLY)?;
    write_to(file.as_fd(), value)?;
    insula_sys::memory::leave(file);
    Ok(())
}

/// Writes `value` in one call: the files of a cgroup take each write as one whole value.
pub(crate) fn write_to(fd: BorrowedFd<'_>, value: &str) -> Result<()> {
    loop {
        match rustix::io::write(fd, value.as_bytes()) {
            Err(Errno::INTR) => {}
            result => return result.map(drop),
        }
    }
}

/// Reads the file `name` of the cgroup `dir`.
pub(crate) fn read(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    let file = open(dir, name, OFlags::RDONLY)?;
    let text = read_all(file.as_fd());
    insula_sys::memory::leave(file);
    text
}

/// Reads all that is left of a file. Those of cgroup file systems, and /proc/self/cgroup, are made whole at the first read:
/// one that is not filled has come to the end.
pub(crate) fn read_all(fd: BorrowedFd<'_>) -> Result<String> {
    let mut text = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => return String::from_utf8(text).map_err(|_| Errno::ILSEQ),
            Ok(length) if length < buffer.len() && text.is_empty() => {
                return core::str::from_utf8(&buffer[..length]).map(String::from).map_err(|_| Errno::ILSEQ);
            }
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// The value of `key` in a file of lines `key value`, such as `cgroup.events`.
pub(crate) fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
}
