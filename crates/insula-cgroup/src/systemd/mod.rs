// SPDX-License-Identifier: Apache-2.0
//! A container's cgroup as a unit of systemd: a scope (or slice), asked for over D-Bus. Loaded only for
//! `--systemd-cgroup`. Source: systemd's "Control Group APIs and Delegation", org.freedesktop.systemd1(5),
//! systemd.resource-control(5).
//!
//! A scope begins with a process: systemd moves the one it is given. Here that is a placeholder, which waits in the new
//! cgroup until init is born there, so that all else is as without systemd: limits before the first process, birth in
//! the cgroup. What systemd has properties for is set by them, since it would undo other writes; then the files of the
//! cgroup are written as ever, for all that it knows nothing of.
//!
//! Crash safety: the unit's name is in the intent before the unit is asked for; the placeholder ends with the runtime,
//! and systemd removes a scope in which no process is left.

mod annotations;
mod environment;
mod manager;
mod names;
mod placeholder;
mod properties;

pub(crate) use placeholder::Placeholder;
pub(crate) use properties::rounded;

use crate::devices::DeviceRules;
use crate::group::POINTER;
use crate::layout::Version;
use crate::path;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use insula_dbus::Value;
use insula_error::{Error, Result};
use insula_spec::Resources;
use manager::{Job, Manager};

/// Which systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// The host's, process 1.
    System,
    /// The caller's own, `systemd --user`.
    User,
}

/// Names in records.
static INSTANCES: [(Instance, &str); 2] = [(Instance::System, "@system:"), (Instance::User, "@user:")];

/// Properties of a unit, by name.
pub(crate) type Properties = Vec<(String, Value)>;

/// A unit that is to be, or is.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) instance: Instance,
    /// Unit of the slice above; unknown for a recorded unit.
    pub(crate) slice: String,
    /// The container's name, for the description.
    container: String,
    /// From annotations.
    extra: Properties,
    /// `memory.oom.group` of the document, which systemd takes at the start only.
    oom_group: Option<String>,
    manager: RefCell<Option<Manager>>,
}

impl Unit {
    /// Chooses the unit of container `id`, and its path below the hierarchies. `path` is `linux.cgroupsPath`:
    /// `slice:prefix:name`, or empty for `:runc:id`.
    ///
    /// # Errors
    /// `InvalidConfig` for a path of another form, a name that systemd does not take, an annotation that is no property;
    /// for the user's instance also those of asking where its cgroups are.
    pub(crate) fn plan(
        id: &str,
        path: &str,
        annotations: &mut dyn Iterator<Item = (&str, &str)>,
        resources: &Resources<'_>,
        instance: Instance,
    ) -> Result<(Self, String)> {
        let names = names::choose(id, path, instance)?;
        let unit = Self {
            name: names.unit,
            instance,
            slice: names.slice,
            container: names.container,
            extra: annotations::properties(annotations)?,
            oom_group: resources.unified.get("memory.oom.group").map(|value| value.trim().to_string()),
            manager: RefCell::new(None),
        };
        let base = match instance {
            Instance::System => String::new(),
            Instance::User => path::clean(&unit.ask(Manager::control_group)?, "")?,
        };
        let whole = path::join(&base, &names.path);
        Ok((unit, whole))
    }

    /// The unit that a line of a record names, if it names one.
    pub(crate) fn from_record(line: &str) -> Option<Self> {
        let (instance, name) =
            INSTANCES.iter().find_map(|(instance, mark)| Some((*instance, line.strip_prefix(mark)?)))?;
        let unit = Self {
            name: name.to_string(),
            instance,
            slice: String::new(),
            container: String::new(),
            extra: Vec::new(),
            oom_group: None,
            manager: RefCell::new(None),
        };
        names::is_unit(name).then_some(unit)
    }

    /// What [`Self::from_record`] reads.
    pub(crate) fn record(&self) -> String {
        let mark = INSTANCES.iter().find(|(instance, _)| *instance == self.instance).map_or("", |row| row.1);
        format!("{mark}{}", self.name)
    }

    /// Whether it is a slice: that has no processes of its own, and so no first one.
    pub(crate) fn is_slice(&self) -> bool {
        names::is_slice(&self.name)
    }

