// SPDX-License-Identifier: Apache-2.0
//! `mounts`: each entry becomes one step; what it needs from the host is a slot.

mod binds;
mod cgroup;
mod options;

pub use binds::{Bind, binds};
pub use options::known_options;

use crate::compile::{MountIds, Planner, Slot, TreeSource};
use crate::field::Field;
use crate::namespaces::{Phase, Want};
use crate::{label, text};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_spec::{IdMapping, Mount, Spec};
use insula_steps::{
    ATTACH_ON_PROC, ATTACH_PLAIN_DIR, Fd, MOUNT_COPY_UP, MOUNT_INHERIT_MODE, MOUNT_PARENT, MOUNT_PLAIN_DIR, Step,
};
use insula_sys::mount::{attr, propagation};
use options::Parsed;

/// Files of /proc that a bind mount may cover: what LXCFS and the like provide (runc's list).
const ON_PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// File systems whose read-only flag belongs to the mount alone: the superblock is shared with the host.
const SHARED: &[&str] = &["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "tmpfs"];

/// Plans every entry of `mounts`, in order.
pub(crate) fn plan(planner: &mut Planner<'_>) -> Result<()> {
    let spec = planner.spec;
    for (index, mount) in spec.mounts.iter().enumerate() {
        one(planner, index, mount)?;
    }
    Ok(())
}

/// Makes read-only what had to be written to until now.
pub(crate) fn finish(planner: &mut Planner<'_>) {
    for (field, target) in core::mem::take(&mut planner.read_only_later) {
        let target = text::c_str(&target);
        let step = Step::Change { target, set: attr::RDONLY, clear: 0, propagation: 0, recursive: 0 };
        planner.step(Phase::Rootfs, field, step);
    }
}

fn one(planner: &mut Planner<'_>, index: usize, mount: &Mount<'_>) -> Result<()> {
    let field = Field::Entry("/mounts", index);
    let target = in_root(planner, &mount.destination);
    let parsed = Parsed::parse(mount, index)?;
    if target == "/" {
        return Err(Error::invalid(format!("{field}/destination"), "mount", "the destination is the root itself")
            .advice("use /root for the root file system"));
    }
    let kind = mount.kind.as_deref().unwrap_or("");
    let binds = parsed.bind.is_some() || kind == "bind";
    if !binds && (!mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() || parsed.idmap.is_some()) {
        return Err(Error::unsupported(
            format!("{field}/uidMappings"),
            format!("map the ids of the mount {target}"),
            "only those of a bind mount can be mapped",
        ));
    }
    if parsed.remount {
        return remount(planner, field, &target, &parsed);
    }
    if binds {
        return bind(planner, field, mount, &target, &parsed);
    }
    match kind {
        "" => Err(Error::invalid(format!("{field}/type"), format!("mount {target}"), "there is no type")
            .advice("name a file system, or use the option bind or rbind")),
        "cgroup" | "cgroup2" => {
            cgroup::plan(planner, field, &target, &parsed);
            Ok(())
        }
        _ => new(planner, field, mount, kind, &target, &parsed),
    }
}

/// File systems that show a namespace; only who has rights over it may mount them.
const SHOWN: &[(&str, Kind)] = &[("proc", Kind::PID), ("sysfs", Kind::NETWORK), ("mqueue", Kind::IPC)];

/// The namespace that file system `kind` would show, if the container has no rights over it.
fn shows_foreign(planner: &Planner<'_>, kind: &str) -> Option<(&'static str, Kind)> {
    SHOWN.iter().find(|(fstype, shown)| *fstype == kind && planner.foreign(*shown)).copied()
}

/// A new file system.
fn new(
    planner: &mut Planner<'_>,
    field: Field,
    mount: &Mount<'_>,
    kind: &str,
    target: &str,
    parsed: &Parsed<'_>,
) -> Result<()> {
    let mut options: Vec<String> = Vec::with_capacity(parsed.data.len() + 2);
    if let Some(source) = mount.source.as_deref().filter(|source| !source.is_empty()) {
        options.push(format!("source={source}"));
    }
    if parsed.set & attr::RDONLY != 0 && !SHARED.contains(&kind) {
        options.push(String::from("ro"));
    }
    options.extend(parsed.superblock.iter().map(|flag| String::from(*flag)));
    for option in &parsed.data {
        if keeps(planner, field, kind, option)? {
            options.push(String::from(*option));
        }
    }
    options.extend(label::option(planner, kind));
    let mut flags = 0;
    if parsed.copy_up {
        flags |= MOUNT_COPY_UP;
    }
    if kind == "proc" || kind == "sysfs" {
        flags |= MOUNT_PLAIN_DIR;
    }
    if kind == "tmpfs" && target == "/dev" && !parsed.copy_up {
        flags |= MOUNT_PARENT;
    }
    let mut attributes = parsed.set | parsed.set_all;
    if kind == "tmpfs" && !options.iter().any(|option| option.starts_with("mode=")) {
        flags |= MOUNT_INHERIT_MODE;
    }
    // Other mounts and nodes may still have to be put into it.
    if attributes & attr::RDONLY != 0 && (kind == "tmpfs" || target == "/dev") {
        attributes &= !attr::RDONLY;
        planner.read_only_later.push((field, String::from(target)));
    }
    let propagation = parsed.propagation.last().map_or(0, |last| last.0);
    if let Some((fstype, shown)) = shows_foreign(planner, kind) {
        let fd = planner.early(field, shown, fstype, options, attributes)?;
        if propagation != 0 {
            let step = Step::Adjust { fd, set: 0, clear: 0, least: 0, propagation, recursive: 0 };
            planner.step(Phase::Rootfs, field, step);
        }
        let step = Step::Attach { fd, target: text::c_str(target), flags: ATTACH_PLAIN_DIR };
        planner.step(Phase::Rootfs, field, step);
        label::root(planner, kind, target);
        return Ok(());
    }
    let step = Step::Mount {
        fstype: text::c_str(kind),
        options: text::strings(options.iter().map(String::as_str)),
        attributes,
        propagation,
        target: text::c_str(target),
        flags,
    };
    planner.step(Phase::Rootfs, field, step);
    label::root(planner, kind, target);
    Ok(())
}

/// Whether an option can be given: a group that is not mapped in the container's user namespace would be refused with
/// EINVAL, and the default document's `gid=5` of devpts would then make a container with a single id impossible.
///
/// What is no group at all is an error here, so that the kernel's EINVAL can only mean one that is not mapped.
fn keeps(planner: &Planner<'_>, field: Field, kind: &str, option: &str) -> Result<bool> {
    let Some(value) = option.strip_prefix("gid=").filter(|_| kind == "devpts") else { return Ok(true) };
    // The largest number stands for "no group" (chown(2)).
    let Some(gid) = value.parse::<u32>().ok().filter(|gid| *gid != u32::MAX) else {
        let reason = format!("{option:?}: {value:?} is no group id");
        return Err(Error::invalid(format!("{field}/options"), "mount devpts", reason).advice("use a decimal number"));
    };
    let mappings = &planner.spec.linux.gid_mappings;
    let maps = |m: &insula_spec::IdMapping| gid.checked_sub(m.container_id).is_some_and(|offset| offset < m.size);
    Ok(mappings.is_empty() || mappings.iter().any(maps))
}

fn bind(planner: &mut Planner<'_>, field: Field, mount: &Mount<'_>, target: &str, parsed: &Parsed<'_>) -> Result<()> {
    let Some(source) = mount.source.as_deref().filter(|source| !source.is_empty()) else {
        return Err(Error::invalid(format!("{field}/source"), format!("bind to {target}"), "there is no source"));
    };
    if target.starts_with("/proc/") && !ON_PROC.contains(&target) {
        return Err(Error::invalid(
            format!("{field}/destination"),
            format!("mount {source} on {target}"),
            "it lies inside /proc: the container, and whoever enters it, would be fed false facts",
        )
        .advice("only a short list of files there can be covered, such as /proc/cpuinfo"));
    }
    let ids = mount_ids(planner, field, mount, parsed)?;
    let path = host_path(&planner.facts.bundle, source);
    if let Some(inside) = shown_by_earlier(planner, field, &path) {
        rebind(planner, field, (&inside, target), parsed, ids);
        return Ok(());
    }
    let tree = TreeSource {
        path,
        recursive: parsed.bind == Some(true),
        set: parsed.set,
        clear: parsed.bind_clear(),
        explicit: parsed.clear,
        locked: planner.other_user(),
        ids,
        set_all: parsed.set_all,
        clear_all: parsed.clear_all,
        propagation: tree_propagation(planner, parsed),
        procfs: target == "/proc",
        ..TreeSource::default()
    };
    let fd = planner.slot_for(Slot::Tree(tree), field);
    let flags = if target == "/proc" || target.starts_with("/proc/") { ATTACH_ON_PROC } else { 0 };
    planner.step(Phase::Rootfs, field, Step::Attach { fd, target: text::c_str(target), flags });
    Ok(())
}

/// How the ids of a bind mount are mapped: as the entry says, or with `idmap` alone as those of the container are.
fn mount_ids(planner: &Planner<'_>, field: Field, mount: &Mount<'_>, parsed: &Parsed<'_>) -> Result<Option<MountIds>> {
    let (users, groups) = (&mount.uid_mappings, &mount.gid_mappings);
    let attempted = "map the ids of a mount";
    if users.is_empty() != groups.is_empty() {
        let missing = if users.is_empty() { "uidMappings" } else { "gidMappings" };
        return Err(Error::invalid(format!("{field}/{missing}"), attempted, "both users and groups must be mapped"));
    }
    if users.is_empty() && parsed.idmap.is_none() {
        return Ok(None);
    }
    let recursive = parsed.idmap == Some(true);
    if !users.is_empty() {
        return Ok(Some(MountIds { users: ranges(users), groups: ranges(groups), recursive }));
    }
    let linux = &planner.spec.linux;
    match planner.wants[Kind::USER] {
        Want::New(_) => {
            Ok(Some(MountIds { users: ranges(&linux.uid_mappings), groups: ranges(&linux.gid_mappings), recursive }))
        }
        // The joined namespace itself says.
        Want::Join(_) => Ok(Some(MountIds { recursive, ..MountIds::default() })),
        Want::Inherit | Want::Stay(_) => Err(Error::invalid(
            format!("{field}/options"),
            attempted,
            "there are no mappings, and no user namespace to take them from",
        )
        .advice("give uidMappings and gidMappings")),
    }
}

fn ranges(mappings: &[IdMapping]) -> Vec<[u32; 3]> {
    mappings.iter().map(|m| [m.container_id, m.host_id, m.size]).collect()
}

/// The path inside the container, where the source lies in the root file system at a place that an earlier entry covers:
/// such a source can be looked up only once that entry is there.
fn shown_by_earlier(planner: &Planner<'_>, field: Field, source: &str) -> Option<String> {
    let Field::Entry(_, index) = field else { return None };
    let inside = below_root(planner, &clean(source))?;
    let covers = |entry: &Mount<'_>| {
        let target = in_root(planner, &entry.destination);
        let beneath =
            |path: &str, dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        target != "/" && (beneath(&inside, &target) || beneath(&target, &inside))
    };
    planner.spec.mounts[..index].iter().any(covers).then_some(inside)
}

