// SPDX-License-Identifier: Apache-2.0
//! Where processes are in the hierarchies, compared with where a unit of systemd was to be.

use crate::file;
use crate::group::Group;
use crate::layout::Version;
use crate::path::open_beneath;
use crate::systemd::{Instance, misplaced};
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use rustix::fd::AsFd;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, openat};
use rustix::io::Errno;

impl Group {
    /// Sees that process `pid` is in the cgroup that was planned, in a hierarchy by which systemd tracks processes.
    pub(crate) fn check_place(&self, pid: i32) -> Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        let text = membership(&format!("/proc/{pid}/cgroup"))?;
        let tracking = || self.entries.iter().filter(|entry| entry.version == Version::V2 || entry.is_for_tracking());
        let is_at = |list: &str, path: &str| path_in(&text, list).and_then(|is| is.strip_prefix('/')) == Some(path);
        if tracking().any(|entry| is_at(&entry.list, &entry.path)) {
            return Ok(());
        }
        let Some(entry) = tracking().next() else { return Ok(()) };
        Err(misplaced(unit, &entry.path, path_in(&text, &entry.list).unwrap_or_default()))
    }

    /// Goes, with the whole of this process, to where it may put others into the cgroup. Nobody moves processes between
    /// cgroups (or gives birth in one) without rights over what is above both (cgroups(7), "Delegation containment
    /// rules"), and a login session's is not the user's; the user's systemd may, and its part of the tree is.
    ///
    /// # Errors
    /// Those of asking systemd.
    pub fn approach(&self) -> Result<()> {
        let Some(unit) = self.unit.as_ref().filter(|unit| unit.instance == Instance::User) else { return Ok(()) };
        let Some(entry) = self.v2().filter(|_| self.is_unified()) else { return Ok(()) };
        let text = membership("/proc/self/cgroup")?;
        let own = path_in(&text, "").unwrap_or_default().trim_start_matches('/');
        let above = common(own, &entry.path);
        let failed = |e: Errno| entry.error(e, "look at what is above the cgroup", "");
        let root = entry.root().map_err(failed)?;
        let dir = open_beneath(root, above, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
        match accessat(&dir, "cgroup.procs", Access::WRITE_OK, AtFlags::EACCESS) {
            Ok(()) => Ok(()),
            Err(_) => unit.move_caller(),
        }
    }
}

fn membership(name: &str) -> Result<String> {
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), "find where a process is").object(name);
    let fd = openat(CWD, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    file::read_all(fd.as_fd()).map_err(failed)
}

/// The path that /proc/\<pid\>/cgroup has for the hierarchy with these controllers.
fn path_in<'t>(text: &'t str, list: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        (parts.nth(1)? == list).then(|| parts.next()).flatten()
    })
}

/// The path of the lowest directory above (or at) both.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let mut end = 0;
    let mut theirs = other.split('/');
    for part in one.split('/') {
        if theirs.next() != Some(part) {
            break;
        }
        end += part.len() + usize::from(end > 0);
    }
    &one[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_common_directory() {
        for (one, other, both) in [
            ("a/b/c", "a/b/d", "a/b"),
            ("a/b", "a/b", "a/b"),
            ("a/b", "a/b/c", "a/b"),
            ("a/bc", "a/b", "a"),
            ("a", "b", ""),
            ("", "b", ""),
        ] {
            assert_eq!(common(one, other), both, "{one} {other}");
        }
    }

    #[test]
    fn paths_are_found_by_their_controllers() {
        let text = "12:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d\n";
        assert_eq!(path_in(text, "cpu,cpuacct"), Some("/a"));
        assert_eq!(path_in(text, "name=systemd"), Some("/b:c"));
        assert_eq!(path_in(text, ""), Some("/d"));
        assert_eq!(path_in(text, "memory"), None);
    }
}
