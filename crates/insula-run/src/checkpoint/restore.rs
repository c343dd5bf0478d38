// SPDX-License-Identifier: Apache-2.0
//! `restore`: a container from image files. What `create` makes before there is a process is made here in the same way;
//! then CRIU brings the processes.

use super::criu::{Criu, FIRST_INHERITED, Start};
use super::journal::Journal;
use super::yard::Yard;
use super::{Choices, EMPTY_NAMESPACES, EXTERNAL_NAMESPACES, LOG_LEVEL, externals};
use crate::create::{Container, Request as Create, annotations, draft, rootfs, write_pid_file};
use crate::expect::Expectation;
use crate::handle::{Handle, Identity};
use crate::hooks::Subject;
use crate::launch::Log;
use crate::preparation::Preparation;
use crate::record::{Record, Status, this_boot};
use crate::store::Root;
use crate::{deeds, file, foreground, gather, handover, maps, verify};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use insula_criu::{CgroupMode, Features, Options, Request};
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_plan::Want;
use insula_spec::Spec;
use insula_sys::process::{Cloned, clone, clone3, setns};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// What `restore` is told beside what `create` is.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Restore<'a> {
    pub choices: Choices<'a>,
    pub lsm_profile: Option<&'a str>,
    pub lsm_mount_context: Option<&'a str>,
}

const OPEN: &str = "open the checkpoint";

