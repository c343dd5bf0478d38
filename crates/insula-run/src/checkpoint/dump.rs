// SPDX-License-Identifier: Apache-2.0
//! `checkpoint`: a running container into image files.

use super::criu::{Criu, Start};
use super::journal::Journal;
use super::{Choices, DESCRIPTORS, EMPTY_NAMESPACES, EXTERNAL_NAMESPACES, LOG_LEVEL, externals};
use crate::file;
use crate::launch::Log;
use crate::record::{Record, Status};
use crate::start::{document, understood};
use crate::status;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_criu::{Features, Options, Request};
use insula_error::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// What `checkpoint` is told.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Dump<'a> {
    pub choices: Choices<'a>,
    /// Directory of an earlier pre-dump, relative to the images'.
    pub parent_path: Option<&'a str>,
    pub leave_running: bool,
    pub pre_dump: bool,
    pub tcp_skip_in_flight: bool,
    pub link_remap: bool,
    /// Address and port of a page server.
    pub page_server: Option<(&'a str, i32)>,
    /// A descriptor that gets a zero byte once lazy pages can be asked for.
    pub status_fd: Option<i32>,
}

/// Writes the container's processes to image files. Unless it is left running, they are gone then, and the container is
/// to be deleted.
///
/// # Errors
/// `State` if it does not run, or CRIU fails: then it runs on. `Unsupported` without a CRIU that can do it.
pub fn checkpoint(home: &Home, record: &Record, dump: &Dump<'_>, log: &dyn Log) -> Result<()> {
    let attempted = || format!("checkpoint container {}", record.id);
    super::refuse_rootless(attempted(), record.rootless)?;
    home.lock()?;
    match status::of(home, record) {
        Status::Running | Status::Paused => {}
        other => {
            return Err(Error::state(attempted(), format!("it is {}; only one that runs can be", other.name())));
        }
    }
    let init = record.init().ok_or_else(|| Error::state(attempted(), "it has stopped"))?;
    let choices = &dump.choices;
    let status_fd = dump.status_fd.map(writable).transpose()?;
    let images = super::directory(choices.image_path, "make the directory for the images", true)?;
    if let Some(parent) = dump.parent_path {
        check_parent(images.as_fd(), parent)?;
    }
    let work_path = choices.work_path.unwrap_or(choices.image_path);
    let work = super::directory(work_path, "make the directory for CRIU's log", true)?;
    let config = document(home)?;
    let spec = understood(home, &config)?;
    super::admit(&images, &spec)?;
    let mut options = Options {
        images_dir_fd: images.as_raw_fd(),
        work_dir_fd: Some(work.as_raw_fd()),
        log_file: "dump.log",
        log_level: LOG_LEVEL,
        pid: Some(init.pid),
        root: Some(&record.rootfs),
        parent_img: dump.parent_path,
        track_mem: dump.pre_dump || dump.parent_path.is_some(),
        leave_running: dump.leave_running,
        tcp_established: choices.tcp_established,
        tcp_skip_in_flight: dump.tcp_skip_in_flight,
        link_remap: dump.link_remap,
        ext_unix_sk: choices.ext_unix_sk,
        shell_job: choices.shell_job,
        file_locks: choices.file_locks,
        auto_dedup: choices.auto_dedup,
        lazy_pages: choices.lazy_pages,
        orphan_pts_master: true,
        notify_scripts: true,
        page_server: dump.page_server,
        cgroups: choices.cgroups,
        freeze_cgroup: freezer(record)?,
        empty_ns: EMPTY_NAMESPACES,
        external: joined(record),
        config_file: super::config_file(&spec),
        ..Options::default()
    };
    if !dump.pre_dump {
        let root = file::open_dir(CWD, &format!("/proc/{}/root", init.pid))
            .map_err(|e| Error::kernel(e.raw_os_error(), "look at the container's root"))?;
        options.external.extend(externals::dumped(&spec, &record.bundle, &record.cgroup, root.as_fd())?);
        let names = serde_json::to_string(&streams(record, init.pid)).unwrap_or_default();
        file::replace(images.as_fd(), DESCRIPTORS, names.as_bytes(), 0o600)
            .map_err(|e| Error::kernel(e.raw_os_error(), "write the list of descriptors").object(choices.image_path))?;
    }
    for external in &options.external {
        log.debug(&format!("CRIU: external {external}"));
    }
    let start = Start { env: choices.env, ..Start::default() };
    let mut criu = Criu::start(&start, attempted())?;
    let wanted = Features { mem_track: dump.pre_dump, lazy_pages: choices.lazy_pages };
    if wanted != Features::default() {
        criu.check_features(wanted)?;
    }
    let journal = Journal { directory: &work, path: work_path, name: "dump.log" };
    let request = if dump.pre_dump { Request::PreDump(&options) } else { Request::Dump(&options) };
    let mut status_fd = status_fd;
    criu.perform(&request, &journal, None, &mut |notification, _| {
        log.debug(&format!("CRIU: {}", notification.script));
        if notification.script == "status-ready"
            && let Some(fd) = status_fd.take()
        {
            // Whoever reads it may have gone; the pages are served all the same.
            let _ = rustix::io::write(fd, &[0]);
            insula_sys::memory::close(fd);
        }
        Ok(())
    })?;
    criu.finish();
    Ok(())
}

