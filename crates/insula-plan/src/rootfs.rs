// SPDX-License-Identifier: Apache-2.0
//! The root file system: attach it, fill it, leave the host's.

use crate::compile::{Planner, Slot, TreeSource};
use crate::field::Field;
use crate::namespaces::Phase;
use crate::text;
use crate::{label, mount};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::{Device, Spec};
use insula_steps::message::Part;
use insula_steps::{Fd, Step, Strings};
use insula_sys::mount::{attr, propagation};

const PHASE: Phase = Phase::Rootfs;

/// Device nodes that every container has (runtime-spec, config-linux.md, "Default Devices"): name, major, minor.
const DEFAULT_DEVICES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Paths of the device nodes that every container has.
pub fn default_devices() -> impl Iterator<Item = &'static str> {
    DEFAULT_DEVICES.iter().map(|(path, ..)| *path)
}

/// Links that every container has (runtime-spec, config-linux.md, "Dev symbolic links").
const DEFAULT_LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// The root's propagation, from `linux.rootfsPropagation`: type, and whether the document chose it.
pub(crate) fn propagation_of(planner: &Planner<'_>) -> (u64, bool) {
    match planner.spec.linux.rootfs_propagation.as_deref() {
        Some("shared" | "rshared") => (propagation::SHARED, true),
        Some("private" | "rprivate") => (propagation::PRIVATE, true),
        Some("unbindable" | "runbindable") => (propagation::UNBINDABLE, true),
        Some("slave" | "rslave") => (propagation::SLAVE, true),
        _ => (propagation::SLAVE, false),
    }
}

fn check_propagation(planner: &Planner<'_>) -> Result<()> {
    let known = ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"];
    match planner.spec.linux.rootfs_propagation.as_deref().filter(|value| !value.is_empty()) {
        Some(value) if !known.contains(&value) => Err(Error::invalid(
            "/linux/rootfsPropagation",
            "set the root's propagation",
            format!("there is no propagation {value:?}"),
        )
        .advice("use shared, slave, private or unbindable, with an r before it for the whole tree")),
        _ => Ok(()),
    }
}

/// Everything from the first mount to the new root.
pub(crate) fn plan(planner: &mut Planner<'_>) -> Result<()> {
    check_propagation(planner)?;
    let spec = planner.spec;
    let Some(root) = &spec.root else {
        return Err(Error::invalid("/root", "set up the root file system", "there is none"));
    };
    let (wanted, chosen) = propagation_of(planner);
    let field = if chosen { Field::At("/linux/rootfsPropagation") } else { Field::None };
    if planner.own_mounts() {
        // Before the first mount, nothing may flow back to the host. A private root also hides the host's later mounts.
        let first = if wanted == propagation::SHARED { propagation::SLAVE } else { wanted };
        let first = if first == propagation::UNBINDABLE { propagation::PRIVATE } else { first };
        planner.step(PHASE, field, Step::Propagate { propagation: first, recursive: 1 });
    }
    attach_root(planner, &root.path);
    mount::plan(planner)?;
    if !mount::dev_is_bound(planner) {
        devices(planner)?;
        links(planner);
    }
    hooks(planner);
    terminal(planner);
    paths(planner);
    mount::finish(planner);
    if root.readonly {
        let step = Step::Change { target: c"/", set: attr::RDONLY, clear: 0, propagation: 0, recursive: 0 };
        planner.step(PHASE, Field::At("/root/readonly"), step);
    }
    let leave = match (planner.own_mounts(), planner.options.no_pivot) {
        // A root that is not the process's alone is never replaced.
        (false, _) => Step::Chroot { fd: Fd::NONE },
        (true, true) => Step::MoveRoot {},
        (true, false) => Step::Pivot {},
    };
    planner.step(PHASE, Field::At("/root/path"), leave);
    null_streams(planner);
    if chosen && wanted != propagation::PRIVATE {
        planner.step(PHASE, field, Step::Propagate { propagation: wanted, recursive: 0 });
    }
    Ok(())
}

