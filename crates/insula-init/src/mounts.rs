// SPDX-License-Identifier: Apache-2.0
//! Mounts: every one is made detached, its options passed one by one (fsconfig(2)), and attached to a descriptor
//! (move_mount(2)). No path string reaches the kernel twice.

use crate::fault::{Fault, Of, On, Outcome, Text};
use crate::paths::{is_dir, open_in};
use crate::temporary::{done, temporary};
use crate::walk::{Init, adopt_from_plan};
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::message::{Call, Tag};
use insula_steps::{
    ATTACH_DIR, ATTACH_ON_PROC, ATTACH_PLAIN_DIR, Fd, MOUNT_COPY_UP, MOUNT_INHERIT_MODE, MOUNT_LENIENT, MOUNT_PARENT,
    MOUNT_PLAIN_DIR, Strings,
};
use insula_sys::mount::{MountAttr, attr, clone_with_attr, mount_setattr, propagation};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

/// f_type of procfs (statfs(2)).
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Directories that every procfs has.
const DIRECTORIES: &[&CStr] = &[c"bus", c"fs", c"irq", c"sys"];
/// Files of a procfs, to be masked.
const FILES: &[&CStr] = &[c"/proc/kcore", c"/proc/keys", c"/proc/sched_debug", c"/proc/timer_list"];

/// What a step asks of a new file system.
pub(crate) struct NewMount<'a> {
    pub(crate) fstype: &'a CStr,
    pub(crate) options: Strings<'a>,
    pub(crate) attributes: u64,
    pub(crate) propagation: u64,
    pub(crate) target: &'a CStr,
    pub(crate) flags: u32,
}

/// Makes a detached mount of a new file system.
pub(crate) fn new_mount(fstype: &CStr, options: Strings<'_>, attributes: u64) -> Outcome<OwnedFd> {
    new_mount_with_mode(fstype, options, attributes, None)
}

/// As [`new_mount`], with the mode of the root directory given before all other options.
fn new_mount_with_mode(fstype: &CStr, options: Strings<'_>, attributes: u64, mode: Option<u32>) -> Outcome<OwnedFd> {
    let context = temporary(fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).of(Call::Fsopen).on(fstype.to_bytes())?);
    if let Some(mode) = mode {
        fsconfig_set_string(context, c"mode", &octal(mode)[..]).of(Call::Fsconfig).on(b"mode")?;
    }
    for option in options.iter() {
        let bytes = option.to_bytes();
        let set = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => fsconfig_set_string(context, &bytes[..at], &bytes[at + 1..]),
            None => fsconfig_set_flag(context, option),
        };
        // A group that is not mapped in a joined user namespace: the plan leaves it out of one whose map it knows. Of file
        // systems that do not know iversion, some count versions always, the others never.
        let lenient = (bytes.starts_with(b"gid=") && fstype == c"devpts") || bytes == IVERSION;
        if set == Err(Errno::INVAL) && lenient {
            continue;
        }
        set.map_err(|errno| explained(Call::Fsconfig, errno, context, bytes))?;
    }
    fsconfig_create(context).map_err(|errno| explained(Call::Fsconfig, errno, context, fstype.to_bytes()))?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|errno| explained(Call::Fsmount, errno, context, fstype.to_bytes()))
}

/// The four digits of a mode.
fn octal(mode: u32) -> [u8; 4] {
    [9, 6, 3, 0].map(|shift| b'0' + (mode >> shift & 7) as u8)
}

/// A failure with the file system's own words, which the context keeps (fsopen(2)).
fn explained(call: Call, errno: Errno, context: BorrowedFd<'_>, object: &[u8]) -> Fault {
    let mut fault = Fault::new(call, errno).on(object);
    let mut words = [0_u8; 160];
    if let Ok(length) = rustix::io::read(context, &mut words) {
        let mut text = Text::new();
        text.push(b" (");
        text.push(words[..length].trim_ascii_end());
        text.push(b")");
        fault = fault.on(text.bytes());
    }
    fault
}

/// Attaches the detached mount `tree` to the object behind `target`.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Outcome<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags).of(Call::MoveMount)
}

