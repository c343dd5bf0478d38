// SPDX-License-Identifier: Apache-2.0
//! A container's cgroup: one directory in each hierarchy, chosen before anything is made, and recorded so that a later
//! command finds all of it even if the one that made it was killed halfway.

use crate::devices::DeviceRules;
use crate::file;
use crate::layout::{Controller, Controllers, Layout, Mode, Version, mount_point, open_root};
use crate::path::{self, open_beneath};
use crate::systemd::{self, Instance, Unit};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::OnceCell;
use insula_error::{Error, Kind, Result};
use insula_spec::Resources;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

pub(crate) const POINTER: &str = "/linux/cgroupsPath";

/// The container's directory in one hierarchy.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As in [`crate::layout::Hierarchy`].
    pub(crate) mount: String,
    pub(crate) list: String,
    pub(crate) controllers: Controllers,
    pub(crate) version: Version,
    /// Clean path below the mount; never empty.
    pub(crate) path: String,
    root: OnceCell<OwnedFd>,
    pub(crate) dir: OnceCell<OwnedFd>,
}

impl Entry {
    /// The hierarchy's root directory.
    pub(crate) fn root(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        if self.root.get().is_none() {
            let _ = self.root.set(open_root(&self.mount)?);
        }
        self.root.get().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    /// The container's directory.
    pub(crate) fn dir(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        if self.dir.get().is_none() {
            let _ = self.dir.set(open_beneath(self.root()?, &self.path, OFlags::PATH | OFlags::DIRECTORY)?);
        }
        self.dir.get().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    /// Full path of the directory, for messages.
    pub(crate) fn display(&self) -> String {
        format!("{}/{}", mount_point(&self.mount), self.path)
    }

    /// An error for a call on the file `name` of the directory.
    pub(crate) fn error(&self, errno: Errno, attempted: &'static str, name: &str) -> Error {
        Error::kernel(errno.raw_os_error(), attempted).object(format!("{}/{name}", self.display()))
    }

    /// Refuses a directory that was there before if it has processes (but for `ours`) or is frozen.
    pub(crate) fn check_unused(&self, ours: Option<i32>) -> Result<()> {
        let refuse = |reason: String| {
            let advice = "choose another cgroupsPath, or remove what is in this one";
            Err(Error::state("use the cgroup", reason).object(self.display()).field(POINTER).advice(advice))
        };
        if weak::is(Weakness::AnyCgroup) {
            return Ok(());
        }
        let dir = self.dir().map_err(|e| self.error(e, "look into the cgroup", ""))?;
        let mut members = Vec::new();
        crate::members::collect(dir, &mut members, true)
            .map_err(|e| self.error(e, "look into the cgroup", "cgroup.procs"))?;
        members.retain(|pid| Some(*pid) != ours);
        if !members.is_empty() {
            return refuse(format!("container's cgroup is not empty: {} process(es) found", members.len()));
        }
        if crate::freezer::is_frozen(self).map_err(|e| self.error(e, "look into the cgroup", "freezer"))? {
            return refuse("container's cgroup unexpectedly frozen".to_string());
        }
        Ok(())
    }

    /// Refuses a directory below a frozen one.
    pub(crate) fn check_above(&self) -> Result<()> {
        let frozen = crate::freezer::is_frozen_from_above(self);
        if !frozen.map_err(|e| self.error(e, "look into the cgroup", "freezer"))? {
            return Ok(());
        }
        Err(Error::state("use the cgroup", "a cgroup above it is frozen, and no process could begin in it")
            .object(self.display())
            .field(POINTER)
            .advice("thaw it, or choose another cgroupsPath"))
    }

    /// Whether losing this hierarchy does no harm: nothing is limited or counted in it (COMPAT(runc)).
    pub(crate) fn is_for_tracking(&self) -> bool {
        if self.version == Version::V2 {
            !self.mount.is_empty()
        } else {
            self.controllers == Controllers::parse("name=systemd")
        }
    }
}

/// Who makes a container's cgroup.
pub enum Driver<'a> {
    /// The caller: directories in the cgroup file systems.
    Cgroupfs,
    /// systemd: a unit, which annotations (key and value) may give properties.
    Systemd(&'a mut dyn Iterator<Item = (&'a str, &'a str)>),
}

/// A container's cgroup in all hierarchies.
#[derive(Debug)]
pub struct Group {
    pub(crate) entries: Vec<Entry>,
    pub(crate) rootless: bool,
    /// The unit of systemd that the directories belong to.
    pub(crate) unit: Option<Unit>,
    /// Whether the document chose the path, so that failing to make it is not to be overlooked.
    pub(crate) explicit: bool,
    /// Whether the document's cpuset is to be written before it is inherited.
    pub(crate) own_cpus: bool,
    pub(crate) own_mems: bool,
}

impl Group {
    /// Chooses the directories of container `id`. Makes nothing.
    ///
    /// `cgroups_path` (`linux.cgroupsPath`, empty if absent) counts from the mount if it is absolute, else from the
    /// caller's own cgroup, on v2 from the parent of that; `id` stands for an absent one (COMPAT(runc)). Parts `..`
    /// are resolved before, so they cannot lead out.
    ///
    /// # Errors
    /// `InvalidConfig` for a path that names no cgroup of its own; `State` if the cgroup is there and has processes or
    /// is frozen (runtime-spec, config-linux.md, "Cgroups Path"); `Unsupported` if device access cannot be limited.
    pub fn plan(
        layout: Layout,
        id: &str,
        cgroups_path: &str,
        resources: &Resources<'_>,
        rootless: bool,
    ) -> Result<Self> {
        Self::plan_by(Driver::Cgroupfs, layout, id, cgroups_path, resources, rootless)
    }

    /// As [`Self::plan`], with who makes the cgroup. For systemd `cgroups_path` is `slice:prefix:name`, and the unit is the
    /// user's own systemd's for a rootless caller.
    ///
    /// # Errors
    /// As [`Self::plan`]; `InvalidConfig` for annotations that are no properties; for the user's systemd also those of
    /// asking it where its cgroups are.
    pub fn plan_by(
        driver: Driver<'_>,
        layout: Layout,
        id: &str,
        cgroups_path: &str,
        resources: &Resources<'_>,
        rootless: bool,
    ) -> Result<Self> {
        let unified = layout.mode() == Mode::Unified;
        let instance = if rootless { Instance::User } else { Instance::System };
        if let Driver::Systemd(annotations) = driver {
            if !unified && rootless {
                let reason = "the user's systemd has no part in cgroup v1";
                return Err(Error::new(Kind::Unsupported, "let systemd make the cgroup").reason(reason));
            }
            let (unit, path) = Unit::plan(id, cgroups_path, annotations, resources, instance)?;
            let group = Self::at(layout, &path, true, Some(unit), resources, rootless)?;
            return Ok(Self { explicit: true, ..group });
        }
        let name = path::clean(if cgroups_path.is_empty() { id } else { cgroups_path }, POINTER)?;
        if name.is_empty() {
            return Err(Error::invalid(
                POINTER,
                "choose the cgroup",
                format!("{cgroups_path:?} names no cgroup of its own"),
            ));
        }
        let absolute = cgroups_path.starts_with('/');
        let group = Self::at(layout, &name, absolute, None, resources, rootless)?;
        Ok(Self { explicit: !cgroups_path.is_empty(), ..group })
    }

    /// The directories `name` (clean) in all hierarchies.
    fn at(
        layout: Layout,
        name: &str,
        absolute: bool,
        unit: Option<Unit>,
        resources: &Resources<'_>,
        rootless: bool,
    ) -> Result<Self> {
        let unified = layout.mode() == Mode::Unified;
        let mut entries = Vec::with_capacity(layout.hierarchies.len());
        for hierarchy in layout.hierarchies {
            let base = match (absolute, hierarchy.version) {
                (false, Version::V1) => hierarchy.own_beneath()?,
                (false, Version::V2) if unified => path::split(&hierarchy.own).0.to_string(),
                _ => String::new(),
            };
            entries.push(Entry {
                path: path::join(&base, name),
                mount: hierarchy.mount,
                list: hierarchy.list,
                controllers: hierarchy.controllers,
                version: hierarchy.version,
                root: OnceCell::from(hierarchy.root),
                dir: OnceCell::new(),
            });
        }
        let cpu = resources.cpu.as_ref();
        let group = Self {
            entries,
            rootless,
            unit,
            explicit: true,
            own_cpus: cpu.and_then(|cpu| cpu.cpus.as_ref()).is_some_and(|cpus| !cpus.is_empty()),
            own_mems: cpu.and_then(|cpu| cpu.mems.as_ref()).is_some_and(|mems| !mems.is_empty()),
        };
        if !unified && !rootless && group.v1(Controller::Devices).is_none() {
            let reason = "the devices controller is not mounted, so access to devices could not be limited";
            return Err(Error::unsupported("/linux/resources/devices", "choose the cgroup", reason));
        }
        for entry in &group.entries {
            if entry.dir().is_ok() {
                entry.check_unused(None)?;
            }
        }
        Ok(group)
    }

    /// The unit of systemd that will be asked for, if any: its name, whose it is, and its properties in words.
    pub fn planned_unit(&self) -> Option<(&str, Instance, Vec<String>)> {
        let unit = self.unit.as_ref()?;
        Some((&unit.name, unit.instance, unit.planned_start(self.version())))
    }

    /// The properties, in words, that a unit will be given for `resources`, by a systemd that knows all of them.
    pub fn planned_properties(&self, resources: &Resources<'_>, devices: &DeviceRules) -> Vec<String> {
        self.unit.as_ref().map(|_| systemd::planned_limits(resources, devices, self.version())).unwrap_or_default()
    }

    /// The version of the hierarchies that limits are set in.
    pub(crate) fn version(&self) -> Version {
        if self.is_unified() { Version::V2 } else { Version::V1 }
    }

    /// What [`Self::from_record`] needs of the unit, if there is one.
    pub fn unit_record(&self) -> Option<String> {
        self.unit.as_ref().map(Unit::record)
    }

    /// All that [`Self::from_record`] needs, for whoever may have to take back what another command began.
    pub fn intent(&self) -> Vec<String> {
        self.unit_record().into_iter().chain(self.record()).collect()
    }

    /// What [`Self::from_record`] needs: `controllers:mount:/path` for each directory.
    pub fn record(&self) -> Vec<String> {
        self.entries.iter().map(|entry| format!("{}:{}:/{}", entry.list, entry.mount, entry.path)).collect()
    }

    /// The cgroup that an earlier command planned. Nothing is opened until it is needed.
    ///
    /// # Errors
    /// `State` if a line is not as [`Self::record`] writes it.
    pub fn from_record<S: AsRef<str>>(lines: &[S], rootless: bool) -> Result<Self> {
        let mut group =
            Self { entries: Vec::new(), rootless, unit: None, explicit: true, own_cpus: false, own_mems: false };
        for line in lines.iter().map(AsRef::as_ref) {
            if line.starts_with('@') {
                group.unit = Some(Unit::from_record(line).ok_or_else(|| torn(line))?);
            } else {
                group.entries.push(parse_record(line)?);
            }
        }
        Ok(group)
    }

    /// The directories' full paths by controllers, as runc's state shows them: v2's has an empty key.
    pub fn paths(&self) -> impl Iterator<Item = (&str, String)> {
        self.entries.iter().map(|entry| (&*entry.list, entry.display()))
    }

    /// Whether v2 is the host's only hierarchy.
    pub fn is_unified(&self) -> bool {
        self.entries.iter().all(|entry| entry.version == Version::V2)
    }

    /// Whether there is no cgroup at all (rootless without permission).
    pub fn is_none(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any of the directories exists.
    pub fn exists(&self) -> bool {
        let probe = |entry: &Entry| open_beneath(entry.root()?, &entry.path, OFlags::PATH | OFlags::DIRECTORY);
        self.entries.iter().any(|entry| probe(entry).is_ok())
    }

    /// The directory in the v1 hierarchy of `controller`.
    pub(crate) fn v1(&self, controller: Controller) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.controllers.contains(controller))
    }

    /// The directory in the v2 hierarchy, be it the only one or hybrid's.
    pub(crate) fn v2(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.version == Version::V2)
    }

