// SPDX-License-Identifier: Apache-2.0
//! The calls that every container is made with.

use super::probe::{in_child, line, words};
use super::{Caller, Check, Seen};
use alloc::format;
use alloc::string::String;
use insula_sys::mount::{MountAttr, mount_setattr, propagation};
use insula_sys::process::clone;
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, ResolveFlags, memfd_create, openat2};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

const NEWER: &str = "use Linux 5.14 or newer";

pub(super) static CHECKS: [Check; 7] = [
    Check { name: "kernel", needed: true, look: release, stops: "everything", remedy: NEWER },
    Check {
        name: "/proc",
        needed: true,
        look: proc,
        stops: "every command: processes and namespaces are looked at there",
        remedy: "mount -t proc proc /proc",
    },
    Check {
        name: "pidfd and clone3",
        needed: true,
        look: |_| in_child(0, || Ok(())).map(|()| String::from("clone3, waitid")).map_err(|e| words("clone3", e)),
        stops: "every container: its first process is held by a descriptor",
        remedy: NEWER,
    },
    Check {
        name: "paths inside a root",
        needed: true,
        look: |_| {
            openat2(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
                .map(|_| String::from("openat2"))
                .map_err(|e| words("openat2", e))
        },
        stops: "every container: an image's links would lead to the host",
        remedy: "use Linux 5.6 or newer; in a container, a seccomp profile that knows openat2",
    },
    Check {
        name: "detached mounts",
        needed: true,
        look: detached,
        stops: "every container: file systems are made and attached by descriptor",
        remedy: "use Linux 5.12 or newer; in a container, a seccomp profile that allows fsopen and move_mount to root of a user namespace",
    },
    Check {
        name: "sealed programs in memory",
        needed: true,
        look: memory,
        stops: "every container: its first program is executed from there",
        remedy: "sysctl vm.memfd_noexec=0 (2 forbids it)",
    },
    Check {
        name: "raising limits",
        needed: false,
        look: resource,
        stops: "rlimits above the caller's own, a lower oomScoreAdj, and `docker run --privileged`",
        remedy: "run insula with CAP_SYS_RESOURCE",
    },
];

fn release(_: &Caller<'_>) -> Seen {
    let names = rustix::system::uname();
    let text = names.release().to_string_lossy().into_owned();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 14) { Ok(text) } else { Err(text) }
}

fn proc(_: &Caller<'_>) -> Seen {
    // linux/magic.h
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    match rustix::fs::statfs("/proc") {
        Ok(found) if found.f_type as u64 == PROC_SUPER_MAGIC => Ok(String::from("mounted")),
        Ok(_) => Err(String::from("another file system is mounted there")),
        Err(e) => Err(words("statfs", e)),
    }
}

/// The flags with which a process of the caller's may mount: an ordinary user's needs a user namespace.
fn may_mount() -> u64 {
    clone::NEWNS | if rustix::process::geteuid().is_root() { 0 } else { clone::NEWUSER }
}

fn detached(_: &Caller<'_>) -> Seen {
    let work = || -> Result<(), Errno> {
        let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        let attr = MountAttr { propagation: propagation::PRIVATE, ..MountAttr::default() };
        mount_setattr(rustix::fd::AsFd::as_fd(&mount), c"", true, &attr)
    };
    in_child(may_mount(), work).map(|()| String::from("fsopen, mount_setattr")).map_err(|e| words("fsopen", e))
}

fn memory(_: &Caller<'_>) -> Seen {
    let setting = line("/proc/sys/vm/memfd_noexec");
    // MFD_EXEC, Linux 6.3; older kernels know no such flag and always allow it.
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = memfd_create("insula-doctor", flags | MemfdFlags::EXEC).or_else(|e| match e {
        Errno::INVAL => memfd_create("insula-doctor", flags),
        other => Err(other),
    });
    match made {
        Ok(_) => Ok(setting.map_or_else(|| String::from("memfd_create"), |value| format!("vm.memfd_noexec={value}"))),
        Err(e) => Err(words("memfd_create", e)),
    }
}

fn resource(_: &Caller<'_>) -> Seen {
    const CAP_SYS_RESOURCE: u32 = 24;
    let held = insula_sys::credentials::capget().map_err(|e| words("capget", e))?.effective;
    if held & (1 << CAP_SYS_RESOURCE) != 0 {
        Ok(String::from("CAP_SYS_RESOURCE"))
    } else {
        Err(String::from("the caller lacks CAP_SYS_RESOURCE"))
    }
}
