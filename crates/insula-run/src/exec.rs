// SPDX-License-Identifier: Apache-2.0
//! `exec`: another process in the container. It is a plan like any other: join everything, be born in the cgroup, become
//! the program.

use crate::create::{take_back_pid_file, write_pid_file};
use crate::foreground;
use crate::gather::Joins;
use crate::handle::Handle;
use crate::handover;
use crate::launch::{Host, Launch, Log};
use crate::maps;
use crate::prepare::{Sources, fill};
use crate::record::{Record, Status};
use crate::share::namespace_of;
use crate::status;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::{Doors, SubGroup};
use insula_error::{Error, Result};
use insula_ns::{Identity, Kind};
use insula_plan::{ExecTarget, Facts, Options, Plan, Slot, compile_exec};
use insula_spec::Spec;
use insula_steps::message::Part;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// What `exec` is told.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// `--pid-file`
    pub pid_file: Option<&'a str>,
    /// `--console-socket`
    pub console_socket: Option<&'a str>,
    /// `--pidfd-socket`
    pub pidfd_socket: Option<&'a str>,
    /// Without a console socket the terminal is served by this command.
    pub serve_terminal: bool,
    /// `--ignore-paused`
    pub ignore_paused: bool,
    /// `--cgroup`, as given.
    pub cgroups: Vec<String>,
    /// What the plan needs.
    pub options: Options,
}

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// The process, our child.
    pub child: Handle,
    /// The signals of this command.
    pub signals: OwnedFd,
    /// Its terminal, if this command serves it.
    pub console: Option<OwnedFd>,
}

/// Starts `spec.process` in the container. `spec` has the container's seccomp section.
///
/// # Errors
/// `State` if the container does not run; whatever failed on the way.
pub fn exec(home: &Home, record: &Record, spec: &Spec<'_>, request: &Request<'_>, log: &dyn Log) -> Result<Started> {
    let attempted = || format!("exec in container {}", record.id);
    let init = record.init().ok_or_else(|| Error::state(attempted(), "cannot exec in a stopped container"))?;
    if status::with_init(home, record, Some(&init)) == Status::Paused && !request.ignore_paused {
        return Err(Error::state(attempted(), "cannot exec in a paused container (use --ignore-paused)"));
    }
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    if terminal && request.console_socket.is_none() && !request.serve_terminal {
        return Err(Error::usage("cannot allocate tty if runc will detach without setting console socket"));
    }
    if !terminal && request.console_socket.is_some() {
        return Err(Error::usage("cannot use console socket if runc will not detach or allocate tty"));
    }
    let kinds = differing(&init, record)?;
    let group = status::group(record)?;
    group.approach()?;
    let sub = SubGroup::parse(&request.cgroups)?;
    let doors = match group.open_for_join(&sub) {
        // The container's init has moved on and somebody has removed the cgroup: where init is, the container is.
        Err(e) if e.errno() == Some(Errno::NOENT.raw_os_error()) && sub.is_empty() && group.is_unified() => {
            Doors::of_process(init.pid)?
        }
        doors => doors?,
    };
    let task = Task { home, init: &init, record, spec, request, kinds };
    match task.start(&doors, log) {
        // The container has enabled controllers below its own cgroup, which then takes no processes: its init's does.
        Err(e) if e.errno() == Some(Errno::BUSY.raw_os_error()) && sub.is_empty() && group.is_unified() => {
            let doors = Doors::of_process(init.pid)?;
            task.start(&doors, log)
        }
        done => done,
    }
}

/// Kinds of namespaces in which `init` is elsewhere than this command: what is equal must not be joined again
/// (setns(2) of the own user namespace is EINVAL, and an ordinary user may join none that it is in).
///
/// What was made for the container is elsewhere; should this command be in there itself, joining it again does root no harm.
fn differing(init: &Handle, record: &Record) -> Result<u64> {
    let root = insula_sys::credentials::effective_ids().0 == 0;
    let made = |kind: Kind| kind != Kind::USER && record.held(kind).is_some_and(|held| held.how == "created");
    let (made, compared): (Vec<Kind>, Vec<Kind>) = Kind::all().partition(|kind| root && made(*kind));
    let directory = maps::directory(init.pid)?;
    let theirs = compared.iter().map(|kind| Identity::of_process(directory.as_fd(), *kind)).collect::<Vec<_>>();
    insula_sys::memory::leave(directory);
    if init.has_ended() {
        return Err(Error::state("exec in the container", "cannot exec in a stopped container"));
    }
    let mut kinds = made;
    for (kind, theirs) in compared.into_iter().zip(theirs) {
        let is = match theirs {
            Ok(is) => is,
            // KERNEL(5.6): before, no time namespaces.
            Err(e) if e.errno() == Some(Errno::NOENT.raw_os_error()) => continue,
            Err(e) => return Err(e),
        };
        if !Identity::of_self(kind)?.same_object(&is) {
            kinds.push(kind);
        }
    }
    Ok(kinds.into_iter().map(|kind| kind.namespace().clone_flag).fold(0, |a, b| a | b))
}

/// A process to be started in the container.
struct Task<'a> {
    home: &'a Home,
    init: &'a Handle,
    record: &'a Record,
    spec: &'a Spec<'a>,
    request: &'a Request<'a>,
    /// Clone flags of what is joined.
    kinds: u64,
}

