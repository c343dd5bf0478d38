// SPDX-License-Identifier: Apache-2.0
//! Facts for the plan. Every namespace path is opened here, once, and only the descriptor is used from then on.

use crate::share::Pinned;
use crate::status;
use crate::store::Root;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::{Group, Layout};
use insula_error::{Error, Result};
use insula_ns::{Identity, Kind, PerKind};
use insula_plan::{CgroupView, Facts, Hierarchy, JoinFact, JoinedMaps, Streams};
use insula_spec::Spec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType};
use rustix::io::fcntl_dupfd_cloexec;

/// The namespaces that the document joins, open.
pub(crate) type Joins = PerKind<Option<OwnedFd>>;

/// Annotation that says which namespace of a kind must be found at its path: `io.insula.namespace.network` with a value
/// such as `net:[4026532281]`.
pub(crate) const EXPECT: &str = "io.insula.namespace.";

/// Opens what the document joins, and says how each relates to the caller and to the joined user namespace. `root` has
/// the containers that may be meant.
pub(crate) fn joins(
    spec: &Spec<'_>,
    pinned: &Pinned,
    root: Option<&Root>,
) -> Result<(Joins, PerKind<Option<JoinFact>>)> {
    let mut fds: Joins = PerKind::from_fn(|_| None);
    let mut facts: PerKind<Option<JoinFact>> = PerKind::from_fn(|_| None);
    for (index, entry) in spec.linux.namespaces.iter().enumerate() {
        let pointer = format!("/linux/namespaces/{index}/path");
        let Some(path) = entry.path.as_ref().filter(|path| !path.is_empty()) else { continue };
        // An unknown type is the plan's to refuse.
        let Ok(kind) = Kind::from_spec_name(&entry.kind) else { continue };
        let fd = match &pinned[kind] {
            // Taken as it is: whoever opened it knows more than a path could say.
            Some(fd) => fcntl_dupfd_cloexec(fd, 3).map_err(|e| Error::kernel(e.raw_os_error(), "hold a namespace"))?,
            None => insula_ns::open_path_as(path, kind).map_err(|e| e.field(pointer.clone()))?,
        };
        let identity = Identity::of_fd(fd.as_fd(), kind).map_err(|e| e.field(pointer.clone()))?;
        expected(spec, kind, &identity, &pointer, path)?;
        let own = Identity::of_self(kind).is_ok_and(|own| own.same_object(&identity));
        if own
            && pinned[kind].is_none()
            && !path.starts_with("/proc/self/")
            && !path.starts_with("/proc/thread-self/")
            && kind != Kind::USER
        {
            suspicious(kind, path, &pointer, &identity, root)?;
        }
        let owner = insula_ns::identity::owner(fd.as_fd())?.map(|(_, owner)| owner);
        facts[kind] = Some(JoinFact { identity, own, owned_by_joined_user: false, owner });
        fds[kind] = Some(fd);
    }
    if let (Some(user), Some(joined)) = (&fds[Kind::USER], facts[Kind::USER]) {
        let _ = user;
        for kind in Kind::all().filter(|kind| *kind != Kind::USER) {
            if let (Some(fd), Some(fact)) = (&fds[kind], facts[kind].as_mut()) {
                fact.owned_by_joined_user = is_owned_by(fd.as_fd(), &joined.identity)?;
            }
        }
    }
    Ok((fds, facts))
}

/// Whether the namespace behind `fd` is owned by `user` or by one of its descendants.
fn is_owned_by(fd: BorrowedFd<'_>, user: &Identity) -> Result<bool> {
    let mut current = insula_ns::identity::owner(fd)?;
    while let Some((owner, identity)) = current {
        if identity.same_object(user) {
            return Ok(true);
        }
        current = insula_ns::identity::owner(owner.as_fd())?;
    }
    Ok(false)
}

/// The maps of the joined user namespace, where the document states some to compare with them.
pub(crate) fn joined_maps(spec: &Spec<'_>, joins: &Joins, facts: &PerKind<Option<JoinFact>>) -> Option<JoinedMaps> {
    if spec.linux.uid_mappings.is_empty() && spec.linux.gid_mappings.is_empty() {
        return None;
    }
    let user = joins[Kind::USER].as_ref().filter(|_| facts[Kind::USER].is_some_and(|fact| !fact.own))?;
    crate::maps::of_namespace(user.as_fd())
}

/// The identity that an annotation demands.
fn expected(spec: &Spec<'_>, kind: Kind, found: &Identity, pointer: &str, path: &str) -> Result<()> {
    let name = format!("{EXPECT}{}", kind.namespace().spec_name);
    match spec.annotations.get(&name) {
        Some(wanted) if *wanted != *format!("{found}") => Err(Error::invalid(
            pointer,
            format!("join the {kind} namespace at {path}"),
            format!("it is {found}, and the annotation {name} expects {}", wanted.as_str()),
        )
        .advice("the process behind the path was probably replaced by another; write the document anew")),
        _ => Ok(()),
    }
}