/// `path` without the root file system's own path before it.
fn below_root(planner: &Planner<'_>, path: &str) -> Option<String> {
    below_root_of(planner.spec, &planner.facts.bundle, path)
}

fn below_root_of(spec: &Spec<'_>, bundle: &str, path: &str) -> Option<String> {
    let root = spec.root.as_ref()?;
    let root = clean(&host_path(bundle, &root.path));
    match path.strip_prefix(root.as_str())? {
        "" => Some(String::from("/")),
        rest if rest.starts_with('/') => Some(String::from(rest)),
        _ => None,
    }
}

/// A destination inside the root; engines may name it with the root's path before it (COMPAT(runc)).
fn in_root(planner: &Planner<'_>, destination: &str) -> String {
    in_root_of(planner.spec, &planner.facts.bundle, destination)
}

fn in_root_of(spec: &Spec<'_>, bundle: &str, destination: &str) -> String {
    let target = clean(destination);
    below_root_of(spec, bundle, &target).unwrap_or(target)
}

/// A bind mount of what the container has by then, from and to a place inside.
fn rebind(
    planner: &mut Planner<'_>,
    field: Field,
    (source, target): (&str, &str),
    parsed: &Parsed<'_>,
    ids: Option<MountIds>,
) {
    let all_ids = u32::from(ids.as_ref().is_some_and(|ids| ids.recursive));
    let users = ids.map_or(Fd::NONE, |ids| planner.slot_for(Slot::Users(ids), field));
    let step = Step::Rebind {
        source: text::c_str(source),
        target: text::c_str(target),
        set: parsed.set,
        clear: parsed.bind_clear(),
        set_all: parsed.set_all,
        clear_all: parsed.clear_all,
        recursive: u32::from(parsed.bind == Some(true)),
        users,
        all_ids,
    };
    planner.step(Phase::Rootfs, field, step);
    for (propagation, all) in &parsed.propagation {
        let step = Step::Change {
            target: text::c_str(target),
            set: 0,
            clear: 0,
            propagation: *propagation,
            recursive: u32::from(*all),
        };
        planner.step(Phase::Rootfs, field, step);
    }
}

