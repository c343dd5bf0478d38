// SPDX-License-Identifier: Apache-2.0
//! Namespaces: what is created, what is joined, and in which order.
//!
//! The rules are the kernel's (namespaces(7), user_namespaces(7)), each found again by experiment:
//! entering a user namespace loses every right outside it, so whatever it does not own is joined before; a process
//! cannot change its own pid namespace, only its children's; time offsets can be written only between unshare(2) and the
//! first process inside; a cgroup namespace is rooted where its maker is at that moment.

use crate::compile::{Plan, Planned, Planner, Slot};
use crate::facts::Facts;
use crate::field::Field;
use crate::text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::kind::Moves;
use insula_ns::{Kind, PerKind};
use insula_spec::Spec;
use insula_steps::message::Part;
use insula_steps::{Fd, Step};

const LIST: &str = "/linux/namespaces";

/// What becomes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Want {
    /// The caller's is kept.
    #[default]
    Inherit,
    /// A new one is made; the index is the entry in the document.
    New(usize),
    /// The one at the entry's path is joined.
    Join(usize),
    /// The entry's path leads to the caller's own: nothing is to be done.
    Stay(usize),
}

impl Want {
    /// Whether the process ends up outside the caller's namespace of the kind.
    pub fn leaves(self) -> bool {
        matches!(self, Self::New(_) | Self::Join(_))
    }
}

/// When and by whom a step is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// By the intermediate process, before the container's first process exists.
    Stage,
    /// By init: entering the namespaces.
    Enter,
    /// By init: the root file system.
    Rootfs,
    /// By init: the process itself.
    Process,
    /// By init: handing over.
    Start,
}

impl Phase {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "intermediate",
            Self::Enter => "enter",
            Self::Rootfs => "rootfs",
            Self::Process => "process",
            Self::Start => "start",
        }
    }
}

/// Reads the list into one wish a kind.
pub(crate) fn wants(spec: &Spec<'_>, own: impl Fn(Kind) -> bool) -> Result<PerKind<Want>> {
    let mut wants = PerKind::from_fn(|_| Want::Inherit);
    for (index, entry) in spec.linux.namespaces.iter().enumerate() {
        let kind = Kind::from_spec_name(&entry.kind).map_err(|e| e.field(format!("{LIST}/{index}/type")))?;
        if let Want::New(first) | Want::Join(first) | Want::Stay(first) = wants[kind] {
            return Err(Error::invalid(
                format!("{LIST}/{index}/type"),
                format!("make a {kind} namespace"),
                format!("the type is listed twice, first at {LIST}/{first}"),
            )
            .advice("leave one of the two entries"));
        }
        wants[kind] = match &entry.path {
            // Engines in other languages write an absent path as an empty one (COMPAT(runc)).
            Some(path) if path.is_empty() => Want::New(index),
            Some(_) if own(kind) => Want::Stay(index),
            Some(_) => Want::Join(index),
            None => Want::New(index),
        };
    }
    Ok(wants)
}

/// Refuses fields that make no sense without the namespace they belong to: they would reach the host's, or another
/// container's.
pub(crate) fn check_owned_fields(spec: &Spec<'_>, wants: &PerKind<Want>, facts: &Facts) -> Result<()> {
    for kind in Kind::all() {
        for pointer in kind.namespace().owns {
            if !is_set(spec, pointer) {
                continue;
            }
            let refuse = |reason: String, advice: String| {
                Err(Error::invalid(*pointer, format!("apply {}", &pointer[1..]), reason).advice(advice))
            };
            match wants[kind] {
                Want::Inherit => {
                    return refuse(
                        format!(
                            "it belongs to the {kind} namespace, and the document does not ask for one: it would change the host's"
                        ),
                        format!("add {{\"type\": \"{kind}\"}} to {LIST} or remove the field"),
                    );
                }
                Want::Stay(index) => {
                    return refuse(
                        format!(
                            "{LIST}/{index}/path leads to the runtime's own {kind} namespace, which it would change"
                        ),
                        format!("make a new {kind} namespace or remove the field"),
                    );
                }
                Want::Join(index) if kind == Kind::USER => same_map(spec, facts, pointer, index)?,
                // A joined one has its offsets and names already. Names may be stated, and are compared; devices may be
                // moved in.
                Want::Join(index) if kind == Kind::TIME => {
                    return refuse(
                        format!("the {kind} namespace at {LIST}/{index}/path exists already and has its own"),
                        String::from("remove the field, or the path"),
                    );
                }
                Want::New(_) | Want::Join(_) => {}
            }
        }
    }
    Ok(())
}

