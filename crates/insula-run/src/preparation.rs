// SPDX-License-Identifier: Apache-2.0
//! The first part of making a container: what is made before there is a process, and taken back if that fails.

use crate::anchor;
use crate::create::{Draft, Request, enters_late};
use crate::deeds::Deed;
use crate::file;
use crate::gather;
use crate::launch::Log;
use crate::notify::Notify;
use crate::prepare::{Filled, Sources, fill};
use crate::resctrl::Class;
use crate::store::{CONFIG, Home, Root};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use insula_cgroup::{Created, DeviceRules, Group};
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_plan::{Facts, Plan, Want, compile};
use insula_spec::{Resources, Spec};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;

/// What there is before the first process.
pub(crate) struct Preparation<'a> {
    pub(crate) spec: &'a Spec<'a>,
    pub(crate) config: &'a [u8],
    pub(crate) request: &'a Request<'a>,
    pub(crate) log: &'a dyn Log,
    pub(crate) joins: Option<gather::Joins>,
    pub(crate) hierarchies: Vec<(String, String)>,
    pub(crate) facts: Facts,
    /// The cgroups as they will be recorded.
    pub(crate) intended: Vec<String>,
    /// The cgroups until they are made.
    pub(crate) group: Option<Group>,
    pub(crate) devices: DeviceRules,
    pub(crate) plan: Plan,
    pub(crate) making: Making,
    pub(crate) class: Option<Class>,
    pub(crate) notify: Option<Notify>,
    pub(crate) fifo: Option<OwnedFd>,
    pub(crate) anchor: Option<OwnedFd>,
    pub(crate) filled: Option<Filled>,
}

impl<'a> Preparation<'a> {
    /// What `draft` has decided, of which nothing is made yet.
    pub(crate) fn new(
        draft: Draft,
        spec: &'a Spec<'a>,
        config: &'a [u8],
        request: &'a Request<'a>,
        log: &'a dyn Log,
    ) -> Self {
        let Draft { joins, hierarchies, facts, group, devices, plan, class, rootless: _ } = draft;
        Self {
            spec,
            config,
            request,
            log,
            joins: Some(joins),
            hierarchies,
            facts,
            intended: group.intent(),
            group: Some(group),
            devices,
            plan,
            making: Making { home: None, cgroup: None, class: false, anchored: false },
            class,
            notify: None,
            fifo: None,
            anchor: None,
            filled: None,
        }
    }

    pub(crate) fn perform(&mut self, root: &Root, deed: Deed) -> Result<()> {
        match deed {
            Deed::Claim => {
                self.making.home = Some(root.claim(self.request.id)?);
                Ok(())
            }
            Deed::Intend => self.making.home()?.intend(&self.intended),
            Deed::KeepDocument => {
                let home = self.making.home()?;
                file::write_new(home.fd(), CONFIG, self.config, 0o600)
                    .map_err(|e| Error::kernel(e.raw_os_error(), "keep the document").object(home.path.clone()))
            }
            Deed::NotifySocket => {
                let home = self.making.home()?;
                crate::notify::prepare(home)?;
                let host = self.request.notify.filter(|_| self.request.options.run);
                self.notify = host.map(|host| Notify::listen(home, host)).transpose()?.flatten();
                Ok(())
            }
            Deed::Class => {
                self.making.class = true;
                let home = self.making.home()?;
                self.class.as_ref().map_or(Ok(()), |class| class.make(home))
            }
            Deed::Fifo => {
                self.fifo = Some(self.making.home()?.make_fifo()?);
                Ok(())
            }
            Deed::Anchor => {
                self.making.anchored = true;
                self.anchor = Some(anchor::make(self.making.home()?)?);
                Ok(())
            }
            Deed::Groups => {
                self.making.cgroup = self.group.take().map(Group::create).transpose()?;
                self.making.cgroup()?.approach()?;
                self.with_fewer_groups()
            }
            Deed::Limits => self.limit(),
            Deed::Fill => self.fill(),
            _ => Err(Error::state("prepare the container", format!("{deed:?} needs its process"))),
        }
    }

    fn limit(&self) -> Result<()> {
        let none = Resources::default();
        let resources = self.spec.linux.resources.as_ref().unwrap_or(&none);
        let created = self.making.cgroup()?;
        if created.is_none() {
            // Without a cgroup a limit would be silently missing.
            return created.planned(resources).map(drop);
        }
        created.apply(resources, &self.devices)?;
        match owner(self.spec).map(|uid| created.delegate(uid)) {
            // An ordinary user cannot give anything away.
            Some(Err(e)) if self.facts.euid == 0 => Err(e),
            _ => Ok(()),
        }
    }

