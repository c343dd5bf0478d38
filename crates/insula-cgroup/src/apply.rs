// SPDX-License-Identifier: Apache-2.0
//! Performing the writes that `limits` lists, at `create` and at `update`.

use crate::create::Created;
use crate::devices::DeviceRules;
use crate::file;
use crate::group::{Entry, Group, read_value};
use crate::layout::{Controller, Version};
use crate::limits::{self, Write};
use crate::systemd;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::{Pids, Resources};
use insula_sys::weak::{self, Weakness};
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io::Errno;

const ATTEMPTED: &str = "limit the container's resources";

impl Created {
    /// Sets the limits of a cgroup that was just created, before the first process joins it.
    ///
    /// # Errors
    /// As [`Group::apply`].
    pub fn apply(&self, resources: &Resources<'_>, devices: &DeviceRules) -> Result<()> {
        let fresh = self.of(Controller::Devices).is_some_and(|entry| self.is_fresh(entry));
        // The placeholder of a scope is a task too, and gone before there is a program to be limited.
        let narrow = |pids: &Pids| self.unit.is_some() && pids.limit.is_some_and(|limit| (0..=1).contains(&limit));
        match resources.pids.as_ref().filter(|pids| narrow(pids)) {
            Some(pids) => {
                self.narrow.replace(Some(pids.clone()));
                self.set(&Resources { pids: None, ..resources.clone() }, Some(devices), fresh)
            }
            None => self.set(resources, Some(devices), fresh),
        }
    }
}

impl Group {
    /// Changes the limits that `resources` names, and the device rules if any are given; others stay as they are.
    ///
    /// # Errors
    /// Each names the file, the value, the property and the kernel's answer: `InvalidConfig` for what cannot be meant,
    /// `Unsupported` naming a controller that is not there.
    pub fn apply(&self, resources: &Resources<'_>, devices: Option<&DeviceRules>) -> Result<()> {
        self.set(resources, devices, false)
    }

    /// What [`Self::apply`] would write, in order: file, value, JSON pointer of the property. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::apply`] for what can be told before.
    pub fn planned(&self, resources: &Resources<'_>) -> Result<Vec<(String, String, String)>> {
        let version = self.version();
        let writes = limits::writes(resources, version)?;
        let shown = |write: &Write| match self.of(write.controller) {
            Some(entry) => Ok((
                format!("{}/{}", entry.display(), write.file),
                write.value.clone(),
                write.pointer.clone().into_owned(),
            )),
            None => Err(self.no_controller(write, version)),
        };
        writes.iter().map(shown).collect()
    }

    fn set(&self, resources: &Resources<'_>, devices: Option<&DeviceRules>, fresh: bool) -> Result<()> {
        let version = self.version();
        let rounded = self.unit.is_some().then(|| systemd::rounded(resources));
        let writes = limits::writes(rounded.as_deref().unwrap_or(resources), version)?;
        if let (Version::V2, Some(entry)) = (version, self.v2()) {
            limits::check_usage(entry, resources)?;
        }
        if let Some(unit) = &self.unit {
            unit.set(&unit.limits(resources, devices, version)?)?;
        }
        self.perform(&writes, version)?;
        match devices.filter(|_| !weak::is(Weakness::AllDevices)) {
            Some(rules) => self.limit_devices(rules, fresh),
            None => Ok(()),
        }
    }

    /// Performs the writes in order; those that the kernel calls invalid are tried once more when all others are done,
    /// as some values are valid only together.
    fn perform(&self, writes: &[Write], version: Version) -> Result<()> {
        let mut postponed: Vec<(&Entry, &Write)> = Vec::new();
        for write in writes {
            let Some(entry) = self.of(write.controller) else { return Err(self.no_controller(write, version)) };
            match perform(entry, write) {
                Ok(()) => {}
                Err(Errno::INVAL) => postponed.push((entry, write)),
                Err(e) => return Err(self.explain(entry, write, e)),
            }
        }
        postponed
            .iter()
            .try_for_each(|(entry, write)| perform(entry, write).map_err(|e| self.explain(entry, write, e)))?;
        writes.iter().filter(|write| write.read_back).try_for_each(|write| self.check_written(write))
    }

