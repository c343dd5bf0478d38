// SPDX-License-Identifier: Apache-2.0
//! Device nodes, symbolic links, and the copy of a directory under a new tmpfs.

use crate::fault::{Fault, Of, On, Outcome};
use crate::mounts::attach;
use crate::walk::Init;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::Fd;
use insula_steps::message::Call;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, makedev, mkdirat, mknodat, openat, readlinkat, statat,
    symlinkat,
};
use rustix::io::Errno;

/// A device node as a step describes it.
pub(crate) struct Node<'a> {
    pub(crate) path: &'a CStr,
    /// File type and permission bits.
    pub(crate) mode: u32,
    pub(crate) device: (u32, u32),
    pub(crate) owner: (u32, u32),
    pub(crate) bind: Fd,
}

impl Init {
    /// [`insula_steps::Step::Device`]
    pub(crate) fn device(&mut self, node: &Node<'_>) -> Outcome<()> {
        if node.bind.is_some() {
            return self.bind_device(node);
        }
        let device = makedev(node.device.0, node.device.1);
        let (kind, mode) = (FileType::from_raw_mode(node.mode), Mode::from_raw_mode(node.mode));
        let (dir, name) = self.parent(node.path)?;
        match mknodat(dir, name, kind, mode, device) {
            Ok(()) => {}
            // The image may bring the node; anything else under its name is not used (CVE-2025-31133 and its kin).
            Err(Errno::EXIST) if weak::is(Weakness::AnyDevice) => {}
            Err(Errno::EXIST) => {
                let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).of(Call::Stat).on(node.path.to_bytes())?;
                if FileType::from_raw_mode(stat.st_mode) != kind || (kind != FileType::Fifo && stat.st_rdev != device) {
                    return Err(Fault::new(Call::Mknod, Errno::EXIST).on(node.path.to_bytes()));
                }
            }
            Err(errno) => return Err(Fault::new(Call::Mknod, errno).on(node.path.to_bytes())),
        }
        if node.owner != (0, 0) {
            let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
            chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .of(Call::Chown)
                .on(node.path.to_bytes())?;
        }
        Ok(())
    }

    /// In a user namespace mknod(2) is refused: the host's node is bound over an empty file.
    fn bind_device(&mut self, node: &Node<'_>) -> Outcome<()> {
        let target = self.ensure_file(node.path)?;
        let tree = insula_sys::memory::borrow(node.bind.0 as i32);
        attach(tree, target).on(node.path.to_bytes())?;
        crate::temporary::done(tree);
        Ok(())
    }

    /// [`insula_steps::Step::Link`]: what the image has under that name stays.
    pub(crate) fn link(&mut self, path: &CStr, to: &CStr) -> Outcome<()> {
        let (dir, name) = self.parent(path)?;
        match symlinkat(to, dir, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(Fault::new(Call::Symlink, errno).on(path.to_bytes())),
        }
    }

    /// Copies what the directory behind `from` holds into the detached mount `to`: files, directories, links, with mode
    /// and owner (tmpcopyup). Other files are left out, as runc leaves them.
    pub(crate) fn copy_up(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Outcome<()> {
        let stat = statat(from, c"", AtFlags::EMPTY_PATH).of(Call::Stat)?;
        chownat(to, c"", Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)), AtFlags::EMPTY_PATH)
            .of(Call::Chown)?;
        let to =
            openat(to, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).of(Call::Open)?;
        rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode)).of(Call::Chmod)?;
        copy_dir(from, to.as_fd(), 0)
    }
}

/// Deepest tree that is copied.
const DEPTH: u32 = 128;

fn copy_dir(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Outcome<()> {
    if depth > DEPTH {
        return Err(Fault::new(Call::Copy, Errno::LOOP));
    }
    let listed =
        openat(from, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).of(Call::Open)?;
    for entry in Dir::read_from(&listed).of(Call::Copy)? {
        let entry = entry.of(Call::Copy)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(listed.as_fd(), to, name, depth).on(name.to_bytes())?;
        }
    }
    Ok(())
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: u32) -> Outcome<()> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).of(Call::Stat)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, mode).of(Call::Mkdir)?;
            let source = openat(from, name, nofollow | OFlags::DIRECTORY, Mode::empty()).of(Call::Open)?;
            let copy = openat(to, name, nofollow | OFlags::DIRECTORY, Mode::empty()).of(Call::Open)?;
            copy_dir(source.as_fd(), copy.as_fd(), depth + 1)?;
        }
        FileType::Symlink => {
            let target = readlinkat(from, name, Vec::new()).of(Call::Link)?;
            symlinkat(target.as_c_str(), to, name).of(Call::Symlink)?;
        }
        FileType::RegularFile => {
            // Not waiting, should it be a fifo by now.
            let source = openat(from, name, nofollow | OFlags::NONBLOCK, Mode::empty()).of(Call::Open)?;
            let create = nofollow | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let copy = openat(to, name, create, mode).of(Call::Open)?;
            let mut buffer = [0_u8; 16384];
            loop {
                let length = rustix::io::read(&source, &mut buffer).of(Call::Read)?;
                if length == 0 {
                    break;
                }
                let mut left = &buffer[..length];
                while !left.is_empty() {
                    let written = rustix::io::write(&copy, left).of(Call::Write)?;
                    left = &left[written..];
                }
            }
        }
        _ => return Ok(()),
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).of(Call::Chown)
}
