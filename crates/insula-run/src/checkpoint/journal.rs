// SPDX-License-Identifier: Apache-2.0
//! CRIU's log: where it writes, and the line in it that says what went wrong.

use crate::file;
use alloc::format;
use alloc::string::String;
use rustix::fd::{AsFd, OwnedFd};

/// Most that is read of a log; with everything told it is some hundred kilobytes.
const LARGEST: usize = 64 << 20;

/// A log that CRIU writes.
#[derive(Debug)]
pub(super) struct Journal<'a> {
    /// The directory in which it is.
    pub(super) directory: &'a OwnedFd,
    /// That directory's path, for messages.
    pub(super) path: &'a str,
    pub(super) name: &'static str,
}

impl Journal<'_> {
    /// The errors in it, and where to read on. `early` is what was written before there was a log.
    pub(super) fn explain(&self, early: &str) -> String {
        let place = format!("{}/{}", self.path, self.name);
        let text = file::read(self.directory.as_fd(), self.name, LARGEST, "read CRIU's log").unwrap_or_default();
        let logged = errors(&String::from_utf8_lossy(&text));
        let before = errors(early);
        match (logged.is_empty(), before.is_empty()) {
            (false, _) => format!("{logged} (all of it is in {place})"),
            (true, false) => before,
            (true, true) if early.trim().is_empty() => format!("it says nothing; see {place}"),
            (true, true) => format!("it says: {}", early.trim()),
        }
    }

    /// A log of an earlier run would be taken for this one's.
    pub(super) fn forget(&self) {
        let _ = rustix::fs::unlinkat(self.directory, self.name, rustix::fs::AtFlags::empty());
    }
}

/// How many errors are quoted.
const QUOTED: usize = 3;

/// The first errors, without their times: later ones follow from them. The last ones only say that all failed, and that
/// CRIU could not raise its own limits stops nothing.
fn errors(text: &str) -> String {
    let known = |line: &&str| !line.ends_with("FAILED.") && !line.contains("): rlimit: ");
    let lines = text.lines().filter_map(|line| line.find("Error (").map(|at| line[at..].trim_end()));
    let mut quoted = String::new();
    for line in lines.filter(known).take(QUOTED) {
        quoted.push_str(if quoted.is_empty() { "" } else { ", " });
        quoted.push_str(line);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_quoted() {
        let text = "(00.001) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self\n(00.013)     12: Error \
                    (criu/mount.c:1092): mnt: Mount 9 ./a has unreachable sharing.\n(00.014) Error \
                    (criu/cr-dump.c:2111): Dumping FAILED.\n";
        assert_eq!(errors(text), "Error (criu/mount.c:1092): mnt: Mount 9 ./a has unreachable sharing.");
        assert_eq!(errors("Warn  (criu/kerndat.c:1285): Can't keep\n"), "");
        assert_eq!(
            errors("Error (a): x\nError (b): y\nError (c): z\nError (d): w\n"),
            "Error (a): x, Error (b): y, Error (c): z"
        );
    }
}
