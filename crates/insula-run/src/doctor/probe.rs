// SPDX-License-Identifier: Apache-2.0
//! Trying something in a process that is thrown away.

use crate::file;
use alloc::format;
use alloc::string::String;
use insula_error::{errno_name, errno_text};
use insula_sys::process::{Cloned, clone3, exit};
use rustix::fd::AsFd;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Does `work` in a child that is made with `flags` of clone3(2); what the kernel answered, to either.
pub(super) fn in_child(flags: u64, work: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    match clone3(flags, None)? {
        Cloned::Child => exit(work().map_or_else(Errno::raw_os_error, |()| 0)),
        Cloned::Parent { pidfd, .. } => {
            let ended = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            match ended.and_then(|ended| ended.exit_status()) {
                Some(0) => Ok(()),
                Some(errno) => Err(Errno::from_raw_os_error(errno)),
                None => Err(Errno::CHILD),
            }
        }
    }
}

/// The kernel's answer in words: `EPERM (operation not permitted)`.
pub(super) fn words(call: &str, errno: Errno) -> String {
    let number = errno.raw_os_error();
    format!("{call}: {} ({})", errno_name(number), errno_text(number))
}

/// The first line of a small file, without blanks at its ends.
pub(super) fn line(path: &str) -> Option<String> {
    let text = file::read_text(CWD, path, 1 << 16, "look at the host").ok()?;
    Some(String::from(text.lines().next().unwrap_or("").trim()))
}

/// Whether the file has the word `word`.
pub(super) fn has_word(path: &str, word: &str) -> bool {
    file::read_text(CWD, path, 1 << 16, "look at the host")
        .is_ok_and(|text| text.split_ascii_whitespace().any(|found| found == word))
}
