// SPDX-License-Identifier: Apache-2.0
//! A throw-away view of a directory tree: an overlay with its upper layer in memory, in a mount namespace of the calling
//! process alone. When that process and what it started are gone, so is the view.

use crate::file;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::mount::{MountAttr, mount_setattr, propagation};
use insula_sys::process::{clone, unshare};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

/// Where the memory is attached, in the mount namespace of this process only: a directory that every system has.
const PLACE: &str = "/tmp";

/// File systems that hold files of a system's own; the others show kernel state or are private to something.
const REAL: [&str; 10] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "nfs", "nfs4", "overlay"];

/// A view that was made.
#[derive(Debug)]
pub struct View {
    in_user_namespace: bool,
}

fn failed(errno: Errno, attempted: &'static str, object: impl Into<String>) -> Error {
    Error::kernel(errno.raw_os_error(), attempted).object(object)
}

const ATTEMPTED: &str = "make a throw-away view";

/// Makes a view of `lower`. The calling process moves into a mount namespace of its own, and where it is an ordinary
/// user's into a user namespace of its own, in which it is root. With `read_only` nothing can be written to what lies
/// below the view's root; the root itself is the plan's to protect.
///
/// # Errors
/// `Kernel`, with advice where the host does not let ordinary users do this.
pub fn make(lower: &str, read_only: bool) -> Result<View> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let in_user_namespace = uid != 0;
    let kinds = if in_user_namespace { clone::NEWUSER | clone::NEWNS } else { clone::NEWNS };
    unshare(kinds).map_err(|e| {
        let error = failed(e, ATTEMPTED, "unshare");
        match e {
            Errno::PERM | Errno::NOSPC if in_user_namespace => error.advice(
                "this host does not let ordinary users make user namespaces: see kernel.unprivileged_userns_clone, \
                 user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns",
            ),
            _ => error,
        }
    })?;
    if in_user_namespace {
        for (name, text) in
            [("setgroups", String::from("deny")), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
        {
            let path = format!("/proc/self/{name}");
            openat(CWD, &*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                .and_then(|fd| rustix::io::write(&fd, text.as_bytes()))
                .map_err(|e| failed(e, ATTEMPTED, path))?;
        }
    }
    // Nothing that happens here reaches the host.
    let private = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
    mount_setattr(CWD, c"/", true, &private).map_err(|e| failed(e, ATTEMPTED, "/"))?;
    // Opened in this namespace, which overlayfs demands, and before anything is mounted over it.
    let layers = layers(lower, in_user_namespace)?;
    let memory = memory()?;
    if in_user_namespace && lower == "/" {
        skeleton(&memory)?;
    }
    for (index, layer) in layers.iter().enumerate() {
        make_dirs(&layer.at)?;
        overlay(&memory, index, layer, in_user_namespace, read_only)?;
    }
    Ok(View { in_user_namespace })
}

impl View {
    /// The view's root directory.
    pub fn root(&self) -> String {
        format!("{PLACE}/root")
    }

    /// Where a container's state is kept, if it must be in the view's own memory.
    pub fn state(&self) -> Option<String> {
        self.in_user_namespace.then(|| format!("{PLACE}/state"))
    }
}

/// One file system under the view: where it is in it, and its directory, opened before anything is mounted.
struct Layer {
    at: String,
    lower: OwnedFd,
}

/// What the view shows, outermost first.
fn layers(lower: &str, in_user_namespace: bool) -> Result<Vec<Layer>> {
    if lower != "/" {
        return Ok(Vec::from([Layer { at: String::new(), lower: open(lower)? }]));
    }
    let mounts = file::read_text(CWD, "/proc/self/mountinfo", 16 << 20, "look for file systems")?;
    let mut layers = Vec::new();
    if in_user_namespace {
        let points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        pieces("", &points, &mut layers)?;
        return Ok(layers);
    }
    layers.push(Layer { at: String::new(), lower: open("/")? });
    let mut points: Vec<&str> = mounts.lines().filter_map(real_mount).collect();
    points.sort_unstable();
    points.dedup();
    for point in points {
        if let Ok(lower) = open(point) {
            layers.push(Layer { at: String::from(point), lower });
        }
    }
    Ok(layers)
}

fn open(path: &str) -> Result<OwnedFd> {
    file::open_dir(CWD, path).map_err(|e| failed(e, "open what the view shows", path))
}

/// An ordinary user may not look under a mount, so a directory with mounts below it is shown piece by piece: each of its
/// directories that has none, down to those.
fn pieces(dir: &str, points: &[&str], layers: &mut Vec<Layer>) -> Result<()> {
    let listed = openat(
        CWD,
        if dir.is_empty() { "/" } else { dir },
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    // What this user cannot read is not shown.
    let Ok(listed) = listed else { return Ok(()) };
    for entry in Dir::read_from(&listed).map_err(|e| failed(e, ATTEMPTED, dir))? {
        let entry = entry.map_err(|e| failed(e, ATTEMPTED, dir))?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let path = format!("{dir}/{name}");
        if name == "." || name == ".." || HIDDEN.contains(&path.as_str()) || entry.file_type() != FileType::Directory {
            continue;
        }
        let below = |point: &&str| {
            point.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if points.iter().any(below) {
            pieces(&path, points, layers)?;
        } else if let Ok(lower) = open(&path) {
            layers.push(Layer { at: path, lower });
        }
    }
    Ok(())
}

/// Kernel state, other containers' files, and what is somebody's at run time.
const HIDDEN: [&str; 8] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd"];

/// The mount point in a line of mountinfo, if it is a directory of files that belongs into the view.
fn real_mount(line: &str) -> Option<&str> {
    let (before, after) = line.split_once(" - ")?;
    let point = before.split(' ').nth(4)?;
    let kind = after.split(' ').next()?;
    let inside = |dir: &&str| point.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (REAL.contains(&kind) && point != "/" && !point.contains('\\') && !HIDDEN.iter().any(inside)).then_some(point)
}

/// Links of this system's root directory (`/bin` to `usr/bin`), which no overlay brings.
fn skeleton(memory: &OwnedFd) -> Result<()> {
    let root = openat(CWD, "/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed(e, ATTEMPTED, "/"))?;
    for entry in Dir::read_from(&root).map_err(|e| failed(e, ATTEMPTED, "/"))? {
        let entry = entry.map_err(|e| failed(e, ATTEMPTED, "/"))?;
        let name = entry.file_name();
        if let Ok(to) = rustix::fs::readlinkat(&root, name, Vec::new()) {
            let path = format!("root/{}", name.to_string_lossy());
            rustix::fs::symlinkat(to.as_c_str(), memory, &*path).map_err(|e| failed(e, ATTEMPTED, path))?;
        }
    }
    for (name, mode) in [("root/tmp", 0o1777), ("root/run", 0o755), ("root/var", 0o755)] {
        match mkdirat(memory, name, Mode::empty())
            .and_then(|()| chmodat(memory, name, Mode::from_raw_mode(mode), AtFlags::empty()))
        {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e, ATTEMPTED, name)),
        }
    }
    Ok(())
}

/// The directories above a piece.
fn make_dirs(at: &str) -> Result<()> {
    for (end, _) in at.match_indices('/').skip(1).chain((!at.is_empty()).then_some((at.len(), ""))) {
        let path = format!("{PLACE}/root{}", &at[..end]);
        match mkdirat(CWD, &*path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e, ATTEMPTED, path)),
        }
    }
    Ok(())
}

