// SPDX-License-Identifier: Apache-2.0
//! `process`: who it is, what it may do, and how it starts.
//!
//! The order is the kernel's: what needs privilege comes before the user changes, limits come after the last file is
//! opened, the seccomp filter comes last of all where `noNewPrivileges` allows it.

mod bits;
mod capabilities;
mod scheduling;

pub use capabilities::{capability, names as capability_names};

use crate::compile::{Planned, Planner, Slot, process_of};
use crate::field::Field;
use crate::namespaces::Phase;
use crate::text;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_seccomp::Program;
use insula_spec::Process;
use insula_steps::Step;

const PHASE: Phase = Phase::Process;

/// What comes before the root file system: the session keyring and the session.
pub(crate) fn early(planner: &mut Planner<'_>) {
    if !planner.options.no_new_keyring {
        let name = text::c_str(&format!("_ses.{}", planner.options.id));
        planner.step(Phase::Enter, Field::None, Step::Keyring { name });
    }
    planner.step(Phase::Enter, Field::None, Step::Session {});
    // Modes of nodes and mount points are what the document says.
    planner.step(Phase::Enter, Field::None, Step::Umask { mask: 0 });
}

/// The container's own process; a document without one is created and never started.
pub(crate) fn plan(planner: &mut Planner<'_>) -> Result<()> {
    if planner.spec.process.is_none() {
        planner.step(Phase::Start, Field::None, Step::Ready {});
        let fd = planner.slot(Slot::Fifo);
        planner.step(Phase::Start, Field::None, Step::AwaitStart { fd, first: 3 + planner.options.preserve_fds });
        return Ok(());
    }
    common(planner)
}

/// A process that `exec` adds can be seen by the container's as soon as it is in their pid namespace, and one that has
/// CAP_SYS_PTRACE can make it do anything: it gets there with no more rights than it needs to become the program.
/// What needs more is done before.
pub(crate) fn lower_before_fork(planner: &mut Planner<'_>) -> Result<()> {
    let process = process_of(planner.spec)?;
    let sets = capabilities::sets(process);
    let steps = &mut planner.plan.steps;
    let Some(fork) = steps.iter().position(|planned| matches!(planned.step, Step::Fork { .. })) else { return Ok(()) };
    // Nobody but root may give birth in the cgroup.
    let user_first = process.user.uid == 0;
    let (earlier, later) = steps.split_off(fork).into_iter().partition(|planned| match planned.step {
        Step::Umask { mask: 0 } | Step::Bounding { .. } | Step::Home { .. } | Step::Label { .. } => true,
        Step::Cwd { make: 1, .. } => true,
        Step::User { .. } | Step::Regain { .. } | Step::Cwd { .. } | Step::Find { .. } | Step::Umask { .. } => {
            user_first
        }
        _ => false,
    });
    let later: Vec<Planned> = later;
    let needed = later.iter().fold(0, |needed, planned| needed | capabilities::needed(planned, process));
    let rights = sets.permitted | sets.inheritable | needed;
    let lower = Step::Lower { keep: rights };
    let field = Field::At("/process/capabilities");
    let earlier: Vec<Planned> = earlier;
    steps.extend(earlier.into_iter().map(|planned| Planned { phase: Phase::Stage, ..planned }));
    steps.push(Planned { step: lower, phase: Phase::Stage, field });
    steps.extend(later);
    Ok(())
}

/// All CPUs that the cgroup allows: what the caller was pinned to is not the container's.
pub(crate) fn all_cpus(planner: &mut Planner<'_>) {
    planner.step(Phase::Enter, Field::None, Step::Affinity { cpus: &[] });
}

