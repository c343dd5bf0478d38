// SPDX-License-Identifier: Apache-2.0
//! What containers of ordinary users need. Asked of root, too: it is root who can change it.

use super::probe::line;
use super::{Caller, Check, Seen};
use crate::file;
use alloc::format;
use alloc::string::String;
use rustix::fs::{Access, CWD};

pub(super) static CHECKS: [Check; 5] = [
    Check {
        name: "user namespaces for everybody",
        needed: false,
        look: allowed,
        stops: "every container of a user who is not root",
        remedy: "sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000, kernel.apparmor_restrict_unprivileged_userns=0 (those that exist here)",
    },
    Check {
        name: "newuidmap, newgidmap",
        needed: false,
        look: tools,
        stops: "more than one id in an ordinary user's container",
        remedy: "install the package uidmap (shadow-utils)",
    },
    Check {
        name: "/etc/subuid, /etc/subgid",
        needed: false,
        look: ranges,
        stops: "more than one id in an ordinary user's container",
        remedy: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
    },
    Check {
        name: "a place for states",
        needed: false,
        look: place,
        stops: "an ordinary user's containers are kept below /tmp",
        remedy: "log in through PAM and systemd-logind, or set XDG_RUNTIME_DIR, or name a directory with --root",
    },
    Check {
        name: "a cgroup of one's own",
        needed: false,
        look: delegated,
        stops: "limits and pause for an ordinary user's containers",
        remedy: "on version 2 with systemd: Delegate=yes for user@.service, and run insula in the user's session",
    },
];

fn allowed(_: &Caller<'_>) -> Seen {
    let refusing = [
        ("/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "kernel.apparmor_restrict_unprivileged_userns", "1"),
        ("/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", "0"),
    ];
    match refusing.iter().find(|(path, _, value)| line(path).as_deref() == Some(*value)) {
        Some((_, name, value)) => Err(format!("{name}={value}")),
        None => Ok(String::from("nothing forbids them")),
    }
}

fn tools(_: &Caller<'_>) -> Seen {
    // The caller's PATH is not what insula trusts with this.
    let found = |tool: &str| ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|dir| runs(&format!("{dir}/{tool}")));
    match ["newuidmap", "newgidmap"].iter().find(|tool| !found(tool)) {
        Some(tool) => Err(format!("{tool} is not installed")),
        None => Ok(String::from("installed")),
    }
}

/// Whether there is a program at `path` that this user may execute.
pub(super) fn runs(path: &str) -> bool {
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, rustix::fs::AtFlags::EACCESS).is_ok()
}

fn ranges(_: &Caller<'_>) -> Seen {
    for path in ["/etc/subuid", "/etc/subgid"] {
        let text = file::read_text(CWD, path, 1 << 20, "look for ranges of ids").unwrap_or_default();
        if !text.lines().any(|line| line.split(':').count() == 3) {
            return Err(format!("{path} gives nobody a range"));
        }
    }
    Ok(String::from("there are ranges"))
}

fn place(caller: &Caller<'_>) -> Seen {
    if rustix::process::geteuid().is_root() {
        return Ok(String::from("root has /run/insula"));
    }
    match caller.runtime_dir {
        Some(dir) if rustix::fs::access(dir, Access::WRITE_OK).is_ok() => Ok(String::from(dir)),
        Some(dir) => Err(format!("{dir} is not writable")),
        None => Err(String::from("XDG_RUNTIME_DIR is not set")),
    }
}

fn delegated(_: &Caller<'_>) -> Seen {
    let own = file::read_text(CWD, "/proc/self/cgroup", 1 << 16, "look for the caller's cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("");
    if rustix::process::geteuid().is_root() {
        return Ok(String::from("root needs none"));
    }
    let whole = format!("/sys/fs/cgroup{path}/cgroup.procs");
    if rustix::fs::access(whole.as_str(), Access::WRITE_OK).is_ok() {
        Ok(String::from(path))
    } else {
        Err(format!("{whole} is not writable"))
    }
}
