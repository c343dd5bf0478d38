// SPDX-License-Identifier: Apache-2.0
//! Variables of the environment that this process was started with, read from procfs: only who asks systemd needs them,
//! so they are not handed down through every command.

use alloc::string::String;
use alloc::vec::Vec;
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Longest environment that is looked at.
const LONGEST: usize = 1 << 20;

/// The environment, as it is in procfs.
#[derive(Debug)]
pub(super) struct Environment(Vec<u8>);

impl Environment {
    /// Reads it; one that cannot be read is empty.
    pub(super) fn read() -> Self {
        Self(read("/proc/self/environ").unwrap_or_default())
    }

    /// The value of a variable, if it is text and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut entries = self.0.split(|byte| *byte == 0).filter_map(|entry| core::str::from_utf8(entry).ok());
        entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=')).filter(|value| !value.is_empty())
    }
}

fn read(path: &str) -> rustix::io::Result<Vec<u8>> {
    let fd = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(8192);
    let mut buffer = [0_u8; 4096];
    while bytes.len() < LONGEST {
        match rustix::io::read(fd.as_fd(), &mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Errno::TOOBIG)
}

/// Text of a file in procfs.
pub(super) fn procfs(path: &str) -> Option<String> {
    String::from_utf8(read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let environment = Environment(b"AB=1\0A=2\0EMPTY=\0X=a=b\0BAD=\xff\0".to_vec());
        assert_eq!(environment.get("A"), Some("2"));
        assert_eq!(environment.get("AB"), Some("1"));
        assert_eq!(environment.get("X"), Some("a=b"));
        for name in ["EMPTY", "BAD", "B", "C"] {
            assert_eq!(environment.get(name), None, "{name}");
        }
        assert_eq!(Environment::read().get("PATH"), std::env::var("PATH").ok().as_deref());
    }
}
