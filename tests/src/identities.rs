// SPDX-License-Identifier: Apache-2.0
//! Identities of namespaces: what the kernel says, not what a path says. Source: namespaces(7), proc(5).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One kind of namespace: its name in `config.json`, its name in `/proc/<pid>/ns`.
pub const KINDS: [(&str, &str); 8] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("mount", "mnt"),
    ("network", "net"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

/// Device and inode of a namespace's file. Compare only while both namespaces live: the kernel reuses inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Device of the nsfs file.
    pub device: u64,
    /// Inode of the nsfs file, the number in `net:[4026531840]`.
    pub inode: u64,
}

impl Identity {
    /// The identity of the namespace at `path`.
    #[track_caller]
    pub fn at(path: &Path) -> Self {
        let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The eight identities of a process, by the kind's name in `config.json`.
pub type Identities = BTreeMap<&'static str, Identity>;

/// The eight namespaces that process `pid` is in.
#[track_caller]
pub fn identities(pid: i32) -> Identities {
    of(&format!("/proc/{pid}/ns"))
}

/// The eight namespaces of the calling thread, which the runtime it starts inherits.
#[track_caller]
pub fn own_identities() -> Identities {
    of("/proc/thread-self/ns")
}

#[track_caller]
fn of(directory: &str) -> Identities {
    let at = |name| Identity::at(&Path::new(directory).join(name));
    KINDS.iter().map(|&(kind, name)| (kind, at(name))).collect()
}

/// The request of ioctl_nsfs(2).
#[allow(unsafe_code)] // nix makes an unsafe function of every ioctl
mod request {
    nix::ioctl_none!(ns_get_userns, 0xb7, 1);
}

/// The user namespace that owns the namespace at `path`; of a user namespace its parent. None if the kernel does not tell.
#[track_caller]
#[allow(unsafe_code)]
pub fn owner_at(path: &Path) -> Option<Identity> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // SAFETY: the request takes no argument, and what it returns is a new descriptor of ours alone.
    let owner = unsafe { OwnedFd::from_raw_fd(request::ns_get_userns(file.as_raw_fd()).ok()?) };
    let metadata = File::from(owner).metadata().expect("look at an open descriptor");
    Some(Identity { device: metadata.dev(), inode: metadata.ino() })
}
