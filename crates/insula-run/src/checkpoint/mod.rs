// SPDX-License-Identifier: Apache-2.0
//! `checkpoint` and `restore`: a container's processes into files and back, by CRIU.
//!
//! CRIU is started as `criu swrk 3` and asked over a socket ([`criu`]). What the container shares with its host is not
//! dumped but named: bind mounts ([`externals`]), joined namespaces, the pipes of its standard streams. A restore makes
//! state directory and cgroup as `create` does, in the same order, and starts CRIU inside the cgroup with a mount namespace
//! that ends with it ([`yard`]); so whatever a kill leaves, `delete --force` finds.

mod criu;
mod dump;
mod externals;
mod journal;
mod restore;
mod yard;

pub use dump::{Dump, checkpoint};
pub use insula_criu::CgroupMode;
pub use restore::{Restore, restore};

use crate::file;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_spec::Spec;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

/// What both commands are told, in the words of criu(8).
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Choices<'a> {
    /// Absolute path of the directory of the image files.
    pub image_path: &'a str,
    /// Absolute path of the directory for CRIU's log and other files; the images' where there is none.
    pub work_path: Option<&'a str>,
    pub tcp_established: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub lazy_pages: bool,
    pub auto_dedup: bool,
    pub cgroups: CgroupMode,
    /// This command's environment, in which CRIU and the programs that it needs are found.
    pub env: &'a [String],
}

/// Names of the standard streams, for a restore: a JSON array of three (COMPAT(runc): the file's name and form).
const DESCRIPTORS: &str = "descriptors.json";

/// Namespaces that CRIU leaves alone when they were joined: kind, and the key under which the image names them, which
/// runc and crun use as well.
const EXTERNAL_NAMESPACES: [(Kind, &str); 2] = [(Kind::NETWORK, "extRootNetNS"), (Kind::PID, "extRootPidNS")];

/// CRIU never dumps what a network namespace is made of: whoever made the container sets it up again.
const EMPTY_NAMESPACES: u32 = insula_sys::process::clone::NEWNET as u32;

/// Everything that CRIU has to say.
const LOG_LEVEL: i32 = 4;

/// A directory that is made where it is missing.
fn directory(path: &str, what: &'static str, make: bool) -> Result<OwnedFd> {
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), what).object(path);
    let mut ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    let made = ends.try_for_each(|end| match mkdirat(CWD, &path[..end], Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(failed(e)),
    });
    if make {
        made?;
    }
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)
}

/// The document's configuration file for CRIU: that of the annotation, none if it is empty, else runc's.
fn config_file<'s>(spec: &'s Spec<'_>) -> Option<&'s str> {
    match spec.annotations.get("org.criu.config") {
        Some(path) => Some(path.as_str()).filter(|path| !path.is_empty()),
        None => Some("/etc/criu/runc.conf"),
    }
}

/// CRIU can do neither without the rights of the host's root.
fn refuse_rootless(attempted: String, rootless: bool) -> Result<()> {
    if rootless {
        return Err(Error::new(insula_error::Kind::Unsupported, attempted)
            .reason("CRIU needs the rights of the host's root, which this container's maker does not have"));
    }
    Ok(())
}

/// Lets root of the container's user namespace search the directory of the images, by its group: CRIU opens some of them
/// as that user, and some as the host's root without its rights, who must stay the owner. Others may do no more than before.
fn admit(images: &OwnedFd, spec: &Spec<'_>) -> Result<()> {
    let root = |map: &[insula_spec::IdMapping]| map.iter().find(|m| m.container_id == 0).map(|m| m.host_id);
    let (Some(_), Some(gid)) = (root(&spec.linux.uid_mappings), root(&spec.linux.gid_mappings)) else {
        return Ok(());
    };
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), "let the container's root read the images");
    let stat = rustix::fs::fstat(images).map_err(failed)?;
    if stat.st_mode & 0o001 != 0 || stat.st_uid != 0 {
        return Ok(());
    }
    rustix::fs::fchown(images, None, Some(rustix::fs::Gid::from_raw(gid)))
        .and_then(|()| rustix::fs::fchmod(images, Mode::from_raw_mode(stat.st_mode & 0o7777 & !0o070 | 0o010)))
        .map_err(failed)
}

/// The names in a checkpoint's [`DESCRIPTORS`].
fn descriptors(images: &OwnedFd, path: &str) -> Result<alloc::vec::Vec<String>> {
    let attempted = "read the checkpoint's list of descriptors";
    let bytes = file::read(rustix::fd::AsFd::as_fd(images), DESCRIPTORS, 64 << 10, attempted).map_err(|e| {
        let e = e.object(format!("{path}/{DESCRIPTORS}"));
        if e.errno() == Some(Errno::NOENT.raw_os_error()) {
            e.advice("--image-path must name the directory of a whole checkpoint, not of a pre-dump")
        } else {
            e
        }
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::state(attempted, format!("it is torn or not a runtime's: {e}")).object(DESCRIPTORS))
}