/// Maps stated beside a joined user namespace must be those that it has.
fn same_map(spec: &Spec<'_>, facts: &Facts, pointer: &'static str, index: usize) -> Result<()> {
    let users = pointer == "/linux/uidMappings";
    let stated = if users { &spec.linux.uid_mappings } else { &spec.linux.gid_mappings };
    // The kernel sorts long maps.
    let sorted = |mut lines: Vec<[u32; 3]>| {
        lines.sort_unstable();
        lines
    };
    let stated = sorted(stated.iter().map(|m| [m.container_id, m.host_id, m.size]).collect());
    let given = facts.joined_maps.as_ref().map(|maps| sorted(if users { &maps.users } else { &maps.groups }.clone()));
    let text = |lines: &[[u32; 3]]| {
        let lines: Vec<String> =
            lines.iter().map(|[inside, outside, count]| format!("{inside}:{outside}:{count}")).collect();
        lines.join(",")
    };
    let place = match facts.joins[Kind::USER] {
        Some(fact) => format!("{} at {LIST}/{index}/path", fact.identity),
        None => format!("the user namespace at {LIST}/{index}/path"),
    };
    let reason = match given {
        Some(given) if given == stated => return Ok(()),
        Some(given) => format!("{place} has its own, {}, and the document says {}", text(&given), text(&stated)),
        None => format!("{place} has its own, which the caller may not look at, so that they cannot be compared"),
    };
    Err(Error::invalid(pointer, "join the user namespace with the document's mappings", reason)
        .advice("remove the field, or the path"))
}

fn is_set(spec: &Spec<'_>, pointer: &str) -> bool {
    match pointer {
        "/hostname" => spec.hostname.as_ref().is_some_and(|name| !name.is_empty()),
        "/domainname" => spec.domainname.as_ref().is_some_and(|name| !name.is_empty()),
        "/linux/timeOffsets" => !spec.linux.time_offsets.is_empty(),
        "/linux/uidMappings" => !spec.linux.uid_mappings.is_empty(),
        "/linux/gidMappings" => !spec.linux.gid_mappings.is_empty(),
        "/linux/netDevices" => !spec.linux.net_devices.is_empty(),
        _ => false,
    }
}

/// The kernel takes a map in one write of less than a page (user_namespaces(7)).
const LONGEST_MAP: usize = 4096;

/// Checks what a new user namespace needs, and the values of time offsets.
pub(crate) fn check_new(spec: &Spec<'_>, wants: &PerKind<Want>, uptime: u64) -> Result<()> {
    if matches!(wants[Kind::USER], Want::New(_)) {
        for (pointer, mappings) in
            [("/linux/uidMappings", &spec.linux.uid_mappings), ("/linux/gidMappings", &spec.linux.gid_mappings)]
        {
            let attempted = "map ids into the new user namespace";
            if mappings.is_empty() {
                return Err(Error::invalid(pointer, attempted, "there are no mappings, so nobody could exist in it")
                    .advice("add at least one mapping with containerID 0"));
            }
            let bytes: usize =
                mappings.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size).len()).sum();
            if bytes >= LONGEST_MAP {
                return Err(Error::invalid(
                    pointer,
                    attempted,
                    format!("the map has {bytes} bytes as the kernel reads it, which takes less than {LONGEST_MAP}"),
                )
                .advice("use fewer, longer ranges"));
            }
            if !mappings.iter().any(|m| m.container_id == 0 && m.size > 0) {
                return Err(Error::invalid(pointer, attempted, "id 0 of the container is not mapped")
                    .advice("insula, like every runtime, sets the container up as its root"));
            }
        }
    }
    for (clock, offset) in &spec.linux.time_offsets {
        check_offset(clock, offset.secs, offset.nanosecs, uptime)?;
    }
    Ok(())
}

