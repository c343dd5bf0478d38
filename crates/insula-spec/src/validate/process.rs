// SPDX-License-Identifier: Apache-2.0
//! `process`.

use super::{Check, absolute, limit};
use crate::names::{IO_PRIORITY_CLASSES, Names, RLIMITS, SCHEDULER_FLAGS, SCHEDULER_POLICIES};
use crate::pointer::At;
use crate::{ConsoleSize, IoPriority, Process, Rlimit, Scheduler, Str, User, ranges};
use alloc::format;
use insula_error::Error;

/// How many supplementary groups the kernel takes (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65_536;

/// Checks a process document, as `exec --process` has it, by the rules that [`crate::validate`] has for `process`.
pub fn validate_process(process: &Process<'_>) -> Result<(), Error> {
    self::process(process, At::ROOT)
}

pub(super) fn process(process: &Process<'_>, at: At<'_>) -> Check {
    args(process, at.name("args"))?;
    strings(process, at)?;
    if process.cwd.is_empty() {
        return Err(at.name("cwd").refuse("the path is empty"));
    }
    absolute(&process.cwd, at.name("cwd"))?;
    process.env.iter().enumerate().try_for_each(|(index, entry)| variable(entry, at.name("env").index(index)))?;
    user(&process.user, at.name("user"))?;
    if let (true, Some(size)) = (process.terminal, &process.console_size) {
        console_size(size, at.name("consoleSize"))?;
    }
    rlimits(&process.rlimits, at.name("rlimits"))?;
    if let Some(adjustment) = process.oom_score_adj
        && !(-1000..=1000).contains(&adjustment)
    {
        return Err(at.name("oomScoreAdj").refuse(format!("{adjustment} is not from -1000 to 1000")));
    }
    if let Some(value) = &process.scheduler {
        scheduler(value, at.name("scheduler"))?;
    }
    if let Some(value) = &process.io_priority {
        io_priority(value, at.name("ioPriority"))?;
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        let at = at.name("execCPUAffinity");
        list(affinity.initial.as_ref(), at.name("initial"))?;
        list(affinity.final_.as_ref(), at.name("final"))?;
    }
    for (name, label) in [("apparmorProfile", &process.apparmor_profile), ("selinuxLabel", &process.selinux_label)] {
        plain(label.as_ref(), at.name(name))?;
    }
    Ok(())
}

/// The longest argument or variable in bytes, less its NUL (execve(2), MAX_ARG_STRLEN), and the most that all can have
/// together whatever the stack's limit is.
const MAX_STRING: usize = (128 << 10) - 1;
const MAX_STRINGS: usize = 6 << 20;

/// Refuses what no program can be given.
fn strings(process: &Process<'_>, at: At<'_>) -> Check {
    let mut total = 0;
    for (name, list) in [("args", &process.args), ("env", &process.env)] {
        let at = at.name(name);
        for (index, text) in list.iter().enumerate() {
            if text.len() > MAX_STRING {
                return Err(at
                    .index(index)
                    .refuse(format!("the text has {} bytes; the kernel takes {MAX_STRING}", text.len())));
            }
            // Each also needs a pointer.
            total += text.len() + 1 + 8;
        }
        if total > MAX_STRINGS {
            return Err(
                at.refuse(format!("arguments and environment have {total} bytes; the kernel takes {MAX_STRINGS}"))
            );
        }
    }
    Ok(())
}

fn args(process: &Process<'_>, at: At<'_>) -> Check {
    if !process.args.is_empty() {
        return Ok(());
    }
    let error = at.refuse("there is no program to run");
    Err(if process.command_line.is_some() {
        error.advice("commandLine is for Windows; name the program and its arguments in args")
    } else {
        error.advice("name the program and its arguments in args")
    })
}

/// An environment entry is `NAME=value`, as runc demands.
fn variable(entry: &str, at: At<'_>) -> Check {
    // The entry is not shown: it may be a secret that lost its name.
    match entry.find('=') {
        Some(0) => Err(at.refuse("the entry has no name before its \"=\"").advice("write NAME=value")),
        None => Err(at.refuse("the entry has no \"=\"").advice("write NAME=value")),
        Some(_) => Ok(()),
    }
}