/// A copied tree is a peer of the host's mounts where those are shared; it gets the container's propagation first, so
/// that nothing leaks back, and then what the entry itself asks for.
pub(crate) fn tree_propagation(planner: &Planner<'_>, parsed: &Parsed<'_>) -> Vec<(u64, bool)> {
    let (root, _) = crate::rootfs::propagation_of(planner);
    let mut list = Vec::with_capacity(2);
    if root != propagation::SHARED {
        list.push((root, true));
    }
    list.extend(parsed.propagation.iter().copied());
    list
}

fn remount(planner: &mut Planner<'_>, field: Field, target: &str, parsed: &Parsed<'_>) -> Result<()> {
    if !parsed.data.is_empty() {
        return Err(Error::unsupported(
            format!("{field}/options"),
            format!("remount {target} with file system options"),
            "only the mount's own attributes can be changed",
        ));
    }
    let (set, clear) = (parsed.set | parsed.set_all, parsed.clear | parsed.clear_all);
    if clear & attr::RDONLY != 0 {
        planner.read_only_later.retain(|(_, later)| later != target);
    }
    let propagation = parsed.propagation.last().map_or(0, |last| last.0);
    let recursive = u32::from(parsed.set_all | parsed.clear_all != 0);
    planner.step(
        Phase::Rootfs,
        field,
        Step::Change { target: text::c_str(target), set, clear, propagation, recursive },
    );
    Ok(())
}