/// Longest shifted time that the kernel takes: KTIME_SEC_MAX / 2 seconds, about 146 years.
const LONGEST_SECONDS: i64 = i64::MAX / 1_000_000_000 / 2;

fn check_offset(clock: &str, secs: i64, nanosecs: u32, uptime: u64) -> Result<()> {
    let pointer = format!("/linux/timeOffsets/{clock}");
    let attempted = format!("shift the {clock} clock");
    if !["monotonic", "boottime"].contains(&clock) {
        return Err(Error::invalid(pointer, attempted, "a time namespace has no such clock")
            .advice("use monotonic or boottime"));
    }
    if nanosecs >= 1_000_000_000 {
        return Err(Error::invalid(pointer, attempted, format!("{nanosecs} nanoseconds are a second or more")));
    }
    let shifted = secs.checked_add(uptime as i64);
    if shifted.is_none_or(|s| !(0..LONGEST_SECONDS).contains(&s)) {
        return Err(Error::invalid(
            pointer,
            attempted,
            format!("{secs} s from the host's {uptime} s since boot leaves the clock's range"),
        )
        .advice("keep the shifted clock between 0 and about 146 years"));
    }
    Ok(())
}

/// Lines of /proc/<pid>/timens_offsets.
pub(crate) fn offset_lines(spec: &Spec<'_>) -> Vec<String> {
    spec.linux.time_offsets.iter().map(|(clock, o)| format!("{clock} {} {}\n", o.secs, o.nanosecs)).collect()
}

/// Appends the steps from the first process to init's place in all namespaces, and sets what the launch does first.
pub(crate) fn enter(planner: &mut Planner<'_>) -> Result<()> {
    let wants = planner.wants;
    let offsets = !planner.spec.linux.time_offsets.is_empty();
    let joins = Kind::all().any(|kind| matches!(wants[kind], Want::Join(_)));
    let new = |kind: &Kind| matches!(wants[*kind], Want::New(_));
    let new_flags: u64 = Kind::all().filter(new).map(|kind| kind.namespace().clone_flag).fold(0, |a, b| a | b);
    let unified = planner.facts.cgroup.task_files == 0;
    // Version 1 groups are entered by init itself, and the namespace is rooted where it then is.
    let late = if unified { 0 } else { new_flags & Kind::CGROUP.namespace().clone_flag };
    if joins || offsets {
        staged(planner, new_flags, late)?;
    } else {
        direct(planner, new_flags & !late);
    }
    let phase = Phase::Enter;
    for file in 0..planner.facts.cgroup.task_files {
        let fd = planner.slot(Slot::TaskFile(file));
        planner.step(phase, Field::At("/linux/cgroupsPath"), Step::WriteTo { fd, text: b"0" });
    }
    if late != 0 {
        planner.step(phase, planner.entry(Kind::CGROUP), Step::Unshare { kinds: late });
    }
    if matches!(wants[Kind::NETWORK], Want::New(_)) {
        planner.step(phase, planner.entry(Kind::NETWORK), Step::Loopback {});
    }
    if !planner.spec.linux.net_devices.is_empty() {
        planner.step(phase, Field::At("/linux/netDevices"), Step::Ask { part: Part::Devices as u32 });
    }
    names(planner);
    Ok(())
}

/// The common case: one clone3(2) asks for everything.
fn direct(planner: &mut Planner<'_>, flags: u64) {
    planner.plan.clone_flags = flags;
    planner.plan.born_in_cgroup = planner.facts.cgroup.born;
    // Mapped before init is executed: execve by an id that the namespace does not know gives all capabilities up.
    planner.plan.mapped_first = flags & Kind::USER.namespace().clone_flag != 0;
    planner.step(Phase::Enter, Field::None, Step::Undumpable {});
}

