// SPDX-License-Identifier: Apache-2.0
//! From a plan's slots to descriptors. Sources on the host are opened here, with the caller's rights and in the caller's
//! mount namespace; init gets detached copies and never looks a host path up.

use crate::gather::Joins;
use crate::mount_ids;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_plan::{EarlyMount, Field, Plan, Slot, TreeSource};
use insula_steps::Fd;
use insula_sys::mount::{MountAttr, attr, mount_setattr};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatFs, StatVfsMountFlags, major, minor, openat, statat};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};

/// What the slots are filled from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) joins: Option<Joins>,
    pub(crate) tasks: Vec<OwnedFd>,
    pub(crate) cgroup: Option<OwnedFd>,
    pub(crate) fifo: Option<OwnedFd>,
    pub(crate) init: Option<OwnedFd>,
    pub(crate) anchor: Option<OwnedFd>,
}

/// Descriptors by slot, all of which survive execve of init.
#[derive(Debug)]
pub(crate) struct Filled(Vec<Option<OwnedFd>>);

impl Filled {
    /// The descriptors themselves.
    pub(crate) fn into_fds(self) -> impl Iterator<Item = OwnedFd> {
        self.0.into_iter().flatten()
    }

    /// The number that init finds a slot's descriptor under.
    pub(crate) fn number(&self, slot: Fd) -> Fd {
        self.0.get(slot.0 as usize).and_then(Option::as_ref).map_or(Fd::NONE, |fd| Fd(fd.as_raw_fd() as u32))
    }
}

/// Opens everything that the plan's steps need.
pub(crate) fn fill(plan: &Plan, mut sources: Sources) -> Result<Filled> {
    let mut filled = Vec::with_capacity(plan.slots.len());
    let mut tasks = core::mem::take(&mut sources.tasks).into_iter();
    let mut users = mount_ids::Users::new(sources.joins.as_ref().and_then(|joins| joins[Kind::USER].as_ref()))?;
    for (slot, field) in &plan.slots {
        let fd = match slot {
            Slot::Namespace(kind) => Some(inherit(joined(&mut sources, *kind)?)?),
            Slot::TaskFile(_) => tasks.next(),
            Slot::CgroupDir => sources.cgroup.take().map(alone).map(inherit).transpose()?,
            Slot::Tree(source) if plan.trees_inside => Some(looked_at(source, *field)?),
            Slot::Tree(source) => Some(tree(source, *field, &mut users)?),
            Slot::Early(mount) if mount.inside => Some(reserved()?),
            Slot::Early(mount) => Some(early(mount, *field)?),
            Slot::Directory(path) => Some(directory(path, *field)?),
            Slot::Users(ids) => Some(users.inherited(ids, *field)?),
            Slot::Anchor => sources.anchor.take(),
            Slot::Fifo => sources.fifo.take(),
            Slot::Init => sources.init.take().map(inherit).transpose()?,
        };
        filled.push(fd);
    }
    Ok(Filled(filled))
}

fn joined(sources: &mut Sources, kind: Kind) -> Result<OwnedFd> {
    sources
        .joins
        .as_mut()
        .and_then(|joins| joins[kind].take())
        .ok_or_else(|| Error::state(format!("join the {kind} namespace"), "it was not opened"))
}

/// The directory as a mount of its own, of which it is the root: whoever gets hold of the descriptor cannot go up from it.
/// An ordinary user may not make one, nor has anything above it that a container's root could change.
fn alone(dir: OwnedFd) -> OwnedFd {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(&dir, c"", flags).unwrap_or(dir)
}

/// Lets a descriptor survive execve.
fn inherit(fd: OwnedFd) -> Result<OwnedFd> {
    fcntl_setfd(&fd, FdFlags::empty()).map_err(|e| Error::kernel(e.raw_os_error(), "pass a descriptor to init"))?;
    Ok(fd)
}

pub(crate) fn failed(errno: Errno, attempted: &'static str, path: &str, field: Field) -> Error {
    let error = Error::kernel(errno.raw_os_error(), attempted).object(path);
    if field.is_some() { error.field(format!("{field}")) } else { error }
}

fn directory(path: &str, field: Field) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
        .map_err(|e| failed(e, "open the root file system", path, field))
}

