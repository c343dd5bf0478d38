// SPDX-License-Identifier: Apache-2.0
//! A mount namespace for CRIU's restore, which ends with it: nothing has to be taken back from the host.
//!
//! CRIU wants a root that is a mount point whose parent nothing covers, and every mount point below it there already.

use super::externals::{path_of, resolve};
use crate::file;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_plan::binds;
use insula_spec::Spec;
use insula_sys::mount::{MountAttr, mount_setattr, propagation};
use insula_sys::process::{clone, setns, unshare};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};

/// Name of the root's mount point in the state directory.
const ROOT: &str = "criu-root";

const ATTEMPTED: &str = "prepare the root file system for CRIU";

fn failed(errno: Errno, object: &str) -> Error {
    Error::kernel(errno.raw_os_error(), ATTEMPTED).object(object)
}

/// The new mount namespace, in which this command is until it is left.
#[derive(Debug)]
pub(super) struct Yard {
    host: OwnedFd,
    host_root: OwnedFd,
    host_cwd: OwnedFd,
    /// The root's mount point.
    pub(super) root: String,
    /// Destinations of bind mounts in the document, and where they are with their links followed.
    pub(super) places: Vec<(String, String)>,
    left: bool,
}

impl Yard {
    /// Makes the mount namespace and goes there, with the root file system at a place of its own below `home`.
    pub(super) fn enter(spec: &Spec<'_>, bundle: &str, rootfs: &str, home: (BorrowedFd<'_>, &str)) -> Result<Self> {
        match mkdirat(home.0, ROOT, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e, home.1)),
        }
        let open = |path: &str, flags: OFlags| {
            openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed(e, path))
        };
        let place = openat(home.0, ROOT, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed(e, ROOT))?;
        let root = path_of(&place).map_err(|e| failed(e, ROOT))?;
        drop(place);
        let mut yard = Self {
            host: open("/proc/self/ns/mnt", OFlags::RDONLY)?,
            host_root: open("/", OFlags::PATH | OFlags::DIRECTORY)?,
            host_cwd: open(".", OFlags::PATH | OFlags::DIRECTORY)?,
            root,
            places: Vec::new(),
            left: true,
        };
        unshare(clone::NEWNS).map_err(|e| failed(e, "unshare"))?;
        yard.left = false;
        // What is mounted here stays here; what the host mounts still comes in, for mounts that the document wants so.
        let slave = MountAttr { propagation: propagation::SLAVE, ..MountAttr::default() };
        mount_setattr(CWD, c"/", true, &slave).map_err(|e| failed(e, "/"))?;
        yard.make_mount_points(spec, bundle, rootfs)?;
        yard.attach(rootfs)?;
        Ok(yard)
    }

    /// Puts a copy of the root file system's mounts at its place.
    fn attach(&self, rootfs: &str) -> Result<OwnedFd> {
        let tree = copy(rootfs).map_err(|e| failed(e, rootfs).field("/root/path"))?;
        let private = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
        mount_setattr(tree.as_fd(), c"", true, &private).map_err(|e| failed(e, rootfs))?;
        place(&tree, CWD, &self.root).map_err(|e| failed(e, &self.root))?;
        Ok(tree)
    }

    /// Makes what `create` would make in the root file system to mount on, bind mounts in place, because some mount
    /// points are in those.
    fn make_mount_points(&mut self, spec: &Spec<'_>, bundle: &str, rootfs: &str) -> Result<()> {
        let root = self.attach(rootfs)?;
        let binds = binds(spec, bundle)?;
        for (index, mount) in spec.mounts.iter().enumerate() {
            let bind = binds.iter().find(|bind| bind.index == index);
            let destination = bind.map_or(mount.destination.as_str(), |bind| bind.destination.as_str());
            // What a new file system holds comes out of the image, or from the kernel.
            if mount.kind.as_deref() == Some("cgroup") || in_new_file_system(spec, &binds, index, destination) {
                continue;
            }
            let explain = |e: Errno| failed(e, destination).field(format!("/mounts/{index}/destination"));
            let Some(bind) = bind else {
                make(root.as_fd(), destination, true).map_err(explain)?;
                continue;
            };
            let source = |e: Errno| failed(e, &bind.source).field(format!("/mounts/{index}/source"));
            let tree = copy(&bind.source).map_err(source)?;
            let stat = statat(&tree, c"", AtFlags::EMPTY_PATH).map_err(source)?;
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let target = make(root.as_fd(), destination, directory).map_err(explain)?;
            let path = path_of(&target).map_err(explain)?;
            let inside = path.strip_prefix(self.root.as_str()).filter(|inside| inside.starts_with('/'));
            if let Some(inside) = inside {
                self.places.push((bind.destination.clone(), String::from(inside)));
            }
            let private = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
            mount_setattr(tree.as_fd(), c"", true, &private).map_err(source)?;
            place(&tree, target.as_fd(), "").map_err(explain)?;
        }
        unmount(self.root.as_str(), UnmountFlags::DETACH).map_err(|e| failed(e, &self.root))
    }

    /// Goes back to the host's mounts; whoever was started meanwhile keeps these.
    pub(super) fn leave(mut self) -> Result<(String, Vec<(String, String)>)> {
        self.go_back()?;
        Ok((core::mem::take(&mut self.root), core::mem::take(&mut self.places)))
    }

    fn go_back(&mut self) -> Result<()> {
        if core::mem::replace(&mut self.left, true) {
            return Ok(());
        }
        // setns(2) takes root and working directory along to the namespace's root.
        setns(self.host.as_fd(), clone::NEWNS)
            .and_then(|()| rustix::process::fchdir(&self.host_root))
            .and_then(|()| rustix::process::chroot("."))
            .and_then(|()| rustix::process::fchdir(&self.host_cwd))
            .map_err(|e| Error::kernel(e.raw_os_error(), "go back to the host's mounts"))
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let _ = self.go_back();
    }
}