/// A detached copy of the mount that holds the object behind `fd`, rooted at it.
pub(crate) fn clone_tree(fd: BorrowedFd<'_>, recursive: bool) -> Outcome<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(fd, c"", flags).of(Call::OpenTree)
}

pub(crate) fn change(tree: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> Outcome<()> {
    mount_setattr(tree, c"", recursive, attr).of(Call::MountSetattr)
}

/// Puts a mount under a number that the plan knows.
pub(crate) fn keep(mount: &OwnedFd, number: u32) -> Outcome<()> {
    insula_sys::memory::place(mount.as_fd(), number as i32).of(Call::Dup)
}

/// [`insula_steps::Step::Detach`]
pub(crate) fn detach(number: u32, path: &CStr, recursive: bool) -> Outcome<()> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    keep(&open_tree(CWD, path, flags).of(Call::OpenTree).on(path.to_bytes())?, number)
}

/// [`insula_steps::Step::Adjust`]: what locks the source for this user namespace stays.
pub(crate) fn adjust(mount: BorrowedFd<'_>, recursive: bool, wanted: &MountAttr, least: u64) -> Outcome<()> {
    match mount_setattr(mount, c"", recursive, wanted) {
        Err(Errno::PERM) if wanted.clear != least => {
            let clear = least | if wanted.set & attr::ATIME != 0 { wanted.clear & attr::ATIME } else { 0 };
            mount_setattr(mount, c"", recursive, &MountAttr { clear, ..*wanted })
        }
        done => done,
    }
    .of(Call::MountSetattr)
}

impl Init {
    /// [`insula_steps::Step::Propagate`]
    pub(crate) fn propagate(&self, propagation: u64, recursive: bool) -> Outcome<()> {
        mount_setattr(CWD, c"/", recursive, &MountAttr { propagation, ..MountAttr::default() })
            .of(Call::MountSetattr)
            .on(b"/")
    }