    /// The directory where `controller` is to be found, whatever the version.
    pub(crate) fn of(&self, controller: Controller) -> Option<&Entry> {
        if self.is_unified() { self.v2() } else { self.v1(controller) }
    }
}

fn torn(line: &str) -> Error {
    Error::state("read the record of the cgroup", format!("the line {line:?} is not one of ours"))
}

fn parse_record(line: &str) -> Result<Entry> {
    let torn = || torn(line);
    let mut parts = line.splitn(3, ':');
    let (Some(list), Some(mount), Some(path)) = (parts.next(), parts.next(), parts.next()) else { return Err(torn()) };
    let path = path.strip_prefix('/').ok_or_else(torn)?;
    if path.is_empty() || path::clean(path, "")? != path || mount.contains('/') || mount == ".." || mount == "." {
        return Err(torn());
    }
    Ok(Entry {
        mount: mount.to_string(),
        list: list.to_string(),
        controllers: Controllers::parse(list),
        version: if list.is_empty() { Version::V2 } else { Version::V1 },
        path: path.to_string(),
        root: OnceCell::new(),
        dir: OnceCell::new(),
    })
}

/// Reads a file of `entry` and cuts the newline off.
pub(crate) fn read_value(entry: &Entry, name: &str) -> rustix::io::Result<String> {
    let mut text = file::read(entry.dir()?, name)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_a_round_trip() {
        let lines = ["cpu,cpuacct:cpu,cpuacct:/a/b:c", ":unified:/x", "name=systemd:systemd:/user.slice/y", "::/z"];
        let group = Group::from_record(&lines, false).unwrap();
        assert_eq!(group.record(), lines);
        assert!(
            group.v1(Controller::Cpuacct).is_some_and(|entry| entry.display() == "/sys/fs/cgroup/cpu,cpuacct/a/b:c")
        );
        assert_eq!(group.v2().map(Entry::display).as_deref(), Some("/sys/fs/cgroup/unified/x"));
        let paths: Vec<_> = group.paths().collect();
        assert_eq!(paths[3], ("", "/sys/fs/cgroup/z".to_string()));
    }

    #[test]
    fn records_that_lead_elsewhere_are_refused() {
        for line in [
            "",
            "memory",
            "memory:memory",
            "memory:memory:x",
            "memory:memory:/",
            "memory:memory:/../x",
            "memory:..:/x",
            "m:a/b:/x",
        ] {
            assert_eq!(Group::from_record(&[line], false).unwrap_err().kind(), Kind::State, "{line:?}");
        }
    }

    #[test]
    fn tracking_hierarchies_limit_nothing() {
        let group =
            Group::from_record(&["name=systemd:systemd:/a", ":unified:/a", "memory:memory:/a", "::/a"], false).unwrap();
        let tracking: Vec<bool> = group.entries.iter().map(Entry::is_for_tracking).collect();
        assert_eq!(tracking, [true, true, false, false]);
    }
}