/// Removes the root's mount point, on which nothing of the host's is mounted.
pub(super) fn clean(home: BorrowedFd<'_>) {
    let _ = rustix::fs::unlinkat(home, ROOT, AtFlags::REMOVEDIR);
}

fn copy(path: &str) -> core::result::Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags)
}

fn place(tree: &OwnedFd, at: BorrowedFd<'_>, path: &str) -> core::result::Result<(), Errno> {
    let empty = if path.is_empty() { MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH } else { MoveMountFlags::empty() };
    move_mount(tree, c"", at, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | empty)
}

/// Whether `destination` lies in a file system that an earlier entry mounts.
fn in_new_file_system(spec: &Spec<'_>, binds: &[insula_plan::Bind], index: usize, destination: &str) -> bool {
    spec.mounts[..index].iter().enumerate().any(|(earlier, mount)| {
        let above = mount.destination.trim_end_matches('/');
        !binds.iter().any(|bind| bind.index == earlier)
            && destination.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The object at `path` below `root`, made where it is missing with all above it.
fn make(root: BorrowedFd<'_>, path: &str, directory: bool) -> core::result::Result<OwnedFd, Errno> {
    match resolve(root, path) {
        Err(Errno::NOENT) => {}
        done => return done,
    }
    let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]).collect();
    let mut above = resolve(root, "/")?;
    let mut from = 1;
    for end in ends {
        let whole = &path[..end];
        above = match resolve(root, whole) {
            Err(Errno::NOENT) => {
                let name = &path[from..end];
                if directory || end < path.len() {
                    mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
                } else {
                    file::write_new(above.as_fd(), name, b"", 0o755)?;
                }
                resolve(root, whole)?
            }
            done => done?,
        };
        from = end + 1;
    }
    Ok(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_made_inside_the_root() {
        let root = std::env::temp_dir().join(format!("insula-yard-{}", std::process::id()));
        std::fs::create_dir_all(root.join("real")).unwrap();
        let _ = std::os::unix::fs::symlink("/real", root.join("link"));
        let fd = file::open_dir(CWD, root.to_str().unwrap()).unwrap();
        make(fd.as_fd(), "/link/a/b", true).unwrap();
        make(fd.as_fd(), "/link/a/file", false).unwrap();
        assert!(root.join("real/a/b").is_dir() && root.join("real/a/file").is_file());
        make(fd.as_fd(), "/link/a/b", true).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_lies_in_a_new_file_system_is_left_to_criu() {
        let text = br#"{"ociVersion":"1.2.0","root":{"path":"rootfs"},"mounts":[
            {"destination":"/dev","type":"tmpfs"},{"destination":"/dev/shm","type":"tmpfs"},
            {"destination":"/data","source":"/srv","options":["bind"]},{"destination":"/data/below","type":"tmpfs"},
            {"destination":"/device","type":"tmpfs"}]}"#;
        let spec = insula_spec::load(text).unwrap();
        let binds = binds(&spec, "/b").unwrap();
        let inside: Vec<bool> = spec
            .mounts
            .iter()
            .enumerate()
            .map(|(index, mount)| in_new_file_system(&spec, &binds, index, &mount.destination))
            .collect();
        assert_eq!(inside, [false, true, false, false, false]);
    }
}