fn memory() -> Result<OwnedFd> {
    let step = |e: Errno| failed(e, ATTEMPTED, "tmpfs");
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(step)?;
    fsconfig_set_string(context.as_fd(), "mode", "0755").map_err(step)?;
    fsconfig_create(context.as_fd()).map_err(step)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(step)?;
    move_mount(&mount, c"", CWD, PLACE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(step)?;
    mkdirat(&mount, c"root", Mode::from_raw_mode(0o755)).map_err(step)?;
    Ok(mount)
}

fn overlay(memory: &OwnedFd, index: usize, layer: &Layer, in_user_namespace: bool, read_only: bool) -> Result<()> {
    let step = |e: Errno| {
        let error = failed(e, ATTEMPTED, format!("overlay over {}/", layer.at));
        if e == Errno::NODEV {
            error.advice("this kernel has no overlayfs: load the module overlay, or use --rootfs with `run`")
        } else {
            error
        }
    };
    for part in ["upper", "work"] {
        mkdirat(memory, format!("{part}{index}"), Mode::from_raw_mode(0o755)).map_err(step)?;
    }
    // The upper layer's own directory is what is seen: it looks like the lower one's.
    if let Ok(stat) = rustix::fs::statat(&layer.lower, "", AtFlags::EMPTY_PATH) {
        let _ = chmodat(memory, format!("upper{index}"), Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty());
    }
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(step)?;
    let set = |key: &str, value: String| fsconfig_set_string(context.as_fd(), key, value).map_err(step);
    set("source", String::from("insula-try"))?;
    set("lowerdir", format!("/proc/self/fd/{}", layer.lower.as_raw_fd()))?;
    set("upperdir", format!("{PLACE}/upper{index}"))?;
    set("workdir", format!("{PLACE}/work{index}"))?;
    if in_user_namespace {
        // KERNEL(5.11): an ordinary user's overlay keeps its marks in user.* attributes.
        fsconfig_set_flag(context.as_fd(), "userxattr").map_err(step)?;
    }
    fsconfig_create(context.as_fd()).map_err(step)?;
    // The outermost one turns read-only with the container's root, once its mount points are there.
    let fixed = read_only && !layer.at.is_empty();
    let attributes = if fixed { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(step)?;
    let at = format!("{PLACE}/root{}", layer.at);
    move_mount(&mount, c"", CWD, &*at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(step)
}