/// `execCPUAffinity`: which CPUs a process that `exec` adds may use before (`initial`) and after (`final`) it enters the
/// container's cgroup.
pub(crate) fn exec_cpus(planner: &mut Planner<'_>, place: &'static str) -> Result<bool> {
    let process = process_of(planner.spec)?;
    let Some(affinity) = &process.exec_cpu_affinity else { return Ok(false) };
    let initial = place == "initial";
    let list = if initial { &affinity.initial } else { &affinity.final_ };
    let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { return Ok(false) };
    let pointer = if initial { "/process/execCPUAffinity/initial" } else { "/process/execCPUAffinity/final" };
    let mask = bits::bit_list(list, CPU_WORDS)
        .ok_or_else(|| Error::invalid(pointer, "set the CPU affinity", format!("{list:?} is no list of CPUs")))?;
    let phase = if initial { Phase::Stage } else { Phase::Enter };
    planner.step(phase, Field::At(pointer), Step::Affinity { cpus: text::bytes(&mask) });
    Ok(true)
}

/// 1024 CPUs.
const CPU_WORDS: usize = 16;

/// A process that `exec` adds.
pub(crate) fn plan_exec(planner: &mut Planner<'_>) -> Result<()> {
    let process = process_of(planner.spec)?;
    if process.terminal {
        let (rows, columns) = process
            .console_size
            .as_ref()
            .map_or((0, 0), |size| (size.height.min(65535) as u32, size.width.min(65535) as u32));
        planner.plan.terminal = true;
        planner.step(PHASE, Field::At("/process/terminal"), Step::Terminal { rows, columns, console: 0 });
    }
    common(planner)
}

fn common(planner: &mut Planner<'_>) -> Result<()> {
    let spec = planner.spec;
    let process = process_of(spec)?;
    planner.plan.oom_score_adj = process.oom_score_adj;
    scheduling::plan(planner, process)?;
    labels(planner, process)?;
    let capabilities = capabilities::sets(process);
    planner.step(PHASE, Field::At("/process/capabilities/bounding"), Step::Bounding { keep: capabilities.bounding });
    let mut env = environment(process, &planner.options.extra_env);
    // An empty one counts as none, as runc has it.
    if env.get("HOME").is_some_and(|entry| entry.1 == "HOME=") {
        env.remove("HOME");
    }
    let cwd = text::c_str(if process.cwd.is_empty() { "/" } else { &process.cwd });
    planner.step(PHASE, Field::At("/process/cwd"), Step::Cwd { path: cwd, make: 1 });
    if !env.contains_key("HOME") {
        planner.step(PHASE, Field::At("/process/env"), Step::Home { uid: process.user.uid });
    }
    planner.step(PHASE, Field::At("/process/user/umask"), Step::Umask { mask: process.user.umask.unwrap_or(0o022) });
    user(planner, process)?;
    if process.user.uid != 0 && capabilities.effective != 0 {
        // What it may enter and execute depends on them.
        let step = Step::Regain { mask: capabilities.effective };
        planner.step(PHASE, Field::At("/process/capabilities/effective"), step);
    }
    planner.step(PHASE, Field::At("/process/cwd"), Step::Cwd { path: cwd, make: 0 });
    find(planner, process, &env)?;
    if process.user.uid != 0 {
        planner.step(PHASE, Field::At("/process/user/uid"), Step::Regain { mask: u64::MAX });
    }
    limits(planner, process)?;
    let filter = match &spec.linux.seccomp {
        Some(seccomp) => {
            notifies_write(seccomp)?;
            insula_seccomp::compile(seccomp)?
        }
        None => None,
    };
    start(planner, process, capabilities, filter.as_ref());
    let argv = text::strings(process.args.iter().map(insula_spec::Str::as_str));
    let mut entries: Vec<(usize, &str)> = env.into_values().collect();
    entries.sort_unstable();
    let env = text::strings(entries.into_iter().map(|entry| entry.1));
    planner.step(Phase::Start, Field::At("/process/args"), Step::Exec { argv, env });
    Ok(())
}