    fn check_written(&self, write: &Write) -> Result<()> {
        let Some(entry) = self.of(write.controller) else { return Ok(()) };
        let (Ok(got), Ok(asked)) = (read_value(entry, &write.file), write.value.parse::<u64>()) else { return Ok(()) };
        let bound = match got.parse::<u64>() {
            Ok(number) if number < asked => "maximum",
            Ok(number) if number > asked => "minimum",
            _ => return Ok(()),
        };
        let reason = format!("the {bound} allowed value of {} is {got}", write.file);
        Err(Error::invalid(write.pointer.clone(), ATTEMPTED, reason).object(write_text(entry, write)))
    }

    /// The error for a limit whose v1 controller is not mounted, or was left out for lack of permission.
    fn no_controller(&self, write: &Write, version: Version) -> Error {
        let name = write.controller.name(version);
        let reason = if self.rootless {
            format!("cannot set {name} limit: container could not join or create cgroup")
        } else {
            format!("the {name} controller is not mounted")
        };
        let error = Error::unsupported(write.pointer.clone(), ATTEMPTED, reason);
        if self.rootless {
            return error.advice(
                "rootless needs no limits + no cgrouppath when no permission is granted for cgroups; have the cgroup \
                 delegated (systemd: Delegate=yes)",
            );
        }
        error
    }

    fn explain(&self, entry: &Entry, write: &Write, errno: Errno) -> Error {
        let missing = (errno == Errno::NOENT).then(|| missing_controller(entry, write)).flatten();
        let error = match missing {
            Some(reason) => Error::unsupported(write.pointer.clone(), ATTEMPTED, reason),
            None => Error::kernel(errno.raw_os_error(), ATTEMPTED).field(write.pointer.clone()),
        };
        let error = error.object(write_text(entry, write));
        let known = match errno {
            Errno::BUSY => limits::explain_busy(entry, &write.file, &write.value),
            Errno::INVAL => limits::explain_invalid(entry, &write.file),
            _ => None,
        };
        match known {
            Some(reason) => error.reason(reason),
            None if self.rootless && errno == Errno::ACCESS => {
                error.advice("have the cgroup delegated (systemd: Delegate=yes)")
            }
            None => error,
        }
    }
}

fn write_text(entry: &Entry, write: &Write) -> String {
    format!("write {:?} to {}/{}", write.value, entry.display(), write.file)
}

/// Which controller is missing, if the file is missing because its controller is.
fn missing_controller(entry: &Entry, write: &Write) -> Option<String> {
    if entry.version == Version::V1 {
        return Some(format!("the kernel's {} controller has no such file", entry.list));
    }
    let name = write.file.split('.').next().unwrap_or_default();
    let enabled = read_value(entry, "cgroup.controllers").ok()?;
    if name == "cgroup" || enabled.split_ascii_whitespace().any(|other| other == name) {
        return Some(format!("the kernel's {name} controller has no such file"));
    }
    Some(format!("controller {name:?} not available in this cgroup, which has {enabled:?}"))
}

/// Writes the value. Several lines (they occur in unified resources) are one write each.
fn perform(entry: &Entry, write: &Write) -> rustix::io::Result<()> {
    let dir = entry.dir()?;
    let (fd, value) = match (file::open(dir, &write.file, OFlags::WRONLY), &write.otherwise) {
        (Err(Errno::NOENT), Some((name, value))) => (file::open(dir, name, OFlags::WRONLY), value),
        (result, _) => (result, &write.value),
    };
    match fd {
        Err(Errno::NOENT) if write.optional => Ok(()),
        fd => {
            let fd = fd?;
            value.split_inclusive('\n').try_for_each(|line| file::write_to(fd.as_fd(), line))
        }
    }
}
