// SPDX-License-Identifier: Apache-2.0
//! What documents ask of the host beside namespaces.

use super::probe::{has_word, in_child, line, words};
use super::{Caller, Check, Seen};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::{Layout, Mode as Arrangement};
use insula_sys::credentials::{SECCOMP_NEW_LISTENER, install_filter};
use insula_sys::mount::{MountAttr, attr, mount_setattr};
use insula_sys::process::{Cloned, clone, clone3, exit};
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

pub(super) static CHECKS: [Check; 9] = [
    Check {
        name: "cgroups",
        needed: false,
        look: layout,
        stops: "limits, pause, events, and finding every process of a container without a pid namespace",
        remedy: "mount -t cgroup2 none /sys/fs/cgroup",
    },
    Check {
        name: "cgroup controllers",
        needed: false,
        look: controllers,
        stops: "the resources in /linux/resources whose controller is not there",
        remedy: "on version 2: enable them in cgroup.subtree_control of every group above; on version 1: mount them",
    },
    Check {
        name: "systemd",
        needed: false,
        look: systemd,
        stops: "--systemd-cgroup",
        remedy: "leave the flag out (Docker: native.cgroupdriver=cgroupfs, Podman: --cgroup-manager cgroupfs)",
    },
    Check {
        name: "seccomp filters",
        needed: false,
        look: |_| filter(0).map(|()| actions()),
        stops: "/linux/seccomp, which Docker and Podman ask for by default",
        remedy: "a kernel with CONFIG_SECCOMP_FILTER, and no filter around insula that forbids seccomp",
    },
    Check {
        name: "seccomp listeners",
        needed: false,
        look: |_| filter(SECCOMP_NEW_LISTENER).map(|()| String::from("SECCOMP_RET_USER_NOTIF")),
        stops: "/linux/seccomp with SCMP_ACT_NOTIFY and /linux/seccomp/listenerPath",
        remedy: "use Linux 5.5 or newer",
    },
    Check {
        name: "idmapped mounts",
        needed: false,
        look: idmapped,
        stops: "mounts with idmap, ridmap, uidMappings or gidMappings",
        remedy: "run insula as root on Linux 5.12 or newer (tmpfs: 6.3); the file system must allow it, too",
    },
    Check {
        name: "overlay",
        needed: false,
        look: |_| {
            if has_word("/proc/filesystems", "overlay") {
                Ok(String::from("known to the kernel"))
            } else {
                Err(String::from("not in /proc/filesystems"))
            }
        },
        stops: "`insula try`, and the engines' usual way to stack images",
        remedy: "modprobe overlay",
    },
    Check {
        name: "AppArmor or SELinux",
        needed: false,
        look: labels,
        stops: "/process/apparmorProfile, /process/selinuxLabel and /linux/mountLabel",
        remedy: "boot with lsm=…,apparmor or with SELinux; containers run without, less confined",
    },
    Check {
        name: "cache and memory bandwidth",
        needed: false,
        look: |_| {
            if openat(CWD, "/sys/fs/resctrl/schemata", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok() {
                Ok(String::from("/sys/fs/resctrl"))
            } else {
                Err(String::from("/sys/fs/resctrl is not mounted"))
            }
        },
        stops: "/linux/intelRdt",
        remedy: "on a processor that has it: mount -t resctrl resctrl /sys/fs/resctrl",
    },
];

fn layout(_: &Caller<'_>) -> Seen {
    let layout = Layout::probe().map_err(|e| format!("{e}"))?;
    if layout.hierarchies().next().is_none() {
        return Err(String::from("no hierarchy is mounted below /sys/fs/cgroup"));
    }
    Ok(String::from(match layout.mode() {
        Arrangement::Unified => "version 2",
        Arrangement::Hybrid => "version 1, with 2 beside it (hybrid)",
        Arrangement::Legacy => "version 1",
    }))
}

/// Controllers that documents have fields for, as version 2 names them; version 1 calls `io` otherwise.
const WANTED: [(&str, &str); 5] =
    [("cpu", "cpu"), ("cpuset", "cpuset"), ("io", "blkio"), ("memory", "memory"), ("pids", "pids")];

fn controllers(_: &Caller<'_>) -> Seen {
    let layout = Layout::probe().map_err(|e| format!("{e}"))?;
    let legacy: Vec<&str> = layout.hierarchies().flat_map(|(list, _)| list.split(',')).collect();
    let unified = line("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let has = |row: &&(&str, &str)| unified.split(' ').any(|name| name == row.0) || legacy.contains(&row.1);
    let names = |rows: Vec<&(&'static str, &str)>| rows.iter().map(|row| row.0).collect::<Vec<_>>().join(", ");
    let missing: Vec<_> = WANTED.iter().filter(|row| !has(row)).collect();
    if missing.is_empty() { Ok(names(WANTED.iter().collect())) } else { Err(format!("there is no {}", names(missing))) }
}

fn systemd(_: &Caller<'_>) -> Seen {
    // sd_booted(3)
    let booted = openat(CWD, "/run/systemd/system", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    booted.map(|_| String::from("it manages this host")).map_err(|_| String::from("it does not manage this host"))
}

fn actions() -> String {
    line("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_else(|| String::from("works"))
}

/// Installs a filter that allows everything.
fn filter(flags: u32) -> Result<(), String> {
    // BPF_RET | BPF_K with SECCOMP_RET_ALLOW, as struct sock_filter.
    const ALLOW: [u8; 8] = 0x7fff_0000_0000_0006_u64.to_le_bytes();
    let work = || {
        rustix::thread::set_no_new_privs(true)?;
        install_filter(&ALLOW, flags).map(drop)
    };
    in_child(0, work).map_err(|e| words("seccomp", e))
}

/// Maps a mount of a new tmpfs by the user namespace of a child that has one.
fn idmapped(_: &Caller<'_>) -> Seen {
    let attempt = || -> Result<(), Errno> {
        let (holder, pid) = match clone3(clone::NEWUSER, None)? {
            Cloned::Child => {
                // Ends with whoever made it.
                let _ = insula_sys::process::prctl(insula_sys::process::PrctlOp::SetParentDeathSignal, 9, 0);
                rustix::event::pause();
                exit(0)
            }
            Cloned::Parent { pid, pidfd } => (pidfd, pid),
        };
        let done = map_one(pid);
        let _ = insula_sys::process::pidfd_send_signal(holder.as_fd(), 9);
        let _ = rustix::process::waitid(
            rustix::process::WaitId::PidFd(holder.as_fd()),
            rustix::process::WaitIdOptions::EXITED,
        );
        done
    };
    attempt().map(|()| String::from("mount_setattr with MOUNT_ATTR_IDMAP")).map_err(|e| words("mount_setattr", e))
}

fn map_one(pid: i32) -> Result<(), Errno> {
    for name in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{name}");
        let map = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&map, b"0 1000 1\n")?;
    }
    let users = openat(CWD, format!("/proc/{pid}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let number = rustix::fd::AsRawFd::as_raw_fd(&users) as u64;
    let attr = MountAttr { set: attr::IDMAP, userns_fd: number, ..MountAttr::default() };
    mount_setattr(mount.as_fd(), c"", false, &attr)
}

fn labels(_: &Caller<'_>) -> Seen {
    let apparmor = line("/sys/module/apparmor/parameters/enabled").as_deref() == Some("Y");
    let selinux = openat(CWD, "/sys/fs/selinux/enforce", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok();
    match (apparmor, selinux) {
        (true, _) => Ok(String::from("AppArmor")),
        (_, true) => Ok(String::from("SELinux")),
        _ => Err(String::from("neither is active")),
    }
}