    /// Asks the manager, over the connection that is there or a new one.
    fn ask<T>(&self, question: impl FnOnce(&mut Manager) -> Result<T>) -> Result<T> {
        let mut held = self.manager.borrow_mut();
        let manager = match &mut *held {
            Some(manager) => manager,
            none => none.insert(Manager::connect(self.instance)?),
        };
        question(manager)
    }

    /// The properties that it is started with, in order.
    pub(crate) fn start_properties(&self, version: Version, pid: Option<i32>) -> Properties {
        let mut list = Properties::new();
        let mut add = |name: &str, value: Value| list.push((name.to_string(), value));
        add("Description", Value::Text(format!("libcontainer container {}", self.container)));
        if self.is_slice() {
            add("Wants", Value::texts([&*self.slice]));
        } else {
            add("Slice", Value::text(&self.slice));
            add("Delegate", Value::Bool(true));
        }
        if let Some(pid) = pid {
            add("PIDs", Value::Array("u".to_string(), Vec::from([Value::U32(pid as u32)])));
        }
        let io = if version == Version::V1 { "BlockIOAccounting" } else { "IOAccounting" };
        for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
            add(name, Value::Bool(true));
        }
        add("DefaultDependencies", Value::Bool(false));
        list.extend(self.extra.iter().cloned());
        list
    }

    /// In words, for `plan`: what it is started with.
    pub(crate) fn planned_start(&self, version: Version) -> Vec<String> {
        let mut start = self.start_properties(version, None);
        start.extend(self.oom_group.as_ref().and_then(|value| properties::oom_policy(value, u32::MAX)));
        shown(&start)
    }

    /// Has systemd make the unit, with process `pid` in it.
    ///
    /// # Errors
    /// `State` with systemd's words; those of the connection.
    pub(crate) fn start(&self, version: Version, pid: Option<i32>) -> Result<()> {
        let mut properties = self.start_properties(version, pid);
        self.ask(|manager| {
            if let Some(value) = &self.oom_group {
                properties.extend(properties::oom_policy(value, manager.version()?));
            }
            manager.start_transient(&self.name, &properties)
        })
        .map_err(|e| e.field(POINTER))
    }

    /// The properties that `resources` asks for.
    pub(crate) fn limits(
        &self,
        resources: &Resources<'_>,
        devices: Option<&DeviceRules>,
        version: Version,
    ) -> Result<Properties> {
        let systemd = self.ask(Manager::version)?;
        Ok(properties::of(resources, devices, version, systemd))
    }

    /// Sets them, until the unit ends.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn set(&self, properties: &Properties) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        self.ask(|manager| manager.set_properties(&self.name, properties)).map_err(|e| e.field("/linux/resources"))
    }

    /// Has systemd forget the unit. One that is gone is fine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn stop(&self) -> Result<()> {
        self.ask(|manager| {
            match manager.stop(&self.name)? {
                Job::Done | Job::NoSuchUnit => {}
                Job::Ended(_) => {}
            }
            // A unit that failed (its processes were killed for lack of memory, say) stays until this.
            manager.reset_failed(&self.name)
        })
    }

    /// Puts this very process into a scope of its own in the instance's part of the tree.
    pub(crate) fn move_caller(&self) -> Result<()> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let properties = Vec::from([
            ("Description".to_string(), Value::text("insula, a container runtime at work")),
            ("Slice".to_string(), Value::text(names::USER_SLICE)),
            ("PIDs".to_string(), Value::Array("u".to_string(), Vec::from([Value::U32(pid as u32)]))),
            ("CollectMode".to_string(), Value::text("inactive-or-failed")),
        ]);
        self.ask(|manager| manager.start_transient(&format!("insula-{pid}.scope"), &properties))
    }
}

fn shown(list: &Properties) -> Vec<String> {
    list.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// In words, for `plan`: what is set once the unit is there, by a systemd that knows all of it.
pub(crate) fn planned_limits(resources: &Resources<'_>, devices: &DeviceRules, version: Version) -> Vec<String> {
    shown(&properties::of(resources, Some(devices), version, u32::MAX))
}

/// The error for a process that is not where its unit was to be.
pub(crate) fn misplaced(unit: &Unit, expected: &str, found: &str) -> Error {
    Error::new(insula_error::Kind::NotIsolated, "let systemd make the cgroup")
        .field(POINTER)
        .object(unit.name.as_str())
        .reason(format!("systemd put it at {found:?}, and /{expected} was expected"))
        .advice("leave the slice to cgroupsPath rather than to annotations; see `systemctl status` of the unit")
}