/// The destination as an absolute path without empty parts and dots; `..` is left to the kernel, which resolves it
/// inside the root.
pub(crate) fn clean(destination: &str) -> String {
    let mut out = String::with_capacity(destination.len() + 1);
    for part in destination.split('/').filter(|part| !part.is_empty() && *part != ".") {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// A source path as the host sees it: relative ones are relative to the bundle.
pub(crate) fn host_path(bundle: &str, path: &str) -> String {
    if path.starts_with('/') { String::from(path) } else { format!("{bundle}/{path}") }
}

/// Whether the document mounts a host directory over /dev: then it is left as it is.
pub(crate) fn dev_is_bound(planner: &Planner<'_>) -> bool {
    planner.spec.mounts.iter().any(|mount| {
        clean(&mount.destination) == "/dev"
            && (mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|o| *o == "bind" || *o == "rbind"))
    })
}

/// Whether the document mounts something below `path`.
pub(crate) fn has_below(planner: &Planner<'_>, path: &str) -> bool {
    let below = |target: &str| target.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    planner.spec.mounts.iter().any(|mount| below(&in_root(planner, &mount.destination)))
}

/// Whether `kind` of namespace is new.
pub(crate) fn is_new(planner: &Planner<'_>, kind: Kind) -> bool {
    matches!(planner.wants[kind], crate::namespaces::Want::New(_))
}
