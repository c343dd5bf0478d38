// SPDX-License-Identifier: Apache-2.0
//! ioctl_nsfs(2): what the kernel tells of a namespace behind a descriptor, and SIOCGSKNS, which gives a socket's;
//! statmount(2) and listmount(2), which show the mounts of a namespace that no process is in.

use alloc::string::String;
use alloc::vec;
use core::ffi::CStr;

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

use crate::raw::{number, syscall};

// The same numbers on every architecture.
const STATMOUNT: u32 = 457;
const LISTMOUNT: u32 = 458;

/// File system type of namespace files (statfs(2) `f_type`).
pub const NSFS_MAGIC: u64 = 0x6e73_6673;

const fn io(nr: usize) -> usize {
    0xb700 | nr
}

const fn io_read(nr: usize, size: usize) -> usize {
    0x8000_0000 | size << 16 | io(nr)
}

/// An ioctl that returns a plain number.
fn number_of(fd: BorrowedFd<'_>, request: usize, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the requests of this file with a plain argument neither read nor write the caller's memory.
    unsafe { syscall(number::IOCTL, [fd.as_raw_fd() as usize, request, argument, 0, 0, 0]) }
}

/// An ioctl that returns a descriptor, which the kernel opens close-on-exec.
fn fd_of(fd: BorrowedFd<'_>, request: usize) -> Result<OwnedFd, Errno> {
    let new = number_of(fd, request, 0)?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(new as i32) })
}

/// An ioctl that fills in a 64-bit number.
fn u64_of(fd: BorrowedFd<'_>, request: usize) -> Result<u64, Errno> {
    let mut value = 0u64;
    let pointer = core::ptr::from_mut(&mut value) as usize;
    // SAFETY: `value` outlives the call and has the eight bytes that the requests ending here write.
    unsafe { syscall(number::IOCTL, [fd.as_raw_fd() as usize, request, pointer, 0, 0, 0]) }?;
    Ok(value)
}

/// Id and inode of the namespace behind the link `name` of a `/proc/<pid>/ns` opened as `dir`, without opening it: they are
/// its file handle (name_to_handle_at(2)). Linux 6.18.
///
/// # Errors
/// EOPNOTSUPP where such files have no handles.
pub fn handle_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<(u64, u64), Errno> {
    /// struct file_handle with struct nsfs_file_handle in it.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        /// Aligned as the handle is, not as a number of 64 bits.
        id: [u8; 8],
        namespace: u32,
        inode: u32,
    }
    const FILEID_NSFS: i32 = 0xf1;
    const AT_SYMLINK_FOLLOW: usize = 0x400;
    let mut handle = Handle { bytes: 16, kind: 0, id: [0; 8], namespace: 0, inode: 0 };
    let mut mount = 0_i32;
    // SAFETY: the name outlives the call, and the kernel writes no more than the 16 bytes that the handle says it has, and
    // one number for the mount.
    unsafe {
        syscall(
            number::NAME_TO_HANDLE_AT,
            [
                dir.as_raw_fd() as usize,
                name.as_ptr() as usize,
                core::ptr::from_mut(&mut handle) as usize,
                core::ptr::from_mut(&mut mount) as usize,
                AT_SYMLINK_FOLLOW,
                0,
            ],
        )
    }?;
    if handle.kind != FILEID_NSFS || handle.bytes != 16 {
        return Err(Errno::OPNOTSUPP);
    }
    Ok((u64::from_ne_bytes(handle.id), u64::from(handle.inode)))
}

/// NS_GET_USERNS: the user namespace that owns `ns`. EPERM if it lies outside the caller's own.
pub fn get_userns(ns: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fd_of(ns, io(1))
}

/// NS_GET_PARENT: the parent of a user or PID namespace. EPERM if it lies outside the caller's view, or there is none;
/// EINVAL for other kinds.
pub fn get_parent(ns: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fd_of(ns, io(2))
}

/// NS_GET_NSTYPE: the `CLONE_NEW…` bit of `ns`. ENOTTY if it is no namespace.
pub fn get_nstype(ns: BorrowedFd<'_>) -> Result<u64, Errno> {
    number_of(ns, io(3), 0).map(|flag| flag as u64)
}

/// NS_GET_OWNER_UID: the user id, as the caller sees it, that made the user namespace `ns`.
pub fn get_owner_uid(ns: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut uid = 0u32;
    let pointer = core::ptr::from_mut(&mut uid) as usize;
    // SAFETY: `uid` outlives the call and is a uid_t, which is all that the kernel writes.
    unsafe { syscall(number::IOCTL, [ns.as_raw_fd() as usize, io(4), pointer, 0, 0, 0]) }?;
    Ok(uid)
}

/// NS_GET_MNTNS_ID: the 64-bit id of a mount namespace, never used again. Linux 6.11; ENOTTY before.
pub fn get_mntns_id(ns: BorrowedFd<'_>) -> Result<u64, Errno> {
    u64_of(ns, io_read(5, 8))
}

/// NS_GET_PID_FROM_PIDNS: what the process `pid` of the PID namespace `ns` is called here. Linux 6.11; ESRCH if there
/// is none.
pub fn get_pid_from_pidns(ns: BorrowedFd<'_>, pid: i32) -> Result<i32, Errno> {
    number_of(ns, io_read(6, 4), pid as usize).map(|pid| pid as i32)
}

/// NS_GET_ID: the 64-bit id of a namespace of any kind, never used again while the machine runs. Linux 6.18; ENOTTY
/// before.
pub fn get_id(ns: BorrowedFd<'_>) -> Result<u64, Errno> {
    u64_of(ns, io_read(13, 8))
}

