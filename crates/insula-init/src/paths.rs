// SPDX-License-Identifier: Apache-2.0
//! Paths inside the container's root file system, which is not to be trusted: each is resolved once, by the kernel, below
//! the root's descriptor (openat2(2) RESOLVE_IN_ROOT), never through a magic link of procfs, and used through the
//! descriptor that came back.

use crate::fault::{Fault, Of, On, Outcome};
use crate::temporary::temporary;
use crate::walk::Init;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::message::Call;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2, readlinkat, statat};
use rustix::io::Errno;

/// How often a resolution is tried that a concurrent rename disturbed (EAGAIN): an attacker who renames without pause
/// gets a clean failure, not a loop.
const ATTEMPTS: u32 = 128;
/// Links followed while missing directories are made, as the kernel's own limit (path_resolution(7)).
const LINKS: u32 = 40;

/// Resolves `path` below `root` with `flags`.
pub(crate) fn open_in(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    if weak::is(Weakness::FollowLinks) {
        let start = path.to_bytes().iter().position(|byte| *byte != b'/').unwrap_or(path.count_bytes());
        let below = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[start..]).unwrap_or_default();
        let below = if below.is_empty() { c"." } else { below };
        return rustix::fs::openat(root, below, flags | OFlags::CLOEXEC, mode);
    }
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut attempt = 0;
    loop {
        match openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

/// A C string of `bytes`, which hold no zero because they come from one.
pub(crate) fn c_string(bytes: &[u8]) -> Vec<u8> {
    let mut string = Vec::with_capacity(bytes.len() + 1);
    string.extend_from_slice(bytes);
    string.push(0);
    string
}

pub(crate) fn as_c_str(bytes: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(bytes).unwrap_or_default()
}

impl Init {
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        match &self.root {
            Some(root) => root.as_fd(),
            None => rustix::fs::CWD,
        }
    }

    /// The object at `path` as an O_PATH descriptor.
    pub(crate) fn look(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        open_in(self.root(), path, OFlags::PATH, Mode::empty(), ResolveFlags::empty())
    }

    /// The same, for a mount point; whether it lies on the root's own mount, which is no procfs, is remembered.
    fn look_for_mount(&mut self, path: &CStr) -> Result<OwnedFd, Errno> {
        let below = |above: &[u8]| path.to_bytes().starts_with(above);
        self.on_root = false;
        // Below these it nearly never does.
        if self.root.is_none() || below(b"/dev/") || below(b"/proc/") || below(b"/sys/") || below(b"/run/") {
            return self.look(path);
        }
        match open_in(self.root(), path, OFlags::PATH, Mode::empty(), ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => self.look(path),
            done => {
                self.on_root = done.is_ok();
                done
            }
        }
    }

    /// The same, for this step.
    pub(crate) fn resolve(&self, path: &CStr) -> Result<BorrowedFd<'static>, Errno> {
        self.look(path).map(temporary)
    }

    /// The directory at `path`, or whatever else lies there and `false`; for this step.
    pub(crate) fn resolve_dir(&self, path: &CStr) -> Result<(BorrowedFd<'static>, bool), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match open_in(self.root(), path, flags, Mode::empty(), ResolveFlags::empty()) {
            Ok(dir) => Ok((temporary(dir), true)),
            Err(Errno::NOTDIR) => Ok((self.resolve(path)?, false)),
            Err(errno) => Err(errno),
        }
    }

    /// The directory at `path`, made with all that is missing above it (mode 0755).
    pub(crate) fn ensure_dir(&self, path: &CStr) -> Outcome<OwnedFd> {
        match self.look(path) {
            Err(Errno::NOENT) => self.make_dirs(path),
            done => done.of(Call::Openat2).on(path.to_bytes()),
        }
    }

    /// The directory to mount on, made where it is missing; whether it was, in the last parent: then it is empty, on a
    /// file system where directories can be made, and no other name of that parent.
    pub(crate) fn mount_dir(&mut self, path: &CStr) -> Outcome<(BorrowedFd<'static>, bool)> {
        self.on_root = false;
        let (above, name) = split(path);
        let usual = !name.is_empty() && name != c"." && name != c"..";
        let known = matches!(&self.last_parent, Some((known, _)) if known.as_slice() == above);
        // Most mount points below the last parent are missing, as /dev's.
        if usual
            && known
            && let Some(dir) = self.make_last(name)
        {
            return Ok((dir, true));
        }
        match self.look_for_mount(path) {
            Err(Errno::NOENT) => {}
            done => return done.map(|dir| (temporary(dir), false)).of(Call::Openat2).on(path.to_bytes()),
        }
        if usual && !known {
            let dir = self.ensure_dir(as_c_str(&c_string(above)))?;
            self.set_parent(above, dir);
            if let Some(dir) = self.make_last(name) {
                return Ok((dir, true));
            }
        }
        self.make_dirs(path).map(|dir| (temporary(dir), false))
    }

    /// Makes `name` in the last parent and opens it without following anything.
    fn make_last(&self, name: &CStr) -> Option<BorrowedFd<'static>> {
        let (_, parent) = self.last_parent.as_ref()?;
        mkdirat(parent, name, Mode::from_raw_mode(0o755)).ok()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(parent, name, flags, Mode::empty()).ok().map(temporary)
    }

    /// Walks `path` component by component, making what is missing. A link to nowhere is followed inside the root, so
    /// what it points to is made there.
    fn make_dirs(&self, path: &CStr) -> Outcome<OwnedFd> {
        let fault = |call, errno| Fault::new(call, errno).on(path.to_bytes());
        let mut links = 0;
        let mut left: Vec<Vec<u8>> = components(path.to_bytes());
        let mut done: Vec<u8> = Vec::from(&b"/"[..]);
        let mut dir = self.look(c"/").of(Call::Openat2)?;
        while !left.is_empty() {
            let name = left.remove(0);
            if name == b".." {
                let cut = done.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                done.truncate(cut.max(1));
                dir = self.look(as_c_str(&c_string(&done))).map_err(|e| fault(Call::Openat2, e))?;
                continue;
            }
            let mut next = done.clone();
            if next.len() > 1 {
                next.push(b'/');
            }
            next.extend_from_slice(&name);
            let (whole, last) = (c_string(&next), c_string(&name));
            let (whole, last) = (as_c_str(&whole), as_c_str(&last));
            let mut found = self.look(whole);
            if matches!(found, Err(Errno::NOENT)) {
                if let Ok(target) = readlinkat(&dir, last, Vec::new()) {
                    links += 1;
                    if links > LINKS {
                        return Err(fault(Call::Link, Errno::LOOP));
                    }
                    let target = target.as_bytes();
                    if target.starts_with(b"/") {
                        done = Vec::from(&b"/"[..]);
                        dir = self.look(c"/").of(Call::Openat2)?;
                    }
                    let mut rest = components(target);
                    rest.append(&mut left);
                    left = rest;
                    continue;
                }
                match mkdirat(&dir, last, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(fault(Call::Mkdir, errno)),
                }
                found = self.look(whole);
            }
            dir = found.map_err(|e| fault(Call::Openat2, e))?;
            done = next;
        }
        Ok(dir)
    }

    /// The last parent is another one now.
    fn set_parent(&mut self, path: &[u8], dir: OwnedFd) {
        self.forget_parent();
        self.last_parent = Some((Vec::from(path), dir));
    }

    /// What was found where the last parent is may lie elsewhere by now.
    pub(crate) fn forget_parent(&mut self) {
        if let Some((_, dir)) = self.last_parent.take() {
            temporary(dir);
        }
        (self.own_parent, self.in_parent) = (false, false);
    }

    /// The directory that holds `path`'s last component, made where it is missing, and that component. The last
    /// directory is remembered: device nodes come in rows.
    pub(crate) fn parent<'p>(&mut self, path: &'p CStr) -> Outcome<(&OwnedFd, &'p CStr)> {
        let bytes = path.to_bytes();
        let (above, name) = split(path);
        if name.is_empty() || name == c".." || name == c"." {
            return Err(Fault::new(Call::Openat2, Errno::INVAL).on(bytes));
        }
        let known = matches!(&self.last_parent, Some((known, _)) if known.as_slice() == above);
        if !known {
            let dir = self.ensure_dir(as_c_str(&c_string(above)))?;
            self.set_parent(above, dir);
        }
        match &self.last_parent {
            Some((_, dir)) => Ok((dir, name)),
            None => Err(Fault::new(Call::Openat2, Errno::NOENT).on(bytes)),
        }
    }

    /// The file at `path`, made empty where it is missing; what is there keeps its type.
    pub(crate) fn ensure_file(&mut self, path: &CStr) -> Outcome<BorrowedFd<'static>> {
        match self.look_for_mount(path).map(temporary) {
            Err(Errno::NOENT) => {}
            done => return done.of(Call::Openat2).on(path.to_bytes()),
        }
        let (dir, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        match rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o755)) {
            Ok(_) => {}
            // A link to nowhere: what it names is made inside the root.
            Err(Errno::EXIST) => return self.ensure_linked_file(path),
            Err(errno) => return Err(Fault::new(Call::Open, errno).on(path.to_bytes())),
        }
        self.resolve(path).of(Call::Openat2).on(path.to_bytes())
    }

    fn ensure_linked_file(&mut self, path: &CStr) -> Outcome<BorrowedFd<'static>> {
        let create = OFlags::CREATE | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let (dir, name) = self.parent(path)?;
        let target = readlinkat(dir, name, Vec::new()).of(Call::Link).on(path.to_bytes())?;
        let mut whole = Vec::new();
        if !target.as_bytes().starts_with(b"/") {
            let cut = path.to_bytes().iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            whole.extend_from_slice(&path.to_bytes()[..cut]);
        }
        whole.extend_from_slice(target.as_bytes());
        if let Some(cut) = whole.iter().rposition(|byte| *byte == b'/') {
            drop(self.ensure_dir(as_c_str(&c_string(&whole[..=cut])))?);
        }
        drop(
            open_in(self.root(), path, create, Mode::from_raw_mode(0o755), ResolveFlags::empty())
                .of(Call::Openat2)
                .on(path.to_bytes())?,
        );
        self.resolve(path).of(Call::Openat2).on(path.to_bytes())
    }
}

/// What comes before the last component of a path, its slash included, and that component.
pub(crate) fn split(path: &CStr) -> (&[u8], &CStr) {
    let cut = path.to_bytes().iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let name = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[cut..]).unwrap_or_default();
    (&path.to_bytes()[..cut], name)
}

/// The parts of a path between slashes, without empty ones and dots.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(Vec::from).collect()
}

/// Whether the object behind `fd` is a directory.
pub(crate) fn is_dir(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    statat(fd, c"", AtFlags::EMPTY_PATH).map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