/// By write(2) init says that there is a listener; until it is handed over, nobody could answer for that call.
fn notifies_write(seccomp: &insula_spec::Seccomp<'_>) -> Result<()> {
    for (index, rule) in seccomp.syscalls.iter().enumerate() {
        if rule.action.as_str() == "SCMP_ACT_NOTIFY" && rule.names.iter().any(|name| *name == "write") {
            return Err(Error::unsupported(
                format!("/linux/seccomp/syscalls/{index}/names"),
                "install the seccomp filter",
                "SCMP_ACT_NOTIFY cannot be used for the write syscall, by which the listener is handed over",
            ));
        }
    }
    Ok(())
}

/// The last steps. Without noNewPrivileges a filter needs CAP_SYS_ADMIN, so the capabilities follow it; with it the
/// filter comes last, and only execve passes through it. A listener must be handed over before `create` returns.
fn start(planner: &mut Planner<'_>, process: &Process<'_>, sets: capabilities::Sets, filter: Option<&Program>) {
    let seccomp = filter.map(|filter| Step::Seccomp { flags: filter.flags, program: text::bytes(&filter.bytes()) });
    let set = Step::Capabilities {
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    };
    let capabilities = (PHASE, Field::At("/process/capabilities"), set);
    let nnp = process.no_new_privileges;
    // An ordinary user's runtime may look into init only as long as it is dumpable, where an intermediate process made it.
    let hidden = planner.plan.steps.iter().any(|planned| matches!(planned.step, Step::Undumpable {}));
    let hide_late = !hidden && planner.facts.euid != 0;
    let late = filter.is_some_and(|filter| !filter.uses_notify);
    let seccomp_field = Field::At("/linux/seccomp");
    if filter.is_some_and(|filter| filter.uses_notify)
        && let Some(step) = seccomp.clone()
    {
        planner.step(PHASE, seccomp_field, step);
    }
    if nnp {
        planner.step(PHASE, Field::At("/process/noNewPrivileges"), Step::NoNewPrivs {});
    }
    if nnp || !late {
        planner.step(capabilities.0, capabilities.1, capabilities.2.clone());
    }
    planner.step(Phase::Start, Field::None, Step::Ready {});
    if hide_late {
        planner.step(Phase::Start, Field::None, Step::Undumpable {});
    }
    if !planner.options.run {
        let fd = planner.slot(Slot::Fifo);
        planner.step(Phase::Start, Field::None, Step::AwaitStart { fd, first: 3 + planner.options.preserve_fds });
    }
    planner.step(Phase::Start, Field::None, Step::CloseFrom { first: 3 + planner.options.preserve_fds });
    if late {
        if let Some(step) = seccomp {
            planner.step(Phase::Start, seccomp_field, step);
        }
        if !nnp {
            planner.step(Phase::Start, capabilities.1, capabilities.2);
        }
    }
}

/// The environment by name, each with its place and text: of a name given twice the last counts, as runc has it.
fn environment<'s>(process: &'s Process<'_>, extra: &'s [String]) -> BTreeMap<&'s str, (usize, &'s str)> {
    let given = process.env.iter().map(insula_spec::Str::as_str).chain(extra.iter().map(String::as_str));
    let mut env = BTreeMap::new();
    for (place, entry) in given.enumerate() {
        let name = entry.split('=').next().unwrap_or(entry);
        env.insert(name, (place, entry));
    }
    env
}

/// Where a program without a slash is looked for if the environment has no PATH at all, as crun has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn find(planner: &mut Planner<'_>, process: &Process<'_>, env: &BTreeMap<&str, (usize, &str)>) -> Result<()> {
    let Some(program) = process.args.first() else {
        return Err(Error::invalid("/process/args", "start the process", "there is no program to run"));
    };
    let path = env.get("PATH").map_or(DEFAULT_PATH, |entry| entry.1.strip_prefix("PATH=").unwrap_or(""));
    let step = Step::Find { program: text::c_str(program), path: text::c_str(path) };
    planner.step(PHASE, Field::At("/process/args"), step);
    Ok(())
}