/// NS_MNT_GET_NEXT: the mount namespace with the next higher id that the caller may enter. Linux 6.12; ENOENT after
/// the last.
pub fn mnt_get_next(ns: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fd_of(ns, io_read(11, 16))
}

/// NS_MNT_GET_PREV: the mount namespace with the next lower id that the caller may enter. Linux 6.12; ENOENT before
/// the first.
pub fn mnt_get_prev(ns: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fd_of(ns, io_read(12, 16))
}

/// SIOCGSKNS: the network namespace that `socket` was made in. Needs CAP_NET_ADMIN over it.
pub fn socket_namespace(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fd_of(socket, 0x894c)
}

/// The `struct mnt_id_req` of statmount(2) and listmount(2), second version.
#[repr(C)]
struct MountRequest {
    size: u32,
    spare: u32,
    mount: u64,
    parameter: u64,
    namespace: u64,
}

impl MountRequest {
    fn new(mount: u64, parameter: u64, namespace: u64) -> Self {
        Self { size: size_of::<Self>() as u32, spare: 0, mount, parameter, namespace }
    }
}

/// Calls `each` with the id of every mount in the mount namespace with id `namespace` ([`get_mntns_id`]). Linux 6.11;
/// ENOSYS before.
pub fn list_mounts(namespace: u64, mut each: impl FnMut(u64)) -> Result<(), Errno> {
    const LSMT_ROOT: u64 = u64::MAX;
    let mut ids = [0u64; 256];
    let mut last = 0;
    loop {
        let request = MountRequest::new(LSMT_ROOT, last, namespace);
        let arguments = [core::ptr::from_ref(&request) as usize, ids.as_mut_ptr() as usize, ids.len(), 0, 0, 0];
        // SAFETY: `request` outlives the call and says its own size; `ids` has room for the count given.
        let count = unsafe { syscall(LISTMOUNT, arguments) }?;
        for id in &ids[..count] {
            each(*id);
        }
        if count < ids.len() {
            return Ok(());
        }
        last = ids[count - 1];
    }
}

/// What statmount(2) says of one mount.
#[derive(Debug, Clone)]
pub struct MountStatus {
    /// Type of its file system, as in statfs(2).
    pub magic: u64,
    /// Device of its file system, as in stat(2).
    pub dev: u64,
    /// What of the file system is mounted: `net:[4026532000]` for a namespace file.
    pub root: String,
    /// Where, seen from the root of its namespace.
    pub point: String,
}

/// statmount(2) of mount `mount` in the mount namespace with id `namespace`, if its file system is of type `magic`.
/// Linux 6.11.
pub fn stat_mount(mount: u64, namespace: u64, magic: u64) -> Result<Option<MountStatus>, Errno> {
    const SB_BASIC: u64 = 1;
    const ROOT_AND_POINT: u64 = 0x18;
    const HEADER: usize = 512;
    let mut buffer = [0u8; HEADER];
    ask_mount(mount, namespace, SB_BASIC, &mut buffer)?;
    let found = u64::from_ne_bytes(field(&buffer, 24));
    if found != magic {
        return Ok(None);
    }
    let (major, minor) = (u32::from_ne_bytes(field(&buffer, 16)), u32::from_ne_bytes(field(&buffer, 20)));
    let mut large = vec![0u8; HEADER + 2 * 4096 + 512];
    ask_mount(mount, namespace, ROOT_AND_POINT, &mut large)?;
    let string = |at: usize| {
        let start = HEADER + u32::from_ne_bytes(field(&large, at)) as usize;
        let bytes = large.get(start..).unwrap_or_default();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    Ok(Some(MountStatus { magic, dev: rustix::fs::makedev(major, minor), root: string(104), point: string(108) }))
}

fn field<const N: usize>(buffer: &[u8], at: usize) -> [u8; N] {
    core::array::from_fn(|index| buffer[at + index])
}

fn ask_mount(mount: u64, namespace: u64, mask: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    let request = MountRequest::new(mount, mask, namespace);
    let arguments = [core::ptr::from_ref(&request) as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
    // SAFETY: `request` outlives the call and says its own size; the kernel writes at most the buffer's length.
    unsafe { syscall(STATMOUNT, arguments) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::fs::{CWD, Mode, OFlags, openat};

    fn open(name: &str) -> OwnedFd {
        openat(CWD, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn a_namespace_file_tells_its_kind_and_others_do_not() {
        assert_eq!(get_nstype(open("/proc/self/ns/net").as_fd()), Ok(0x4000_0000));
        assert_eq!(get_nstype(open("/dev/null").as_fd()), Err(Errno::NOTTY));
        assert_eq!(get_parent(open("/proc/self/ns/net").as_fd()).unwrap_err(), Errno::INVAL);
        let owner = get_userns(open("/proc/self/ns/net").as_fd()).unwrap();
        assert_eq!(get_nstype(owner.as_fd()), Ok(0x1000_0000));
    }

    #[test]
    fn mounts_of_the_own_namespace_include_proc() {
        const PROC: u64 = 0x9fa0;
        let ns = open("/proc/self/ns/mnt");
        let Ok(id) = get_mntns_id(ns.as_fd()) else { return };
        let mut mounts = vec![];
        if list_mounts(id, |mount| mounts.push(mount)) == Err(Errno::NOSYS) {
            return;
        }
        let found: Vec<_> = mounts.iter().filter_map(|m| stat_mount(*m, id, PROC).unwrap()).collect();
        assert!(found.iter().any(|m| m.point == "/proc" && m.root == "/"), "{found:?}");
    }
}
