// SPDX-License-Identifier: Apache-2.0
//! Id maps and time offsets of a process that waits for them. They are written through its /proc directory, opened while
//! it is still our unreaped child, so that its number cannot be another's.

use crate::file;
use crate::spawn;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_plan::JoinedMaps;
use insula_spec::{IdMapping, Spec};
use insula_sys::process::{Cloned, PrctlOp, clone, clone3, prctl, setns};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::{Timespec, nanosleep};

/// The process's own directory.
pub(crate) fn directory(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}");
    file::open_dir(CWD, &path).map_err(|e| Error::kernel(e.raw_os_error(), "reach init through /proc").object(path))
}

fn write(dir: BorrowedFd<'_>, name: &str, text: &str) -> core::result::Result<(), Errno> {
    let fd = openat(dir, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // The kernel takes a map in one write or not at all.
    rustix::io::write(&fd, text.as_bytes()).map(drop)
}

fn lines(mappings: &[IdMapping]) -> String {
    let mut text = String::with_capacity(mappings.len() * 24);
    for m in mappings {
        text += &format!("{} {} {}\n", m.container_id, m.host_id, m.size);
    }
    text
}

/// Writes both maps of the user namespace that process `pid` has just made.
pub(crate) fn write_ids(dir: BorrowedFd<'_>, pid: i32, spec: &Spec<'_>) -> Result<()> {
    let (uids, gids) = (&spec.linux.uid_mappings, &spec.linux.gid_mappings);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid == 0 {
        write_one(dir, "gid_map", gids, "/linux/gidMappings")?;
        return write_one(dir, "uid_map", uids, "/linux/uidMappings");
    }
    let single = |mappings: &[IdMapping], own: u32| matches!(mappings, [m] if m.size == 1 && m.host_id == own);
    if single(gids, gid) {
        // Without this an ordinary user could shed a group that denies access (user_namespaces(7)).
        write(dir, "setgroups", "deny")
            .map_err(|e| Error::kernel(e.raw_os_error(), "deny setgroups before the group map is written"))?;
        write_one(dir, "gid_map", gids, "/linux/gidMappings")?;
    } else {
        by_tool("newgidmap", "/etc/subgid", pid, gids, gid, "/linux/gidMappings")?;
    }
    if single(uids, uid) {
        write_one(dir, "uid_map", uids, "/linux/uidMappings")
    } else {
        by_tool("newuidmap", "/etc/subuid", pid, uids, uid, "/linux/uidMappings")
    }
}

/// The maps of a user namespace, as the caller sees them; `None` if it may not enter it. A namespace shows its maps only
/// through a process in it, so one is sent there.
pub(crate) fn of_namespace(user: BorrowedFd<'_>) -> Option<JoinedMaps> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    let (pid, pidfd) = match clone3(0, None).ok()? {
        Cloned::Child => {
            if setns(user, clone::NEWUSER).is_err() {
                insula_sys::process::exit(1);
            }
            let _ = prctl(PrctlOp::SetParentDeathSignal, 9, 0);
            let _ = rustix::io::write(&write, &[1]);
            loop {
                // Until it is killed, below; should its maker die, then by that.
                let _ = nanosleep(&Timespec { tv_sec: 3600, tv_nsec: 0 });
            }
        }
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(write);
    let entered = rustix::io::read(&read, &mut [0; 1]) == Ok(1);
    let maps = entered.then(|| directory(pid).ok()).flatten().and_then(|dir| {
        let map = |name: &str| file::read_text(dir.as_fd(), name, 1 << 16, "read the map of a user namespace").ok();
        let lines = |text: String| text.lines().filter_map(crate::audit::line_of_map).collect();
        Some(JoinedMaps { users: map("uid_map").map(lines)?, groups: map("gid_map").map(lines)? })
    });
    let _ = insula_sys::process::pidfd_send_signal(pidfd.as_fd(), 9);
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    maps
}

/// Writes a map that belongs to a mount.
pub(crate) fn write_range(
    dir: BorrowedFd<'_>,
    name: &'static str,
    ranges: &[[u32; 3]],
    field: insula_plan::Field,
) -> Result<()> {
    let text: String = ranges.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect();
    write(dir, name, &text).map_err(|e| {
        Error::kernel(e.raw_os_error(), "map the ids of a mount")
            .field(format!("{field}"))
            .object(format!("write {:?} to {name}", text.trim_end()))
    })
}

fn write_one(dir: BorrowedFd<'_>, name: &'static str, mappings: &[IdMapping], pointer: &'static str) -> Result<()> {
    let text = lines(mappings);
    write(dir, name, &text).map_err(|e| {
        let error = Error::kernel(e.raw_os_error(), "map ids into the user namespace")
            .field(pointer)
            .object(format!("write {:?} to {name}", text.trim_end()));
        match e {
            Errno::PERM => {
                error.advice("the caller may not give these ids away: they lie outside its own user namespace's map")
            }
            Errno::INVAL => error.advice("ranges must not overlap, and there are at most 340"),
            _ => error,
        }
    })
}

/// Where the helpers of shadow's uidmap package are looked for; the caller's PATH is not to be trusted with this.
const TOOL_DIRECTORIES: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

fn by_tool(
    tool: &'static str,
    database: &'static str,
    pid: i32,
    mappings: &[IdMapping],
    own: u32,
    pointer: &'static str,
) -> Result<()> {
    let attempted = "map a range of ids as an ordinary user";
    let found =
        TOOL_DIRECTORIES.iter().map(|dir| format!("{dir}/{tool}")).find(|path| rustix::fs::stat(path.as_str()).is_ok());
    let Some(path) = found else {
        return Err(Error::unsupported(pointer, attempted, format!("{tool} is not installed"))
            .advice(format!("install the package uidmap, or map the single id {own}")));
    };
    let mut arguments = Vec::from([String::from(tool), format!("{pid}")]);
    for m in mappings {
        arguments.extend([m.container_id, m.host_id, m.size].map(|number| format!("{number}")));
    }
    let run = spawn::Program {
        path: &path,
        args: &arguments,
        env: &[],
        input: &[],
        timeout: Some(10),
        note: None,
        signals: None,
    };
    let ended = run.run(None)?;
    if ended.success() {
        return Ok(());
    }
    // A set-user-id program has no more rights then than who starts it.
    let status = file::read_text(CWD, "/proc/self/status", 1 << 16, "look at the caller").unwrap_or_default();
    if status.lines().any(|line| line.strip_prefix("NoNewPrivs:").is_some_and(|value| value.trim() == "1")) {
        return Err(Error::unsupported(
            pointer,
            attempted,
            format!("{tool} refused, since the caller has no_new_privs: {}", ended.output.trim()),
        )
        .advice(format!("start insula without no_new_privs, or map the single id {own}")));
    }
    let ranges: Vec<String> =
        mappings.iter().filter(|m| m.host_id != own).map(|m| format!("{}:{}", m.host_id, m.size)).collect();
    Err(Error::unsupported(pointer, attempted, format!("{tool} refused: {}", ended.output.trim()))
        .advice(format!("{database} needs a line for this user that covers {}", ranges.join(", "))))
}

/// Writes the offsets of the time namespace that process `pid` has made and not yet entered.
pub(crate) fn write_offsets(dir: BorrowedFd<'_>, offsets: &[String]) -> Result<()> {
    let text = offsets.concat();
    write(dir, "timens_offsets", &text).map_err(|e| {
        let error = Error::kernel(e.raw_os_error(), "shift the container's clocks")
            .field("/linux/timeOffsets")
            .object(format!("write {:?} to timens_offsets", text.trim_end()));
        match e {
            Errno::RANGE => error.advice("keep the shifted clocks between 0 and about 146 years"),
            Errno::PERM => error.advice("CAP_SYS_TIME over the time namespace is needed"),
            _ => error,
        }
    })
}

/// Writes how readily the kernel kills the process when memory runs out.
pub(crate) fn write_oom_score(dir: BorrowedFd<'_>, value: i64, rootless: bool) -> Result<()> {
    match write(dir, "oom_score_adj", &format!("{value}")) {
        // An ordinary user may raise the value and not lower it; runc goes on, too.
        Err(Errno::ACCESS | Errno::PERM) if rootless => Ok(()),
        done => done.map_err(|e| {
            Error::kernel(e.raw_os_error(), format!("set oom_score_adj to {value}"))
                .field("/process/oomScoreAdj")
                .advice("lowering it below the runtime's own needs CAP_SYS_RESOURCE")
        }),
    }
}
