// SPDX-License-Identifier: Apache-2.0
//! Paths below a hierarchy: cleaned so that they cannot leave it, and opened so that nothing can lead out.

use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Longest path taken, as PATH_MAX.
const LONGEST: usize = 4096;

/// How everything below a hierarchy's root is looked up. cgroup file systems have no symbolic links, so one is foul play.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Cleans a path lexically: no empty, `.` or `..` component is left and none leads above the start; no slash at either
/// end. An absolute and a relative path come out alike.
///
/// # Errors
/// `InvalidConfig` if a component cannot be a cgroup's name (newline, NUL) or the path is too long.
pub(crate) fn clean(path: &str, pointer: &str) -> Result<String> {
    let refused = |reason: &'static str| Err(Error::invalid(pointer, "choose the cgroup", reason));
    if path.len() > LONGEST {
        return refused("the path is longer than 4096 bytes");
    }
    if path.bytes().any(|byte| byte == 0 || byte == b'\n') {
        return refused("the path has a newline or a NUL, which no cgroup's name can have");
    }
    let mut result = String::with_capacity(path.len());
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => result.truncate(result.rfind('/').unwrap_or(0)),
            name => {
                if name.len() > 255 {
                    return refused("a name in the path is longer than 255 bytes");
                }
                push(&mut result, name);
            }
        }
    }
    Ok(result)
}

/// Appends `name` (one or more components) to a clean path.
pub(crate) fn push(path: &mut String, name: &str) {
    if !path.is_empty() && !name.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// `base` and `name` in one clean path, if both are clean.
pub(crate) fn join(base: &str, name: &str) -> String {
    if base.is_empty() || name.is_empty() { format!("{base}{name}") } else { format!("{base}/{name}") }
}

/// The directory part and the last name of a clean path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Opens `path` (clean) below the directory `root`, which it cannot leave by links, mounts or `..`.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { "." } else { path };
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH) {
            // A rename elsewhere disturbed the lookup (openat2(2)); it can only happen while somebody renames.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insula_error::Kind;

    #[test]
    fn cleaning_never_leads_above_the_start() {
        for (path, clean_path) in [
            ("", ""),
            ("/", ""),
            ("a", "a"),
            ("/a/b/", "a/b"),
            ("a//./b", "a/b"),
            ("../../a", "a"),
            ("/x/../../../../canary", "canary"),
            ("a/b/../c", "a/c"),
            ("a/..", ""),
            ("a/../../b/..", ""),
            ("...", "..."),
            ("a.slice:b:c/..d", "a.slice:b:c/..d"),
        ] {
            assert_eq!(clean(path, "/p").unwrap(), clean_path, "{path:?}");
        }
    }

    #[test]
    fn names_that_the_kernel_would_not_take_are_refused() {
        for path in ["a\nb", "a\0b", &"x/".repeat(2500), &"n".repeat(256)] {
            let error = clean(path, "/linux/cgroupsPath").unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (Kind::InvalidConfig, Some("/linux/cgroupsPath")));
        }
    }

    #[test]
    fn joining_and_splitting_agree() {
        for (base, name, whole) in [("", "a", "a"), ("a", "", "a"), ("a", "b", "a/b"), ("a/b", "c", "a/b/c")] {
            assert_eq!(join(base, name), whole);
        }
        assert_eq!(split("a/b/c"), ("a/b", "c"));
        assert_eq!(split("c"), ("", "c"));
    }
}