/// With joins or time offsets, an intermediate process goes step by step and forks init at the end.
fn staged(planner: &mut Planner<'_>, new_flags: u64, late: u64) -> Result<()> {
    let wants = planner.wants;
    let (before, after) = split_joins(planner, &wants)?;
    planner.plan.staged = true;
    if planner.facts.euid == 0 {
        // Before anything of another container can see it.
        planner.step(Phase::Stage, Field::None, Step::Undumpable {});
    }
    let born = planner.facts.cgroup.born;
    // With the mount option nsdelegate, nobody gives birth across the root of his cgroup namespace (ENOENT): that one is
    // joined by the child.
    let late_join = |kind: Kind| born && kind == Kind::CGROUP;
    for kind in before.iter().copied().filter(|kind| !late_join(*kind)) {
        join(planner, Phase::Stage, kind);
    }
    // The host's is out of reach from another user namespace.
    let before_user = born && before.contains(&Kind::CGROUP) && wants[Kind::USER].leaves();
    // A procfs shows the pid namespace of who mounts it, so that process must be inside, and still have its rights.
    let for_procfs =
        planner.foreign(Kind::PID) && matches!(wants[Kind::PID], Want::Join(_)) && needs_procfs(planner.spec);
    let forked = for_procfs || before_user;
    let in_pid = forked && before.contains(&Kind::PID);
    if forked {
        let cgroup = if born { planner.slot(Slot::CgroupDir) } else { Fd::NONE };
        let field = planner.entry(if for_procfs { Kind::PID } else { Kind::CGROUP });
        planner.step(Phase::Stage, field, Step::Fork { flags: 0, cgroup });
        if before.iter().any(|kind| late_join(*kind)) {
            join(planner, Phase::Stage, Kind::CGROUP);
        }
    }
    planner.before_user = planner.plan.steps.len();
    match wants[Kind::USER] {
        Want::New(_) => {
            let field = planner.entry(Kind::USER);
            planner.step(Phase::Stage, field, Step::Unshare { kinds: Kind::USER.namespace().clone_flag });
            planner.step(Phase::Stage, Field::At("/linux/uidMappings"), Step::Ask { part: Part::Maps as u32 });
            planner.step(Phase::Stage, field, Step::BecomeRoot {});
        }
        Want::Join(_) => {
            if planner.facts.euid == 0 {
                planner.step(Phase::Stage, planner.entry(Kind::USER), Step::DropGroups {});
            }
            planner.plan.joins_user = true;
            join(planner, Phase::Stage, Kind::USER);
            let field = planner.entry(Kind::USER);
            planner.step(Phase::Stage, field, Step::BecomeRoot {});
        }
        Want::Inherit | Want::Stay(_) => {}
    }
    for kind in after.iter().copied().filter(|kind| forked || !late_join(*kind)) {
        join(planner, Phase::Stage, kind);
    }
    let flag = |kind: Kind| kind.namespace().clone_flag;
    // Born in its cgroup, init is also where its cgroup namespace is to be rooted; without, it is made later.
    let with_fork = new_flags & (flag(Kind::PID) | if born && !forked { flag(Kind::CGROUP) } else { 0 });
    let now = new_flags & !with_fork & !late & !flag(Kind::USER);
    if now != 0 {
        planner.step(Phase::Stage, Field::At(LIST), Step::Unshare { kinds: now });
    }
    if !planner.spec.linux.time_offsets.is_empty() {
        let field = Field::At("/linux/timeOffsets");
        planner.step(Phase::Stage, field, Step::Ask { part: Part::Offsets as u32 });
    }
    let children_only = |kind: Kind| match wants[kind] {
        Want::New(_) => kind.namespace().unshare_moves == Moves::Children,
        Want::Join(_) => kind.namespace().setns_moves == Moves::Children,
        Want::Inherit | Want::Stay(_) => false,
    };
    if with_fork != 0
        || (born && !forked)
        || Kind::all().any(|kind| children_only(kind) && !(in_pid && kind == Kind::PID))
    {
        let cgroup = if born && !forked { planner.slot(Slot::CgroupDir) } else { Fd::NONE };
        // A joined pid namespace whose init is gone shows only here.
        let field = match wants[Kind::PID] {
            Want::Join(index) => Field::Member(LIST, index, "path"),
            _ => Field::At(LIST),
        };
        planner.step(Phase::Stage, field, Step::Fork { flags: with_fork, cgroup });
    }
    if !forked && born && matches!(wants[Kind::CGROUP], Want::Join(_)) {
        join(planner, Phase::Enter, Kind::CGROUP);
    }
    Ok(())
}

