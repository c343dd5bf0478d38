// SPDX-License-Identifier: Apache-2.0
//! Namespaces that a bind mount keeps, in any mount namespace, and mount namespaces that no process is in.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use insula_sys::nsfs;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, makedev};
use rustix::io::Errno;

use super::collector::Collector;
use super::{Keeper, elsewhere};
use crate::identity::{self, Identity, kind_of};
use crate::kind::Kind;
use crate::open::open_path;
use crate::procfs::bytes;

/// A namespace file that is mounted.
struct Bound {
    kind: Kind,
    dev: u64,
    ino: u64,
    path: String,
}

/// Looks at every mount namespace that is known, and at those that turn up meanwhile.
pub(super) fn scan(collector: &mut Collector) {
    walk(collector);
    let mut next = 0;
    while next < collector.found.len() {
        if collector.found[next].entry.identity.kind == Kind::MOUNT {
            let bound = bound_in(collector, next);
            note(collector, next, bound);
        }
        next += 1;
    }
}

/// Lets the kernel list the mount namespaces, from the own one in both directions. KERNEL(6.12): before, those that
/// only a descriptor keeps are found through that descriptor alone.
fn walk(collector: &mut Collector) {
    let steps: [fn(BorrowedFd<'_>) -> Result<OwnedFd, Errno>; 2] = [nsfs::mnt_get_next, nsfs::mnt_get_prev];
    for step in steps {
        let own = collector.found.iter().position(|f| f.entry.own && f.entry.identity.kind == Kind::MOUNT);
        let mut at = own;
        while let Some(Ok(fd)) = at.and_then(|index| collector.found[index].fd.as_ref()).map(|fd| step(fd.as_fd())) {
            at = Some(collector.adopt(Kind::MOUNT, fd));
        }
    }
}

/// The namespace files mounted in the mount namespace at `index` of the collection.
fn bound_in(collector: &Collector, index: usize) -> Vec<Bound> {
    let found = &collector.found[index];
    let asked = found.fd.as_ref().and_then(|fd| by_statmount(fd.as_fd()).ok());
    asked.unwrap_or_else(|| {
        // KERNEL(6.11): no statmount. A process with another root does not see all, so several are asked.
        let mut bound: Vec<Bound> = Vec::new();
        for pid in found.entry.pids.iter().take(3) {
            for one in by_mountinfo(&format!("/proc/{pid}/mountinfo")) {
                if !bound.iter().any(|known| known.ino == one.ino && known.path == one.path) {
                    bound.push(one);
                }
            }
        }
        bound
    })
}

fn by_statmount(ns: BorrowedFd<'_>) -> Result<Vec<Bound>, Errno> {
    let id = nsfs::get_mntns_id(ns)?;
    let mut mounts = Vec::with_capacity(64);
    nsfs::list_mounts(id, |mount| mounts.push(mount))?;
    let mut bound = Vec::new();
    for mount in mounts {
        // Any failure means that it was unmounted meanwhile.
        if let Ok(Some(status)) = nsfs::stat_mount(mount, id, nsfs::NSFS_MAGIC)
            && let Some((kind, ino)) = identity::parse(&status.root)
        {
            bound.push(Bound { kind, dev: status.dev, ino, path: status.point });
        }
    }
    Ok(bound)
}

fn by_mountinfo(path: &str) -> Vec<Bound> {
    let mut size = 64 * 1024;
    loop {
        let mut buffer = alloc::vec![0; size];
        let length = bytes(CWD, path, &mut buffer).unwrap_or(0);
        if length < size {
            return String::from_utf8_lossy(&buffer[..length]).lines().filter_map(parse_mount).collect();
        }
        size *= 4;
    }
}

/// The namespace file in one line of proc_pid_mountinfo(5), if it is one.
fn parse_mount(line: &str) -> Option<Bound> {
    let mut fields = line.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (kind, ino) = identity::parse(fields.next()?)?;
    let dev = makedev(major.parse().ok()?, minor.parse().ok()?);
    let path = unescape(fields.next()?);
    line.contains(" - nsfs ").then_some(Bound { kind, dev, ino, path })
}

/// Turns the octal escapes of mountinfo (`\040`) back into what they stand for.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| core::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) if *byte == b'\\' => {
                plain.push(escaped);
                rest = &after[3..];
            }
            _ => {
                plain.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Notes what the mounts in the mount namespace at `within` of the collection keep.
fn note(collector: &mut Collector, within: usize, bound: Vec<Bound>) {
    let new: Vec<&Bound> = bound.iter().filter(|one| collector.position(one.ino).is_none()).collect();
    open_new(collector, within, &new);
    let place = collector.found[within].entry.identity;
    for Bound { kind, dev, ino, path } in bound {
        let index = collector.position(ino).unwrap_or_else(|| {
            // It could not be opened; that it is mounted is certain.
            collector.push(Identity { kind, dev, ino, id: None }, None)
        });
        collector.keep(index, Keeper::Mount { path, within: place });
    }
}

/// Opens namespaces that no process led to, to ask them for their owners.
fn open_new(collector: &mut Collector, within: usize, new: &[&Bound]) {
    if new.is_empty() {
        return;
    }
    let found = &collector.found[within];
    let opened: Vec<OwnedFd> = if found.entry.own {
        new.iter().filter_map(|bound| open_path(&bound.path).ok()).map(|(fd, _)| fd).collect()
    } else {
        let paths: Vec<&str> = new.iter().map(|bound| bound.path.as_str()).collect();
        found.fd.as_ref().map_or_else(Vec::new, |ns| elsewhere::open(ns.as_fd(), &paths))
    };
    for fd in opened {
        if let Ok(kind) = kind_of(fd.as_fd()) {
            // Another than expected, where something was mounted over it, is a namespace none the less.
            collector.adopt(kind, fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_of_namespaces() {
        let line = "621 28 0:4 net:[4026532573] /run/netns/a\\040b\\134 rw shared:3 - nsfs nsfs rw";
        let bound = parse_mount(line).unwrap();
        assert_eq!((bound.kind, bound.dev, bound.ino), (Kind::NETWORK, 4, 4_026_532_573));
        assert_eq!(bound.path, "/run/netns/a b\\");
        for other in [
            "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw",
            "24 1 8:1 net:[12] /a rw,relatime shared:1 - ext4 /dev/root rw",
            "24 1 8:1",
            "",
        ] {
            assert!(parse_mount(other).is_none(), "{other}");
        }
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("a\\04"), "a\\04");
        assert_eq!(unescape("\\x\\011"), "\\x\t");
    }
}