/// Where hooks look at the root file system before the root changes, it must lie at its path; otherwise it is put over
/// `/`, which needs no look-up of a host path by the container's user.
fn attach_root(planner: &mut Planner<'_>, path: &str) {
    let field = Field::At("/root/path");
    let path = mount::host_path(&planner.facts.bundle, path);
    let hooks = &planner.spec.hooks;
    let seen = !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && hooks.create_container.is_empty());
    let at = if seen || planner.options.no_pivot { text::c_str(&path) } else { c"" };
    // Only a root that is asked to be a slave goes on receiving what the host mounts below it.
    let received = match propagation_of(planner) {
        (propagation::SLAVE, true) => propagation::SLAVE,
        _ => propagation::PRIVATE,
    };
    let tree = TreeSource {
        path,
        recursive: true,
        directory: true,
        propagation: Vec::from([(received, true)]),
        ..TreeSource::default()
    };
    let fd = planner.slot_for(Slot::Tree(tree), field);
    let step = if planner.own_mounts() {
        Step::Root { fd, at }
    } else {
        Step::Anchor { fd, at: planner.slot_for(Slot::Anchor, field) }
    };
    planner.step(PHASE, field, step);
}

fn devices(planner: &mut Planner<'_>) -> Result<()> {
    let spec = planner.spec;
    for (path, major, minor) in DEFAULT_DEVICES {
        if !spec.linux.devices.iter().any(|device| mount::clean(&device.path) == *path) {
            device(planner, Field::None, path, CHARACTER | 0o666, (*major, *minor), (0, 0));
        }
    }
    for (index, entry) in spec.linux.devices.iter().enumerate() {
        let field = Field::Entry("/linux/devices", index);
        let kind = device_kind(entry, field)?;
        let number = |value: i64, name: &str, bits: u32| {
            u32::try_from(value).ok().filter(|n| *n < 1 << bits).ok_or_else(|| {
                Error::invalid(
                    format!("{field}/{name}"),
                    format!("make device {}", entry.path),
                    format!("{value} is no device number"),
                )
            })
        };
        let numbers =
            if kind == FIFO { (0, 0) } else { (number(entry.major, "major", 12)?, number(entry.minor, "minor", 20)?) };
        let mode = kind | entry.file_mode.unwrap_or(0o666) & 0o7777;
        let owner = (entry.uid.unwrap_or(0), entry.gid.unwrap_or(0));
        let path = mount::clean(&entry.path);
        // The container's own, to which the link leads, rather than the host's.
        if path != "/dev/ptmx" || numbers != (5, 2) || !has_devpts(planner) {
            device(planner, field, &path, mode, numbers, owner);
        }
    }
    Ok(())
}

fn device_kind(device: &Device<'_>, field: Field) -> Result<u32> {
    match device.kind.as_str() {
        "c" | "u" => Ok(CHARACTER),
        "b" => Ok(BLOCK),
        "p" => Ok(FIFO),
        other => Err(Error::invalid(
            format!("{field}/type"),
            format!("make device {}", device.path),
            format!("there is no type {other:?}"),
        )
        .advice("use c, b, u or p")),
    }
}

/// In a user namespace mknod(2) is refused, so the host's node of that path is bound; a fifo is no device and is made.
fn device(planner: &mut Planner<'_>, field: Field, path: &str, mode: u32, numbers: (u32, u32), owner: (u32, u32)) {
    let bind = if (planner.other_user() || planner.facts.inner_user) && mode & 0o170_000 != FIFO {
        let tree = TreeSource {
            path: String::from(path),
            device: Some(numbers),
            propagation: Vec::from([(propagation::PRIVATE, false)]),
            ..TreeSource::default()
        };
        planner.slot_for(Slot::Tree(tree), field)
    } else {
        Fd::NONE
    };
    let (major, minor) = numbers;
    let (uid, gid) = owner;
    planner.step(PHASE, field, Step::Device { path: text::c_str(path), mode, major, minor, uid, gid, bind });
}

fn links(planner: &mut Planner<'_>) {
    for (path, to) in DEFAULT_LINKS {
        planner.step(PHASE, Field::None, Step::Link { path: text::c_str(path), to: text::c_str(to) });
    }
    if has_devpts(planner) {
        planner.step(PHASE, Field::None, Step::Link { path: c"/dev/ptmx", to: c"pts/ptmx" });
    }
}

fn has_devpts(planner: &Planner<'_>) -> bool {
    planner.spec.mounts.iter().any(|mount| mount.kind.as_deref() == Some("devpts"))
}

fn hooks(planner: &mut Planner<'_>) {
    let hooks = &planner.spec.hooks;
    if !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && hooks.create_container.is_empty()) {
        planner.step(PHASE, Field::At("/hooks"), Step::Ask { part: Part::Hooks as u32 });
    }
}