/// The source of a tree that init copies itself, looked at; its number is where init puts the copy.
fn looked_at(source: &TreeSource, field: Field) -> Result<OwnedFd> {
    let path = source.path.as_str();
    let flags = if source.directory { OFlags::PATH | OFlags::DIRECTORY } else { OFlags::PATH };
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(e, "open the source", path, field))?;
    check(source, &fd, field)?;
    Ok(fd)
}

/// A number for a descriptor that init makes.
fn reserved() -> Result<OwnedFd> {
    openat(CWD, "/", OFlags::PATH, Mode::empty()).map_err(|e| Error::kernel(e.raw_os_error(), "reserve a descriptor"))
}

/// A new file system, made with the caller's rights and in the caller's namespaces.
fn early(mount: &EarlyMount, field: Field) -> Result<OwnedFd> {
    let refused = |e: Errno| {
        let error = failed(e, "mount a file system before the user namespace is entered", mount.fstype, field);
        match e {
            Errno::PERM => error.advice("the runtime has no rights over the namespace that it shows: bind the host's mount, or make that namespace new"),
            _ => error,
        }
    };
    let context = fsopen(mount.fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(refused)?;
    for option in &mount.options {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value),
            None => fsconfig_set_flag(context.as_fd(), option.as_str()),
        }
        .map_err(refused)?;
    }
    fsconfig_create(context.as_fd()).map_err(refused)?;
    let attributes = MountAttrFlags::from_bits_retain(mount.attributes as u32);
    fsmount(context.as_fd(), FsMountFlags::empty(), attributes).map_err(refused)
}

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// A detached copy of host mounts, with the attributes and propagation that the plan gives it.
fn tree(source: &TreeSource, field: Field, users: &mut mount_ids::Users) -> Result<OwnedFd> {
    let attempted = if source.directory { "copy the root file system's mount" } else { "copy the source's mount" };
    let path = source.path.as_str();
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE;
    if source.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    // KERNEL(6.15): one call for the copy and its first change, and for all that the top mount alone is to get.
    let first = source.propagation.first().filter(|_| source.ids.is_none());
    let once = source.set | source.clear == 0 || source.set_all | source.clear_all == 0;
    let whole = !source.recursive && !source.locked && source.propagation.len() < 2 && once;
    let merged = first.filter(|(_, all)| *all == source.recursive || whole).map(|(propagation, _)| {
        let (set, clear) = if whole { (source.set | source.set_all, source.clear | source.clear_all) } else { (0, 0) };
        MountAttr { propagation: *propagation, set, clear, ..MountAttr::default() }
    });
    // What ends with a slash is a directory, says the kernel, and need not be looked at.
    let opened = if source.directory { format!("{path}/") } else { String::from(path) };
    if let Some(attr) = merged
        && let Ok(fd) = insula_sys::mount::open_tree_attr(insula_plan::c_str(&opened), source.recursive, &attr)
    {
        check(source, &fd, field)?;
        return changed(fd, source, (1, whole), field);
    }
    let fd = open_tree(CWD, opened.as_str(), flags).map_err(|e| {
        let error = failed(e, attempted, path, field);
        match e {
            Errno::NOTDIR if source.directory => failed(e, "use the root file system", path, field),
            Errno::PERM => error.advice("the caller lacks CAP_SYS_ADMIN over its mount namespace"),
            _ => error,
        }
    })?;
    check(source, &fd, field)?;
    if let Some(ids) = &source.ids {
        let userns_fd = users.descriptor(ids, field)?;
        let attr = MountAttr { set: attr::IDMAP, userns_fd, ..MountAttr::default() };
        mount_setattr(fd.as_fd(), c"", ids.recursive, &attr).map_err(|e| mount_ids::refused(e, path, field))?;
    }
    changed(fd, source, (0, false), field)
}