/// Restores the container of `spec`, whose text is `config`; it runs when this returns.
///
/// # Errors
/// Whatever failed. Nothing is left behind: no process, mount, cgroup or state.
pub fn restore(
    root: &Root,
    spec: &Spec<'_>,
    config: &[u8],
    request: &Create<'_>,
    restore: &Restore<'_>,
    log: &dyn Log,
) -> Result<Container> {
    let attempted = || format!("restore container {}", request.id);
    crate::create::check_terminal(spec, request)?;
    let choices = &restore.choices;
    let descriptors = super::descriptors(&super::directory(choices.image_path, OPEN, false)?, choices.image_path)?;
    let work_path = choices.work_path.unwrap_or(choices.image_path);
    drop(super::directory(work_path, "make the directory for CRIU's log", true)?);
    let drafted = draft(spec, request, Some(root), false)?;
    let rootless = drafted.rootless;
    super::refuse_rootless(attempted(), rootless)?;
    refuse_joins(&drafted.plan.wants)?;

    // From here on something exists that a signal must not leave behind.
    let signals = foreground::take_signals()?;
    let mut preparation = Preparation::new(drafted, spec, config, request, log);
    for deed in deeds::before_restore(&preparation.plan, spec, request) {
        preparation.perform(root, deed)?;
    }
    let Preparation { joins, facts, plan, making, class, .. } = preparation;
    let mut joins = joins.unwrap_or_default();
    let (home, created) = (making.home()?, making.cgroup()?);
    let doors = created.open_for_join(&[])?;

    // Streams first, joined namespaces after them; their numbers are those that CRIU sees.
    let mut options = Options::default();
    let mut inherited: Vec<OwnedFd> = Vec::new();
    let streams: Vec<(usize, &String)> =
        descriptors.iter().enumerate().take(3).filter(|(_, name)| name.starts_with("pipe:")).collect();
    for (number, name) in streams {
        let stream = rustix::io::fcntl_dupfd_cloexec(insula_sys::memory::borrow(number as i32), 3)
            .map_err(|e| Error::kernel(e.raw_os_error(), "pass a standard stream on"))?;
        options.inherit_fd.push((name.clone(), FIRST_INHERITED + inherited.len() as i32));
        inherited.push(stream);
    }
    for (kind, key) in EXTERNAL_NAMESPACES {
        if let Some(fd) = joins[kind].take() {
            options.inherit_fd.push((String::from(key), FIRST_INHERITED + inherited.len() as i32));
            inherited.push(fd);
        }
    }
    // Of the others CRIU wants a path, which leads to what is open here.
    let pid = rustix::process::getpid().as_raw_nonzero();
    for kind in Kind::all().filter(|kind| plan.wants[*kind].leaves()) {
        if let Some(fd) = &joins[kind] {
            options.join_ns.push((kind.namespace().proc_name, format!("/proc/{pid}/fd/{}", fd.as_raw_fd())));
        }
    }

    let rootfs = rootfs(spec, request.bundle);
    let yard = Yard::enter(spec, request.bundle, &rootfs, (home.fd(), &home.path))?;
    // CRIU mounts in its work directory, which must be one of its own mount namespace.
    let images = super::directory(choices.image_path, OPEN, false)?;
    let work = super::directory(work_path, OPEN, false)?;
    super::admit(&images, spec)?;
    let start = Start {
        env: choices.env,
        inherited: inherited.iter().map(AsFd::as_fd).collect(),
        cgroup: doors.clone_target(),
        tasks: doors.task_fds(OFlags::CLOEXEC, false)?,
        // Where CRIU leaves cgroups alone, processes stay in the namespace that it was started in.
        cgroup_namespace: choices.cgroups == CgroupMode::Ignore && matches!(plan.wants[Kind::CGROUP], Want::New(_)),
        streams: true,
    };
    let started = Criu::start(&start, attempted());
    let (criu_root, places) = yard.leave()?;
    let mut criu = started?;
    // What it brings back is born there too.
    class.as_ref().map_or(Ok(()), |class| class.enter(criu.pid()))?;
    if choices.lazy_pages {
        criu.check_features(Features { lazy_pages: true, ..Features::default() })?;
    }
    options = Options {
        images_dir_fd: images.as_raw_fd(),
        work_dir_fd: Some(work.as_raw_fd()),
        log_file: "restore.log",
        log_level: LOG_LEVEL,
        root: Some(&criu_root),
        tcp_established: choices.tcp_established,
        ext_unix_sk: choices.ext_unix_sk,
        shell_job: choices.shell_job,
        file_locks: choices.file_locks,
        auto_dedup: choices.auto_dedup,
        lazy_pages: choices.lazy_pages,
        evasive_devices: true,
        // A terminal is either the restorer's own or gets a new master.
        orphan_pts_master: !choices.shell_job,
        rst_sibling: true,
        notify_scripts: true,
        cgroups: choices.cgroups,
        cgroup_roots: cgroup_roots(criu.pid())?,
        empty_ns: EMPTY_NAMESPACES,
        external: externals::restored(spec, request.bundle, &created.record(), &places)?,
        config_file: super::config_file(spec),
        lsm_profile: restore.lsm_profile,
        lsm_mount_context: restore.lsm_mount_context,
        ..options
    };
    for external in &options.external {
        log.debug(&format!("CRIU: external {external}"));
    }
    let annotations = annotations(spec);
    let subject = Subject { signals: Some(signals.as_fd()), ..Subject::new(spec, request, &annotations, home) };
    let journal = Journal { directory: &work, path: work_path, name: "restore.log" };
    let mut console: Option<OwnedFd> = None;
    let mut hooked = false;
    let mut restored: Option<(Record, Handle)> = None;
    let made = criu.perform(&Request::Restore(&options), &journal, Some(&signals), &mut |notification, fd| {
        log.debug(&format!("CRIU: {}", notification.script));
        match notification.script.as_str() {
            "setup-namespaces" => {
                if matches!(plan.wants[Kind::NETWORK], Want::New(_)) {
                    loopback(notification.pid, log);
                }
                hooked = true;
                let subject = Subject { pid: notification.pid, ..subject.clone() };
                subject.run(&spec.hooks.prestart, "prestart", Status::Creating, None)?;
                subject.run(&spec.hooks.create_runtime, "createRuntime", Status::Creating, None)
            }
            "orphan-pts-master" => {
                let master = fd.ok_or_else(|| Error::state(attempted(), "CRIU sent no terminal"))?;
                match request.console_socket {
                    Some(path) => handover::terminal(path, master.as_fd()),
                    None => {
                        foreground::plain_lines(&master);
                        console = Some(master);
                        Ok(())
                    }
                }
            }
            // All processes are there and none of them runs yet.
            "post-restore" => {
                let init = open(notification.pid)?;
                created.inhabited()?;
                let directory = maps::directory(init.pid)?;
                let namespaces = verify::namespaces(&plan, &facts, &init, Some(directory.as_fd()))?;
                let record = Record {
                    resctrl: class.is_some(),
                    version: Record::VERSION,
                    oci_version: String::from(spec.oci_version.as_str()),
                    id: String::from(request.id),
                    bundle: String::from(request.bundle),
                    rootfs: rootfs.clone(),
                    created: request.created.clone(),
                    boot: if home.outlives_boot() { this_boot() } else { None },
                    owner: facts.euid,
                    init: Identity::of(init.pid, init.pidfd.as_fd()),
                    namespaces,
                    cgroup: created.record(),
                    unit: created.unit_record(),
                    rootless,
                    hooks: !(spec.hooks.poststart.is_empty() && spec.hooks.poststop.is_empty()),
                    startable: true,
                    expect: Some(Expectation::of(&plan, spec)),
                    annotations: annotations.clone(),
                    pipes: if plan.terminal { [0; 3] } else { gather::streams().pipes },
                    restored: true,
                };
                home.commit(&record)?;
                restored = Some((record, init));
                Ok(())
            }
            _ => Ok(()),
        }
    });
    let committed = made.and_then(|()| {
        let (record, init) =
            restored.take().ok_or_else(|| Error::state(attempted(), "CRIU brought no process back"))?;
        if let Some(path) = request.pid_file {
            write_pid_file(path, record.init.pid)?;
        }
        Ok((record, init))
    });
    let (record, child) = match committed {
        Ok(done) => {
            criu.finish();
            super::yard::clean(home.fd());
            done
        }
        Err(error) => {
            criu.abandon();
            // What CRIU has brought back so far is in the cgroup, as CRIU itself was.
            if let Err(e) = created.kill_all(Duration::from_secs(10)) {
                log.warn(&format!("{e}"));
            }
            reap();
            if hooked {
                for error in subject.run_all(&spec.hooks.poststop, "poststop", Status::Stopped) {
                    log.warn(&format!("{error}"));
                }
            }
            return Err(error);
        }
    };
    let (home, group) = making.done()?;
    Ok(Container { home, record, child, signals, console, notify: None, group })
}

