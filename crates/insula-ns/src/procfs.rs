// SPDX-License-Identifier: Apache-2.0
//! Reading procfs: numbered directories, whole small files, link texts. Everything in it may vanish at any moment.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::{Errno, read};
use rustix::path::Arg;

use crate::identity::open_at;

/// Opens directory `path` below `dir` only to look up names in it: no read permission is needed.
pub(crate) fn place(dir: BorrowedFd<'_>, path: impl Arg) -> Result<OwnedFd, Errno> {
    openat(dir, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Names in the directory `path` below `dir`, but `.` and `..`; none if it cannot be read.
pub(crate) fn names(dir: BorrowedFd<'_>, path: impl Arg) -> Vec<String> {
    let mut found = Vec::new();
    each_name(dir, path, |name| found.push(String::from(name)));
    found
}

/// Numbers in the directory `path` below `dir`: processes, threads or descriptors; none if it cannot be read.
pub(crate) fn numbers(dir: BorrowedFd<'_>, path: impl Arg, found: &mut Vec<i32>) {
    found.clear();
    each_name(dir, path, |name| found.extend(name.parse::<i32>().ok()));
}

fn each_name(dir: BorrowedFd<'_>, path: impl Arg, mut each: impl FnMut(&str)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(fd) = openat(dir, path, flags, Mode::empty()) else { return };
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(fd.as_fd(), &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            each(name);
        }
    }
}

/// The contents of the file `path` below `dir`, up to the size of `buffer`, as text; `None` if it cannot be read.
pub(crate) fn text<'b>(dir: BorrowedFd<'_>, path: impl Arg, buffer: &'b mut [u8]) -> Option<&'b str> {
    let length = bytes(dir, path, buffer)?;
    match core::str::from_utf8(&buffer[..length]) {
        Ok(text) => Some(text),
        Err(error) => core::str::from_utf8(&buffer[..error.valid_up_to()]).ok(),
    }
}

/// Reads the file `path` below `dir` into `buffer` until either ends; how much was read.
pub(crate) fn bytes(dir: BorrowedFd<'_>, path: impl Arg, buffer: &mut [u8]) -> Option<usize> {
    let fd = open_at(dir, path).ok()?;
    let mut length = 0;
    while length < buffer.len() {
        match read(&fd, &mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn lists_and_reads_what_is_there() {
        let mut pids = Vec::new();
        numbers(CWD, "/proc", &mut pids);
        assert!(pids.contains(&(std::process::id() as i32)));
        assert!(names(CWD, "/proc/self").contains(&String::from("status")));
        assert!(names(CWD, "/nonexistent").is_empty());
        let mut buffer = [0; 8];
        assert!(text(CWD, "/proc/self/status", &mut buffer).unwrap().starts_with("Name:\t"));
        assert_eq!(text(CWD, "/nonexistent", &mut buffer), None);
    }
}