/// Gives a copied tree what it has not got yet: all but the first `done` propagations, and its attributes.
fn changed(fd: OwnedFd, source: &TreeSource, (done, attributes): (usize, bool), field: Field) -> Result<OwnedFd> {
    let path = source.path.as_str();
    for (propagation, all) in source.propagation.iter().skip(done) {
        set(&fd, *all, MountAttr { propagation: *propagation, ..MountAttr::default() }, path, field)?;
    }
    if attributes {
        return Ok(fd);
    }
    if source.set | source.clear != 0 {
        let clear = if source.locked { unlocked(source, source.explicit, &fd, field)? } else { source.clear };
        set(&fd, false, MountAttr { set: source.set, clear, ..MountAttr::default() }, path, field)?;
    }
    if source.set_all | source.clear_all != 0 {
        if source.locked {
            unlocked(source, source.clear_all & LOCKABLE, &fd, field)?;
        }
        set(
            &fd,
            true,
            MountAttr { set: source.set_all, clear: source.clear_all, ..MountAttr::default() },
            path,
            field,
        )?;
    }
    Ok(fd)
}

/// Attributes that the kernel locks for a mount namespace of another user namespace (mount_namespaces(7)).
const LOCKABLE: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;

/// What may be cleared for a container with a user namespace. The caller's rights would reach further than the
/// container's own, so what locks the source stays, and asking for it to go is an error.
fn unlocked(source: &TreeSource, explicit: u64, fd: &OwnedFd, field: Field) -> Result<u64> {
    let path = source.path.as_str();
    let flags = rustix::fs::fstatvfs(fd).map_err(|e| failed(e, "look at the source", path, field))?.f_flag;
    let has = |flag: StatVfsMountFlags, bit: u64| if flags.contains(flag) { bit } else { 0 };
    let is = has(StatVfsMountFlags::RDONLY, attr::RDONLY)
        | has(StatVfsMountFlags::NOSUID, attr::NOSUID)
        | has(StatVfsMountFlags::NODEV, attr::NODEV)
        | has(StatVfsMountFlags::NOEXEC, attr::NOEXEC);
    let time = has(StatVfsMountFlags::NOATIME, attr::NOATIME) | has(StatVfsMountFlags::NODIRATIME, attr::NODIRATIME);
    let relative = flags.contains(StatVfsMountFlags::RELATIME);
    let time = if time & attr::NOATIME == 0 && !relative { time | attr::STRICTATIME } else { time };
    let wanted = source.set & (attr::ATIME | attr::NODIRATIME);
    let other_time = source.clear & attr::ATIME != 0 && wanted != time;
    if explicit & is & LOCKABLE != 0 || other_time {
        return Err(failed(Errno::PERM, "change the mount's attributes", path, field)
            .reason("the source's are locked for a container with a user namespace")
            .advice("leave the attribute out, or mount the source without it"));
    }
    // mount(2) passes over diratime alone.
    let stays = if source.clear & attr::ATIME == 0 { time & attr::NODIRATIME } else { 0 };
    Ok(source.clear & !(is & LOCKABLE) & !stays)
}

fn set(fd: &OwnedFd, recursive: bool, attr: MountAttr, path: &str, field: Field) -> Result<()> {
    if weak::is(Weakness::PlainMounts) {
        return Ok(());
    }
    mount_setattr(fd.as_fd(), c"", recursive, &attr).map_err(|e| failed(e, "set the mount's attributes", path, field))
}

/// What the source must be, looked at on the descriptor.
fn check(source: &TreeSource, fd: &OwnedFd, field: Field) -> Result<()> {
    let path = source.path.as_str();
    if source.procfs {
        let statfs: StatFs = rustix::fs::fstatfs(fd).map_err(|e| failed(e, "look at the source", path, field))?;
        if statfs.f_type as i64 != PROC_SUPER_MAGIC && !weak::is(Weakness::AnyProcfs) {
            return Err(Error::invalid(
                format!("{field}"),
                format!("mount {path} on /proc"),
                "it is no procfs: whoever enters the container would be fed false facts",
            ));
        }
    }
    let Some(numbers) = source.device else { return Ok(()) };
    let stat = statat(fd, c"", AtFlags::EMPTY_PATH).map_err(|e| failed(e, "look at the source", path, field))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let is = (major(stat.st_rdev), minor(stat.st_rdev));
    if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) && is == numbers {
        return Ok(());
    }
    Err(Error::unsupported(
        format!("{field}"),
        format!("bind the host's {path} into the container"),
        format!("it is not the device {}:{}", numbers.0, numbers.1),
    )
    .advice("in a user namespace a device must exist on the host under the same path"))
}