impl Task<'_> {
    fn start(&self, doors: &Doors<'_>, log: &dyn Log) -> Result<Started> {
        let Task { home, init, record, spec, request, kinds } = *self;
        let has = |kind: Kind| kinds & kind.namespace().clone_flag != 0;
        let user = has(Kind::USER);
        // Inside another user namespace nobody may give birth in the container's group; the new process writes itself into
        // it through a file that was opened here.
        let tasks = doors.task_fds(OFlags::empty(), user)?;
        let failed = |e: Errno| Error::kernel(e.raw_os_error(), "exec in the container");
        let duplicate = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(failed);
        let cgroup = doors.clone_target().filter(|_| !user).map(duplicate).transpose()?;
        // Without a mount namespace of its own the container is in its root by chroot(2) alone, which no setns(2) brings.
        let chrooted = record.held(Kind::MOUNT).is_some_and(|held| held.how != "created");
        let chrooted = chrooted && !weak::is(Weakness::NoRoot);
        let target = ExecTarget {
            kinds,
            user,
            fork: has(Kind::PID),
            task_files: tasks.len(),
            born: cgroup.is_some(),
            root: chrooted.then(|| format!("/proc/{}/root", init.pid)),
        };
        let facts: Facts = crate::gather::facts(spec, "");
        initial_affinity(spec, log);
        let plan = compile_exec(spec, &target, &facts, &request.options)?;
        let mut joins = Joins::from_fn(|_| None);
        if plan.slots.iter().any(|(slot, _)| matches!(slot, Slot::Namespace(Kind::CGROUP))) {
            joins[Kind::CGROUP] = Some(namespace_of(init, Kind::CGROUP).map_err(failed)?);
        }
        let init_fd = Some(duplicate(init.pidfd.as_fd())?);
        let sources = Sources { joins: Some(joins), tasks, cgroup, init: init_fd, ..Sources::default() };
        let filled = fill(&plan, sources)?;
        if chrooted && init.has_ended() {
            // The number may have been another's when its root was opened.
            return Err(Error::state("exec in the container", "cannot exec in a stopped container"));
        }
        let signals = foreground::take_signals()?;
        let mut launch = Launch::start(&plan, filled, None, signals)?;
        let mut host = ExecHost { spec, record, request, console: None };
        let made = (|| {
            oom_score(&plan, &launch)?;
            if plan.held {
                launch.go()?;
            }
            launch.until_ready(&mut host, log)?;
            if insula_sys::credentials::effective_ids().0 == 0 {
                // The process may have been forked before the one in between had its value.
                oom_score(&plan, &launch)?;
            }
            if record.resctrl {
                crate::resctrl::enter(home, launch.child.pid)?;
            }
            if let Some(path) = request.pid_file {
                write_pid_file(path, launch.child.pid)?;
            }
            if let Some(path) = request.pidfd_socket {
                handover::process(path, launch.child.pidfd.as_fd())?;
            }
            launch.go()?;
            log.debug("setns_init: about to exec");
            launch.until_executed(&mut host, log)
        })();
        made.inspect_err(|_| {
            launch.end();
            if let Some(path) = request.pid_file {
                take_back_pid_file(path, launch.child.pid);
            }
        })?;
        let (child, signals) = launch.into_parts();
        Ok(Started { child, signals, console: host.console })
    }
}

/// COMPAT(runc): says the mask that the process starts with, as a number.
fn initial_affinity(spec: &Spec<'_>, log: &dyn Log) {
    let affinity = spec.process.as_ref().and_then(|process| process.exec_cpu_affinity.as_ref());
    let Some(list) = affinity.and_then(|affinity| affinity.initial.as_deref()) else { return };
    let ranges = insula_spec::ranges(list).unwrap_or_default();
    let mask = ranges
        .iter()
        .flat_map(|(first, last)| *first..=*last)
        .filter(|cpu| *cpu < 64)
        .fold(0_u64, |mask, cpu| mask | 1 << cpu);
    log.debug(&format!("nsexec: affinity: {mask:#x}"));
}

fn oom_score(plan: &Plan, launch: &Launch<'_>) -> Result<()> {
    match plan.oom_score_adj {
        Some(value) => {
            maps::write_oom_score(launch.directory()?, value, insula_sys::credentials::effective_ids().0 != 0)
        }
        None => Ok(()),
    }
}

struct ExecHost<'a> {
    spec: &'a Spec<'a>,
    record: &'a Record,
    request: &'a Request<'a>,
    console: Option<OwnedFd>,
}

impl Host for ExecHost<'_> {
    /// Paused after it was looked at: the process stands still at the door of its cgroup.
    fn waits(&mut self, child: &Handle) -> Result<()> {
        if self.request.ignore_paused || weak::is(Weakness::AwaitThaw) {
            return Ok(());
        }
        let group = status::group(self.record)?;
        if !group.frozen()? {
            return Ok(());
        }
        let _ = child.signal(9);
        group.release(child.pid);
        let attempted = format!("exec in container {}", self.record.id);
        Err(Error::state(attempted, "cannot exec in a paused container (use --ignore-paused)"))
    }

    fn part(&mut self, _: Part, _: &Handle, _: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Result<()> {
        Err(Error::kernel(Errno::PROTO.raw_os_error(), "exec in the container"))
    }

    fn terminal(&mut self, master: OwnedFd) -> Result<()> {
        self.console = foreground::hand_over(master, self.request.console_socket)?;
        Ok(())
    }

    fn listener(&mut self, listener: OwnedFd, child: &Handle) -> Result<()> {
        handover::listener(self.spec, &handover::state_of(self.record, Status::Running), child.pid, listener.as_fd())
    }
}
