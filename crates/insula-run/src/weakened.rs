// SPDX-License-Identifier: Apache-2.0
//! What a build with weaknesses (`insula_sys::weak`) does to init's start.

use crate::file;
use crate::image::Image;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_sys::process::{StringList, execve};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{CWD, Mode, OFlags};

/// Where [`Weakness::PlainInit`] keeps init's program.
const PLAIN: &CStr = c"/run/insula-weak-init";

/// Makes the plain file.
fn make_plain(bytes: &[u8]) {
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    if let Ok(fd) = rustix::fs::open(PLAIN, create, Mode::from_raw_mode(0o755)) {
        let _ = file::write_all(fd.as_fd(), bytes);
    }
}

/// Init's environment beside its first entry.
pub(crate) fn environment() -> Vec<&'static CStr> {
    let mut entries = Vec::new();
    entries.extend(weak::chosen().map(|name| insula_plan::c_str(&format!("W={name}"))));
    if weak::is(Weakness::Environment) {
        let own = file::read(CWD, "/proc/self/environ", 1 << 20, "read the environment").unwrap_or_default();
        let texts = own.split(|byte| *byte == 0).filter_map(|entry| core::str::from_utf8(entry).ok());
        entries.extend(texts.filter(|entry| !entry.is_empty()).map(insula_plan::c_str));
    }
    entries
}

impl Image {
    /// As [`Image::execute`], weakened.
    pub(crate) fn execute_weakened(&self, place: &'static CStr, bytes: &[u8]) -> rustix::io::Errno {
        let entries: StringList<'static> = [place].into_iter().chain(environment()).collect();
        let argv: StringList<'static> = [c"insula", c"init"].into_iter().collect();
        if weak::is(Weakness::PlainInit) {
            make_plain(bytes);
            return execve(PLAIN, &argv, &entries);
        }
        execve(insula_plan::c_str(&format!("/proc/self/fd/{}", self.fd().as_raw_fd())), &argv, &entries)
    }
}