    /// Where not all cgroups could be made, the steps change with them.
    fn with_fewer_groups(&mut self) -> Result<()> {
        let created = self.making.cgroup()?;
        let Some(reason) = created.left_out() else { return Ok(()) };
        // What an ordinary user's container has always done without is worth a word only where it can leave processes behind.
        if matches!(self.plan.wants[Kind::PID], Want::New(_)) {
            self.log.debug(&format!("no cgroup: {reason}"));
        } else {
            // COMPAT(runc): the words that are looked for.
            self.log.warn(&format!(
                "no cgroup and no pid namespace of its own: what the container starts can outlive it. Such configuration is \
                 strongly discouraged (no cgroup: {reason})"
            ));
        }
        let late = enters_late(self.spec, &self.facts);
        let doors = created.open_for_join(&[])?;
        let tasks = doors.task_fds(OFlags::empty(), late)?.len();
        let born = doors.clone_target().is_some() && !late;
        self.facts.cgroup = gather::cgroup_view(&self.hierarchies, created, tasks, born);
        if self.spec.mounts.iter().any(|mount| mount.kind.as_ref().is_some_and(|kind| *kind == "cgroup")) {
            gather::show_own(&mut self.facts.cgroup);
        }
        self.plan = compile(self.spec, &self.facts, &self.request.options)?;
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let late = enters_late(self.spec, &self.facts);
        let doors = self.making.cgroup()?.open_for_join(&[])?;
        let tasks = doors.task_fds(OFlags::empty(), late)?;
        let owned = |fd: BorrowedFd<'_>| {
            rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|e| Error::kernel(e.raw_os_error(), "hold the cgroup"))
        };
        // An intermediate process gets the cgroup's descriptor to give birth in it.
        let target = doors.clone_target().filter(|_| self.plan.staged && !late);
        let cgroup = target.map(owned).transpose()?;
        let again =
            weak::is(Weakness::OpenTwice).then(|| gather::joins(self.spec, &self.request.pinned, None)).transpose()?;
        let joins = again.map(|(joins, _)| joins).or_else(|| self.joins.take());
        let sources = Sources { joins, tasks, cgroup, fifo: self.fifo.take(), init: None, anchor: self.anchor.take() };
        self.filled = Some(fill(&self.plan, sources)?);
        Ok(())
    }
}

/// The host's number of the user to whom the cgroup is to belong: the process's own, where it has a cgroup namespace of
/// its own and a cgroup mount that it may write to (runtime-spec, config-linux.md, "Cgroup ownership").
fn owner(spec: &Spec<'_>) -> Option<u32> {
    let is_new = |entry: &insula_spec::Namespace<'_>| {
        entry.kind == "cgroup" && entry.path.as_ref().is_none_or(|path| path.is_empty())
    };
    let is_writable = |mount: &insula_spec::Mount<'_>| {
        mount.kind.as_ref().is_some_and(|kind| *kind == "cgroup") && mount.options.iter().all(|option| *option != "ro")
    };
    if !spec.linux.namespaces.iter().any(is_new) || !spec.mounts.iter().any(is_writable) {
        return None;
    }
    let uid = spec.process.as_ref().map_or(0, |process| process.user.uid);
    if spec.linux.namespaces.iter().all(|entry| entry.kind != "user") {
        return Some(uid).filter(|uid| *uid != 0);
    }
    spec.linux.uid_mappings.iter().find_map(|map| {
        let distance = uid.checked_sub(map.container_id).filter(|distance| *distance < map.size)?;
        map.host_id.checked_add(distance)
    })
}

/// What exists so far; dropped early, it is taken back.
pub(crate) struct Making {
    pub(crate) home: Option<Home>,
    pub(crate) cgroup: Option<Created>,
    /// A class of service may have been made.
    pub(crate) class: bool,
    /// Something may be mounted in the caller's mount namespace.
    pub(crate) anchored: bool,
}

impl Making {
    pub(crate) fn home(&self) -> Result<&Home> {
        self.home.as_ref().ok_or_else(gone)
    }

    pub(crate) fn cgroup(&self) -> Result<&Created> {
        self.cgroup.as_ref().ok_or_else(gone)
    }

    pub(crate) fn done(mut self) -> Result<(Home, Group)> {
        let group = self.cgroup.take().ok_or_else(gone)?.into_group();
        (self.class, self.anchored) = (false, false);
        Ok((self.home.take().ok_or_else(gone)?, group))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // init is dead by now, so its cgroup empties at once; the first error is the one to report, not these.
        let mut gone = true;
        if let Some(created) = self.cgroup.take().filter(|_| self.home.is_some()) {
            created.abandon();
            let _ = created.wait_empty(Duration::from_secs(2));
            gone = created.rollback();
        }
        if let Some(home) = self.home.as_ref().filter(|_| self.class) {
            gone &= crate::resctrl::remove(home, None).is_ok();
        }
        if let Some(home) = self.home.as_ref().filter(|_| self.anchored) {
            gone &= anchor::remove(home).is_ok();
        }
        // What stays is in the intent, from which `delete --force` finds it.
        if let Some(home) = self.home.take().filter(|_| gone) {
            let _ = home.remove();
        }
    }
}

pub(crate) fn gone() -> Error {
    Error::state("create the container", "its directory, cgroup or process is gone")
}