    /// [`insula_steps::Step::Root`]
    pub(crate) fn attach_root(&mut self, tree: OwnedFd, at: &CStr) -> Outcome<()> {
        let at = match at.is_empty() {
            // Where nothing lies over the host's root, there is a way back to it.
            true if weak::is(Weakness::ChrootOnly) => c"/mnt",
            true => c"/",
            false => at,
        };
        move_mount(&tree, c"", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .of(Call::MoveMount)
            .on(at.to_bytes())?;
        self.root = Some(tree);
        Ok(())
    }

    /// [`insula_steps::Step::Anchor`]: where the host's mount there is shared, so is what is attached to it, until it is
    /// made private. Of the host's own mounts none is changed.
    pub(crate) fn anchor_root(&mut self, tree: OwnedFd, at: BorrowedFd<'_>) -> Outcome<()> {
        attach(tree.as_fd(), at)?;
        let private = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
        change(tree.as_fd(), true, &private)?;
        done(at);
        self.root = Some(tree);
        Ok(())
    }

    /// [`insula_steps::Step::Mount`]
    pub(crate) fn mount(&mut self, new: &NewMount<'_>) -> Outcome<()> {
        let copy_up = new.flags & MOUNT_COPY_UP != 0;
        if !copy_up && is_simple(new) && self.mount_in_own_parent(new) {
            return Ok(());
        }
        // The copy is written before the mount turns read-only.
        let first = if copy_up { new.attributes & !attr::RDONLY } else { new.attributes };
        let (target, made) = self.mount_point(new.target, new.flags)?;
        self.covered(new.target, new.flags & MOUNT_PLAIN_DIR != 0, made);
        let inherits = new.flags & MOUNT_INHERIT_MODE != 0 && !made;
        let mode = if inherits { mode_of(target) } else { None };
        let keep = new.flags & MOUNT_PARENT != 0 && self.root.is_some();
        if !copy_up && !keep && self.root.is_some() && is_simple(new) && self.enter(target) && mount_at(new, mode, c".")
        {
            return Ok(());
        }
        let tree = match new_mount_with_mode(new.fstype, new.options, first, mode) {
            Err(fault) if new.flags & MOUNT_LENIENT != 0 && fault.errno() == Errno::PERM => {
                self.warn(&fault);
                return Ok(());
            }
            made => made?,
        };
        let number = tree.as_raw_fd();
        let tree = if keep {
            let mut path = Vec::from(new.target.to_bytes());
            path.push(b'/');
            self.forget_parent();
            self.last_parent = Some((path, tree));
            self.own_parent = true;
            insula_sys::memory::borrow(number)
        } else {
            temporary(tree)
        };
        if copy_up {
            self.copy_up(target, tree).on(new.target.to_bytes())?;
            if first != new.attributes {
                change(tree, false, &MountAttr { set: attr::RDONLY, ..MountAttr::default() })?;
            }
        }
        if new.propagation != 0 {
            change(tree, false, &MountAttr { propagation: new.propagation, ..MountAttr::default() })?;
        }
        attach(tree, target).on(new.target.to_bytes())
    }

    /// Makes `dir` the working directory.
    fn enter(&mut self, dir: BorrowedFd<'_>) -> bool {
        (self.at_root, self.in_parent) = (false, false);
        rustix::process::fchdir(dir).is_ok()
    }

    /// Mounts on a directory that is made for it in a file system of our own, where a name leads nowhere else. False where
    /// it is no such place, or the other way can say more.
    fn mount_in_own_parent(&mut self, new: &NewMount<'_>) -> bool {
        let (above, name) = crate::paths::split(new.target);
        let Some((known, parent)) = self.last_parent.as_ref().filter(|_| self.own_parent) else { return false };
        if known.as_slice() != above || name.is_empty() || name == c"." || name == c".." {
            return false;
        }
        if rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)).is_err() {
            return false;
        }
        if !self.in_parent {
            if rustix::process::fchdir(parent).is_err() {
                return false;
            }
            (self.at_root, self.in_parent) = (false, true);
        }
        mount_at(new, None, name)
    }

    /// Something was mounted at `target`, which was `made` for it, is a `plain` directory of the root file system, or may be
    /// anything: the last parent may lie under it now.
    fn covered(&mut self, target: &CStr, plain: bool, made: bool) {
        let target = target.to_bytes();
        if target == b"/proc" || !(plain || made || target.starts_with(b"/sys/") || target.starts_with(b"/proc/")) {
            self.own_procfs = None;
        }
        let elsewhere = plain || target.starts_with(b"/sys/") || target.starts_with(b"/proc/");
        let above = |known: &[u8]| known.strip_prefix(target).is_some_and(|rest| rest.starts_with(b"/"));
        let apart = matches!(&self.last_parent, Some((known, _)) if self.own_parent && elsewhere && !above(known));
        if !made && !apart {
            self.forget_parent();
        }
    }

    /// The directory to mount on, and whether it was made where nothing else can lie.
    fn mount_point(&mut self, target: &CStr, flags: u32) -> Outcome<(BorrowedFd<'static>, bool)> {
        if flags & MOUNT_PLAIN_DIR != 0 {
            // CVE-2019-19921 and its kin: /proc and /sys must be directories of the image, not links into a shared volume.
            let open = OFlags::PATH | OFlags::DIRECTORY;
            match open_in(self.root(), target, open, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
                Err(Errno::NOENT) => drop(self.ensure_dir(target)?),
                done => return done.map(|dir| (temporary(dir), false)).of(Call::NotPlain).on(target.to_bytes()),
            }
            // Looked at again: a neighbour may have put a link there meanwhile.
            return open_in(self.root(), target, open, Mode::empty(), ResolveFlags::NO_SYMLINKS)
                .map(|dir| (temporary(dir), false))
                .of(Call::NotPlain)
                .on(target.to_bytes());
        }
        let (dir, made) = self.mount_dir(target)?;
        if !made && !self.on_root {
            refuse_procfs(dir).on(target.to_bytes())?;
        }
        Ok((dir, made))
    }

    /// [`insula_steps::Step::Attach`]
    pub(crate) fn attach_tree(&mut self, tree: BorrowedFd<'_>, target: &CStr, flags: u32) -> Outcome<()> {
        let plain = flags & ATTACH_PLAIN_DIR != 0;
        let (point, made) = if plain {
            self.mount_point(target, MOUNT_PLAIN_DIR)?
        } else if flags & ATTACH_DIR != 0 || is_dir(tree).of(Call::Stat).on(target.to_bytes())? {
            self.mount_dir(target)?
        } else {
            (self.ensure_file(target)?, false)
        };
        if flags & ATTACH_ON_PROC == 0 && !made && !plain && !self.on_root {
            refuse_procfs(point).on(target.to_bytes())?;
        }
        attach(tree, point).on(target.to_bytes())?;
        done(tree);
        self.covered(target, plain, made);
        Ok(())
    }

    /// [`insula_steps::Step::Rebind`]
    pub(crate) fn rebind(
        &mut self,
        (source, target): (&CStr, &CStr),
        recursive: bool,
        (users, all_ids): (Fd, u32),
        top: &MountAttr,
        all: &MountAttr,
    ) -> Outcome<()> {
        let from = self.resolve(source).of(Call::Openat2).on(source.to_bytes())?;
        let tree = temporary(clone_tree(from, recursive).on(source.to_bytes())?);
        if users.is_some() {
            self.tell(Tag::Tree, [users.0, all_ids, 0], &[], Some(tree)).of(Call::Send)?;
            self.await_go()?;
        }
        for (recursive, attr) in [(false, top), (true, all)] {
            if attr.set | attr.clear != 0 {
                change(tree, recursive, attr).on(target.to_bytes())?;
            }
        }
        let dir = is_dir(tree).of(Call::Stat).on(source.to_bytes())?;
        let point = if dir { self.mount_dir(target)?.0 } else { self.ensure_file(target)? };
        if !self.on_root {
            refuse_procfs(point).on(target.to_bytes())?;
        }
        attach(tree, point).on(target.to_bytes())?;
        self.forget_parent();
        Ok(())
    }

    /// [`insula_steps::Step::Change`]
    pub(crate) fn change_mount(&self, target: &CStr, recursive: bool, attr: &MountAttr) -> Outcome<()> {
        let point = match &self.root {
            Some(root) if target == c"/" => root.as_fd(),
            _ => self.resolve(target).of(Call::Openat2).on(target.to_bytes())?,
        };
        change(point, recursive, attr).on(target.to_bytes())
    }

    /// [`insula_steps::Step::Mask`]: looks first, because a refused bind costs an RCU grace period.
    pub(crate) fn mask(&mut self, path: &'static CStr, null: u32, more: Strings<'_>) -> Outcome<()> {
        // These are known to be files, where a procfs has them.
        let file = FILES.contains(&path) && self.mask_file.is_some();
        let looked = if file { self.resolve(path).map(|file| (file, false)) } else { self.resolve_dir(path) };
        let (target, dir) = match looked {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            done => done.of(Call::Openat2).on(path.to_bytes())?,
        };
        // An empty tmpfs, whose root alone can ever be in it.
        if dir && self.mask_dir.is_none() && more.is_empty() {
            match self.covered.take() {
                None if self.cover_here(target) => {
                    self.covered = Some(path);
                    return Ok(());
                }
                None => {}
                // It serves the others, too.
                Some(first) => self.mask_dir = Some(self.look(first).of(Call::Openat2).on(first.to_bytes())?),
            }
        }
        let first = if dir { &self.mask_dir } else { &self.mask_file };
        let cover = match first {
            Some(covered) => {
                let cover = temporary(clone_tree(covered.as_fd(), false).on(path.to_bytes())?);
                return attach(cover, target).on(path.to_bytes());
            }
            None if dir => {
                let mut options = Vec::from(&b"nr_inodes=1\0"[..]);
                for option in more.iter() {
                    options.extend_from_slice(option.to_bytes_with_nul());
                }
                let options = Strings::packed(1 + more.iter().count() as u32, &options);
                new_mount(c"tmpfs", options, attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)?
            }
            None if weak::is(Weakness::MaskByName) => clone_tree(self.resolve(c"/dev/null").of(Call::Openat2)?, false)?,
            None => adopt_from_plan(null),
        };
        attach(cover.as_fd(), target).on(path.to_bytes())?;
        // One empty tmpfs and one /dev/null serve all: later ones are clones of the first, now that it is attached.
        *(if dir { &mut self.mask_dir } else { &mut self.mask_file }) = Some(cover);
        Ok(())
    }

    /// Covers the directory behind `target` by one mount(2): a descriptor of it is not needed before there is another.
    fn cover_here(&mut self, target: BorrowedFd<'_>) -> bool {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        self.enter(target) && rustix::mount::mount(c"tmpfs", c".", c"tmpfs", flags, c"nr_inodes=1").is_ok()
    }

    /// [`insula_steps::Step::FileLabel`]
    pub(crate) fn label_file(&self, target: &CStr, label: &[u8]) -> Outcome<()> {
        let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open_in(self.root(), target, open, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .of(Call::Openat2)
            .on(target.to_bytes())?;
        rustix::fs::fsetxattr(&dir, c"security.selinux", label, rustix::fs::XattrFlags::empty())
            .of(Call::Setxattr)
            .on(label)
    }

    /// [`insula_steps::Step::ReadOnly`]
    pub(crate) fn read_only(&mut self, path: &CStr, alone: bool) -> Outcome<()> {
        let read_only = MountAttr { set: attr::RDONLY, ..MountAttr::default() };
        if alone && self.read_only_in_procfs(path, &read_only) {
            return Ok(());
        }
        let target = match self.resolve(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            done => done.of(Call::Openat2).on(path.to_bytes())?,
        };
        // KERNEL(6.15): copied and changed in one call; a whole tree would change with all that is below it.
        let copied = if alone { clone_with_attr(target, c"", &read_only) } else { Err(Errno::NOSYS) };
        let tree = match copied {
            Err(Errno::NOSYS) => {
                let tree = temporary(clone_tree(target, !alone).on(path.to_bytes())?);
                change(tree, false, &read_only).on(path.to_bytes())?;
                tree
            }
            done => temporary(done.of(Call::OpenTree).on(path.to_bytes())?),
        };
        attach(tree, target).on(path.to_bytes())
    }

    /// The same of a directory that every procfs has, by its name in the container's: nobody can put anything else there.
    /// False where there is no such procfs, or the other way can say more.
    fn read_only_in_procfs(&mut self, path: &CStr, read_only: &MountAttr) -> bool {
        let Some(name) =
            DIRECTORIES.iter().find(|name| path.to_bytes().strip_prefix(b"/proc/") == Some(name.to_bytes()))
        else {
            return false;
        };
        if self.own_procfs.is_none() {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let Ok(procfs) = open_in(self.root(), c"/proc", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) else {
                return false;
            };
            if !rustix::fs::fstatfs(&procfs).is_ok_and(|statfs| statfs.f_type as i64 == PROC_SUPER_MAGIC) {
                return false;
            }
            self.own_procfs = Some(procfs);
        }
        let Some(procfs) = self.own_procfs.as_ref().map(AsFd::as_fd) else { return false };
        let Ok(tree) = clone_with_attr(procfs, name, read_only).map(temporary) else { return false };
        move_mount(tree, c"", procfs, *name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).is_ok()
    }

    /// [`insula_steps::Step::Pivot`]: the old root ends up stacked on the new one's own directory and is detached there,
    /// without propagating that to the host.
    pub(crate) fn pivot(&mut self) -> Outcome<()> {
        rustix::process::fchdir(self.root()).of(Call::Chdir)?;
        rustix::process::pivot_root(c".", c".").of(Call::Pivot)?;
        // What is left below the working directory is the new root, which stays the working directory.
        (self.at_root, self.in_parent) = (true, false);
        unmount(c".", UnmountFlags::DETACH).of(Call::Umount)
    }

    /// [`Weakness::ChrootOnly`]
    pub(crate) fn chroot_only(&mut self) -> Outcome<()> {
        rustix::process::fchdir(self.root()).of(Call::Chdir)?;
        rustix::process::chroot(c".").of(Call::Chroot)
    }

    /// [`insula_steps::Step::MoveRoot`]: for hosts whose root cannot be pivoted. The new root is moved over `/` and
    /// becomes the root by chroot(2); what lies below stays mounted and unreachable by name.
    pub(crate) fn move_root(&mut self) -> Outcome<()> {
        let slave = MountAttr { propagation: propagation::SLAVE, ..MountAttr::default() };
        mount_setattr(CWD, c"/", true, &slave).of(Call::MountSetattr)?;
        self.hide_kernel_mounts()?;
        move_mount(self.root(), c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .of(Call::MoveMount)
            .on(b"/")?;
        rustix::process::fchdir(self.root()).of(Call::Chdir)?;
        rustix::process::chroot(c".").of(Call::Chroot)?;
        rustix::process::chdir(c"/").of(Call::Chdir)
    }

    /// Takes every procfs and sysfs outside the new root out of this mount namespace. Though nobody could name them any
    /// more, the kernel would take them as a sign that the container may mount such a file system with nothing masked in
    /// it (mount_namespaces(7)).
    fn hide_kernel_mounts(&self) -> Outcome<()> {
        let mut own = Vec::from(&b"/proc/self/fd/"[..]);
        crate::report::digits(&mut own, self.root().as_raw_fd() as u32);
        let root = rustix::fs::readlink(own.as_slice(), Vec::new()).of(Call::Link).on(&own)?;
        let file = rustix::fs::open(c"/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .of(Call::Open)?;
        let mut text = Vec::new();
        while rustix::io::read(
            &file,
            rustix::buffer::spare_capacity({
                text.reserve(4096);
                &mut text
            }),
        )
        .of(Call::Read)?
            > 0
        {}
        for line in text.split(|byte| *byte == b'\n').rev() {
            let Some(path) = kernel_mount(line) else { continue };
            if path.strip_prefix(root.to_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/') {
                continue;
            }
            let path = crate::paths::c_string(&path);
            let path = crate::paths::as_c_str(&path);
            match unmount(path, UnmountFlags::DETACH) {
                // Covered, or gone with one above it.
                Ok(()) | Err(Errno::NOENT) => {}
                // Locked: it came from another user namespace.
                Err(_) => {
                    let cover =
                        new_mount(c"tmpfs", Strings::EMPTY, attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
                    move_mount(&cover, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                        .of(Call::MoveMount)
                        .on(path.to_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// [`insula_steps::Step::Chroot`]
    pub(crate) fn chroot(&mut self, root: Option<OwnedFd>) -> Outcome<()> {
        self.root = root.or(self.root.take());
        rustix::process::fchdir(self.root()).of(Call::Chdir)?;
        rustix::process::chroot(c".").of(Call::Chroot)?;
        rustix::process::chdir(c"/").of(Call::Chdir)
    }

    /// [`insula_steps::Step::Sysctl`]: on a procfs of our own, so that nothing mounted over /proc/sys can redirect the
    /// write (CVE-2025-52881).
    pub(crate) fn sysctl(&mut self, name: &CStr, value: &[u8]) -> Outcome<()> {
        if weak::is(Weakness::ProcByName) {
            self.procfs = Some(self.look(c"/proc").of(Call::Openat2)?);
        }
        if self.procfs.is_none() {
            self.procfs = Some(new_mount(c"proc", Strings::EMPTY, 0)?);
        }
        let Some(procfs) = &self.procfs else { return Ok(()) };
        let mut path = alloc::vec::Vec::from(&b"sys/"[..]);
        path.extend_from_slice(name.to_bytes());
        let beneath = if weak::is(Weakness::ProcByName) {
            ResolveFlags::empty()
        } else {
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV
        };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(procfs, path.as_slice(), flags, Mode::empty(), beneath)
            .of(Call::Openat2)
            .on(name.to_bytes())?;
        rustix::io::write(&file, value).map(drop).of(Call::Write).on(name.to_bytes())
    }
}

/// Permission bits of what is at a mount point.
fn mode_of(point: BorrowedFd<'_>) -> Option<u32> {
    let stat = rustix::fs::statat(point, c"", rustix::fs::AtFlags::EMPTY_PATH).ok()?;
    Some(stat.st_mode & 0o7777)
}

/// A flag of mount(2), MS_I_VERSION, and an option of some file systems.
const IVERSION: &[u8] = b"iversion";

/// MOUNT_ATTR_* beside MS_* of mount(2).
const FLAGS: &[(u64, MountFlags)] = &[
    (attr::NOSUID, MountFlags::NOSUID),
    (attr::NODEV, MountFlags::NODEV),
    (attr::NOEXEC, MountFlags::NOEXEC),
    (attr::NOATIME, MountFlags::NOATIME),
    (attr::STRICTATIME, MountFlags::STRICTATIME),
    (attr::NODIRATIME, MountFlags::NODIRATIME),
    (attr::NOSYMFOLLOW, MountFlags::from_bits_retain(256)),
];

/// Whether mount(2) has flags for all that is asked for. It would make the file system read-only, too, and not only the
/// mount.
fn is_simple(new: &NewMount<'_>) -> bool {
    let known = FLAGS.iter().fold(0, |bits, flag| bits | flag.0);
    new.propagation == 0 && new.attributes & !known == 0
}

/// Mounts by one mount(2) on `target`, the working directory or a name in it: no path is looked up either, for half the
/// calls. False where only the other way can say why not, or what is asked for: mount(2) takes all options in one string.
fn mount_at(new: &NewMount<'_>, mode: Option<u32>, target: &CStr) -> bool {
    let mut data = Vec::with_capacity(128);
    if let Some(mode) = mode {
        data.extend_from_slice(b"mode=");
        data.extend_from_slice(&octal(mode));
    }
    let mut source = c"none";
    let mut flags = MountFlags::empty();
    for option in new.options.iter() {
        let bytes = option.to_bytes();
        if bytes.contains(&b',') {
            return false;
        }
        if bytes == IVERSION {
            flags |= MountFlags::from_bits_retain(1 << 23);
            continue;
        }
        match bytes.strip_prefix(b"source=") {
            Some(_) => source = CStr::from_bytes_with_nul(&option.to_bytes_with_nul()[7..]).unwrap_or(source),
            None => {
                if !data.is_empty() {
                    data.push(b',');
                }
                data.extend_from_slice(bytes);
            }
        }
    }
    data.push(0);
    let flags = FLAGS.iter().filter(|flag| new.attributes & flag.0 != 0).fold(flags, |all, flag| all | flag.1);
    rustix::mount::mount(source, target, new.fstype, flags, crate::paths::as_c_str(&data)).is_ok()
}

/// The mount point of a line of mountinfo (proc_pid_mountinfo(5)), if it is one of a procfs or sysfs.
fn kernel_mount(line: &[u8]) -> Option<Vec<u8>> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = words.nth(4)?;
    words.find(|word| *word == b"-")?;
    if !matches!(words.next()?, b"proc" | b"sysfs") {
        return None;
    }
    let mut path = Vec::with_capacity(point.len());
    let mut left = point;
    while let Some((byte, rest)) = left.split_first() {
        // Spaces and the like are three octal digits.
        if *byte == b'\\' && rest.len() >= 3 {
            path.push(rest[..3].iter().fold(0, |value: u8, digit| (value << 3) | (digit & 7)));
            left = &rest[3..];
        } else {
            path.push(*byte);
            left = rest;
        }
    }
    Some(path)
}

/// A mount over a part of procfs would let the container feed the runtime, and itself, false facts (CVE-2019-16884).
fn refuse_procfs(target: BorrowedFd<'_>) -> Outcome<()> {
    let statfs = rustix::fs::fstatfs(target).of(Call::Stat)?;
    if weak::is(Weakness::OverProc) {
        return Ok(());
    }
    if statfs.f_type as i64 == PROC_SUPER_MAGIC { Err(Fault::new(Call::NotPlain, Errno::PERM)) } else { Ok(()) }
}