/// `--status-fd`: it must be open for writing.
fn writable(number: i32) -> Result<BorrowedFd<'static>> {
    let fd = insula_sys::memory::borrow(number);
    let refuse = |why: &str| Error::usage(format!("invalid --status-fd argument {number}: {why}"));
    let flags = rustix::fs::fcntl_getfl(fd).map_err(|e| refuse(insula_error::errno_text(e.raw_os_error())))?;
    if flags.intersects(OFlags::WRONLY | OFlags::RDWR) { Ok(fd) } else { Err(refuse("not writable")) }
}

/// `--parent-path`: a directory, relative to that of the images.
fn check_parent(images: BorrowedFd<'_>, parent: &str) -> Result<()> {
    if parent.starts_with('/') {
        return Err(Error::usage("--parent-path must be relative").advice("it is relative to --image-path"));
    }
    match openat(images, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::usage(format!(
            "invalid --parent-path: {parent}, which is relative to --image-path: {}",
            insula_error::errno_text(e.raw_os_error())
        ))),
    }
}

/// The cgroup that CRIU freezes, so that no process escapes it by forking.
fn freezer(record: &Record) -> Result<Option<String>> {
    let group = status::group(record)?;
    let wanted =
        |list: &str| if group.is_unified() { list.is_empty() } else { list.split(',').any(|c| c == "freezer") };
    Ok(group.paths().find(|(list, _)| wanted(list)).map(|(_, path)| path))
}

/// Joined namespaces that stay as they are, `net[inode]:key`.
fn joined(record: &Record) -> Vec<String> {
    let mut told = Vec::new();
    for (kind, key) in EXTERNAL_NAMESPACES {
        if let Some(held) = record.held(kind).filter(|held| held.how == "joined") {
            told.push(format!("{}[{}]:{key}", kind.namespace().proc_name, held.ino));
        }
    }
    told
}

/// Names of what the first process got as standard streams: pipes as they were then, anything else as it is now.
fn streams(record: &Record, pid: i32) -> Vec<String> {
    let name = |(number, pipe): (usize, &u64)| match pipe {
        0 => rustix::fs::readlinkat(CWD, format!("/proc/{pid}/fd/{number}"), Vec::new())
            .ok()
            .and_then(|link| link.into_string().ok())
            // A pipe that it opened itself is CRIU's to restore.
            .filter(|link| !link.starts_with("pipe:"))
            .unwrap_or_else(|| String::from("/dev/null")),
        inode => format!("pipe:[{inode}]"),
    };
    record.pipes.iter().enumerate().map(name).collect()
}