fn user(user: &User<'_>, at: At<'_>) -> Check {
    limit(user.additional_gids.len(), MAX_GROUPS, at.name("additionalGids"))?;
    let no_id = |id: u32, at: At<'_>| {
        if id == u32::MAX { Err(at.refuse("4294967295 means \"no id\" to the kernel")) } else { Ok(()) }
    };
    no_id(user.uid, at.name("uid"))?;
    no_id(user.gid, at.name("gid"))?;
    let groups = at.name("additionalGids");
    user.additional_gids.iter().enumerate().try_for_each(|(index, &gid)| no_id(gid, groups.index(index)))?;
    match user.umask {
        Some(mask) if mask > 0o777 => Err(at
            .name("umask")
            .refuse(format!("{mask} has more than permission bits"))
            .advice("JSON numbers are decimal: octal 022 is 18")),
        _ => Ok(()),
    }
}

fn console_size(size: &ConsoleSize, at: At<'_>) -> Check {
    for (name, value) in [("height", size.height), ("width", size.width)] {
        if value > u64::from(u16::MAX) {
            return Err(at.name(name).refuse(format!("{value} is more than 65535, which a terminal can have")));
        }
    }
    Ok(())
}

fn rlimits(rlimits: &[Rlimit<'_>], at: At<'_>) -> Check {
    let mut seen = 0_u32;
    for (index, rlimit) in rlimits.iter().enumerate() {
        let at = at.index(index);
        let bit = 1 << known(&RLIMITS, &rlimit.kind, at.name("type"))?;
        if seen & bit != 0 {
            return Err(at.name("type").refuse(format!("{} is given twice", rlimit.kind)));
        }
        seen |= bit;
        if rlimit.soft > rlimit.hard {
            let reason = format!("the soft limit {} is above the hard limit {}", rlimit.soft, rlimit.hard);
            return Err(at.name("soft").refuse(reason));
        }
    }
    Ok(())
}

fn scheduler(scheduler: &Scheduler<'_>, at: At<'_>) -> Check {
    let policy = scheduler.policy.as_str();
    known(&SCHEDULER_POLICIES, policy, at.name("policy"))?;
    known_all(&SCHEDULER_FLAGS, &scheduler.flags, at.name("flags"))?;
    if matches!(policy, "SCHED_OTHER" | "SCHED_BATCH") && !(-20..=19).contains(&scheduler.nice) {
        return Err(at.name("nice").refuse(format!("{} is not from -20 to 19", scheduler.nice)));
    }
    if scheduler.priority != 0 && !matches!(policy, "SCHED_FIFO" | "SCHED_RR") {
        return Err(at.name("priority").refuse(format!("only SCHED_FIFO and SCHED_RR have a priority, not {policy}")));
    }
    let times = [("runtime", scheduler.runtime), ("deadline", scheduler.deadline), ("period", scheduler.period)];
    match times.iter().find(|(_, time)| *time != 0) {
        Some((name, _)) if policy != "SCHED_DEADLINE" => {
            Err(at.name(name).refuse(format!("only SCHED_DEADLINE has a {name}, not {policy}")))
        }
        _ => Ok(()),
    }
}

fn io_priority(priority: &IoPriority<'_>, at: At<'_>) -> Check {
    known(&IO_PRIORITY_CLASSES, &priority.class, at.name("class"))?;
    if !(0..=7).contains(&priority.priority) {
        return Err(at.name("priority").refuse(format!("{} is not from 0 to 7", priority.priority)));
    }
    Ok(())
}

/// The number of a name, refused if it has none.
pub(super) fn known(names: &Names, name: &str, at: At<'_>) -> Result<u32, Error> {
    names.number(name).ok_or_else(|| at.refuse(format!("{name:?} is not known")).advice(names.list()))
}

/// Refuses a list with a name that is not known.
pub(super) fn known_all(names: &Names, list: &[Str<'_>], at: At<'_>) -> Check {
    list.iter().enumerate().try_for_each(|(index, name)| known(names, name, at.index(index)).map(drop))
}

/// Refuses a list of CPUs or nodes that is malformed.
pub(super) fn list(list: Option<&Str<'_>>, at: At<'_>) -> Check {
    list.map_or(Ok(()), |list| ranges(list).map(drop).map_err(|reason| at.refuse(reason)))
}

/// Refuses text with control characters, which would end a line or a record early where it is written.
pub(super) fn plain(text: Option<&Str<'_>>, at: At<'_>) -> Check {
    match text.and_then(|text| text.chars().find(|c| c.is_control())) {
        Some(c) => Err(at.refuse(format!("the text has the control character {c:?}"))),
        None => Ok(()),
    }
}