/// Joins that come before entering the user namespace, and those that come after, each in the table's order.
fn split_joins(planner: &Planner<'_>, wants: &PerKind<Want>) -> Result<(Vec<Kind>, Vec<Kind>)> {
    let mut joined: Vec<Kind> =
        Kind::all().filter(|kind| *kind != Kind::USER && matches!(wants[*kind], Want::Join(_))).collect();
    joined.sort_by_key(|kind| kind.namespace().join_rank);
    let by_joined_user = matches!(wants[Kind::USER], Want::Join(_));
    let inside =
        |kind: &Kind| by_joined_user && planner.facts.joins[*kind].is_some_and(|fact| fact.owned_by_joined_user);
    for kind in &joined {
        let owner = planner.facts.joins[*kind].and_then(|fact| fact.owner);
        if planner.facts.euid == 0 && owner.is_none() {
            return Err(Error::invalid(
                format!("{}/path", planner.entry(*kind)),
                format!("join the {kind} namespace"),
                format!(
                    "{} is owned by a user namespace outside the runtime's own, over which it has no rights",
                    planner.joined_text(*kind)
                ),
            )
            .advice("run insula where that user namespace can be seen, or make the namespace new"));
        }
        if planner.facts.euid != 0 && !inside(kind) {
            let of = owner.map_or_else(|| String::from("another user namespace"), |owner| format!("{owner}"));
            let text = planner.joined_text(*kind);
            return Err(Error::invalid(
                format!("{}/path", planner.entry(*kind)),
                format!("join the {kind} namespace"),
                format!("{text} is owned by {of}, over which an ordinary user has no rights"),
            )
            .advice("join the user namespace that owns it as well"));
        }
    }
    Ok(joined.into_iter().partition(|kind| !inside(kind)))
}

/// Whether something in the document needs a procfs of the container's.
fn needs_procfs(spec: &Spec<'_>) -> bool {
    !spec.linux.sysctl.is_empty() || spec.mounts.iter().any(|mount| mount.kind.as_deref() == Some("proc"))
}

fn join(planner: &mut Planner<'_>, phase: Phase, kind: Kind) {
    let fd = planner.slot(Slot::Namespace(kind));
    let field = planner.entry(kind);
    planner.step(phase, field, Step::Join { fd, kinds: kind.namespace().clone_flag });
}

/// Host and domain name: set in a new uts namespace, compared in a joined one (never renamed under its other members).
fn names(planner: &mut Planner<'_>) {
    let joined = matches!(planner.wants[Kind::UTS], Want::Join(_));
    let phase = Phase::Enter;
    if let Some(name) = planner.spec.hostname.as_ref().filter(|name| !name.is_empty()) {
        let name = text::bytes(name.as_bytes());
        let step = if joined { Step::HostnameIs { name } } else { Step::Hostname { name } };
        planner.step(phase, Field::At("/hostname"), step);
    }
    if let Some(name) = planner.spec.domainname.as_ref().filter(|name| !name.is_empty()) {
        let name = text::bytes(name.as_bytes());
        let step = if joined { Step::DomainnameIs { name } } else { Step::Domainname { name } };
        planner.step(phase, Field::At("/domainname"), step);
    }
}

/// Longest host or domain name (uname(2), __NEW_UTS_LEN).
const LONGEST_NAME: usize = 64;

/// Refuses names that the kernel would refuse late.
pub(crate) fn check_names(spec: &Spec<'_>) -> Result<()> {
    for (pointer, name) in [("/hostname", &spec.hostname), ("/domainname", &spec.domainname)] {
        if let Some(name) = name.as_ref().filter(|name| name.len() > LONGEST_NAME) {
            return Err(Error::invalid(
                pointer,
                format!("apply {}", &pointer[1..]),
                format!("it is {} bytes long, and the kernel takes {LONGEST_NAME}", name.len()),
            ));
        }
    }
    Ok(())
}

impl Plan {
    /// The planned steps of `phase`.
    pub fn of_phase(&self, phase: Phase) -> impl Iterator<Item = &Planned> {
        self.steps.iter().filter(move |planned| planned.phase == phase)
    }
}
