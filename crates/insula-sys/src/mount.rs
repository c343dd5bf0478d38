// SPDX-License-Identifier: Apache-2.0
//! mount_setattr(2), which rustix lacks, and the attribute bits of the mount calls.

use crate::raw::{number, syscall};
use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// MOUNT_ATTR_* of fsmount(2) and mount_setattr(2).
pub mod attr {
    #![allow(missing_docs)]
    pub const RDONLY: u64 = 0x1;
    pub const NOSUID: u64 = 0x2;
    pub const NODEV: u64 = 0x4;
    pub const NOEXEC: u64 = 0x8;
    pub const ATIME: u64 = 0x70;
    pub const RELATIME: u64 = 0;
    pub const NOATIME: u64 = 0x10;
    pub const STRICTATIME: u64 = 0x20;
    pub const NODIRATIME: u64 = 0x80;
    pub const IDMAP: u64 = 0x10_0000;
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// Propagation types of mount_namespaces(7), as mount(2) and mount_setattr(2) number them.
pub mod propagation {
    #![allow(missing_docs)]
    pub const UNBINDABLE: u64 = 1 << 17;
    pub const PRIVATE: u64 = 1 << 18;
    pub const SLAVE: u64 = 1 << 19;
    pub const SHARED: u64 = 1 << 20;
}

/// struct mount_attr of mount_setattr(2).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttr {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear; all of [`attr::ATIME`] when the access-time mode changes.
    pub clear: u64,
    /// One of [`propagation`], or 0 for no change.
    pub propagation: u64,
    /// User namespace descriptor for [`attr::IDMAP`].
    pub userns_fd: u64,
}

/// open_tree_attr(2): a detached copy of the mount that holds `name` below `fd` (empty: the object behind `fd` itself), no
/// link, rooted at it, changed at once; close-on-exec. Linux 6.15.
pub fn clone_with_attr(fd: BorrowedFd<'_>, name: &CStr, attr: &MountAttr) -> Result<OwnedFd, Errno> {
    // OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
    let flags = 0x1 | 0x8_0000 | 0x1000 | 0x100;
    // SAFETY: the path and attr outlive the call; the size is that of the struct.
    let tree = unsafe {
        syscall(
            number::OPEN_TREE_ATTR,
            [
                fd.as_raw_fd() as usize,
                name.as_ptr() as usize,
                flags,
                core::ptr::from_ref(attr) as usize,
                size_of::<MountAttr>(),
                0,
            ],
        )
    }?;
    // SAFETY: a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// open_tree_attr(2): a detached copy of the mount at `path`, with `recursive` of all below it, changed at once as far as
/// that reaches. It survives execve. Linux 6.15.
pub fn open_tree_attr(path: &CStr, recursive: bool, attr: &MountAttr) -> Result<OwnedFd, Errno> {
    // OPEN_TREE_CLONE, AT_RECURSIVE
    let flags = 0x1 | if recursive { 0x8000 } else { 0 };
    // SAFETY: the path and attr outlive the call; the size is that of the struct. -100 is AT_FDCWD.
    let tree = unsafe {
        syscall(
            number::OPEN_TREE_ATTR,
            [
                -100_isize as usize,
                path.as_ptr() as usize,
                flags,
                core::ptr::from_ref(attr) as usize,
                size_of::<MountAttr>(),
                0,
            ],
        )
    }?;
    // SAFETY: a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// mount_setattr(2): changes the mount at `path` below `dir` (empty: `dir` itself), and with `recursive` all below it.
/// Linux 5.12.
pub fn mount_setattr(dir: BorrowedFd<'_>, path: &CStr, recursive: bool, attr: &MountAttr) -> Result<(), Errno> {
    let flags = 0x1000 | if recursive { 0x8000 } else { 0 };
    // SAFETY: path and attr outlive the call; the size is that of the struct.
    unsafe {
        syscall(
            number::MOUNT_SETATTR,
            [
                dir.as_raw_fd() as usize,
                path.as_ptr() as usize,
                flags,
                core::ptr::from_ref(attr) as usize,
                size_of::<MountAttr>(),
                0,
            ],
        )
    }
    .map(drop)
}