fn user(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    let user = &process.user;
    let mapped = |id: u32, mappings: &[insula_spec::IdMapping]| {
        mappings.is_empty()
            || mappings.iter().any(|m| {
                (u64::from(m.container_id)..u64::from(m.container_id) + u64::from(m.size)).contains(&u64::from(id))
            })
    };
    let refuse = |pointer: String, id: u32, list: &str| {
        Err(Error::invalid(
            pointer,
            "become the process's user",
            format!("id {id} is not mapped in the container's user namespace"),
        )
        .advice(format!("map it in /linux/{list}, or use an id that is")))
    };
    let linux = &planner.spec.linux;
    if !mapped(user.uid, &linux.uid_mappings) {
        return refuse(String::from("/process/user/uid"), user.uid, "uidMappings");
    }
    if !mapped(user.gid, &linux.gid_mappings) {
        return refuse(String::from("/process/user/gid"), user.gid, "gidMappings");
    }
    for (index, gid) in user.additional_gids.iter().enumerate() {
        if !mapped(*gid, &linux.gid_mappings) {
            return refuse(format!("/process/user/additionalGids/{index}"), *gid, "gidMappings");
        }
    }
    let mut groups = Vec::with_capacity(user.additional_gids.len() * 4);
    for gid in &user.additional_gids {
        groups.extend_from_slice(&gid.to_le_bytes());
    }
    // An ordinary user with a map of a single group cannot call setgroups(2) any more.
    let denied =
        planner.facts.setgroups_denied || planner.facts.euid != 0 && single(&linux.gid_mappings, planner.facts.egid);
    if denied && !groups.is_empty() {
        return Err(Error::invalid(
            "/process/user/additionalGids",
            "add supplementary groups",
            "in a user namespace that an ordinary user made with a single group the kernel forbids setgroups",
        )
        .advice("give the user a range in /etc/subgid and map it, or remove the field"));
    }
    // What a joined user namespace allows shows only inside.
    let set_groups = match denied {
        true => 0,
        false if planner.plan.joins_user => 2,
        false => 1,
    };
    let step = Step::User { uid: user.uid, gid: user.gid, groups: text::bytes(&groups), set_groups };
    planner.step(PHASE, Field::At("/process/user"), step);
    Ok(())
}

/// Whether the map is the one line that an ordinary user may write alone.
pub(crate) fn single(mappings: &[insula_spec::IdMapping], own: u32) -> bool {
    matches!(mappings, [only] if only.size == 1 && only.host_id == own)
}

fn limits(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = Field::Entry("/process/rlimits", index);
        let resource = insula_spec::RLIMITS.number(&limit.kind).ok_or_else(|| {
            Error::invalid(
                format!("{field}/type"),
                "set a resource limit",
                format!("there is no limit {:?}", limit.kind.as_str()),
            )
        })?;
        planner.step(PHASE, field, Step::Limit { resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(())
}

fn labels(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    if let Some(profile) = process.apparmor_profile.as_ref().filter(|profile| !profile.is_empty()) {
        if !planner.facts.apparmor {
            return Err(Error::unsupported(
                "/process/apparmorProfile",
                format!("apply AppArmor profile {profile}"),
                "AppArmor is not enabled on this host",
            )
            .advice("remove the field, or boot with apparmor=1 security=apparmor"));
        }
        let label = text::bytes(format!("exec {profile}").as_bytes());
        planner.step(PHASE, Field::At("/process/apparmorProfile"), Step::Label { file: c"apparmor/exec", label });
    }
    if let Some(selinux) = process.selinux_label.as_ref().filter(|label| !label.is_empty()) {
        if !planner.facts.selinux {
            return Err(Error::unsupported(
                "/process/selinuxLabel",
                format!("apply SELinux label {selinux}"),
                "SELinux is not enabled on this host",
            )
            .advice("remove the field"));
        }
        let label = text::bytes(selinux.as_bytes());
        planner.step(PHASE, Field::At("/process/selinuxLabel"), Step::Label { file: c"exec", label });
    }
    Ok(())
}