/// Namespaces that CRIU can restore no process into.
fn refuse_joins(wants: &insula_ns::PerKind<Want>) -> Result<()> {
    for kind in [Kind::CGROUP, Kind::MOUNT] {
        if let Want::Join(index) = wants[kind] {
            return Err(Error::unsupported(
                format!("/linux/namespaces/{index}"),
                format!("restore into another's {kind} namespace"),
                "CRIU cannot",
            ));
        }
    }
    Ok(())
}

/// The process that CRIU has restored, our child by then.
fn open(pid: i32) -> Result<Handle> {
    let failed = |e: rustix::io::Errno| Error::kernel(e.raw_os_error(), "hold the restored process");
    let number = Pid::from_raw(pid).ok_or_else(|| failed(rustix::io::Errno::SRCH))?;
    Ok(Handle { pid, pidfd: pidfd_open(number, PidfdFlags::empty()).map_err(failed)? })
}

/// Where CRIU is in each hierarchy: that takes the place of where the processes were.
fn cgroup_roots(pid: i32) -> Result<Vec<(String, String)>> {
    let text = file::read_text(CWD, &format!("/proc/{pid}/cgroup"), 64 << 10, "see where CRIU is")?;
    let mut roots = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        if let (Some(list), Some(path)) = (parts.next(), parts.next()) {
            roots.extend(list.split(',').map(|controller| (String::from(controller), String::from(path))));
        }
    }
    Ok(roots)
}

/// Brings the loopback interface of the restored network namespace up, as `create` does: CRIU leaves it empty.
fn loopback(pid: i32, log: &dyn Log) {
    let Ok(init) = open(pid) else { return };
    let done = match clone3(0, None) {
        Ok(Cloned::Child) => {
            use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
            let up = setns(init.pidfd.as_fd(), clone::NEWNET)
                .and_then(|()| socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None))
                .and_then(|socket| insula_sys::network::loopback_up(socket.as_fd()));
            insula_sys::process::exit(i32::from(up.is_err()))
        }
        Ok(Cloned::Parent { pidfd, .. }) => waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED),
        Err(e) => Err(e),
    };
    if done.ok().flatten().is_none_or(|status| status.exit_status() != Some(0)) {
        log.warn("the loopback interface of the restored network namespace could not be brought up");
    }
}

/// Collects the children that are dead already.
fn reap() {
    while let Ok(Some(_)) = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {}
}