/// The terminal needs the container's devpts and /dev/console's place, so it comes before /dev can turn read-only.
fn terminal(planner: &mut Planner<'_>) {
    let Some(process) = planner.spec.process.as_ref().filter(|process| process.terminal) else { return };
    let (rows, columns) = process
        .console_size
        .as_ref()
        .map_or((0, 0), |size| (size.height.min(65535) as u32, size.width.min(65535) as u32));
    planner.plan.terminal = true;
    planner.step(PHASE, Field::At("/process/terminal"), Step::Terminal { rows, columns, console: 1 });
}

/// Of a process without a terminal, which would take the streams' place.
pub(crate) fn null_streams(planner: &mut Planner<'_>) {
    let fds = planner.facts.streams.null;
    if fds != 0 && planner.spec.process.as_ref().is_some_and(|process| !process.terminal) {
        planner.step(Phase::Process, Field::None, Step::NullStreams { fds });
    }
}

fn paths(planner: &mut Planner<'_>) {
    let spec = planner.spec;
    for (index, path) in spec.linux.readonly_paths.iter().enumerate() {
        let path = mount::clean(path);
        // On procfs nothing else is mounted but what the document names there.
        let alone = path.starts_with("/proc/") && !mount::has_below(planner, &path);
        let step = Step::ReadOnly { path: text::c_str(&path), alone: u32::from(alone) };
        planner.step(PHASE, Field::Entry("/linux/readonlyPaths", index), step);
    }
    if spec.linux.masked_paths.is_empty() {
        return;
    }
    // The host's own /dev/null, checked for its numbers: the container's could be anything (CVE-2025-31133).
    let tree = TreeSource {
        path: String::from("/dev/null"),
        device: Some((1, 3)),
        propagation: Vec::from([(propagation::PRIVATE, false)]),
        ..TreeSource::default()
    };
    let null = planner.slot_for(Slot::Tree(tree), Field::At("/linux/maskedPaths"));
    let options = label::option(planner, "tmpfs").map_or(Strings::EMPTY, |label| text::strings([label.as_str()]));
    for (index, path) in spec.linux.masked_paths.iter().enumerate() {
        if spec.linux.masked_paths[..index].contains(path) {
            continue;
        }
        let step = Step::Mask { path: text::c_str(&mount::clean(path)), null, options };
        planner.step(PHASE, Field::Entry("/linux/maskedPaths", index), step);
    }
}

/// The first of what takes mounts to be applied.
fn mounted(spec: &Spec<'_>) -> Option<&'static str> {
    [
        (!spec.mounts.is_empty(), "/mounts"),
        (!spec.linux.masked_paths.is_empty(), "/linux/maskedPaths"),
        (!spec.linux.readonly_paths.is_empty(), "/linux/readonlyPaths"),
        (!spec.linux.devices.is_empty(), "/linux/devices"),
        (spec.linux.rootfs_propagation.as_ref().is_some_and(|name| !name.is_empty()), "/linux/rootfsPropagation"),
        (spec.root.as_ref().is_some_and(|root| root.readonly), "/root/readonly"),
        (spec.process.as_ref().is_some_and(|process| process.terminal), "/process/terminal"),
    ]
    .into_iter()
    .find_map(|(present, pointer)| present.then_some(pointer))
}

/// A document whose mount namespace is the caller's or another container's. Its root is never replaced: every other member
/// would lose its own. In the caller's all mounts lie below one of insula's, which `delete` takes away; in another
/// container's nothing is mounted.
pub(crate) fn without_namespace(planner: &mut Planner<'_>) -> Result<()> {
    let spec = planner.spec;
    let callers = planner.callers_mounts();
    if let Some(pointer) = mounted(spec) {
        if callers && !planner.other_user() {
            return plan(planner);
        }
        let reason = if callers {
            "the mount namespace is the host's, in which the container's user namespace may mount nothing"
        } else {
            "the mount namespace is another's: what is mounted there stays behind for all its members"
        };
        return Err(Error::invalid(pointer, format!("apply {}", &pointer[1..]), reason).advice(
            "add {\"type\": \"mount\"} without a path to /linux/namespaces, or leave out mounts, maskedPaths, \
             readonlyPaths and devices",
        ));
    }
    hooks(planner);
    if !callers {
        // Its root is the joined namespace's own root.
        return Ok(());
    }
    let Some(root) = &spec.root else {
        return Err(Error::invalid("/root", "set up the root file system", "there is none"));
    };
    let path = mount::host_path(&planner.facts.bundle, &root.path);
    let fd = planner.slot_for(Slot::Directory(path), Field::At("/root/path"));
    planner.step(PHASE, Field::At("/root/path"), Step::Chroot { fd });
    Ok(())
}