/// `/proc/<pid>/ns/<kind>` that leads to the runtime's own namespace is most often the path of a process that ended and
/// whose number was used again: isolation would be lost without a word. Unless the process is a container's that was given
/// that namespace: engines make the containers of a pod on its host's network with paths to the pod's first one.
fn suspicious(kind: Kind, path: &str, pointer: &str, identity: &Identity, root: Option<&Root>) -> Result<()> {
    let of_process =
        path.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()).and_then(|pid| pid.parse::<u32>().ok());
    match of_process {
        Some(1) | None => Ok(()),
        Some(pid) if pid as i32 == rustix::process::getpid().as_raw_nonzero().get() => Ok(()),
        Some(pid) if root.is_some_and(|root| was_given(root, pid as i32, kind, identity)) => Ok(()),
        Some(pid) => Err(Error::invalid(
            pointer,
            format!("join the {kind} namespace of process {pid}"),
            format!("{path} leads to the runtime's own {identity}: the process that was meant is gone and its number used again, or it shares the host's"),
        )
        .advice(format!("use /proc/self/ns/{} to stay in the runtime's own on purpose", kind.namespace().proc_name))),
    }
}

/// Whether process `pid` is the first one of a container that lives and that was given the namespace `identity`.
fn was_given(root: &Root, pid: i32, kind: Kind, identity: &Identity) -> bool {
    let ids = root.ids().unwrap_or_default();
    let mut records = ids.iter().filter_map(|id| status::find(Some(root), id).ok().map(|(_, record)| record));
    records.any(|record| {
        let given = record.held(kind).is_some_and(|held| held.is(identity));
        given && record.init.pid == pid && record.init().is_some()
    })
}

/// How the control groups look to the plan.
pub(crate) fn cgroup_view(hierarchies: &[(String, String)], group: &Group, tasks: usize, born: bool) -> CgroupView {
    let paths: Vec<(&str, String)> = group.paths().collect();
    let of =
        |list: &str| paths.iter().find(|(known, _)| *known == list).map(|(_, path)| path.clone()).unwrap_or_default();
    let legacy = hierarchies.iter().filter(|(list, _)| !list.is_empty());
    CgroupView {
        unified: !hierarchies.iter().any(|(list, _)| !list.is_empty()),
        hierarchies: legacy
            .map(|(list, mount_point)| Hierarchy {
                directory: String::from(mount_point.rsplit('/').next().unwrap_or("")),
                options: if list.starts_with("name=") { format!("none,{list}") } else { list.clone() },
                group: of(list),
            })
            .collect(),
        task_files: tasks,
        born,
    }
}

/// Where no group could be made (an ordinary user's container), the process stays in the caller's, and that is to be seen.
pub(crate) fn show_own(view: &mut CgroupView) {
    let Ok(layout) = Layout::probe() else { return };
    for (mount_point, own) in layout.own() {
        let hierarchy =
            view.hierarchies.iter_mut().find(|hierarchy| mount_point.rsplit('/').next() == Some(&hierarchy.directory));
        if let Some(hierarchy) = hierarchy.filter(|hierarchy| hierarchy.group.is_empty()) {
            hierarchy.group = own;
        }
    }
}

/// The layout's hierarchies as owned text: controllers and mount point.
pub(crate) fn hierarchies(layout: &Layout) -> Vec<(String, String)> {
    layout.hierarchies().map(|(list, mount_point)| (String::from(list), mount_point)).collect()
}

/// What the document needs to know of the host, beside joins and cgroups.
pub(crate) fn facts(spec: &Spec<'_>, bundle: &str) -> Facts {
    let process = spec.process.as_ref();
    let asks = |label: Option<&insula_spec::Str<'_>>| label.is_some_and(|label| !label.is_empty());
    let on = |path: &str, is: &str| {
        crate::file::read_text(CWD, path, 4096, "look for security modules").is_ok_and(|text| text.trim() == is)
    };
    Facts {
        euid: insula_sys::credentials::effective_ids().0,
        inner_user: crate::create::in_user_namespace(),
        egid: insula_sys::credentials::effective_ids().1,
        bundle: String::from(bundle),
        // Asked only where it can be so: in a user namespace that an ordinary user made.
        setgroups_denied: !spec.linux.uid_mappings.is_empty() && on("/proc/self/setgroups", "deny"),
        uptime: if spec.linux.time_offsets.is_empty() { 0 } else { uptime() },
        apparmor: asks(process.and_then(|p| p.apparmor_profile.as_ref()))
            && on("/sys/module/apparmor/parameters/enabled", "Y"),
        selinux: (asks(process.and_then(|p| p.selinux_label.as_ref())) || asks(spec.linux.mount_label.as_ref()))
            && crate::file::open_dir(CWD, "/sys/fs/selinux/policy_capabilities").is_ok(),
        streams: streams(),
        ..Facts::default()
    }
}

const PIPEFS_MAGIC: i64 = 0x5049_5045;

/// What this command's standard streams are, which the process gets.
pub(crate) fn streams() -> Streams {
    let mut streams = Streams::default();
    for (number, pipe) in streams.pipes.iter_mut().enumerate() {
        let fd = insula_sys::memory::borrow(number as i32);
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if stat.st_rdev == rustix::fs::makedev(1, 3) => streams.null |= 1 << number,
            // One with a name is a file like others.
            FileType::Fifo if rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as i64 == PIPEFS_MAGIC) => {
                *pipe = stat.st_ino;
            }
            _ => {}
        }
    }
    streams
}

fn uptime() -> u64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec as u64
}
